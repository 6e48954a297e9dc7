"""Scores and calibration on figures that were not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from slidemitosis.cards import DecisionPart, Score, ValidationPart
from slidemitosis.classify import SizedForward
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.models import Classifier
    from slidemitosis.train.data import Figures


def logits_of(model: Classifier, figures: Figures, *, views: int) -> NDArray[np.float32]:
    """Logits of AMF, (N,), as `slidemitosis classify` computes them."""
    forward = SizedForward(model, piece=32, views=views, precision="fp32")
    return forward(figures.pixels)


def fit_decision(
    logits: NDArray[np.float32], atypical: NDArray[np.int64], *, training_prior: float, target_prior: float
) -> DecisionPart:
    """Temperature and threshold from validation figures, which must not have been trained on.

    The temperature minimises the negative log-likelihood of the probabilities after they are
    stated for the share of AMF among these figures; the threshold maximises balanced accuracy, the
    middle of the widest run of equally good thresholds being taken.
    """
    share = float(atypical.mean())

    def loss(temperature: float) -> float:
        part = DecisionPart(
            training_prior=training_prior, target_prior=share, temperature=temperature, threshold=0.5
        )
        p = part.probability(logits)
        return float(-np.log(np.where(atypical == 1, p, 1 - p).clip(1e-12)).mean())

    temperature = float(min(np.geomspace(0.2, 5, 400), key=loss))
    part = DecisionPart(
        training_prior=training_prior, target_prior=target_prior, temperature=temperature, threshold=0.5
    )
    threshold = best_threshold(part.probability(logits), atypical)
    return DecisionPart(
        training_prior=training_prior,
        target_prior=target_prior,
        temperature=round(temperature, 4),
        threshold=min(max(round(threshold, 4), 0.0001), 0.9999),
    )


def best_threshold(probabilities: NDArray[np.float64], atypical: NDArray[np.int64]) -> float:
    """The threshold with the best balanced accuracy; of equally good ones the middle of the widest run.

    Raises InvalidOption if every figure has the same probability, as after a collapsed training.
    """
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


def score(name: str, model: Classifier, figures: Figures, *, views: int) -> Score:
    """Scores of `model` on a labelled data set, four decimals."""
    logits = logits_of(model, figures, views=views)
    decision = model.card.decision
    called = decision.probability(logits) >= decision.threshold
    return Score(
        data=name,
        figures=len(figures),
        atypical=int(figures.atypical.sum()),
        views=views,
        balanced_accuracy=round(float(balanced_accuracy_score(figures.atypical, called)), 4),
        balanced_accuracy_at_half=round(float(balanced_accuracy_score(figures.atypical, logits >= 0)), 4),
        auroc=round(float(roc_auc_score(figures.atypical, logits)), 4),
    )
