"""The folder of a cohort's results: its paths, its locks, and what was recorded of each slide.

    results/
      cohort.csv, ...                the tables; see `cohort.tables`
      slides/NAME/                   objects.geojson, candidates.csv, row.json, summary.json
      slides/NAME/failed.json        where the slide failed; what an earlier run found stays beside it
      locks/                         held by whoever works on a slide, or writes the tables

A slide is done if its folder holds `summary.json`, which is always the last file to appear, and no
`failed.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.cohort.tables.patients import Recorded
from slidemitosis.errors import OutputError
from slidemitosis.files import write_whole, writing
from slidemitosis.outputs.folder import CANDIDATES, OBJECTS, REGIONS, REPORT, SUMMARY, summary_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from slidemitosis.cohort.slides import Outcome

ROW, FAILED = "row.json", "failed.json"
_MARKER = ".slidemitosis-cohort"
_RESULTS = (OBJECTS, CANDIDATES, REGIONS, REPORT, ROW)
_LOCK_POLL = 0.2  # seconds


class HeldElsewhere(Exception):
    """Another process holds the slide."""


@dataclass(frozen=True, slots=True)
class CohortStore:
    """The result folder of one cohort."""

    out: Path

    def begin(self) -> None:
        """Make the folder, or recognise it as a cohort's. Raises OutputError for one with other files."""
        with writing(self.out):
            if not self.begun:
                theirs = self._names() & {"slides", "locks", "cohort.csv"}
                # Many runs may begin at once, as an array of jobs does; each makes the marker first.
                if theirs and not self.begun:
                    raise OutputError(
                        f"{self.out / min(theirs)}: is there, and not of a cohort; choose another --out"
                    )
                self.out.mkdir(parents=True, exist_ok=True)
                text = "The results of a cohort, made by slidemitosis cohort.\n"
                (self.out / _MARKER).write_text(text, encoding="utf-8")
            for name in ("slides", "locks"):
                (self.out / name).mkdir(exist_ok=True)

    @property
    def begun(self) -> bool:
        """Whether the folder is that of a cohort."""
        return _MARKER in self._names()

    def _names(self) -> set[str]:
        # Listed, and not asked for one by one: a network's folder says what is new in it when it is listed.
        try:
            return set(os.listdir(self.out))  # noqa: PTH208
        except FileNotFoundError:
            return set()

    def folder(self, name: str) -> Path:
        """Of one slide."""
        return self.out / "slides" / name

    def others(self, names: Collection[str]) -> list[str]:
        """Name the slides of which there are results, and that are not among these."""
        try:
            found = os.listdir(self.out / "slides")  # noqa: PTH208 - as above
        except FileNotFoundError:
            return []
        return [n for n in sorted(set(found) - set(names)) if (self.folder(n) / SUMMARY).exists()]

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[None]:
        """Hold a slide, or the tables. The system frees what a process held when it dies, however it dies.

        Raises HeldElsewhere if `wait` is false and another process holds it.
        """
        import filelock  # noqa: PLC0415

        lock = filelock.FileLock(self.out / "locks" / f"{name}.lock", thread_local=False)
        try:
            lock.acquire(timeout=-1 if wait else 0, poll_interval=_LOCK_POLL)
        except filelock.Timeout:
            raise HeldElsewhere(name) from None
        except OSError as e:
            raise OutputError(
                f"{self.out}: cannot be written: {e.strerror or e}; choose another --out"
            ) from e
        except NotImplementedError as e:
            raise OutputError(
                f"{self.out}: this file system knows no locks, without which two runs could spoil each "
                "other's results; choose another --out"
            ) from e
        try:
            yield
        finally:
            lock.release()

    def row(self, name: str) -> dict[str, Any] | None:
        """What was recorded of a slide that is done: its identity and its values.

        None if it is not done, or by a version that recorded something else: it is then done again.
        """
        folder = self.folder(name)
        if not (folder / SUMMARY).exists():
            return None
        row = _read_json(folder / ROW)
        try:
            whole = row is not None and {"slide", "work"} <= set(row) and bool(dict(row["values"]))
            return row if whole and Recorded.of(row or {}) else None
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def failure(self, name: str) -> dict[str, Any] | None:
        """What was recorded of a slide that failed: step and cause."""
        return _read_json(self.folder(name) / FAILED)

    def tidy(self, name: str) -> None:
        """Make the folder of a slide; remove from it what a killed process has left, and no result."""
        folder = self.folder(name)
        with writing(folder, remedy=""):
            folder.mkdir(parents=True, exist_ok=True)
            for stage in folder.glob(".slidemitosis-*"):
                shutil.rmtree(stage)
            if not (folder / SUMMARY).exists():
                # It comes last and goes first: without it what is there is part of a result.
                for name_ in _RESULTS:
                    (folder / name_).unlink(missing_ok=True)

    def record(self, name: str, outcome: Outcome) -> None:
        """Record that a slide failed, beside what an earlier run may have found, or that it is done now."""
        if outcome.status == "failed":
            self.tidy(name)
            record = {"step": outcome.step, "cause": outcome.cause}
            write_whole(self.folder(name) / FAILED, summary_text(record).encode("utf-8", "backslashreplace"))
        elif outcome.status == "done":
            with writing(self.folder(name), remedy=""):
                (self.folder(name) / FAILED).unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # a damaged one is as good as none: the slide is done again
    return found if isinstance(found, dict) else None
