"""Rates of several slides, or of several patients, together, pure.

Slides differ by more than chance, so that the interval of one binomial proportion over all their figures
would be too narrow: slides (or patients) are drawn, not figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.rates.correction import Corrected, ErrorCounts, corrected_fraction
from slidemitosis.rates.counts import SlideRate, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DRAWS = 2000
FEW_UNITS = 20
"""Below this number of slides or patients too few of the intervals hold the truth; benchmarks/RESULTS.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledRate:
    """Of the figures of several units: slides, or patients."""

    rate: SlideRate
    """Their counts together. Its binomial intervals hold for these very units only."""
    units: int
    """Units with a classified figure; the others add nothing to any fraction."""
    fraction_interval: tuple[float, float] | None
    """95 % of the fraction AMF / (AMF + NMF) from drawing units with replacement; None below two."""
    corrected: Corrected | None
    """Of all figures together, the interval for these very units; None without error counts."""
    corrected_interval: tuple[float, float] | None
    """95 % of the corrected fraction from drawing units; None without error counts, or below two units."""
    draws: int
    seed: int

    @property
    def few_units(self) -> bool:
        """Whether there are too few units for the intervals from drawing them."""
        return self.units < FEW_UNITS


def pooled(
    rates: Sequence[SlideRate], *, errors: ErrorCounts | None = None, draws: int = DRAWS, seed: int = 0
) -> PooledRate:
    """The rate over several units, each with the counts of one slide, or the `total` of one patient's.

    Intervals are percentiles of a cluster bootstrap (Davison and Hinkley 1997, 3.8): `draws` times as many
    units as there are drawn with replacement, the same for the same `seed`. For the corrected fraction
    sensitivity and specificity are drawn too, from Beta(right + 1, wrong + 1).
    """
    k = np.array([r.atypical for r in rates if r.classified], dtype=np.int64)
    n = np.array([r.classified for r in rates if r.classified], dtype=np.int64)
    together = total(rates)
    corrected = None
    if errors is not None:
        spread = float((n / n.sum()) @ (n / n.sum())) if len(n) else 1.0
        corrected = corrected_fraction(together.atypical, together.classified, errors, spread=spread)
    interval = corrected_interval = None
    if len(n) > 1:
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), size=draws)
        share = (weights @ k) / (weights @ n)
        interval = _percentiles(share)
        if errors is not None and corrected is not None and corrected.interval is not None:
            corrected_interval = _percentiles(_corrected(share, errors, rng))
    return PooledRate(
        rate=together,
        units=len(n),
        fraction_interval=interval,
        corrected=corrected,
        corrected_interval=corrected_interval,
        draws=draws,
        seed=seed,
    )


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _corrected(
    share: NDArray[np.float64], errors: ErrorCounts, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Corrected fractions of the drawn shares of figures called atypical, each with a Se and Sp drawn too."""
    se, sp = (rng.beta(right + 1, wrong + 1, size=len(share)) for right, wrong in errors.effective)
    # Where the two are hardly better than chance the quotient may be anything, and is then clipped.
    better = np.maximum(se + sp - 1, 1e-9)
    return np.clip((share + sp - 1) / better, 0, 1)
