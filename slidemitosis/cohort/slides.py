"""Pure: a cohort is a list of slides with columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.reading.prepare import ReadOptions

Ending = Literal["done", "failed", "skipped"]
Status = Literal["done", "failed", "skipped", "pending"]
Step = Literal["cohort", "slide", "candidates", "options", "reading", "classifying", "writing", "process"]
"""Where a slide failed; "cohort" is the list itself, "process" a process that died."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one slide ended."""

    status: Ending
    step: Step | None = None
    """Of what is not done: where it failed, or why it was skipped."""
    cause: str | None = None
    """One line."""
    fresh: bool = True
    """False if it was done by an earlier run, and recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSlide:
    """One slide of a cohort, and what the cohort says of it."""

    where: str
    """Its place in the list, for messages: "slides.csv, line 3"."""
    name: str
    """Unique in the cohort; the name of its result folder."""
    slide: Path
    """Absolute."""
    points: Path | None
    patient: str | None
    read: ReadOptions
    """The run's options, and what the list says of this slide beside them."""
    area_mm2: float | None
    """The analysed area that the list states."""
    columns: Mapping[str, str]
    """Any further columns of the list."""
    problem: Outcome | None = None
    """Why it cannot be run at all."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Slides in the order of their list."""

    path: Path
    slides: tuple[CohortSlide, ...]
    column_names: tuple[str, ...]
    """Of the further columns, in their order."""
