"""Doubt is calibrated so that its mean is right, in all and by type; the prior is the one training shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.labels import NMF_SUBTYPES
from slidemitosis.models.shipped import find_model
from slidemitosis.models.subtypes import stated_extras
from slidemitosis.train.decisions import training_prior, with_hardness
from slidemitosis.train.fit.targets import LAYOUTS
from slidemitosis.train.recipe.recipe import load_recipe
from tests.train.drawn import drawn_figures
from tests.train.scores import scored

if TYPE_CHECKING:
    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.evaluate.metrics import Scored

LITE = find_model("lite0")


def card_of(layout: str) -> ModelCard:
    networks = (dataclasses.replace(LITE.networks[0], heads=LAYOUTS[layout]),)
    return dataclasses.replace(LITE, networks=networks, hardness=None, folder=Path())


CARD = card_of("multi-task")


def doubted(p: list[float], hardness: list[str]) -> Scored:
    n = len(p)
    return scored([0.0] * n, [0] * n, extra={"hard": np.array(p)}, hardness=tuple(hardness))


def test_the_mean_of_doubt_is_the_share_of_hard_figures_in_all_and_by_type() -> None:
    """Where the sampler shows AMF as often as NMF, and AMF are hard more often."""
    rng = np.random.default_rng(1)
    n = 4000
    atypical = rng.random(n) < 0.22
    logit = rng.normal(np.where(atypical, 2.0, -2.0), 1.5)
    hard = rng.random(n) < np.where(atypical, 0.5, 0.14)
    # As a network says it that learned with the types balanced: too much, and of NMF the most.
    raw = 1 / (1 + np.exp(-(rng.normal(np.where(hard, 0.6, -0.6), 1.2, n) + 0.8)))
    words = tuple(np.where(hard, "hard", "easy").tolist())
    s = scored(logit.tolist(), atypical.astype(int).tolist(), extra={"hard": raw}, hardness=words)
    card = with_hardness(CARD, s)
    assert card.hardness is not None
    extra = np.concatenate([raw[:, None], np.full((n, 8), 0.125)], axis=1)
    stated = stated_extras(card, extra, card.decision.probability(s.logit))["hard"]
    assert stated.mean() == pytest.approx(hard.mean(), abs=0.002)
    assert raw.mean() > hard.mean() + 0.2
    called = card.decision.probability(s.logit) >= card.decision.threshold
    for kind in (called, ~called):
        assert stated[kind].mean() == pytest.approx(hard[kind].mean(), abs=0.03)


@pytest.mark.parametrize(
    ("p", "hardness"),
    [
        ([0.1, 0.9], ["easy", "easy"]),
        ([0.1, 0.9], ["", ""]),
        ([0.5, 0.5], ["easy", "hard"]),
    ],
    ids=["one kind", "no votes", "all alike"],
)
def test_where_nothing_can_be_fitted_doubt_is_not_stated(
    p: list[float], hardness: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    earlier = dataclasses.replace(CARD, hardness=with_hardness(CARD, _some()).hardness)
    assert earlier.hardness is not None
    assert with_hardness(earlier, doubted(p, hardness)).hardness is None
    assert "P(hard) is not calibrated" in caplog.text


def _some() -> Scored:
    return doubted([0.9, 0.6, 0.4, 0.2, 0.3, 0.1], ["hard", "hard", "easy", "easy", "hard", ""])


def test_a_model_of_the_type_alone_has_no_doubt(caplog: pytest.LogCaptureFixture) -> None:
    of_type = scored([0.0, 1.0], [0, 1], hardness=("easy", "hard"))
    assert with_hardness(card_of("type"), of_type) == card_of("type")
    assert not caplog.text


def test_figures_that_are_told_apart_without_an_error_leave_finite_numbers() -> None:
    found = with_hardness(CARD, doubted([0.9, 0.8, 0.1, 0.2], ["hard", "hard", "easy", "easy"])).hardness
    assert found is not None
    assert np.isfinite([found.slope, found.type_slope, found.intercept]).all()


def few(atypical: list[int], subtypes: list[str] | None = None) -> Figures:
    """Figures of these labels, every one of them of both experts' opinion but the last."""
    n = len(atypical)
    votes = np.repeat(np.array(atypical, np.float32)[:, None], 2, axis=1)
    return dataclasses.replace(
        drawn_figures(n, side=8),
        atypical=np.array(atypical),
        votes=votes,
        subtypes=tuple((s,) for s in subtypes) if subtypes else ((),) * n,
    )


@pytest.mark.parametrize(
    ("recipe", "sets", "expected"),
    [
        ("lite0", ["sampler.name=shuffle"], 0.25),  # as many as there are
        ("lite0", ["sampler.name=inverse-frequency"], 0.5),  # each class as often
        ("lite0", ["sampler.name=shuffle", "loss.class_weights=inverse-frequency"], 0.5),
        # Every class as often: of the three subtypes that there are, one is atypical.
        ("subtypes", ["sampler.name=shuffle", "loss.class_weights=inverse-frequency"], 0.3333),
        ("subtypes", ["sampler.name=shuffle", "loss.class_weights=none"], 0.25),
        # "NMF easy" and "AMF easy" only.
        ("type-hardness", ["sampler.name=inverse-frequency"], 0.5),
        ("type-hardness", ["sampler.name=shuffle"], 0.25),
    ],
)
def test_the_training_prior_is_the_share_that_training_shows_or_weighs(
    recipe: str, sets: list[str], expected: float
) -> None:
    subtypes = [NMF_SUBTYPES[0]] * 4 + [NMF_SUBTYPES[1]] * 2 + ["AMF multipolar"] * 2
    figures = few([0] * 6 + [1] * 2, subtypes)
    assert training_prior(figures, load_recipe(recipe, overrides=sets)) == expected


def test_the_training_prior_of_a_class_that_is_almost_absent_stays_between_0_and_1() -> None:
    assert training_prior(few([0] * 8), load_recipe("lite0", overrides=["sampler.name=shuffle"])) == 0.0001
