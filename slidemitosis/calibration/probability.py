"""Fit P(atypical), its thresholds and its uncertainty: what a card's `calibrations` say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from slidemitosis.calibration.spread import loss, spread_of_odds
from slidemitosis.calibration.thresholds import (
    best_threshold,
    check_classes,
    counting_threshold,
    point_part,
)
from slidemitosis.distributions import log_odds, sigmoid
from slidemitosis.models.decision import CalibrationPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLOPES = (0.2, 5.0)
"""Limits of a fit: beyond them it tells of too few figures, or of a failed training, not of calibration."""


def fit_calibration(
    logits: NDArray[np.floating],
    atypical: NDArray[np.int64],
    *,
    views: int,
    protocol: str,
    slides: Sequence[str],
    domain_sd: float = 0.0,
) -> CalibrationPart:
    """Fit P(atypical), two thresholds and their uncertainty on figures that were not trained on.

    `logits` and `atypical` are (N,), `slides` the names of the figures' slides: where one is "", not known,
    there is no spread. `domain_sd`: that of `spread.domain_shift_sd`, 0 where it is not known. Raises
    InvalidOption if a class is absent, or if all logits are the same.
    """
    check_classes(atypical)
    z = np.asarray(logits, dtype=np.float64)
    intercept, slope = _platt(z, atypical)
    probability = np.round(sigmoid(slope * z + intercept), 6)  # as predictions state it
    counting, balanced = counting_threshold(probability, atypical), best_threshold(probability, atypical)
    return CalibrationPart(
        views=views,
        slope=slope,
        intercept=intercept,
        counting=point_part(probability, atypical, counting, slides),
        balanced=point_part(probability, atypical, balanced, slides),
        figures=len(z),
        slides=len(set(slides)) if all(slides) else 0,
        protocol=protocol,
        spread=spread_of_odds(slope * z + intercept, atypical, slides, domain_sd=domain_sd),
    )


def _platt(z: NDArray[np.float64], atypical: NDArray[np.int64]) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of the type on the logit, four decimals."""

    def of_both(t: NDArray[np.float64]) -> float:
        return loss(t[0] + t[1] * z, atypical)

    fitted = minimize(
        of_both,
        (float(log_odds(atypical.mean())), 1.0),
        bounds=((-20, 20), SLOPES),
    )
    return round(float(fitted.x[0]), 4), round(float(fitted.x[1]), 4)
