"""Tests between classifiers: of scores by their ranks, and of AUROCs on the same figures; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import mannwhitneyu, norm, rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

FEWEST_PAIRS = 5
"""No signed-rank test is made of fewer differing pairs: p could not be below 0.125."""

_EXACT_TO = 60  # values; up to here the null distribution is counted out, beyond it is taken as normal
_DECIMALS = 12  # differences of scores equal to this many decimals are the same difference
_Z95 = float(norm.isf(0.025))
_DRAWS_AT_ONCE = 64  # 64 draws of 12,000 figures are 6 MB


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Wilcoxon's signed-rank test of paired scores."""

    statistic: float
    """The smaller of the sums of ranks of the positive and of the negative differences."""
    p: float
    """Two-sided."""
    pairs: int
    """Pairs that differ; only they are ranked."""
    zeros: int
    """Pairs that are equal, left out of the ranking (Wilcoxon 1945)."""
    difference: float
    """Median of a - b over all pairs, the equal ones too."""
    smallest_p: float
    """The smallest two-sided p that so many pairs can give: 2^(1 - pairs)."""
    exact: bool


@dataclass(frozen=True, slots=True)
class RankSum:
    """Mann and Whitney's test of two groups of scores."""

    statistic: float
    """U of a: in how many pairs (one of a, one of b) a is higher, an equal pair counting a half."""
    p: float
    """Two-sided."""
    sizes: tuple[int, int]
    difference: float
    """Median of a minus median of b."""
    smallest_p: float
    """The smallest two-sided p that groups of these sizes can give: 2 / C(n_a + n_b, n_a), at most 1."""
    exact: bool


@dataclass(frozen=True, slots=True)
class DeLong:
    """Two AUROCs on the same figures, and DeLong's test of their difference."""

    auroc_a: float
    auroc_b: float
    difference: float
    """AUROC of a minus AUROC of b."""
    standard_error: float
    """Standard error of the difference."""
    z: float | None
    p: float | None
    """Two-sided. None where the variance is zero and the AUROCs differ, for which there is no normal law."""
    interval: tuple[float, float] | None
    """95 % interval of the difference, within -1 to 1; None where `p` is."""


@dataclass(frozen=True, slots=True)
class ClusterBootstrap:
    """A difference of AUROCs with an interval that takes slides as its units."""

    difference: float
    interval: tuple[float, float]
    """95 % interval, by percentiles of the draws."""
    slides: int
    draws: int
    """Draws that held both classes; only these count."""


def wilcoxon_pairs(a: ArrayLike, b: ArrayLike) -> SignedRank | None:
    """Make Wilcoxon's signed-rank test (Wilcoxon 1945) of a[i] against b[i], both (n,) float, two-sided.

    Pairs that are equal (differences that round to zero at 12 decimals) are left out, and counted.
    Up to 60 differing pairs p is exact: every assignment of signs to the ranks as they are, midranks
    of ties included, so that p is never below 2^(1 - pairs). Without ties this is the exact test of
    scipy. Beyond 60 pairs p is from the normal approximation, whose variance is that of the same midranks.

    None where fewer than five pairs differ. Raises ValueError if the lengths differ or a score is not finite.
    """
    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise ValueError(f"pairs need as many scores on either side, not {len(first)} and {len(second)}")
    if not len(first):
        return None
    # 0.8 - 0.7 and 0.7 - 0.6 are the same difference, though not the same float.
    every = np.round(first - second, _DECIMALS)
    d = every[every != 0]
    if len(d) < FEWEST_PAIRS:
        return None
    # Midranks are whole numbers when doubled.
    ranks = np.rint(2 * rankdata(np.abs(d))).astype(np.int64)
    positive, total = int(ranks[d > 0].sum()), int(ranks.sum())
    exact = len(d) <= _EXACT_TO
    if exact:
        counts = np.ones(1)
        for rank in ranks:
            counts = _added(counts, np.pad(counts, (rank, 0)))
        p = _at_least_as_far(counts, positive, total)
    else:
        # Each rank is in the sum or not, with equal chance: its variance is rank^2 / 4.
        p = float(2 * norm.sf(abs(positive - total / 2) / math.sqrt(float((ranks**2).sum()) / 4)))
    return SignedRank(
        statistic=min(positive, total - positive) / 2,
        p=p,
        pairs=len(d),
        zeros=len(every) - len(d),
        difference=float(np.median(every)),
        smallest_p=2.0 ** (1 - len(d)),
        exact=exact,
    )


def mann_whitney(a: ArrayLike, b: ArrayLike) -> RankSum | None:
    """Make Mann and Whitney's U test (1947) of the scores a (n_a,) against b (n_b,), float, two-sided.

    Up to 60 scores in all p is exact: the share of all divisions of the ranks as they are, midranks of
    ties included, into groups of these sizes whose sum lies as far from its mean. Without ties this is the
    exact test of scipy. Beyond, p is scipy's normal approximation with corrections for ties and continuity.
    Scores are compared at 12 decimals.

    None where a group is empty or all scores are equal. Raises ValueError if a score is not finite.
    """
    first, second = np.round(_finite(a), _DECIMALS), np.round(_finite(b), _DECIMALS)
    both = np.concatenate([first, second])
    if not len(first) or not len(second) or both.min() == both.max():
        return None
    n, total = len(first), len(both)
    ranks = np.rint(2 * rankdata(both)).astype(np.int64)
    statistic = float(ranks[:n].sum()) / 2 - n * (n + 1) / 2
    exact = total <= _EXACT_TO
    if exact:
        # counts[k][s]: the ways to take k of the ranks so far with the doubled sum s.
        counts = [np.ones(1)] + [np.zeros(1)] * n
        for rank in ranks:
            for k in range(n, 0, -1):
                counts[k] = _added(counts[k], np.pad(counts[k - 1], (rank, 0)))
        # The doubled sum is distributed about n (total + 1), but with ties not evenly to both sides.
        p = _at_least_as_far(counts[n], int(ranks[:n].sum()), 2 * n * (total + 1))
    else:
        p = float(mannwhitneyu(first, second, alternative="two-sided", method="asymptotic").pvalue)
    return RankSum(
        statistic=statistic,
        p=p,
        sizes=(n, total - n),
        difference=float(np.median(first) - np.median(second)),
        smallest_p=min(1.0, 2 / math.comb(total, n)),
        exact=exact,
    )


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjust the p-values of one family by Holm's step-down method (Holm 1979), in their order.

    The i-th smallest of m is multiplied by m - i + 1, raised to the one before it where it would be smaller,
    and capped at 1. None, a test that could not be made, stays None and is not counted in m. Raises
    ValueError if a p-value is outside 0 to 1.
    """
    made = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    if any(not 0 <= p <= 1 for p, _ in made):
        raise ValueError(f"p-values lie between 0 and 1, not {[p for p, _ in made]}")
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for step, (p, i) in enumerate(made):
        least = min(1.0, max(least, p * (len(made) - step)))
        adjusted[i] = least
    return tuple(adjusted)


def auroc(atypical: ArrayLike, logit: ArrayLike) -> float:
    """Compute the share of pairs of AMF and NMF in which the AMF has the higher logit; equal ones count half.

    `atypical` (N,) 0 or 1, `logit` (N,) float; by midranks. Raises ValueError if a class is absent.
    """
    return _placements(atypical, logit, fewest=1)[0]


def delong_variance(atypical: ArrayLike, logit: ArrayLike) -> float:
    """Compute the AUROC's variance: DeLong, DeLong and Clarke-Pearson 1988, by midranks (Sun and Xu 2014).

    `atypical` (N,) 0 or 1, `logit` (N,) float. Figures are taken as independent, see `delong`. Raises
    ValueError with fewer than two figures of a class.
    """
    _, of_atypical, of_normal = _placements(atypical, logit, fewest=2)
    return _variance(of_atypical, of_normal)


def delong(atypical: ArrayLike, logit_a: ArrayLike, logit_b: ArrayLike) -> DeLong:
    """Make DeLong's test of two AUROCs on the same figures, with the 95 % interval of their difference.

    `atypical` (N,) 0 or 1; `logit_a`, `logit_b` (N,) float, of which only the order matters. Method: DeLong,
    DeLong and Clarke-Pearson, Biometrics 44:837 (1988); from midranks, in O(N log N), after Sun and Xu, IEEE
    Signal Processing Letters 21:1389 (2014).

    The figures are taken as independent. Those of one slide are not: they share stain, scanner and tumour, so
    the interval here is too narrow and p too small. `difference_over_draws` takes slides as units.

    Where the variance is zero: equal AUROCs (two networks with the same order) give z = 0, p = 1 and an
    interval of no width; different ones (a perfect order against a constant) give z, p and interval None.
    Raises ValueError with fewer than two figures of a class, or if a logit is not finite.
    """
    auroc_a, atypical_a, normal_a = _placements(atypical, logit_a, fewest=2)
    auroc_b, atypical_b, normal_b = _placements(atypical, logit_b, fewest=2)
    difference = auroc_a - auroc_b
    # The variance of the components' differences is that of a, plus that of b, less twice their covariance.
    error = math.sqrt(_variance(atypical_a - atypical_b, normal_a - normal_b))
    z: float | None
    interval: tuple[float, float] | None
    if error > 1e-12:  # what is left by rounding where the components are equal is some 1e-17
        z = difference / error
        interval = (max(-1.0, difference - _Z95 * error), min(1.0, difference + _Z95 * error))
    else:
        same = abs(difference) < 1e-12
        error, z, interval = 0.0, 0.0 if same else None, (difference, difference) if same else None
    p = None if z is None else float(2 * norm.sf(abs(z)))
    return DeLong(auroc_a, auroc_b, difference, error, z, p, interval)


def bootstrap_aurocs(
    atypical: ArrayLike, logits: Sequence[ArrayLike], slides: Sequence[str], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """Compute AUROC of R classifiers in the same draws of whole slides, (R, draws); NaN without both classes.

    `atypical` (N,) 0 or 1; `logits` are R arrays (N,) float; `slides` (N,) names each figure's slide. Slides
    are drawn with replacement, and a figure counts as often as its slide (the cluster bootstrap: Field and
    Welsh, JRSS B 69:369, 2007). The same seed gives the same draws for any R, so that all pairs of R
    classifiers cost R, not R squared. Raises ValueError for labels that are not 0 or 1, unequal numbers of
    figures, or a logit that is not finite.
    """
    y, sizes = _labels(atypical), {len(slides), *(np.size(logit) for logit in logits)}
    if sizes != {len(y)}:
        raise ValueError(f"{len(y)} labels with logits and slides of other numbers: {sorted(sizes)}")
    names, place = np.unique(np.asarray(slides), return_inverse=True)
    random = np.random.default_rng(seed)
    scores = [_finite(logit) for logit in logits]
    found = np.empty((len(logits), draws))
    for start in range(0, draws, _DRAWS_AT_ONCE):
        block = slice(start, min(start + _DRAWS_AT_ONCE, draws))
        drawn = random.integers(0, len(names), (block.stop - block.start, len(names)))
        weights = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])[:, place].astype(float)
        found[:, block] = [weighted_ranking(weights, score, y == 1)[0] for score in scores]
    return found


def difference_over_draws(
    difference: float, drawn: NDArray[np.float64], slides: Sequence[str]
) -> ClusterBootstrap | None:
    """Give `difference` = AUROC(a) - AUROC(b) its 95 % percentile interval over draws of whole slides.

    `drawn` (draws,) is that difference in each draw of `bootstrap_aurocs`; NaN is left out and not counted.
    With few slides the interval is still too narrow. None for one slide, or where no draw counts.
    """
    counting = drawn[np.isfinite(drawn)]
    number = len(set(slides))
    if number < 2 or not len(counting):
        return None
    low, high = np.quantile(counting, [0.025, 0.975])
    return ClusterBootstrap(difference, (float(low), float(high)), number, len(counting))


def weighted_ranking(
    weights: NDArray[np.float64], logit: NDArray[np.floating], atypical: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute AUROC and average precision, (D,) each, under D weightings (D, N) of the figures.

    Over the distinct values in descending order, with the weights P_v of AMF and N_v of NMF at v:
    AUROC = sum_v P_v (N below v + N_v / 2) / (P N), and AP = sum_v P_v / P * TP_v / (TP_v + FP_v),
    TP_v and FP_v being the weights at v or above. NaN where a class has no weight.
    """
    order = np.argsort(-logit, kind="stable")
    starts = np.flatnonzero(np.diff(-logit[order], prepend=-np.inf))
    amf = np.add.reduceat((weights * atypical)[:, order], starts, axis=1)
    nmf = np.add.reduceat((weights * ~atypical)[:, order], starts, axis=1)
    tp, fp = np.cumsum(amf, axis=1), np.cumsum(nmf, axis=1)
    n_amf, n_nmf = tp[:, -1], fp[:, -1]
    with np.errstate(invalid="ignore"):
        auroc = (amf * (n_nmf[:, None] - fp + nmf / 2)).sum(axis=1) / (n_amf * n_nmf)
        precision = np.nan_to_num(tp / (tp + fp))  # where nothing was drawn yet, amf is 0 too
        average_precision = (amf * precision).sum(axis=1) / n_amf
    return auroc, np.where(n_nmf > 0, average_precision, np.nan)


def _placements(
    atypical: ArrayLike, logit: ArrayLike, *, fewest: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return AUROC and its structural components, V10 of the m AMF and V01 of the n NMF (DeLong 1988).

    V10[i] is the share of NMF below the i-th AMF, V01[j] the share of AMF above the j-th NMF.
    """
    y, score = _labels(atypical), _finite(logit)
    if len(y) != len(score):
        raise ValueError(f"{len(y)} labels and {len(score)} logits")
    m, n = int((y == 1).sum()), int((y == 0).sum())
    if min(m, n) < fewest:
        raise ValueError(f"at least {fewest} figures of each class are needed, not {m} AMF and {n} NMF")
    among_all = rankdata(score)
    of_atypical = (among_all[y == 1] - rankdata(score[y == 1])) / n
    of_normal = 1 - (among_all[y == 0] - rankdata(score[y == 0])) / m
    return float(of_atypical.mean()), of_atypical, of_normal


def _variance(of_atypical: NDArray[np.float64], of_normal: NDArray[np.float64]) -> float:
    return float(of_atypical.var(ddof=1) / len(of_atypical) + of_normal.var(ddof=1) / len(of_normal))


def _labels(atypical: ArrayLike) -> NDArray[np.int64]:
    y = np.asarray(atypical).ravel()
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels are 0 or 1, not {np.unique(y)}")
    return y.astype(np.int64)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(values, float).ravel()
    if not np.isfinite(found).all():
        raise ValueError("a score is not a finite number")
    return found


def _added(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add two lists of counts of different length, which both start at zero."""
    total = np.zeros(max(len(one), len(other)))
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def _at_least_as_far(counts: NDArray[np.float64], found: int, total: int) -> float:
    """Return the share of `counts`, one for each sum, at sums at least as far from total / 2 as `found`."""
    far = np.abs(2 * np.arange(len(counts)) - total) >= abs(2 * found - total)
    return float(counts[far].sum() / counts.sum())
