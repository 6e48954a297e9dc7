"""Adapt a model's probabilities to slides of one laboratory by a few labelled figures of theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.calibration.thresholds import check_classes, point_part, threshold_of_number
from slidemitosis.distributions import log_sum_exp, sigmoid
from slidemitosis.models.decision import SHRINKING, CalibrationPart, SpreadPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.decision import Decision

_SHIFT_SD = 0.5
"""SD of what a laboratory shifts log-odds by, as it is expected at least before figures are seen: a fraction
of 20 % becomes 13 or 29 %."""
_SLOPE_SD = 0.25
_UNCALIBRATED = 2.0
"""How much wider both are for a model without a calibration."""
_SLIDE_SD = 0.3
"""Expected SD between slides where the model's calibration does not say."""
_LOG_SLIDE_SD_SD = 0.5
_SLOPES = (0.1, 5.0)


def fit_local(
    decision: Decision,
    logits: NDArray[np.floating],
    atypical: NDArray[np.int64],
    *,
    slides: Sequence[str],
    views: int,
    protocol: str,
) -> CalibrationPart:
    """Fit P(atypical) on figures of somebody's own slides, beginning from what the model's card says.

    `decision` is the card's, `logits` and `atypical` are (N,), and `slides` the names of the figures' slides,
    "" where one is not known: then there is no spread. With L the log-odds that the card gives, and L0 their
    mean over these figures weighed by P (1 - P), about which a slope hardly moves the mean of P, those of a
    figure on slide i become

        L + shift + (slope - 1) (L - L0) + u_i,    u_i ~ N(0, slide_sd^2)

    where shift ~ N(0, 0.5^2), slope ~ N(1, 0.25^2) and log slide_sd ~ N(log of the card's, 0.5^2) are known
    beforehand (twice these SD for a card without calibration, and the card's domain_sd where it is larger).
    Returned are their means after the figures were seen, by numerical integration, and their errors: few
    figures move little, and slope less than shift. As many figures are called at `counting` as are expected
    among these; `balanced` is their mean P(atypical), which maximises the expected balanced accuracy.

    Raises InvalidOption if a class is absent, or all logits are the same.
    """
    check_classes(atypical)
    intercept, slope = decision.line
    odds = slope * np.asarray(logits, dtype=np.float64) + intercept
    known = all(slides)
    names = np.unique(slides, return_inverse=True)[1] if known else np.arange(len(odds))
    p = sigmoid(odds)
    centre = float(np.average(odds, weights=p * (1 - p)))
    found = _posterior(odds - centre, centre, atypical, names, _Prior.of(decision, slides_known=known))
    # L + shift + (slope - 1)(L - L0) as one line in the logit.
    new_slope = round(found.slope * slope, 4)
    new_intercept = round(found.shift + found.slope * intercept + (1 - found.slope) * centre, 4)
    probability = np.round(sigmoid(new_slope * np.asarray(logits, dtype=np.float64) + new_intercept), 6)
    counting = threshold_of_number(probability, float(probability.sum()))
    return CalibrationPart(
        views=views,
        slope=new_slope,
        intercept=new_intercept,
        counting=point_part(probability, atypical, counting, slides),
        balanced=point_part(probability, atypical, float(probability.mean()), slides),
        figures=len(odds),
        slides=len(set(slides)) if known else 0,
        protocol=protocol,
        spread=_spread(found, centre) if known else None,
    )


@dataclass(frozen=True, slots=True)
class _Prior:
    """What is known before the figures are seen."""

    shift_sd: float
    slope_sd: float
    slide_sd: float
    """Median of the SD between slides; 0 where the slides are not known."""

    @staticmethod
    def of(decision: Decision, *, slides_known: bool) -> _Prior:
        spread = decision.spread
        wider = 1.0 if decision.calibration else _UNCALIBRATED
        shift_sd = max(_SHIFT_SD, spread.domain_sd if spread else 0.0) * wider
        slide_sd = max(spread.slide_sd, 0.05) if spread else _SLIDE_SD
        return _Prior(shift_sd, _SLOPE_SD * wider, slide_sd if slides_known else 0.0)


@dataclass(frozen=True, slots=True)
class _Posterior:
    """What is known after the figures were seen: means, and the covariance of shift and slope, (2, 2)."""

    shift: float
    slope: float
    covariance: NDArray[np.float64]
    slide_sd: float


def _posterior(
    away: NDArray[np.float64],
    centre: float,
    atypical: NDArray[np.int64],
    slides: NDArray[np.intp],
    prior: _Prior,
) -> _Posterior:
    """Return what figures say whose log-odds are `away` from the centre."""
    t = np.linspace(-4, 4, 41)
    shifts = prior.shift_sd * t
    slopes = 1 + prior.slope_sd * t[::2]
    slopes = slopes[(slopes >= _SLOPES[0]) & (slopes <= _SLOPES[1])]
    s = np.linspace(-2.5, 2.5, 7) if prior.slide_sd else np.zeros(1)
    sds = prior.slide_sd * np.exp(_LOG_SLIDE_SD_SD * s)
    a, b = np.meshgrid(shifts, slopes, indexing="ij")
    beforehand = -(((a / prior.shift_sd) ** 2) + ((b - 1) / prior.slope_sd) ** 2) / 2
    log_weights = np.stack(
        [beforehand + _log_likelihood(away, atypical, slides, centre + a, b, sd) for sd in sds]
    )
    log_weights -= (s**2 / 2)[:, None, None]
    w = np.exp(log_weights - log_sum_exp(log_weights))
    of_line = w.sum(axis=0)
    means = np.array([(of_line * a).sum(), (of_line * b).sum()])
    off = np.stack([a - means[0], b - means[1]])
    covariance = np.einsum("iab,jab,ab->ij", off, off, of_line)
    return _Posterior(float(means[0]), float(means[1]), covariance, float(w.sum(axis=(1, 2)) @ sds))


def _log_likelihood(
    away: NDArray[np.float64],
    atypical: NDArray[np.int64],
    slides: NDArray[np.intp],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    slide_sd: float,
) -> NDArray[np.float64]:
    """Return the log-likelihood of labels of log-odds a + b `away`, shaped as `a` and `b`."""
    x, w = np.polynomial.hermite_e.hermegauss(9 if slide_sd else 1)
    log_w = np.log(w / w.sum())
    grown = math.sqrt(1 + SHRINKING * slide_sd**2)  # so that the mean over slides stays what is fitted
    found = np.zeros(a.shape)
    for slide in range(int(slides.max()) + 1):
        z, y = away[slides == slide], atypical[slides == slide]
        moved = grown * (a[..., None] + b[..., None] * z)
        moved = moved[:, :, None, :] + slide_sd * x[:, None]
        found += log_sum_exp((y * moved - np.logaddexp(0, moved)).sum(axis=-1) + log_w, axis=-1)
    return found


def _spread(found: _Posterior, centre: float) -> SpreadPart:
    """State the errors of shift and slope as those of intercept and slope of the new log-odds.

    An error (da, db) moves the old log-odds L by da + db (L - L0), which is, in the new log-odds M = L0 +
    shift + slope (L - L0), da - db (L0 + shift) / slope + (db / slope) M.
    """
    by_m = 1 / found.slope
    jacobian = np.array([[1.0, -(centre + found.shift) * by_m], [0.0, by_m]])
    covariance = jacobian @ found.covariance @ jacobian.T
    error_a, error_b = np.sqrt(np.diag(covariance))
    return SpreadPart(
        slide_sd=round(found.slide_sd, 4),
        domain_sd=0.0,  # what this laboratory shifts is what was fitted
        intercept_se=round(float(error_a), 4),
        slope_se=round(float(error_b), 4),
        correlation=round(float(covariance[0, 1] / (error_a * error_b)), 4),
    )
