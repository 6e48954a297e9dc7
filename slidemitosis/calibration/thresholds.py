"""Fit what makes probabilities and calls of logits, on figures that were not trained on.

Two priors take part, see `decision.DecisionPart`. The training prior is the share of AMF as the training
showed it: a balanced sampler makes it 0.5, and the network's logits then speak for a world in which
every second figure is atypical. The target prior is the share that the probabilities are stated for,
most often that among the validation figures. The correction from the one to the other shifts all
logits alike; it changes no ranking, and no call at a threshold that was chosen after it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.distributions import log_odds
from slidemitosis.errors import InvalidOption
from slidemitosis.models.decision import BetweenSlidesPart, DecisionPart, PointPart, ValidationPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEMPERATURES = (0.2, 5.0)
"""Limits of a fit: beyond them it tells of too few figures, or of a failed training, not of calibration."""


def fit_decision(
    logits: NDArray[np.floating], atypical: NDArray[np.int64], *, training_prior: float, target_prior: float
) -> DecisionPart:
    """Fit temperature and threshold on validation figures, which must not have been trained on.

    The temperature minimises the negative log-likelihood of the probabilities after they are
    stated for the share of AMF among these figures, within TEMPERATURES; the threshold maximises
    balanced accuracy, the middle of the widest run of equally good thresholds being taken.
    `logits` and `atypical` are (N,). Raises InvalidOption if a class is absent or every logit is the same.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - classifying does without it

    check_classes(atypical)
    evidence = np.asarray(logits, dtype=np.float64) - log_odds(training_prior)
    prior = log_odds(atypical.mean())

    def loss(log_temperature: float) -> float:
        """Return the loss, convex in 1 / temperature, so that it has one minimum."""
        z = evidence / math.exp(log_temperature) + prior
        return float(np.mean(np.logaddexp(0, z) - atypical * z))

    low, high = map(math.log, TEMPERATURES)
    fitted = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    temperature = round(math.exp(fitted.x), 4)
    part = DecisionPart(
        training_prior=training_prior, target_prior=target_prior, temperature=temperature, threshold=0.5
    )
    threshold = best_threshold(part.probability(logits), atypical)
    return replace(part, threshold=min(max(round(threshold, 4), 0.0001), 0.9999))


def best_threshold(probabilities: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """Find the threshold with the best balanced accuracy; of equal ones the middle of the widest run.

    Raises InvalidOption if a class is absent, or if every figure has the same probability, as after a
    collapsed training.
    """
    check_classes(atypical)
    p, place = np.unique(probabilities, return_inverse=True)
    cuts = _cuts(p)
    # Figures of each class below each cut.
    below = [np.cumsum(np.bincount(place[atypical == c], minlength=len(p)))[:-1] for c in (0, 1)]
    accuracy = (below[0] / (atypical == 0).sum() + 1 - below[1] / (atypical == 1).sum()) / 2
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    widest = best[np.argmax(p[best + 1] - p[best])]
    return float(cuts[widest])


def counting_threshold(probabilities: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """Find the threshold at which as many figures are called atypical as are so.

    Where equal probabilities allow no such threshold, the nearest number is taken. Raises InvalidOption if a
    class is absent, or if every figure has the same probability.
    """
    check_classes(atypical)
    return threshold_of_number(probabilities, float(atypical.sum()))


def threshold_of_number(probabilities: NDArray[np.float64], number: float) -> float:
    """Find the threshold at which so many figures are called atypical, or as near to it as can be.

    Raises InvalidOption if every figure has the same probability.
    """
    p, counts = np.unique(probabilities, return_counts=True)
    cuts = _cuts(p)
    called = counts[::-1].cumsum()[::-1][1:]  # at each cut
    return float(cuts[np.argmin(np.abs(called - number))])


def _cuts(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what lies in the middle between neighbours of distinct probabilities. Raises InvalidOption."""
    if len(p) < 2:
        raise InvalidOption("every figure gets the same probability: the training has collapsed")
    cuts: NDArray[np.float64] = (p[1:] + p[:-1]) / 2
    return cuts


def count_validation(
    probabilities: NDArray[np.float64],
    atypical: NDArray[np.int64],
    threshold: float,
    protocol: str,
    *,
    slides: Sequence[str],
) -> ValidationPart:
    """Count calls at `threshold`, AMF being positive, and how they differ between slides.

    `slides` are the names of the figures' slides, "" where one is not known.
    """
    called = probabilities >= threshold
    amf = atypical == 1
    return ValidationPart(
        protocol=protocol,
        tp=int((called & amf).sum()),
        fn=int((~called & amf).sum()),
        tn=int((~called & ~amf).sum()),
        fp=int((called & ~amf).sum()),
        between_slides=between_slides(called, atypical, slides),
    )


def point_part(
    probabilities: NDArray[np.float64], atypical: NDArray[np.int64], threshold: float, slides: Sequence[str]
) -> PointPart:
    """Make an operating point: a threshold of four decimals, with the counts of its calls."""
    threshold = min(max(round(threshold, 4), 0.0001), 0.9999)
    v = count_validation(probabilities, atypical, threshold, "", slides=slides)
    return PointPart(threshold=threshold, tp=v.tp, fn=v.fn, tn=v.tn, fp=v.fp, between_slides=v.between_slides)


def between_slides(
    called: NDArray[np.bool_], atypical: NDArray[np.int64], slides: Sequence[str]
) -> BetweenSlidesPart | None:
    """Measure how much sensitivity and specificity differ between slides.

    `called` and `atypical` are (N,). None where a slide is not known, or where a class is on fewer than two
    slides, or never twice on one.
    """
    if not all(slides):
        return None
    names = np.unique(slides, return_inverse=True)[1]
    right = called == (atypical == 1)
    spreads = [_spread(right[atypical == c], names[atypical == c]) for c in (1, 0)]
    if spreads[0] is None or spreads[1] is None:
        return None
    return BetweenSlidesPart(
        slides=int(names.max()) + 1,
        sensitivity_sd=spreads[0][0],
        specificity_sd=spreads[1][0],
        sensitivity_se=spreads[0][1],
        specificity_se=spreads[1][1],
    )


def _spread(right: NDArray[np.bool_], slides: NDArray[np.int64]) -> tuple[float, float] | None:
    """Return the SD of a slide's share of right calls, and the SE of the share of all, four decimals each.

    The SD is the square root of the variance component of a one-way analysis of variance, 0 where it would be
    negative (Searle, Casella and McCulloch 1992, 3.6); the SE is that of a ratio where slides are drawn
    (Cochran 1977, eq. 6.9). None where a slide never has two figures, or there are fewer than two slides.
    """
    n = np.bincount(slides)
    s = np.bincount(slides, weights=right)[n > 0]
    n = n[n > 0]
    total, units = int(n.sum()), len(n)
    if units < 2 or total <= units:
        return None
    p = s.sum() / total
    between = float(((s - n * p) ** 2 / n).sum()) / (units - 1)
    within = float((s * (n - s) / n).sum()) / (total - units)
    size = (total - float((n**2).sum()) / total) / (units - 1)
    error = math.sqrt(float(((s - n * p) ** 2).sum()) * units / (units - 1)) / total
    return round(math.sqrt(max((between - within) / size, 0.0)), 4), round(error, 4)


def check_classes(atypical: NDArray[np.int64]) -> None:
    """Raise InvalidOption unless both classes are there."""
    if len(np.unique(atypical)) < 2:
        raise InvalidOption("the validation figures are of one class only; calibration needs AMF and NMF")
