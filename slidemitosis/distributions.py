"""Distribution functions of the normal, the beta and Student's t, and log-odds; pure, on numpy alone.

SciPy has them all and is what they are tested against. It would be a quarter of what a light installation
takes, and a third of a second at every start.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_LEAST_CHANGE = 1e-15
"""A continued fraction has come to its end where a term changes it by less, relative to 1."""
_MOST_TERMS = 100_000
_BLOCK = 16
"""Number of terms that are made at once."""
_PRECISION = 1e-10
"""Of a quantile, relative to its distance from the nearer end."""
_MOST_STEPS = 200

_erfc = np.frompyfunc(math.erfc, 1, 1)
_log_gamma = np.frompyfunc(math.lgamma, 1, 1)


def sigmoid(x: ArrayLike) -> Floats:
    """Return the probabilities of log-odds, 1 / (1 + exp(-x)), of any shape."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x, dtype=np.float64))))


def log_odds(p: ArrayLike) -> Floats:
    """Return the log-odds of probabilities, log(p / (1 - p)), of any shape; infinite at 0 and 1."""
    p = np.asarray(p, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - np.log1p(-p))


def log_sum_exp(x: Floats, *, axis: int | None = None) -> Floats:
    """Return log(sum(exp(x))) along an axis, or of all values, without overflow."""
    return np.asarray(np.logaddexp.reduce(x, axis=axis))


def normal_cdf(z: ArrayLike) -> Floats:
    """Return the standard normal distribution function, of any shape."""
    return np.asarray(0.5 * _erfc(-np.asarray(z, dtype=np.float64) / math.sqrt(2)), dtype=np.float64)


def beta_cdf(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Floats:
    """Return the distribution function of Beta(a, b) at x from 0 to 1, the regularised incomplete beta
    function.

    a, b and x are broadcast together. By the continued fraction of the NIST Handbook of Mathematical
    Functions (8.17.22), from the side on which it converges fast.
    """
    a, b, x = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, x)))
    turned = x > (a + 1) / (a + b + 2)
    a, b, x = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, 1 - x, x)
    with np.errstate(divide="ignore"):
        front = np.exp(_log_of_front(a, b) + a * np.log(x) + b * np.log1p(-x)) / a
    found = np.clip(front / _continued_fraction(a, b, x), 0.0, 1.0)
    return np.asarray(np.where(turned, 1 - found, found))


def _continued_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return 1 + d1 / (1 + d2 / (1 + ...)) of 8.17.22, whose value is at least 0; a, b and x of one shape.

    By Lentz's method: the quotient of two successive convergents, whose numerators' and denominators' own
    quotients are `above` and `below`.
    """
    above: Any = np.ones(x.size)
    below: Any = np.zeros(x.size)
    found: Any = np.ones(x.size)
    if x.size == 1:  # for which Python's own numbers are the faster ones
        above, below, found = 1.0, 0.0, 1.0
    for first in range(1, _MOST_TERMS, _BLOCK):
        for d in _terms(a.ravel(), b.ravel(), x.ravel(), first):
            above = 1 + d / above
            below = 1 / (1 + d * below)
            change = above * below
            found = found * change
        if np.all(np.abs(change - 1) < _LEAST_CHANGE):
            break
    return np.asarray(found, dtype=np.float64).reshape(x.shape)


def _terms(a: Floats, b: Floats, x: Floats, first: int) -> Iterable[Any]:
    """Return _BLOCK terms from d_first on, each (N,), or a number where N is 1; `first` is odd."""
    m = np.arange(first // 2, first // 2 + _BLOCK // 2)[:, None]
    odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    m = m + 1
    even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    terms = np.stack([odd, even], axis=1).reshape(_BLOCK, x.size)
    found: Iterable[Any] = terms.ravel().tolist() if x.size == 1 else terms
    return found


def beta_density(a: ArrayLike, b: ArrayLike, x: float) -> Floats:
    """Return the density of Beta(a, b) at x, between 0 and 1; a and b are broadcast together."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return np.asarray(np.exp(_log_of_front(a, b) + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)))


def _log_of_front(a: Floats, b: Floats) -> Floats:
    """Return the logarithm of 1 / B(a, b)."""
    return np.asarray(_log_gamma(a + b) - _log_gamma(a) - _log_gamma(b), dtype=np.float64)


def beta_quantile(a: float, b: float, q: float) -> float:
    """Return where the distribution function of Beta(a, b) is q, from 0 to 1."""
    return quantile(
        lambda x: float(beta_cdf(a, b, x)), lambda x: float(beta_density(a, b, x)), q, start=a / (a + b)
    )


def quantile(
    cdf: Callable[[float], float], density: Callable[[float], float], q: float, *, start: float
) -> float:
    """Return where a distribution function on 0 to 1 is q.

    By Newton's steps from `start`, kept within an interval that holds the place, which is halved where a step
    would leave it.
    """
    low, high, x = 0.0, 1.0, start
    for _ in range(_MOST_STEPS):
        error = cdf(x) - q
        low, high = (x, high) if error < 0 else (low, x)
        slope = density(x)
        new = x - error / slope if slope else low
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - x) <= _PRECISION * min(x, 1 - x) or new in (low, high):
            return new
        x = new
    return x


def student_quantile(degrees: float, q: float) -> float:
    """Return where the distribution function of Student's t is q, for q of at least 1/2."""
    x = beta_quantile(degrees / 2, 0.5, 2 * (1 - q))
    return math.sqrt(degrees * (1 - x) / x)
