"""Intervals of the measures from draws of slides, since figures of one slide resemble one another.

A cluster bootstrap with percentile intervals (Davison and Hinkley 1997, 3.8 and 5.3). A draw gives each
figure a weight, how often its slide was drawn, so that all draws are computed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.metrics import ECE_BINS, MEASURES, bins_of
from slidemitosis.train.evaluate.statistics import weighted_ranking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slidemitosis.train.evaluate.metrics import Scored

Unit = Literal["slide", "figure", "slide or figure"]
# So many weights, a figure and a draw each, are held at once.
_PIECE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """An interval for each measure that has one, and how it was found."""

    unit: Unit
    """What was drawn; "slide or figure": a figure where its slide is not known."""
    units: int
    """How many units there are to draw from; fewer than two give no interval."""
    draws: int
    left_out: int
    """Draws in which a class was absent, left out of the measures that need both classes."""
    level: float
    bounds: dict[str, tuple[float, float]]
    """(lower, upper) by field of Metrics. The ECE's lies high, since drawn bins scatter more."""


def intervals(scored: Scored, *, draws: int = 2000, seed: int = 0, level: float = 0.95) -> Intervals:
    """Find percentile intervals by drawing slides, with all their figures, with replacement.

    A figure whose slide is not known is drawn by itself. A measure that is None in Metrics has no
    interval. Raises InvalidOption for draws below 1 or a level that is not within 0 and 1.
    """
    if draws < 1 or not 0 < level < 1:
        raise InvalidOption(
            f"intervals need 1 draw or more and a level within 0 and 1, not {draws} and {level}"
        )
    units, unit = _units(scored.slides)
    count = int(units.max(initial=-1)) + 1
    bounds: dict[str, tuple[float, float]] = {}
    left_out = 0
    if count > 1:
        found = [weighted_metrics(scored, w) for w in _weights(units, count, draws, seed)]
        values = {name: np.concatenate([f[name] for f in found]) for name in MEASURES}
        left_out = int(np.isnan(values["auroc"]).sum())
        tail = (1 - level) / 2
        for name, v in values.items():
            known = v[~np.isnan(v)]
            if len(known):
                low, high = np.quantile(known, [tail, 1 - tail])
                bounds[name] = (float(low), float(high))
    return Intervals(unit=unit, units=count, draws=draws, left_out=left_out, level=level, bounds=bounds)


def weighted_metrics(scored: Scored, weights: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Compute each measure of `Metrics`, (D,), under D weightings (D, N) of the figures, 0 or more.

    NaN where a class that the measure needs has no weight: see Metrics.
    """
    w = np.asarray(weights, dtype=np.float64)
    y = scored.atypical == 1
    n, n_amf, n_nmf = w.sum(axis=1), w @ y, w @ ~y
    sensitivity, specificity = _sides(w, scored.called, y, n_amf, n_nmf)
    half_sensitivity, half_specificity = _sides(w, scored.logit >= 0, y, n_amf, n_nmf)
    gap = scored.probability.astype(np.float64) - scored.atypical
    in_bin = bins_of(scored.probability)[:, None] == np.arange(ECE_BINS)
    auroc, average_precision = weighted_ranking(w, scored.logit, y)
    called = w @ scored.called
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(n_nmf > 0, 2 * (w @ (scored.called & y)) / (called + n_amf), np.nan)
        return {
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "balanced_accuracy_at_half": (half_sensitivity + half_specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "f1": np.where(n_amf > 0, f1, np.nan),
            "auroc": auroc,
            "average_precision": average_precision,
            "brier": (w @ gap**2) / n,
            "ece": np.abs(w @ (in_bin * gap[:, None])).sum(axis=1) / n,
        }


def _units(slides: tuple[str, ...]) -> tuple[NDArray[np.int64], Unit]:
    """Return the number of each figure's unit, (N,), and what the units are."""
    keys = [slide or i for i, slide in enumerate(slides)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    known = sum(1 for s in slides if s)
    unit: Unit = "slide" if known == len(slides) else "slide or figure" if known else "figure"
    return np.array([numbers[k] for k in keys], dtype=np.int64), unit


def _weights(units: NDArray[np.int64], count: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each figure is drawn, (some draws, N) at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _PIECE // len(units))
    for start in range(0, draws, step):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(step, draws - start))
        yield drawn.astype(np.float64)[:, units]


def _sides(
    w: NDArray[np.float64],
    called: NDArray[np.bool_],
    y: NDArray[np.bool_],
    n_amf: NDArray[np.float64],
    n_nmf: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sensitivity and specificity, (D,) each; NaN where the class has no weight."""
    with np.errstate(invalid="ignore"):
        return (w @ (called & y)) / n_amf, (w @ (~called & ~y)) / n_nmf
