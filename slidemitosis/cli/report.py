"""Standard error of a command: messages and progress; and the tables of its standard output."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from slidemitosis.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    from tqdm import tqdm

# Of a pipe that nobody reads the system then says so, and does not wait for a reader.
_TO_ADD = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
LINE_EVERY = 10.0
"""Seconds between two lines of progress, where no bar can be drawn, and in the log."""


@contextlib.contextmanager
def _if_it_can_be_said() -> Iterator[None]:
    """Go on where standard error cannot be written: its terminal was closed, or its disk is full."""
    with contextlib.suppress(OSError, ValueError):
        yield


class Report:
    """Standard error, and the log where there is one: messages as text or JSON, and progress."""

    def __init__(self, style: str, *, log: Path | None = None) -> None:
        self.style = style
        self._log_path = log
        self._log: TextIO | None = None
        self.outcome = "nothing was written"
        self.is_done = False
        self._bar: tqdm[NoReturn] | None = None
        self._what = ""
        self._slides_told, self._told_at = -1, 0.0
        self._line_at: float | None = None
        self._begun = ("", 0.0)

    def open_log(self) -> None:
        """Open the log, to add to what it holds. Raises OutputError."""
        if self._log_path is not None:
            with writing(self._log_path, remedy="; choose another --log"):
                descriptor = os.open(self._log_path, _TO_ADD, 0o666)
                if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                    os.set_blocking(descriptor, True)
                self._log = open(descriptor, "a", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123, SIM115

    def close_log(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _to_log(self, level: str, text: str) -> None:
        if self._log is not None:
            self._log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {level}: {text}\n")
            self._log.flush()  # whoever looks on sees it at once, and a kill loses nothing

    def message(self, level: str, text: str) -> None:
        """One line, or one object of JSON."""
        self._to_log(level, text)
        if self.style == "json":
            self._json(event="message", level=level, text=text)
            return
        line = f"slidemitosis: {text}" if level == "info" else f"slidemitosis: {level}: {text}"
        with _if_it_can_be_said():
            if self._bar is None:
                print(line, file=sys.stderr)
            else:  # above the bar, which is drawn again below it
                self._bar.write(line, file=sys.stderr)

    def progress(self, done: int, total: int, *, what: str = "classifying") -> None:
        """So many figures are done; another `what` begins a bar of its own."""
        self._tell_now_and_then(what, done, total, unit="figures")
        if self.style == "json":
            self._json(event="progress", done=done, total=total, what=what)
        elif self.style == "bar":
            bar = self._bar_of(what, total, unit="figure")
            bar.update(done - bar.n)

    def slides(self, done: int, total: int, *, candidates: int) -> None:
        """So many slides of a cohort have ended, and so many candidates are classified."""
        self._tell_now_and_then("slides", done, total, unit="slides", more=f", {candidates} candidates")
        if self.style == "bar":
            bar = self._bar_of("slides", total, unit="slide")
            bar.set_postfix_str(f"{candidates} candidates", refresh=False)
            bar.update(done - bar.n)
        # Candidates are done many times a second; whoever reads this has better to do.
        elif self.style == "json" and (done != self._slides_told or time.monotonic() - self._told_at >= 1):
            self._slides_told, self._told_at = done, time.monotonic()
            self._json(event="progress", done=done, total=total, what="slides", candidates=candidates)

    def _tell_now_and_then(self, what: str, done: int, total: int, *, unit: str, more: str = "") -> None:
        """One line every ten seconds, for those who see no bar: a file, a pipe, the log."""
        now = time.monotonic()
        if self._begun[0] != what:
            self._begun = (what, now)
        self._line_at = now if self._line_at is None else self._line_at
        if now - self._line_at < LINE_EVERY:
            return
        self._line_at = now
        text = f"{what}: {done} of {total} {unit}{more}{_left(now - self._begun[1], done, total)}"
        self._to_log("progress", text)
        if self.style == "bar" and not sys.stderr.isatty():
            with _if_it_can_be_said():
                print(f"slidemitosis: {text}", file=sys.stderr, flush=True)

    def _bar_of(self, what: str, total: int, *, unit: str) -> tqdm[NoReturn]:
        from tqdm import tqdm  # noqa: PLC0415

        if self._bar is None or what != self._what:
            self.close()
            self._what = what
            # disable=None: none where standard error is a file or a pipe.
            self._bar = tqdm(total=total, unit=unit, desc=what, file=sys.stderr, disable=None)
        return self._bar

    def slide_ended(self, name: str, status: str, *, fresh: bool) -> None:
        """One slide of a cohort has ended; `fresh` if not long ago."""
        self._to_log("info", f"{name}: {status}{'' if fresh else ', as it was'}")
        if self.style == "json":
            self._json(event="slide", name=name, status=status, fresh=fresh)

    def close(self) -> None:
        """End the bar's line, so that what follows stands on one of its own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def done(self, **written: str | Sequence[str]) -> None:
        """The results are there; `written` says where, for programs."""
        self.close()
        self.outcome = "the results are written"
        self.is_done = True
        self._to_log("info", "the results are written")
        if self.style == "json":
            self._json(event="done", **written)

    @staticmethod
    def _json(**record: object) -> None:
        with _if_it_can_be_said():
            print(json.dumps(record), file=sys.stderr, flush=True)


def _left(took: float, done: int, total: int) -> str:
    """How long the rest takes if it goes on like this: ", about 40 s left"."""
    if not 0 < done < total:
        return ""
    seconds = took * (total - done) / done
    return f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"


class LogToReport(logging.Handler):
    """Hands what the library logs to a report."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.INFO)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        """One record as one message."""
        self.report.message(record.levelname.lower(), record.getMessage())


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Names and texts below one another, on standard output."""
    for name, text in rows:
        print(f"{name:<11} {text}")
