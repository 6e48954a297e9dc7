"""Doubt: its prior and temperature, and where nothing can be said of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from drawn import drawn_figures
from scores import scored

from slidemitosis.cards import find_model
from slidemitosis.train.decisions import with_hardness
from slidemitosis.train.export import network_part
from slidemitosis.train.recipe import load_recipe

RECIPE = load_recipe("lite0", overrides=['network.outputs=["multi-task"]'])
PART = network_part(RECIPE, "multi-task")
LITE = find_model("lite0")
CARD = dataclasses.replace(
    LITE,
    networks=(dataclasses.replace(LITE.networks[0], heads=PART.heads),),
    hardness=None,
    folder=Path(),
)
TRAINING = drawn_figures(60)


def doubted(p: list[float], hardness: list[str]):  # type: ignore[no-untyped-def]
    n = len(p)
    return scored([0.0] * n, [0] * n, extra={"hard": np.array(p)}, hardness=tuple(hardness))


def test_doubt_is_stated_for_its_share_among_all_figures() -> None:
    some = doubted([0.9, 0.6, 0.4, 0.2, 0.3, 0.1], ["hard", "hard", "easy", "easy", "hard", ""])
    found = with_hardness(CARD, some, training=TRAINING, recipe=RECIPE).hardness
    assert found is not None
    # The sampler shows NMF and AMF equally often, and some AMF and NMF are hard.
    by_type = [TRAINING.hard[TRAINING.atypical == t].mean() for t in (0, 1)]
    assert found.training_prior == pytest.approx(np.mean(by_type), abs=1e-4)
    assert found.target_prior == pytest.approx(TRAINING.hard.mean(), abs=1e-4)
    shuffled = load_recipe("lite0", overrides=['network.outputs=["multi-task"]', "sampler.name=shuffle"])
    plain = with_hardness(CARD, some, training=TRAINING, recipe=shuffled).hardness
    assert plain is not None
    assert plain.training_prior == plain.target_prior == found.target_prior


@pytest.mark.parametrize(
    ("p", "hardness"),
    [
        ([0.1, 0.9], ["easy", "easy"]),
        ([0.1, 0.9], ["", ""]),
        ([0.5, 0.5], ["easy", "hard"]),
    ],
    ids=["one kind", "no votes", "all alike"],
)
def test_where_nothing_can_be_fitted_the_card_stays_as_it_is(p: list[float], hardness: list[str]) -> None:
    assert with_hardness(CARD, doubted(p, hardness), training=TRAINING, recipe=RECIPE) == CARD


def test_a_model_of_the_type_alone_or_training_without_votes_has_no_doubt() -> None:
    of_type = scored([0.0, 1.0], [0, 1], hardness=("easy", "hard"))
    assert with_hardness(LITE, of_type, training=TRAINING, recipe=RECIPE) == LITE
    no_votes = dataclasses.replace(TRAINING, votes=np.full((60, 3), np.nan, np.float32))
    some = doubted([0.1, 0.9], ["easy", "hard"])
    assert with_hardness(CARD, some, training=no_votes, recipe=RECIPE) == CARD
