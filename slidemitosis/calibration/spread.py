"""How far calibrated log-odds are off together: on one slide, in one domain, by the errors of their fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

from slidemitosis.distributions import log_sum_exp, sigmoid
from slidemitosis.models.decision import SHRINKING, SpreadPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.decision import CalibrationPart


LARGEST_SE = 10.0
"""With a larger standard error of intercept or slope a fit says nothing: too few figures, or a collapse."""


def loss(odds: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of log-odds, (N,)."""
    return float(np.mean(np.logaddexp(0, odds) - atypical * odds))


def spread_of_odds(
    odds: NDArray[np.float64],
    atypical: NDArray[np.int64],
    slides: Sequence[str],
    *,
    domain_sd: float,
) -> SpreadPart | None:
    """Measure how far calibrated log-odds, (N,), are off together.

    None where slides are not known, or where the figures are too few to tell.
    """
    names = np.unique(slides, return_inverse=True)[1]
    if not all(slides) or names.max() < 1:
        return None
    try:
        covariance = _covariance(odds, atypical, names)
    except np.linalg.LinAlgError:  # every figure has one probability
        return None
    error_a, error_b = np.sqrt(np.diag(covariance))
    if not max(error_a, error_b) < LARGEST_SE:  # nor where it is no number
        return None
    return SpreadPart(
        slide_sd=round(slide_shift_sd(odds, atypical, names), 4),
        domain_sd=domain_sd,
        intercept_se=round(float(error_a), 4),
        slope_se=round(float(error_b), 4),
        correlation=round(float(covariance[0, 1] / (error_a * error_b)), 4),
    )


def _covariance(
    odds: NDArray[np.float64], atypical: NDArray[np.int64], slides: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the covariance of the errors of intercept and slope, (2, 2), where slides are what was drawn.

    The sandwich of Liang and Zeger (1986, eq. 8), times m / (m - 1) for m slides.
    """
    p = sigmoid(odds)
    design = np.stack([np.ones_like(odds), odds], axis=1)
    bread = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)
    scores = np.zeros((slides.max() + 1, 2))
    np.add.at(scores, slides, design * (atypical - p)[:, None])
    m = len(scores)
    covariance: NDArray[np.float64] = bread @ (scores.T @ scores) @ bread * m / (m - 1)
    return covariance


def slide_shift_sd(
    odds: NDArray[np.float64], atypical: NDArray[np.int64], slides: NDArray[np.int64]
) -> float:
    """Estimate the SD of a shift of log-odds that all figures of a slide share, by maximum likelihood.

    `odds`, `atypical` and the slides' numbers are (N,). Logistic regression with a random intercept and these
    odds as offset (Stiratelli, Laird and Ware 1984), by Gauss-Hermite quadrature.
    """
    x, w = np.polynomial.hermite_e.hermegauss(31)
    w = np.log(w / w.sum())

    def loss(sd: float) -> float:
        moved = odds[:, None] * math.sqrt(1 + SHRINKING * sd**2) + sd * x
        by_slide = np.zeros((slides.max() + 1, len(x)))
        np.add.at(by_slide, slides, atypical[:, None] * moved - np.logaddexp(0, moved))
        return -float(log_sum_exp(by_slide + w, axis=1).sum())

    fitted = minimize_scalar(loss, bounds=(0, 3), method="bounded", options={"xatol": 1e-4})
    return float(fitted.x) if fitted.fun < loss(0.0) else 0.0


def domain_shift_sd(
    calibration: CalibrationPart, domains: Sequence[tuple[NDArray[np.floating], NDArray[np.int64]]]
) -> float:
    """Estimate the SD of a shift of log-odds that a whole domain shares, four decimals; 0 without domains.

    `domains`: of each domain the logits and the labels of its figures, (N,) each, by a network that saw no
    figure of it in training; else it is like those that `calibration` is of. With few domains it is rough.
    """
    if not domains:
        return 0.0
    squares = []
    for logits, atypical in domains:
        odds = calibration.slope * np.asarray(logits, dtype=np.float64) + calibration.intercept
        shift = _shift(odds, atypical)
        p = sigmoid(odds + shift)
        # Less what chance alone gives.
        squares.append(shift**2 - 1 / float((p * (1 - p)).sum()))
    return round(math.sqrt(max(float(np.mean(squares)), 0.0)), 4)


def _shift(odds: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """Return what is to be added to all log-odds so that they fit the labels best."""

    def after(shift: float) -> float:
        return loss(odds + shift, atypical)

    return float(minimize_scalar(after, bounds=(-5, 5), method="bounded").x)
