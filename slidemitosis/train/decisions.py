"""What a card says of probabilities: priors, temperature and threshold, from figures not trained on."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit as log_odds

from slidemitosis.extras import HARD, SMALLEST
from slidemitosis.train.calibration import count_validation, fit_decision
from slidemitosis.train.export import network_part
from slidemitosis.train.losses import class_weights_of
from slidemitosis.train.metrics import hard_figures
from slidemitosis.train.targets import first_head_classes, targets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.cards import ModelCard
    from slidemitosis.train.figures import Figures
    from slidemitosis.train.metrics import Scored
    from slidemitosis.train.recipe import Recipe

log = logging.getLogger(__name__)


def training_prior(figures: Figures, recipe: Recipe) -> float:
    """The share of AMF among the figures as the training shows and weighs them.

    With d_c the share of class c among the figures drawn, w_c its weight in the loss and a_c the share
    of AMF within it: sum d_c w_c a_c / sum d_c w_c. Recall losses weigh every class alike.
    """
    heads = network_part(recipe, recipe.network.outputs[0]).heads
    classes = first_head_classes(figures, heads)
    present, drawn = _drawn(classes, recipe)
    weights = class_weights_of(targets_of(figures, heads), heads, recipe.loss)[0]
    weighed = drawn if weights is None else drawn * weights.numpy()[present]
    if recipe.loss.name == "recall":
        weighed = np.ones(len(present))
    return _share_of(figures.atypical, classes, present, weighed)


def _drawn(classes: NDArray[np.int64], recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(the classes that there are, how often the sampler draws each, in proportion)."""
    counts = np.bincount(classes[classes >= 0]).astype(float)
    present = np.flatnonzero(counts)
    drawn = np.ones(len(present)) if recipe.sampler.name == "inverse-frequency" else counts[present]
    return present, drawn


def _share_of(
    labels: NDArray[np.int64],
    classes: NDArray[np.int64],
    present: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> float:
    """Mean of the labels where each class counts for its weight; four decimals, never 0 or 1."""
    shares = [labels[classes == c].mean() for c in present]
    return round(min(max(float(np.average(shares, weights=weights)), 0.0001), 0.9999), 4)


def calibrated(card: ModelCard, scored: Scored, *, target_prior: float, protocol: str) -> ModelCard:
    """The card with temperature, threshold and counts from figures that were not trained on."""
    atypical, logit = scored.atypical, scored.logit
    decision = card.decision
    if len(set(atypical.tolist())) == 2 and np.ptp(logit) > 0:
        decision = fit_decision(
            logit,
            atypical,
            training_prior=decision.training_prior,
            target_prior=target_prior,
        )
    else:
        log.warning("%s is not calibrated: one class only, or every figure has the same output", card.name)
        protocol += "; not calibrated, since one class was absent or every figure had the same output"
    counts = count_validation(decision.probability(logit), atypical, decision.threshold, protocol)
    return dataclasses.replace(card, decision=decision, validation=counts)


def with_hardness(card: ModelCard, scored: Scored, *, training: Figures, recipe: Recipe) -> ModelCard:
    """The card with prior and temperature of P(hard), from figures that were not trained on.

    As it is where no head tells hardness, or where the figures are all hard, all easy, or all alike to it.
    """
    hard, rows = hard_figures(scored)
    if HARD not in scored.extra or len(set(hard.tolist())) < 2:
        return card
    p = scored.extra[HARD][rows].clip(SMALLEST, 1 - SMALLEST)
    if np.ptp(p) == 0:
        return card
    heads = network_part(recipe, recipe.network.outputs[0]).heads
    votes_known = training.take([i for i, h in enumerate(training.hardness) if h])
    classes = first_head_classes(votes_known, heads)
    present, drawn = _drawn(classes, recipe)
    if not len(present):
        return card
    labels = votes_known.hard.astype(np.int64)
    decision = fit_decision(
        log_odds(p),
        hard,
        training_prior=_share_of(labels, classes, present, drawn),
        target_prior=_share_of(labels, np.zeros_like(classes), np.array([0]), np.ones(1)),
    )
    return dataclasses.replace(card, hardness=decision)
