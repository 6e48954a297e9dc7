"""Run a cohort from its list to its tables."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.cohort.executors.events import Ended, Held
from slidemitosis.cohort.store import CohortStore
from slidemitosis.cohort.tables.cohort import COHORT_JSON, PATIENTS_CSV, CohortTables
from slidemitosis.cohort.tables.page import pages_again
from slidemitosis.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.executors.events import Event, Executor
    from slidemitosis.cohort.slides import Cohort, CohortSlide, Outcome
    from slidemitosis.report.choice import Limits

log = logging.getLogger(__name__)

_NAMED = 10
"""Slides that one message names at most."""


@dataclass(frozen=True, slots=True)
class CohortResult:
    """How the slides of a run ended, and what was written."""

    outcomes: Mapping[str, Outcome]
    """By the slide's name."""
    written: Sequence[Path]
    """Tables and plot of the cohort; nothing where only a part of it was run."""

    @property
    def counts(self) -> dict[str, int]:
        """How many slides are done, failed and skipped."""
        found = Counter(o.status for o in self.outcomes.values())
        return {status: found[status] for status in ("done", "failed", "skipped")}

    @property
    def complete(self) -> bool:
        """Whether all slides are done."""
        return all(o.status == "done" for o in self.outcomes.values())


def run_cohort(
    cohort: Cohort,
    out: Path,
    executor: Executor,
    *,
    slides: Sequence[CohortSlide] | None = None,
    tell: Callable[[Event], None] | None = None,
    page: bool = True,
) -> CohortResult:
    """Do the slides of a cohort that are not done yet, and write its tables as they finish.

    Slides that another run on the same folder is at work on are left to it, and waited for at the end.
    slides: the part of the cohort to be done here; the tables are then left to `collect_cohort`. tell: called
    with every event. page: whether `cohort.html` is among the tables. An interrupted run leaves tables that
    say what was done. Raises OutputError, ModelError, and what the executor raises if it cannot run anything;
    a slide's own errors are outcomes.
    """
    store = CohortStore(out)
    store.begin()
    tables = CohortTables(cohort, store, page=page) if slides is None else None
    if tables is not None:
        tables.collect()  # a run that is broken off must not say less than is known
    outcomes: dict[str, Outcome] = {}
    left = list(cohort.slides if slides is None else slides)
    try:
        for wait in (False, True):
            held = []
            for event in executor.run(left, wait=wait) if left else ():
                if isinstance(event, Held):
                    held.append(event.slide)
                elif isinstance(event, Ended):
                    if event.outcome.step == "process":  # which died, and so could record nothing
                        with store.lock(event.slide.name, wait=True):
                            store.record(event.slide.name, event.outcome)
                    outcomes[event.slide.name] = event.outcome
                    if tables is not None:
                        tables.note(event.slide)
                if tell is not None:
                    tell(event)
            left = held
    finally:
        written = tables.finish() if tables is not None else []
    if tables is not None:
        _tell_of_others(cohort, store)
    return CohortResult(outcomes, written)


def collect_cohort(cohort: Cohort, out: Path, *, page: bool = True) -> tuple[Counter[str], Sequence[Path]]:
    """Write the tables of what is recorded in a folder; return the number of slides by status, and the files.

    Use it for cohorts whose parts were run apart, as by a cluster's jobs. No slide is opened. Raises
    OutputError.
    """
    store = CohortStore(out)
    if not store.begun:
        raise OutputError(f"{out}: holds no results of a cohort; name the folder that it was run into")
    tables = CohortTables(cohort, store, page=page)
    tables.collect()
    written = tables.finish()
    _tell_of_others(cohort, store)
    return Counter(str(row["status"]) for row in tables.rows()), written


def _tell_of_others(cohort: Cohort, store: CohortStore) -> None:
    """Warn of results that are in no table, since the list that they are of was another one."""
    others = store.others([s.name for s in cohort.slides])
    if others:
        named = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
        log.warning(
            "%s: holds results of %d slides that are not in %s, and in no table: %s; remove their folders if "
            "they are not wanted",
            store.out / "slides",
            len(others),
            cohort.path.name,
            named,
        )


def is_cohort(out: Path) -> bool:
    """Tell whether a folder holds the results of a cohort."""
    return CohortStore(out).begun


def report_cohort_again(out: Path, limits: Limits) -> tuple[Sequence[Path], Sequence[str]]:
    """Write the pages of a cohort's folder again; see `tables.page.pages_again`."""
    return pages_again(CohortStore(out), (out / COHORT_JSON, out / PATIENTS_CSV), limits=limits)
