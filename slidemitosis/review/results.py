"""Folders of results read again: their slides, their figures, and what is settled of each figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption
from slidemitosis.outputs.folder import result_folders
from slidemitosis.outputs.read import read_rows, read_summary
from slidemitosis.rates.reviewed import APART, ReviewedFigure, ReviewRate, review_rate
from slidemitosis.review.settle import known_in, settled_by_figure, warn_of_lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from slidemitosis.outputs.read import Row
    from slidemitosis.prediction import Verdict


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of `candidates.csv`."""

    id: str
    """That of its object, in lower case."""
    x: float  # level-0 px
    y: float  # level-0 px
    probability: float | None
    """P(atypical); None where the model says nothing of it."""
    verdict: Verdict | None
    """What persons say of it."""
    by_reader: Mapping[str, str]
    """The answer of each reader of `review.csv`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedSlide:
    """A slide that is classified, and what persons say of its figures."""

    folder: Path
    summary: Mapping[str, Any]
    figures: tuple[Figure, ...]
    """Those that stand for a figure of their own: no duplicates, and none off the slide."""

    @property
    def reviewed(self) -> list[ReviewedFigure]:
        """Each figure as `rates.reviewed` takes it."""
        return [ReviewedFigure.of(f.probability, f.verdict) for f in self.figures]

    @property
    def review(self) -> ReviewRate | None:
        """What the answers come to; None where there are none."""
        return review_rate(self.reviewed)


def reviewed_slides(folder: Path, *, reviewer: str | None = None) -> list[ReviewedSlide]:
    """Read the slide of a folder of results, or each slide of a cohort's folder.

    reviewer: whose word counts where readers disagree. Raises InvalidOption for a folder without results,
    OutputError and UnreadableReview.
    """
    folders = result_folders(folder)
    if not folders:
        raise InvalidOption(f"{folder}: holds no results; name a folder of classify or of cohort")
    return [reviewed_slide(one, reviewer=reviewer) for one in folders]


def reviewed_slide(folder: Path, *, reviewer: str | None = None) -> ReviewedSlide:
    """Read the slide of one folder of results. Raises OutputError, UnreadableReview."""
    return with_answers(folder, read_summary(folder), read_rows(folder), reviewer=reviewer)


def with_answers(
    folder: Path, summary: Mapping[str, Any], rows: Iterable[Row], *, reviewer: str | None
) -> ReviewedSlide:
    """Add the answers that a folder holds to its summary and rows. Raises UnreadableReview."""
    known = known_in(folder)
    said = settled_by_figure(known, reviewer=reviewer)
    figures = []
    for row in rows:
        if row.status not in APART:
            name = row.object_id.lower()
            by_reader = {a.reader: a.answer for a in known.answers.about(name) if a.answer and a.reader}
            figures.append(Figure(name, row.x, row.y, row.probability, said.get(name), by_reader))
    warn_of_lost(known, {f.id for f in figures})
    return ReviewedSlide(folder=folder, summary=summary, figures=tuple(figures))
