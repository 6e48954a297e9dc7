"""Correct the fraction of atypical figures for the errors of the classifier; pure.

With sensitivity Se and specificity Sp, a true fraction p is read as q = p Se + (1 - p)(1 - Sp): at
Se = .88 and Sp = .79 a slide without any atypical figure reads 21 %. Rogan and Gladen (1978) solve for p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.rates.intervals import Z95

if TYPE_CHECKING:
    from slidemitosis.options import ErrorCounts

LEAST_VALIDATED = 10
"""With fewer labelled figures of a class, its sensitivity or specificity counts as unknown."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected fraction AMF / (AMF + NMF), if it can be computed."""

    fraction: float | None
    """Within 0 to 1."""
    interval: tuple[float, float] | None
    """95 %, within 0 to 1."""
    reason: str | None
    """Why there is no fraction or no interval; None if there are both."""


def corrected_fraction(k: int, n: int, errors: ErrorCounts, *, spread: float = 1.0) -> Corrected:
    """Correct the fraction of k figures called atypical out of n.

    The estimate is that of Rogan and Gladen (1978), (q + Sp - 1) / (Se + Sp - 1) with q = k / n, clipped to
    0..1. The interval is that of Lang and Reiczigel (2014, Prev Vet Med 113:13-22, eqs. 4, 6, 7, 15 to 17),
    which carries the uncertainty of Se and Sp: with z = 1.96, n' = n + z^2, q' = (k + z^2 / 2) / n',
    Se' = (TP + 1) / (TP + FN + 2), Sp' alike, p' = (q' + Sp' - 1) / J', J' = Se' + Sp' - 1 and the variances
    u = Se' (1 - Se') / (TP + FN + 2), v = Sp' (1 - Sp') / (TN + FP + 2),

        p' + 2 z^2 (p' u - (1 - p') v) +- z sqrt(q' (1 - q') / n' + p'^2 u + (1 - p')^2 v) / J'

    If it is known how slides differ, this departs from it in two places: `sensitivity_se` lowers the number
    of figures that TP + FN stand for, and the variance `sensitivity_sd`^2 is added to u, since this slide's
    own sensitivity is not the mean one; v alike.

    `spread` is for figures of several slides: the sum of the squares of their shares of the figures, 1 for
    one slide; that part of `sensitivity_sd`^2 is added. An interval always holds the estimate. Raises
    ValueError unless 0 <= k <= n and 0 < spread <= 1.
    """
    if not 0 <= k <= n or not 0 < spread <= 1:
        raise ValueError(f"0 <= k <= n and 0 < spread <= 1 must hold, not k = {k}, n = {n}, {spread = }")
    se, sp = errors.sensitivity, errors.specificity
    if n == 0:
        return Corrected(None, None, "nothing was classified")
    if se is None or sp is None or min(errors.tp + errors.fn, errors.tn + errors.fp) < LEAST_VALIDATED:
        reason = f"sensitivity or specificity is known of fewer than {LEAST_VALIDATED} figures"
        return Corrected(None, None, reason)
    positive, negative = errors.effective
    se_, u = _shrunk(*positive, variance=spread * errors.sensitivity_sd**2)
    sp_, v = _shrunk(*negative, variance=spread * errors.specificity_sd**2)
    better = se_ + sp_ - 1
    if min(better, se + sp - 1) <= Z95 * math.sqrt(u + v):
        # The interval would be unbounded (Fieller 1954), and this formula for it no longer holds.
        return Corrected(None, None, "sensitivity and specificity are not surely better than chance")
    fraction = min(max((k / n + sp - 1) / (se + sp - 1), 0.0), 1.0)
    n_, q_ = n + Z95**2, (k + Z95**2 / 2) / (n + Z95**2)
    p_ = (q_ + sp_ - 1) / better
    centre = p_ + 2 * Z95**2 * (p_ * u - (1 - p_) * v)
    half = Z95 * math.sqrt(q_ * (1 - q_) / n_ + p_ * p_ * u + (1 - p_) ** 2 * v) / better
    if centre + half <= 0 or centre - half >= 1:
        return Corrected(fraction, None, _impossible(k / n, se, sp))
    # For one atypical figure of one, the interval would end before 1, which is the estimate.
    low, high = min(max(centre - half, 0.0), fraction), max(min(centre + half, 1.0), fraction)
    return Corrected(fraction, (low, high), None)


def _shrunk(right: float, wrong: float, *, variance: float) -> tuple[float, float]:
    """Return a proportion drawn towards one half, and its variance plus the given one."""
    n = right + wrong
    shrunk = (right + 1) / (n + 2)
    return shrunk, shrunk * (1 - shrunk) / (n + 2) + variance


def _impossible(q: float, se: float, sp: float) -> str:
    """Explain a share of figures called atypical that no true fraction can give."""
    if q < 1 - sp:
        return (
            f"fewer figures are called atypical ({100 * q:.1f} %) than false calls alone would give "
            f"({100 * (1 - sp):.1f} %): the specificity of these figures must be another"
        )
    return (
        f"more figures are called atypical ({100 * q:.1f} %) than if all were ({100 * se:.1f} %): "
        "the sensitivity of these figures must be another"
    )
