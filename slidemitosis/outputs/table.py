"""Make `candidates.csv`: one row for each candidate, in the points file's order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from slidemitosis.files import csv_lines
from slidemitosis.labels import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from slidemitosis.prediction import CandidateResult, Prediction

SAID: dict[str, Callable[[Prediction], str]] = {
    "p_atypical": lambda p: f"{p.probability:.6f}",
    "call": lambda p: POSITIVE if p.atypical else NEGATIVE,
    "subtype": lambda p: p.subtype or "",
    "p_subtype": lambda p: f"{p.subtypes[p.subtype]:.6f}" if p.subtype else "",
    "p_hard": lambda p: "" if p.p_hard is None else f"{p.p_hard:.6f}",
}
"""Columns of what a model says of one patch, each with its cell."""


def candidates_csv(results: Iterable[CandidateResult], *, upsampled: bool) -> Iterator[str]:
    """Make the lines of the table: the names of its columns, then each candidate."""
    columns: dict[str, Callable[[CandidateResult], str]] = {
        "id": lambda r: r.placed.candidate.id or "",
        "object_id": lambda r: r.placed.object_id,
        "source": lambda r: r.placed.candidate.source,
        "class": lambda r: r.placed.candidate.class_name or "",
        "x": lambda r: _number(r.placed.frame_x, 2),
        "y": lambda r: _number(r.placed.frame_y, 2),
        "level0_x": lambda r: _number(r.placed.x, 2),
        "level0_y": lambda r: _number(r.placed.y, 2),
        "status": lambda r: r.status,
        "reason": lambda r: r.reason or "",
        "p_atypical": lambda r: _said(r.prediction, "p_atypical"),
        "call": lambda r: _said(r.call, "call"),
        "padding": lambda r: "" if r.placed.padding is None else _number(r.placed.padding, 4),
        "upsampled": lambda _: str(upsampled).lower(),
        "subtype": lambda r: _said(r.call, "subtype"),
        "p_subtype": lambda r: _said(r.call, "p_subtype"),
        "p_hard": lambda r: _said(r.prediction, "p_hard"),
        "answer": lambda r: r.verdict.answer if r.verdict else "",
        "reviewed_for": lambda r: r.verdict.reason if r.verdict else "",
        "readers": lambda r: "; ".join(filter(None, r.verdict.readers)) if r.verdict else "",
    }
    rows = ([cell(r) for cell in columns.values()] for r in results)
    return csv_lines(itertools.chain([list(columns)], rows))


def _said(prediction: Prediction | None, column: str) -> str:
    return "" if prediction is None else SAID[column](prediction)


def _number(value: float, decimals: int) -> str:
    """At most so many decimals, no trailing zeros, no negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")
