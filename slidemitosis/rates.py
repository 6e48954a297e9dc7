"""The atypical rate of a slide, with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slidemitosis.predictions import Prediction

FEW_FIGURES = 10
"""Below this number of classified figures a rate says little: 2 of 10 has an interval of 6 to 51 %."""

_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class SlideRate:
    """Counts of one slide, and the two numbers that are both called its atypical rate."""

    atypical: int
    """AMF."""
    normal: int
    """NMF."""
    unreadable: int
    outside: int
    blank: int
    duplicates: int
    """These four are in neither the numerator nor the denominator."""

    @property
    def classified(self) -> int:
        """AMF + NMF."""
        return self.atypical + self.normal

    @property
    def fraction(self) -> float | None:
        """AMF / (AMF + NMF); None where nothing was classified."""
        return self.atypical / self.classified if self.classified else None

    @property
    def fraction_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of the fraction; None where nothing was classified."""
        return wilson_interval(self.atypical, self.classified) if self.classified else None

    @property
    def ratio(self) -> float | None:
        """AMF / NMF; None where there is no NMF. Not the fraction: 0.27 here is 0.213 there."""
        return self.atypical / self.normal if self.normal else None

    @property
    def few_figures(self) -> bool:
        """Whether there are too few figures for the rate to say much."""
        return self.classified < FEW_FIGURES


def slide_rate(predictions: Iterable[Prediction]) -> SlideRate:
    """Count the predictions of one slide."""
    atypical = normal = unreadable = outside = blank = duplicates = 0
    for p in predictions:
        match p.status:
            case "pending":
                raise ValueError(f"{p.candidate.source} is still to be classified")
            case "classified":
                if p.atypical is None:
                    raise ValueError(f"{p.candidate.source} is said to be classified, and has no class")
                atypical += p.atypical is True
                normal += p.atypical is False
            case "unreadable":
                unreadable += 1
            case "outside":
                outside += 1
            case "blank":
                blank += 1
            case "duplicate":
                duplicates += 1
    return SlideRate(atypical, normal, unreadable, outside, blank, duplicates)


def wilson_interval(k: int, n: int, *, z: float = _Z95) -> tuple[float, float]:
    """Score interval of a binomial proportion k / n (Wilson 1927; Brown, Cai and DasGupta 2001, eq. 4).

    `z` is the normal quantile; the default gives 95 %. Raises ValueError unless 0 <= k <= n, n > 0.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"0 <= k <= n and n > 0 must hold, not k = {k}, n = {n}")
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding must not push an end past the proportion itself, which at 0 and n it equals.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)
