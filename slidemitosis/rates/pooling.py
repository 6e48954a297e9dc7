"""Pool the rates of several slides or patients; pure.

Slides differ by more than chance, so that a binomial interval over all their figures would be too narrow:
the bootstrap draws slides (or patients), not figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.rates.correction import Corrected, corrected_fraction
from slidemitosis.rates.counts import SlideRate, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.options import ErrorCounts

DRAWS = 2000
FEW_UNITS = 20
"""With fewer slides or patients, too few of the intervals hold the truth; see benchmarks/RESULTS.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledRate:
    """The rate of several units (slides or patients) together."""

    rate: SlideRate
    """Counts of all figures together. Its binomial intervals hold for these units only."""
    units: int
    """Number of units with a classified figure; the others do not count in any fraction."""
    fraction_interval: tuple[float, float] | None
    """95 % interval of AMF / (AMF + NMF) from drawing units with replacement; None below two units."""
    corrected: Corrected | None
    """Corrected fraction of all figures, with an interval for these units; None without error counts."""
    corrected_interval: tuple[float, float] | None
    """95 % interval of the corrected fraction from drawing units; None without counts or below two units."""
    draws: int
    seed: int

    @property
    def few_units(self) -> bool:
        """Whether there are too few units for the intervals from drawing them."""
        return self.units < FEW_UNITS


def pooled(
    rates: Sequence[SlideRate], *, errors: ErrorCounts | None = None, draws: int = DRAWS, seed: int = 0
) -> PooledRate:
    """Pool the rates of several units, each the counts of one slide, or the `total` of one patient's slides.

    Intervals are percentiles of a cluster bootstrap (Davison and Hinkley 1997, 3.8): `draws` times all units
    are drawn anew with replacement, equally for equal `seed`. For the corrected fraction sensitivity and
    specificity are drawn too, from Beta(right + 1, wrong + 1).
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
    """Correct each drawn share of figures called atypical by a sensitivity and specificity drawn for it."""
    se, sp = (rng.beta(right + 1, wrong + 1, size=len(share)) for right, wrong in errors.effective)
    # With a Se + Sp hardly above 1 the quotient may be any number, and is clipped.
    better = np.maximum(se + sp - 1, 1e-9)
    return np.clip((share + sp - 1) / better, 0, 1)
