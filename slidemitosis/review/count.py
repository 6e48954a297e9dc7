"""Count the answers about slides that are classified already, without these: `slidemitosis count`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption
from slidemitosis.outputs.folder import CANDIDATES, SUMMARY
from slidemitosis.rates.reviewed import APART, ReviewedFigure, ReviewRate, review_rate
from slidemitosis.review.settle import known_in, settled_by_figure, warn_of_lost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.prediction import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The rates of one slide, side by side."""

    folder: Path
    slide: str
    figures: int
    """Figures with a P(atypical)."""
    model: float | None
    """The fraction AMF / (AMF + NMF) that the model expects."""
    model_figures: tuple[float, float] | None
    """Its 95 % interval for these figures."""
    review: ReviewRate | None
    """None where nobody has answered."""


def count_folder(folder: Path, *, reviewer: str | None = None) -> list[Counted]:
    """Count the answers about the slide of a folder of results, or about each slide of a cohort's folder.

    reviewer: whose word counts where readers disagree. Raises InvalidOption for a folder without results,
    and UnreadableReview.
    """
    if (folder / SUMMARY).exists():
        return [_count(folder, reviewer)]
    folders = sorted(path.parent for path in folder.glob(f"slides/*/{SUMMARY}"))
    if not folders:
        raise InvalidOption(f"{folder}: holds no results; name a folder of classify or of cohort")
    return [_count(one, reviewer) for one in folders]


def _count(folder: Path, reviewer: str | None) -> Counted:
    summary = _summary(folder / SUMMARY)
    known = known_in(folder)
    figures = _figures(folder / CANDIDATES)
    warn_of_lost(known, figures.keys())
    said = settled_by_figure(known, reviewer=reviewer)
    interval = summary.get("expected_fraction_amf_of_all_figures_95")
    return Counted(
        folder=folder,
        slide=summary["slide"]["name"],
        figures=sum(p is not None for p in figures.values()),
        model=summary.get("expected_fraction_amf_of_all"),
        model_figures=None if interval is None else (interval[0], interval[1]),
        review=review_rate([_reviewed(p, said.get(figure)) for figure, p in figures.items()]),
    )


def _reviewed(probability: float | None, verdict: Verdict | None) -> ReviewedFigure:
    if verdict is None:
        return ReviewedFigure(probability, None)
    return ReviewedFigure(probability, verdict.answer, verdict.reason)


def _summary(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["slide"]["name"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InvalidOption(f"{path}: is no summary of a slide; classify it again") from e
    return dict(found)


def _figures(path: Path) -> dict[str, float | None]:
    """Return P(atypical) of each figure by its id in lower case; None where the model says nothing."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {
            row["object_id"].lower(): float(row["p_atypical"]) if row["p_atypical"] else None
            for row in rows
            if row["status"] not in APART
        }
    except (OSError, ValueError, KeyError) as e:
        raise InvalidOption(f"{path}: is no table of candidates of this version; classify again") from e
