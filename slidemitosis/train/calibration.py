"""From logits to probabilities and calls, fitted on figures that were not trained on.

Two priors take part, see `cards.DecisionPart`. The training prior is the share of AMF as the training
showed it: a balanced sampler makes it 0.5, and the network's logits then speak for a world in which
every second figure is atypical. The target prior is the share that the probabilities are stated for,
most often that among the validation figures. The correction from the one to the other shifts all
logits alike; it changes no ranking, and no call at a threshold that was chosen after it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logit as log_odds
from sklearn.metrics import confusion_matrix

from slidemitosis.cards import DecisionPart, ValidationPart
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPERATURES = (0.2, 5.0)
"""Beyond these a fit speaks of too few figures, or of a failed training, rather than of calibration."""


def fit_decision(
    logits: NDArray[np.floating], atypical: NDArray[np.int64], *, training_prior: float, target_prior: float
) -> DecisionPart:
    """Temperature and threshold from validation figures, which must not have been trained on.

    The temperature minimises the negative log-likelihood of the probabilities after they are
    stated for the share of AMF among these figures, within TEMPERATURES; the threshold maximises
    balanced accuracy, the middle of the widest run of equally good thresholds being taken.
    `logits` and `atypical` are (N,). Raises InvalidOption if a class is absent or every logit is the same.
    """
    _check_classes(atypical)
    evidence = np.asarray(logits, dtype=np.float64) - log_odds(training_prior)
    prior = log_odds(atypical.mean())

    def loss(log_temperature: float) -> float:
        """Convex in 1 / temperature, so that there is one minimum."""
        z = evidence / math.exp(log_temperature) + prior
        return float(np.mean(np.logaddexp(0, z) - atypical * z))

    low, high = map(math.log, TEMPERATURES)
    fitted = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    temperature = round(math.exp(fitted.x), 4)
    part = DecisionPart(
        training_prior=training_prior, target_prior=target_prior, temperature=temperature, threshold=0.5
    )
    threshold = best_threshold(part.probability(logits), atypical)
    return DecisionPart(
        training_prior=training_prior,
        target_prior=target_prior,
        temperature=temperature,
        threshold=min(max(round(threshold, 4), 0.0001), 0.9999),
    )


def best_threshold(probabilities: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """The threshold with the best balanced accuracy; of equally good ones the middle of the widest run.

    Raises InvalidOption if a class is absent, or if every figure has the same probability, as after a
    collapsed training.
    """
    _check_classes(atypical)
    p, place = np.unique(probabilities, return_inverse=True)
    if len(p) < 2:
        raise InvalidOption("every figure gets the same probability: the training has collapsed")
    cuts = (p[1:] + p[:-1]) / 2
    # Of each class, the share below each cut.
    below = [np.cumsum(np.bincount(place[atypical == c], minlength=len(p)))[:-1] for c in (0, 1)]
    accuracy = (below[0] / (atypical == 0).sum() + 1 - below[1] / (atypical == 1).sum()) / 2
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    widest = best[np.argmax(p[best + 1] - p[best])]
    return float(cuts[widest])


def count_validation(
    probabilities: NDArray[np.float64], atypical: NDArray[np.int64], threshold: float, protocol: str
) -> ValidationPart:
    """The confusion counts at `threshold`, AMF being positive."""
    (tn, fp), (fn, tp) = confusion_matrix(atypical, probabilities >= threshold, labels=[0, 1])
    return ValidationPart(protocol=protocol, tp=int(tp), fn=int(fn), tn=int(tn), fp=int(fp))


def _check_classes(atypical: NDArray[np.int64]) -> None:
    if len(np.unique(atypical)) < 2:
        raise InvalidOption("the validation figures are of one class only; calibration needs AMF and NMF")
