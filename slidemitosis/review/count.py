"""Count the answers about slides that are classified already, without these: `slidemitosis count`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.review.results import reviewed_slides

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.rates.reviewed import ReviewRate


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

    Raises what `reviewed_slides` raises.
    """
    found = []
    for slide in reviewed_slides(folder, reviewer=reviewer):
        interval = slide.summary.get("expected_fraction_amf_of_all_figures_95")
        counted = Counted(
            folder=slide.folder,
            slide=slide.summary["slide"]["name"],
            figures=sum(f.probability is not None for f in slide.figures),
            model=slide.summary.get("expected_fraction_amf_of_all"),
            model_figures=None if interval is None else (interval[0], interval[1]),
            review=slide.review,
        )
        found.append(counted)
    return found
