"""Fit what a card states about probabilities: priors, temperature, threshold and hardness."""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from slidemitosis.calibration.probability import fit_calibration
from slidemitosis.calibration.thresholds import count_validation, fit_decision
from slidemitosis.errors import InvalidOption
from slidemitosis.labels import HARD
from slidemitosis.models.decision import HardnessPart, finite_log_odds
from slidemitosis.train.evaluate.metrics import hard_figures
from slidemitosis.train.export import network_part
from slidemitosis.train.fit.losses import class_weights_of
from slidemitosis.train.fit.targets import first_head_classes, targets_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.evaluate.metrics import Scored
    from slidemitosis.train.recipe.recipe import Recipe

log = logging.getLogger(__name__)


def training_prior(figures: Figures, recipe: Recipe) -> float:
    """Return the share of AMF among the figures as the training shows and weighs them.

    It is sum d_c w_c a_c / sum d_c w_c, where d_c is the share of class c among the figures drawn, w_c its
    weight in the loss and a_c the share of AMF within it. Recall losses weigh every class alike.
    """
    heads = network_part(recipe, recipe.network.outputs[0]).heads
    classes = first_head_classes(figures, heads)
    counts = np.bincount(classes[classes >= 0]).astype(float)
    present = np.flatnonzero(counts)
    drawn = np.ones(len(present)) if recipe.sampler.name == "inverse-frequency" else counts[present]
    weights = class_weights_of(targets_of(figures, heads), heads, recipe.loss)[0]
    weighed = drawn if weights is None else drawn * weights.numpy()[present]
    if recipe.loss.name == "recall":
        weighed = np.ones(len(present))
    shares = [figures.atypical[classes == c].mean() for c in present]
    return round(min(max(float(np.average(shares, weights=weighed)), 0.0001), 0.9999), 4)


def calibrated(card: ModelCard, scored: Scored, *, target_prior: float, protocol: str) -> ModelCard:
    """Return the card with temperature, threshold and counts from figures that were not trained on."""
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
    counts = count_validation(
        decision.probability(logit), atypical, decision.threshold, protocol, slides=scored.slides
    )
    return dataclasses.replace(card, decision=decision, validation=counts)


def with_calibrations(
    card: ModelCard, scored: Mapping[int, Scored], *, protocol: str, domain_sd: float = 0.0
) -> ModelCard:
    """Return the card with a calibration for each number of views, from figures that were not trained on.

    `scored`: by number of views, what this model, or models like it, say of these figures. A model that gives
    all of them one output is not calibrated.
    """
    fitted = []
    for views, s in scored.items():
        fit = functools.partial(fit_calibration, views=views, protocol=protocol, domain_sd=domain_sd)
        try:
            fitted.append(fit(s.logit, s.atypical, slides=s.slides))
        except InvalidOption as e:
            log.warning("%s is not calibrated for %d views: %s", card.name, views, e)
    return dataclasses.replace(card, calibrations=tuple(fitted))


def with_hardness(card: ModelCard, scored: Scored) -> ModelCard:
    """Return the card with its calibration of P(hard), from figures that were not trained on.

    The calibration is a logistic regression (Platt 1999), so that the mean of P(hard) over these figures is
    their share of hard ones. `scored.extra["hard"]` must be the networks' own output, as a card without
    calibration states it. P(hard) is not calibrated, and so not shown, if no head tells hardness, or if all
    figures with known votes are hard, or easy, or have the same output.
    """
    card = dataclasses.replace(card, hardness=None)
    hard, rows = hard_figures(scored)
    if HARD not in scored.extra:
        return card
    h = scored.extra[HARD][rows]
    if len(set(hard.tolist())) < 2 or np.ptp(h) == 0:
        log.warning("%s: P(hard) is not calibrated: no hard and easy figures that it tells apart", card.name)
        return card
    p = card.decision.probability(scored.logit)[rows]
    features = np.stack([finite_log_odds(v) for v in (h, p)], axis=1)
    # The penalty is weak: it keeps the fit finite where hard and easy figures are separated without an error.
    fitted = LogisticRegression(C=1e3).fit(features, hard)
    slope, type_slope = (round(float(c), 4) for c in fitted.coef_[0])
    part = HardnessPart(slope=slope, type_slope=type_slope, intercept=round(float(fitted.intercept_[0]), 4))
    return dataclasses.replace(card, hardness=part)
