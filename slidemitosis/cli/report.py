"""Standard error of a command: messages and progress; and the tables of its standard output."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm


class Report:
    """Standard error: messages as text or JSON, and progress."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.outcome = "nothing was written"
        self.is_done = False
        self._bar: tqdm[NoReturn] | None = None
        self._what = ""
        self._slides_told, self._told_at = -1, 0.0

    def message(self, level: str, text: str) -> None:
        """One line, or one object of JSON."""
        if self.style == "json":
            self._json(event="message", level=level, text=text)
            return
        line = f"slidemitosis: {text}" if level == "info" else f"slidemitosis: {level}: {text}"
        if self._bar is None:
            print(line, file=sys.stderr)
        else:  # above the bar, which is drawn again below it
            self._bar.write(line, file=sys.stderr)

    def progress(self, done: int, total: int, *, what: str = "classifying") -> None:
        """So many figures are done; another `what` begins a bar of its own."""
        if self.style == "json":
            self._json(event="progress", done=done, total=total, what=what)
        elif self.style == "bar":
            bar = self._bar_of(what, total, unit="figure")
            bar.update(done - bar.n)

    def slides(self, done: int, total: int, *, candidates: int) -> None:
        """So many slides of a cohort have ended, and so many candidates are classified."""
        if self.style == "bar":
            bar = self._bar_of("slides", total, unit="slide")
            bar.set_postfix_str(f"{candidates} candidates", refresh=False)
            bar.update(done - bar.n)
        # Candidates are done many times a second; whoever reads this has better to do.
        elif self.style == "json" and (done != self._slides_told or time.monotonic() - self._told_at >= 1):
            self._slides_told, self._told_at = done, time.monotonic()
            self._json(event="progress", done=done, total=total, what="slides", candidates=candidates)

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
        if self.style == "json":
            self._json(event="done", **written)

    @staticmethod
    def _json(**record: object) -> None:
        print(json.dumps(record), file=sys.stderr, flush=True)


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
