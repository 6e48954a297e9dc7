"""Intervals of the measures: figures of one slide resemble one another, so slides are drawn, not figures.

A cluster bootstrap with percentile intervals (Davison and Hinkley 1997, 3.8 and 5.3). A draw is a
weight for each figure, how often its slide was drawn, so that all draws are computed together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.metrics import ECE_BINS, MEASURES, bins_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slidemitosis.train.evaluate.metrics import Scored

Unit = Literal["slide", "figure", "slide or figure"]
# Weights of so many figures, in all draws together, are held at once.
_PIECE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """An interval for each measure that has one, and how they were found."""

    unit: Unit
    """What was drawn; "slide or figure": a figure where its slide is not known."""
    units: int
    """How many there are to draw from; with fewer than two no interval can be had."""
    draws: int
    left_out: int
    """Draws in which a class was absent: measures that need both classes go without them."""
    level: float
    bounds: dict[str, tuple[float, float]]
    """(lower, upper) by the name of the field of Metrics; the ECE's lies high: drawn bins scatter more."""


def intervals(scored: Scored, *, draws: int = 2000, seed: int = 0, level: float = 0.95) -> Intervals:
    """Percentile intervals from drawing slides, with all their figures, with replacement.

    Figures whose slide is not known are drawn by themselves. A measure that is None in Metrics has no
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
    """Each measure of `metrics.Metrics`, (D,), for D weightings of the figures, (D, N), of 0 or more.

    NaN where the weighted figures cannot tell: see Metrics.
    """
    w = np.asarray(weights, dtype=np.float64)
    y = scored.atypical == 1
    n, n_amf, n_nmf = w.sum(axis=1), w @ y, w @ ~y
    sensitivity, specificity = _sides(w, scored.called, y, n_amf, n_nmf)
    half_sensitivity, half_specificity = _sides(w, scored.logit >= 0, y, n_amf, n_nmf)
    gap = scored.probability.astype(np.float64) - scored.atypical
    in_bin = bins_of(scored.probability)[:, None] == np.arange(ECE_BINS)
    auroc, average_precision = _of_ranking(w, scored.logit, y)
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
    """The number of the unit that each figure belongs to, (N,), and what the units are."""
    keys = [slide or i for i, slide in enumerate(slides)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    known = sum(1 for s in slides if s)
    unit: Unit = "slide" if known == len(slides) else "slide or figure" if known else "figure"
    return np.array([numbers[k] for k in keys], dtype=np.int64), unit


def _weights(units: NDArray[np.int64], count: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each figure is drawn, (some draws, N) at a time."""
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


def _of_ranking(
    w: NDArray[np.float64], logit: NDArray[np.floating], y: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted AUROC and average precision, (D,) each, NaN where a class has no weight.

    Over the distinct values in descending order, with the weights P_v of AMF and N_v of NMF at v:
    AUROC = sum_v P_v (N below v + N_v / 2) / (P N), and AP = sum_v P_v / P * TP_v / (TP_v + FP_v),
    TP_v and FP_v being the weights at v or above.
    """
    order = np.argsort(-logit, kind="stable")
    starts = np.flatnonzero(np.diff(-logit[order], prepend=-np.inf))
    amf = np.add.reduceat((w * y)[:, order], starts, axis=1)
    nmf = np.add.reduceat((w * ~y)[:, order], starts, axis=1)
    tp, fp = np.cumsum(amf, axis=1), np.cumsum(nmf, axis=1)
    n_amf, n_nmf = tp[:, -1], fp[:, -1]
    with np.errstate(invalid="ignore"):
        auroc = (amf * (n_nmf[:, None] - fp + nmf / 2)).sum(axis=1) / (n_amf * n_nmf)
        precision = np.nan_to_num(tp / (tp + fp))  # where nothing was drawn yet, amf is 0 too
        average_precision = (amf * precision).sum(axis=1) / n_amf
    return auroc, np.where(n_nmf > 0, average_precision, np.nan)
