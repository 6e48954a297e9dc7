"""Further outputs: how they are stated beside a calibrated P(atypical), and which subtype is named."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidCard
from slidemitosis.labels import AMF_SUBTYPES, NMF_SUBTYPES, SUBTYPES
from slidemitosis.models.decision import HardnessPart
from slidemitosis.models.shipped import find_model
from slidemitosis.models.subtypes import stated_extras
from slidemitosis.prediction import likeliest_subtype
from slidemitosis.train.fit.targets import LAYOUTS

if TYPE_CHECKING:
    from slidemitosis.models.card import HeadPart

LITE = find_model("lite0")


def card_of(*heads: HeadPart, hardness: HardnessPart | None = None):  # type: ignore[no-untyped-def]
    network = dataclasses.replace(LITE.networks[0], heads=heads)
    return dataclasses.replace(LITE, networks=(network,), hardness=hardness, folder=Path())


MULTI_TASK = card_of(*LAYOUTS["multi-task"])
weights = st.lists(st.floats(0.001, 1), min_size=8, max_size=8)


@given(weights, st.floats(0, 1))
def test_subtypes_share_out_the_stated_probability_of_their_type(w: list[float], p: float) -> None:
    told = stated_extras(MULTI_TASK, np.array([[0.3, *w]]), np.array([p]))
    assert tuple(told) == ("hard", *SUBTYPES)
    assert sum(told[s][0] for s in AMF_SUBTYPES) == pytest.approx(p)
    assert sum(told[s][0] for s in NMF_SUBTYPES) == pytest.approx(1 - p)
    # Within a type the proportions are the network's.
    for names, start in ((NMF_SUBTYPES, 0), (AMF_SUBTYPES, 4)):
        shares = np.array(w[start : start + 4]) / sum(w[start : start + 4])
        total = sum(told[s][0] for s in names)
        np.testing.assert_allclose([told[s][0] for s in names], shares * total, rtol=1e-6, atol=1e-300)


def test_a_network_that_excludes_a_type_gives_no_nan() -> None:
    told = stated_extras(MULTI_TASK, np.array([[0.0, *[0.0] * 4, *[0.25] * 4]]), np.array([0.9]))
    assert all(np.isfinite(v).all() for v in told.values())


def test_hardness_goes_through_its_own_calibration() -> None:
    # Log-odds log(4) and log(3): 0.5 log(4) + 0.25 log(3) - 1.
    hardness = HardnessPart(slope=0.5, type_slope=0.25, intercept=-1.0)
    card = card_of(*LAYOUTS["multi-task"], hardness=hardness)
    extra = np.array([[0.8, *[0.25] * 8], [1.0, *[0.25] * 8]])
    told = stated_extras(card, extra, np.array([0.75, 1.0]))
    want = 1 / (1 + math.exp(-(0.5 * math.log(4) + 0.25 * math.log(3) - 1)))
    assert told["hard"][0] == pytest.approx(want)
    assert 0.999 < told["hard"][1] <= 1
    assert stated_extras(MULTI_TASK, extra, np.array([0.5, 0.5]))["hard"][0] == 0.8


@given(st.floats(-60, 60), st.floats(0.2, 5))
def test_subtypes_add_up_also_where_the_type_is_nearly_certain(logit: float, temperature: float) -> None:
    p = 1 / (1 + math.exp(-logit))
    stated = np.array([1 / (1 + math.exp(-logit / temperature))])
    extra = np.array([[0.5, *[(1 - p) / 4 or 1e-30] * 4, *[p / 4 or 1e-30] * 4]], np.float32)
    told = stated_extras(MULTI_TASK, extra, stated)
    assert sum(told[s][0] for s in AMF_SUBTYPES) == pytest.approx(stated[0], rel=1e-6)
    assert sum(told[s][0] for s in NMF_SUBTYPES) == pytest.approx(1 - stated[0], rel=1e-6)


def test_a_model_of_the_type_alone_states_nothing_else() -> None:
    assert stated_extras(card_of(*LAYOUTS["type"]), np.zeros((3, 0)), np.full(3, 0.5)) == {}


def test_a_decision_on_hardness_needs_an_output_to_decide_on() -> None:
    with pytest.raises(InvalidCard, match=r"\[hardness\], but no head that tells easy from hard"):
        card_of(*LAYOUTS["type"], hardness=HardnessPart(slope=1.0, type_slope=0.0, intercept=0.0))


def test_the_subtype_that_is_named_is_one_of_the_type_that_was_called() -> None:
    p = {"NMF metaphase": 0.6, "AMF other": 0.1, "AMF multipolar": 0.3}
    assert likeliest_subtype(p, atypical=True) == "AMF multipolar"
    assert likeliest_subtype(p, atypical=False) == "NMF metaphase"
    assert likeliest_subtype({"AMF other": 1.0}, atypical=False) is None
    assert likeliest_subtype({}, atypical=True) is None
