"""The fraction of atypical figures that experts would count, as the probabilities expect it; pure.

Calls at a threshold are a biased count. The mean of calibrated probabilities is not, and its uncertainty can
be computed: each figure is atypical or not by its own P(atypical), and the log-odds of all figures may be off
together, as `models.decision.SpreadPart` says. Two intervals follow, of two different things:

- `figures`: the fraction that experts would find among these very figures. Nothing is sampled: all of them
  are there, and only what the experts would say of each is not known.
- `tumour`: the fraction among all figures of the tumour, of which these are a sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slidemitosis.distributions import beta_cdf, beta_density, normal_cdf, quantile, sigmoid
from slidemitosis.models.decision import SHRINKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.decision import SpreadPart

LEVEL = 0.95
JEFFREYS = (0.5, 0.5)
"""a and b of the beta distribution that is Jeffreys' prior of a fraction."""
NOT_CALIBRATED = "the model is not calibrated for this number of views"
_EXACT = 300
"""Up to so many figures of one slide the distribution of their number is exact."""
_PLACES = 4000
"""With more figures, numbers that are taken together at the most."""
_BIN = 0.05  # log-odds within which many figures are taken together
_LEAST = 1e-6  # a probability has six decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected fraction AMF / (AMF + NMF) of figures, and how sure it is."""

    fraction: float | None
    """Mean of P(atypical); None without figures."""
    figures: tuple[float, float] | None
    """95 % interval of what experts would count among these figures."""
    tumour: tuple[float, float] | None
    """95 % interval of the fraction of the tumour, of which these figures are a sample."""
    above: float | None
    """Probability that the fraction of the tumour is above the cut-off; None without a cut-off."""
    reason: str | None
    """Why there is no fraction or no interval; None if there are both."""


def expected_fraction(
    slides: Sequence[Sequence[float]], spread: SpreadPart | None, *, cutoff: float | None = None
) -> Expected:
    """Estimate the fraction of the figures of one slide, or of several of one tumour.

    slides: P(atypical) of the figures of each slide. spread: None where the probabilities are not calibrated
    as they were made; then there is no interval. cutoff: a fraction.
    """
    p = np.array([value for slide in slides for value in slide], dtype=np.float64)
    if not len(p):
        return Expected(fraction=None, figures=None, tumour=None, above=None, reason="nothing was classified")
    fraction = math.fsum(p) / len(p)
    if spread is None:
        return Expected(fraction=fraction, figures=None, tumour=None, above=None, reason=NOT_CALIBRATED)
    numbers, weights = count_distribution(slides, spread)
    low, high = (float(k) / len(p) for k in _shortest(numbers, weights))
    tumour = tumour_fractions(slides, spread)
    return Expected(
        fraction=fraction,
        # The mean itself need not be a number of figures, and always belongs to its interval.
        figures=(min(low, fraction), max(high, fraction)),
        tumour=tumour.interval,
        above=None if cutoff is None else 1 - tumour.below(cutoff),
        reason=None,
    )


def count_distribution(
    slides: Sequence[Sequence[float]], spread: SpreadPart
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return numbers of atypical figures, (M,), and the probability of each, (M,), which add up to 1.

    For one slide of up to 300 figures it is a mixture of Poisson-binomial distributions, over what the
    figures share, and exact; otherwise each of these is a normal distribution of the same mean and variance.
    """
    odds, own_sd, shifts, slopes, weights = _given_what_is_shared(slides, spread)
    total = sum(map(len, odds))
    if len(odds) == 1 and total <= _EXACT:
        moved = shifts[:, None] + (1 + slopes[:, None]) * odds[0]
        return np.arange(total + 1.0), weights @ poisson_binomial(sigmoid(moved))
    means, variances = np.zeros(len(weights)), np.zeros(len(weights))
    for of_slide in odds:
        found = _moments(of_slide, shifts, slopes, slide_sd=own_sd)
        means += found.mean
        variances += found.between + found.within
    numbers = np.linspace(0, total, min(total, _PLACES) + 1)
    edges = (numbers[1:] + numbers[:-1]) / 2
    z = (edges - means[:, None]) / np.sqrt(np.maximum(variances, 1e-12))[:, None]
    below = np.concatenate([[0.0], weights @ normal_cdf(z), [1.0]])
    return numbers, np.diff(below)


def poisson_binomial(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how the number of successes of N trials with probabilities (M, N) is distributed, (M, N + 1)."""
    found = np.zeros((p.shape[0], p.shape[1] + 1))
    found[:, 0] = 1
    for i in range(p.shape[1]):
        hit = p[:, i, None]
        found[:, 1 : i + 2] = found[:, 1 : i + 2] * (1 - hit) + found[:, : i + 1] * hit
        found[:, 0] *= 1 - p[:, i]
    return found


@dataclass(frozen=True, slots=True)
class Fractions:
    """What is known of the fraction of a tumour: a mixture of beta distributions, one for each shift."""

    alpha: NDArray[np.float64]
    """(J,)"""
    beta: NDArray[np.float64]
    """(J,)"""
    weights: NDArray[np.float64]
    """(J,), which add up to 1."""

    def below(self, fraction: float) -> float:
        """Return the probability that the tumour's fraction is at most this one."""
        return float(self.weights @ beta_cdf(self.alpha, self.beta, fraction))

    def quantile(self, q: float) -> float:
        """Return the fraction below which the tumour's lies with probability q."""

        def density(fraction: float) -> float:
            return float(self.weights @ beta_density(self.alpha, self.beta, fraction))

        return quantile(self.below, density, q, start=self.mean)

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of LEVEL, with as much probability below as above."""
        return self.quantile((1 - LEVEL) / 2), self.quantile((1 + LEVEL) / 2)

    @property
    def mean(self) -> float:
        """Mean of the fraction."""
        return float(self.weights @ (self.alpha / (self.alpha + self.beta)))


def tumour_fractions(
    slides: Sequence[Sequence[float]], spread: SpreadPart, *, prior: tuple[float, float] = JEFFREYS
) -> Fractions:
    """Return what the figures of one or several slides say of the fraction of the tumour that they are from.

    Of a tumour's many figures each has its P(atypical), and their mean is the fraction: what experts would
    say of the single one averages out. So the mean of a sample errs by SD(P) / sqrt(n), and by what the
    figures share. Given the shared shift, the fraction has a beta distribution of that mean and variance.
    `prior`: a and b of the Beta(a, b) that is known of the fraction beforehand. Where every P(atypical) is 0
    or 1 and nothing is shared, this is Beta(k + a, n - k + b) of k atypical figures out of n.
    """
    odds, own_sd, shifts, slopes, weights = _given_what_is_shared(slides, spread)
    n = sum(map(len, odds))
    total, squares, own = (np.zeros(len(weights)) for _ in range(3))
    for of_slide in odds:
        found = _moments(of_slide, shifts, slopes, slide_sd=own_sd)
        total += found.mean
        squares += found.squares
        own += found.between
    a, b = JEFFREYS
    mean = (total + a) / (n + a + b)
    # As if the prior were figures of P(atypical) 0 and 1; see Beta's variance for what follows of it.
    variance = (squares + a) / (n + a + b) - mean**2
    error = variance / (n + a + b + 1) + own / n**2
    size = np.maximum(mean * (1 - mean) / error - 1, a + b)
    return Fractions(size * mean - a + prior[0], size * (1 - mean) - b + prior[1], weights)


def _given_what_is_shared(
    slides: Sequence[Sequence[float]], spread: SpreadPart
) -> tuple[list[NDArray[np.float64]], float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the log-odds of each slide with figures, the SD of a slide's own shift, and what `_shared`
    returns.

    The shift of a slide that is alone is shared by all figures, and so its own SD is 0.
    """
    odds = [_log_odds(np.asarray(s, dtype=np.float64), spread) for s in slides if len(s)]
    alone = len(odds) == 1
    return odds, 0.0 if alone else spread.slide_sd, *_shared(spread, own=spread.slide_sd if alone else 0.0)


def _shared(
    spread: SpreadPart, *, own: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return shifts and slopes of the log-odds that figures share, (J,) each, and their weights.

    They stand for a normal distribution, by Gauss-Hermite quadrature in two dimensions. `own`: SD of a shift
    that is added to those of the domain and of the calibration.
    """
    sd = math.sqrt(own**2 + spread.domain_sd**2 + spread.intercept_se**2)
    x, wx = _hermite(31 if sd else 1)
    y, wy = _hermite(7 if spread.slope_se else 1)
    # The slope's error goes with the shift's as far as it goes with the intercept's.
    common = spread.correlation * spread.intercept_se / sd if sd else 0.0
    shifts = np.repeat(sd * x, len(y))
    rest = math.sqrt(max(0.0, 1 - common**2))
    slopes = spread.slope_se * (common * np.repeat(x, len(y)) + rest * np.tile(y, len(x)))
    return shifts, slopes, np.repeat(wx, len(y)) * np.tile(wy, len(x))


def _hermite(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights for the mean over a standard normal distribution."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / w.sum()


def _log_odds(p: NDArray[np.float64], spread: SpreadPart) -> NDArray[np.float64]:
    """Return the log-odds about which a figure's are spread, (N,), so that P(atypical) remains their mean."""
    kept = np.clip(p, _LEAST, 1 - _LEAST)
    variance = spread.slide_sd**2 + spread.domain_sd**2
    grown: NDArray[np.float64] = np.log(kept / (1 - kept)) * math.sqrt(1 + SHRINKING * variance)
    return grown


class _Moments(NamedTuple):
    """Of one slide's number of atypical figures, given what is shared; (J,) each."""

    mean: NDArray[np.float64]
    between: NDArray[np.float64]
    """Variance that the slide's own shift gives."""
    within: NDArray[np.float64]
    """Variance given that shift, too."""
    squares: NDArray[np.float64]
    """Sum of the squares of P(atypical)."""


def _moments(
    odds: NDArray[np.float64], shifts: NDArray[np.float64], slopes: NDArray[np.float64], *, slide_sd: float
) -> _Moments:
    binned, counts = np.unique(np.round(odds / _BIN) if len(odds) > _EXACT else odds, return_counts=True)
    binned = binned * _BIN if len(odds) > _EXACT else binned
    u, w = _hermite(9 if slide_sd else 1)
    p = sigmoid(shifts[:, None, None] + slide_sd * u[:, None] + (1 + slopes[:, None, None]) * binned)
    means, squares = p @ counts, (p * p) @ counts
    mean = means @ w
    return _Moments(mean, (means - mean[:, None]) ** 2 @ w, (means - squares) @ w, squares @ w)


def _shortest(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the shortest run of numbers that together have a probability of LEVEL."""
    summed = np.concatenate([[0.0], np.cumsum(weights)])
    ends = np.searchsorted(summed, summed[:-1] + LEVEL - 1e-12)
    starts = np.flatnonzero(ends < len(summed))
    width = ends[starts] - starts
    # Of equally short runs, the one that is likeliest.
    held = summed[ends[starts]] - summed[starts]
    best = starts[np.lexsort((-held, width))[0]]
    return float(numbers[best]), float(numbers[ends[best] - 1])
