"""Pool the rates of several slides or patients; pure.

Slides differ by more than chance, so that a binomial interval over all their figures would be too narrow:
the bootstrap draws slides (or patients), not figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.rates.correction import Corrected, corrected_fraction
from slidemitosis.rates.counts import SlideRate, too_few, total
from slidemitosis.rates.expected import Expected, expected_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.decision import SpreadPart
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
    expected: Expected
    """The expected fraction of all figures. Its interval for the tumour takes them as one sample, as the
    figures of one tumour are."""
    expected_interval: tuple[float, float] | None
    """95 % interval of the expected fraction from drawing units, with the shifts of slides and of their
    domain; None below two units, or without a calibration."""
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
    rates: Sequence[SlideRate],
    *,
    errors: ErrorCounts | None = None,
    spread: SpreadPart | None = None,
    cutoff: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> PooledRate:
    """Pool the rates of several units, each the counts of one slide, or the `total` of one patient's slides.

    Intervals are percentiles of a cluster bootstrap (Davison and Hinkley 1997, 3.8): `draws` times all units
    are drawn anew with replacement, equally for equal `seed`. For the corrected fraction sensitivity and
    specificity are drawn too, from Beta(right + 1, wrong + 1); for the expected one, the shifts of the slides
    and the one that all of them share. `cutoff`: as for `expected_fraction`.
    """
    k = np.array([r.atypical for r in rates if r.classified], dtype=np.int64)
    n = np.array([r.classified for r in rates if r.classified], dtype=np.int64)
    together = total(rates)
    corrected = None
    if errors is not None and together.classified > 0 and together.few_figures:
        corrected = Corrected(None, None, too_few(together.classified))
    elif errors is not None:
        share = float((n / n.sum()) @ (n / n.sum())) if len(n) else 1.0
        corrected = corrected_fraction(together.atypical, together.classified, errors, spread=share)
    interval = corrected_interval = expected_interval = None
    if len(n) > 1:
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), size=draws)
        drawn = (weights @ k) / (weights @ n)
        interval = _percentiles(drawn)
        if spread is not None:
            expected_interval = _percentiles(_expected(rates, weights, spread, rng))
        if errors is not None and corrected is not None and corrected.interval is not None:
            corrected_interval = _percentiles(_corrected(drawn, errors, rng))
    return PooledRate(
        rate=together,
        units=len(n),
        fraction_interval=interval,
        expected=expected_fraction(together.probabilities, spread, cutoff=cutoff),
        expected_interval=expected_interval,
        corrected=corrected,
        corrected_interval=corrected_interval,
        draws=draws,
        seed=seed,
    )


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _expected(
    rates: Sequence[SlideRate], weights: NDArray[np.int64], spread: SpreadPart, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean probability of each draw of units, `weights` (draws, units), shifted by what is shared.

    To first order, a shift of log-odds moves the sum of P(atypical) by the sum of P (1 - P).
    """
    slides = [[np.array(s) for s in r.probabilities] for r in rates if r.classified]
    moves = [[float(p @ (1 - p)) for p in unit] for unit in slides]
    sums = np.array([sum(float(p.sum()) for p in unit) for unit in slides])
    figures = np.array([sum(len(p) for p in unit) for unit in slides])
    common = rng.normal(0, np.hypot(spread.domain_sd, spread.intercept_se), len(weights))
    shifted = common[:, None] * np.array([sum(unit) for unit in moves])
    own = spread.slide_sd * np.sqrt([sum(m * m for m in unit) for unit in moves])
    shifted += rng.normal(0, 1, weights.shape) * own
    found: NDArray[np.float64] = (weights * (sums + shifted)).sum(axis=1) / (weights @ figures)
    return np.clip(found, 0, 1)


def _corrected(
    share: NDArray[np.float64], errors: ErrorCounts, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Correct each drawn share of figures called atypical by a sensitivity and specificity drawn for it."""
    se, sp = (rng.beta(right + 1, wrong + 1, size=len(share)) for right, wrong in errors.effective)
    # With a Se + Sp hardly above 1 the quotient may be any number, and is clipped.
    better = np.maximum(se + sp - 1, 1e-9)
    return np.clip((share + sp - 1) / better, 0, 1)
