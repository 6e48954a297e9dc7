"""Count the answers about slides that are classified already, without these: `slidemitosis count`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.rates.reviewed import pooled_review
from slidemitosis.review.results import reviewed_slides

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.rates.reviewed import ReviewRate
    from slidemitosis.review.results import ReviewedSlide


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The rates of one slide, or of all together, side by side."""

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

    The last of several slides is followed by all of them together, if anybody has answered. Raises what
    `reviewed_slides` raises.
    """
    slides = reviewed_slides(folder, reviewer=reviewer)
    found = [_counted(slide) for slide in slides]
    if len(slides) > 1 and any(c.review for c in found):
        found.append(_together(folder, slides))
    return found


def _counted(slide: ReviewedSlide) -> Counted:
    interval = slide.summary.get("expected_fraction_amf_of_all_figures_95")
    return Counted(
        folder=slide.folder,
        slide=slide.summary["slide"]["name"],
        figures=sum(f.probability is not None for f in slide.figures),
        model=slide.summary.get("expected_fraction_amf_of_all"),
        model_figures=None if interval is None else (interval[0], interval[1]),
        review=slide.review,
    )


def _together(folder: Path, slides: Sequence[ReviewedSlide]) -> Counted:
    p = [f.probability for slide in slides for f in slide.figures if f.probability is not None]
    review = pooled_review([slide.reviewed for slide in slides])
    return Counted(
        folder=folder,
        slide=f"all {len(slides)} slides",
        figures=len(p),
        model=math.fsum(p) / len(p) if p else None,
        model_figures=None,
        review=review.without_tumour() if review else None,
    )
