"""Intervals of a binomial proportion; pure."""

from __future__ import annotations

import functools
import math

from slidemitosis.distributions import beta_quantile

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def wilson_interval(k: float, n: float, *, z: float = Z95) -> tuple[float, float]:
    """Return the score interval of a proportion k / n (Wilson 1927; Brown, Cai and DasGupta 2001, eq. 4).

    `z` is the normal quantile; the default gives 95 %. Neither number need be whole: figures may be worth
    more or less than one. Raises ValueError unless 0 <= k <= n, n > 0.
    """
    _check(k, n)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At 0 and n an end equals the proportion, and rounding must not move it past that.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


@functools.lru_cache(maxsize=1024)
def jeffreys_interval(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the equal-tailed interval of Beta(k + 1/2, n - k + 1/2).

    As in Brown, Cai and DasGupta (2001, section 3.1.3) it begins at 0 if k is 0, and ends at 1 if k is n.
    Raises ValueError unless 0 <= k <= n, n > 0.
    """
    _check(k, n)
    tail = (1 - level) / 2
    low, high = (beta_quantile(k + 0.5, n - k + 0.5, q) for q in (tail, 1 - tail))
    return (0.0 if k == 0 else low), (1.0 if k == n else high)


def _check(k: float, n: float) -> None:
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"0 <= k <= n and n > 0 must hold, not k = {k}, n = {n}")
