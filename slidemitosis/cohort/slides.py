"""A cohort: a list of slides with columns, and how each slide ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.options import ReadOptions

Ending = Literal["done", "failed", "skipped"]
Status = Literal[Ending, "pending"]
Step = Literal[
    "cohort", "slide", "candidates", "answers", "options", "reading", "classifying", "writing", "process"
]
"""Where a slide failed: "cohort" is the list itself, "process" a process that died."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one slide ended."""

    status: Ending
    step: Step | None = None
    """Where a slide that is not done failed, or why it was skipped."""
    cause: str | None = None
    """One line that says why."""
    fresh: bool = True
    """Whether this run did it; False if an earlier run had, which was recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSlide:
    """One slide of a cohort, and what the cohort says of it."""

    where: str
    """Place in the list, for messages: "slides.csv, line 3"."""
    name: str
    """Name of its result folder, unique in the cohort."""
    slide: Path
    """Absolute path."""
    points: Path | None
    patient: str | None = None
    read: ReadOptions
    """The run's options, changed by what the list says of this slide."""
    area_mm2: float | None = None
    """Analysed area that the list states, mm2."""
    tumour: str | None = None
    """Tumour that the list states."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Cells of the list's further columns, by the column's name."""
    problem: Outcome | None = None
    """Why it cannot be run at all; None if it can."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Slides in the order of their list."""

    path: Path
    slides: tuple[CohortSlide, ...]
    column_names: tuple[str, ...]
    """Names of the further columns, in their order."""
    patient_columns: tuple[str, ...] = ()
    """Those that are the same for all slides of a patient, since they were joined by patient."""
