"""Measure a model at its operating points: how many figures it calls atypical, and how many rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.train.evaluate.metrics import Scored, mean_of_both, share, sides
from slidemitosis.train.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class PointScores:
    """The calls at one threshold, on labelled figures; a share of no figures is None."""

    point: str
    """"counting" or "balanced"; see `models.decision.CalibrationPart`."""
    threshold: float
    """Of P(AMF)."""
    figures: int
    labelled: int
    """Figures that are AMF."""
    called: int
    """Figures that are called AMF."""
    expected: float
    """Sum of P(AMF)."""
    sensitivity: float | None
    specificity: float | None
    ppv: float | None
    """Of the figures called AMF, the share that are."""
    balanced_accuracy: float | None


def point_scores(scored: Scored) -> tuple[PointScores, ...]:
    """Measure each operating point of the model; none of a model that has none."""
    amf, found = scored.atypical == 1, []
    for point, threshold in scored.points.items():
        called = scored.probability >= threshold
        sensitivity, specificity = sides(called, amf)
        found.append(
            PointScores(
                point=point,
                threshold=threshold,
                figures=len(scored),
                labelled=int(amf.sum()),
                called=int(called.sum()),
                expected=float(scored.probability.sum()),
                sensitivity=sensitivity,
                specificity=specificity,
                ppv=share((called & amf).sum(), called.sum()),
                balanced_accuracy=mean_of_both(sensitivity, specificity),
            )
        )
    return tuple(found)


POINTS = (
    "*counting* calls about as many figures AMF as are so; *balanced* finds more of them and is wrong more "
    "often. Both thresholds were chosen on figures of the training data. Called, expected (the sum of "
    "P(AMF)) and labelled are fractions of all figures."
)


def point_table(rows: Iterable[tuple[str, PointScores]]) -> str:
    """Make a Markdown table of (name, scores)."""
    head = ["model", "operating point", "threshold", "called", "expected", "labelled"]
    head += ["sensitivity", "specificity", "PPV", "BA"]
    cells = []
    for name, p in rows:
        fractions = [f"{part / p.figures:.4f}" for part in (p.called, p.expected, p.labelled)]
        measures = [p.sensitivity, p.specificity, p.ppv, p.balanced_accuracy]
        told = ["none" if m is None else f"{m:.4f}" for m in measures]
        cells.append([name, p.point, f"{p.threshold:g}", *fractions, *told])
    return table(head, cells)
