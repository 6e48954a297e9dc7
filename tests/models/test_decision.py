"""Probabilities of logits: worked out by hand, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.models.decision import DecisionPart

shares = st.floats(0.001, 0.999)


def decision(training: float, target: float, temperature: float = 1.0) -> DecisionPart:
    return DecisionPart(training_prior=training, target_prior=target, temperature=temperature, threshold=0.5)


@pytest.mark.parametrize(
    ("part", "logit", "probability"),
    [
        (decision(0.5, 0.5), 0.0, 0.5),
        # A network taught on 50:50 that cannot tell leaves what was known before: the prior.
        (decision(0.5, 0.2), 0.0, 0.2),
        (decision(0.5, 0.2), math.log(4), 0.5),  # odds 4 x 1/4
        (decision(0.2, 0.2), math.log(3), 0.75),  # nothing shifts
        (decision(0.25, 0.5), 0.0, 0.75),  # odds 1 / (1/3)
        (decision(0.5, 0.5, 2.0), math.log(9), 0.75),  # odds 9 ** (1 / 2)
        (decision(0.5, 0.2, 2.0), math.log(16), 0.5),  # odds 16 ** (1 / 2) x 1/4
        (decision(0.25, 0.5, 2.0), math.log(3), 0.75),  # odds (3 x 3) ** (1 / 2)
    ],
)
def test_probabilities_are_those_worked_out_by_hand(
    part: DecisionPart, logit: float, probability: float
) -> None:
    assert part.probability(np.array([logit])) == pytest.approx([probability], abs=1e-12)


@given(
    part=st.builds(decision, shares, shares, st.floats(0.2, 5)),
    logits=st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=20),
)
def test_a_higher_logit_never_gives_a_lower_probability(part: DecisionPart, logits: list[float]) -> None:
    p = part.probability(np.sort(np.array(logits, np.float32)))
    assert (np.diff(p) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()


@given(p=shares, part=st.builds(decision, shares, shares))
def test_without_a_temperature_the_prior_correction_is_bayes_rule(p: float, part: DecisionPart) -> None:
    up, down = part.target_prior / part.training_prior, (1 - part.target_prior) / (1 - part.training_prior)
    expected = p * up / (p * up + (1 - p) * down)
    assert part.probability(np.array([math.log(p / (1 - p))])) == pytest.approx([expected], abs=1e-9)


@pytest.mark.parametrize("logit", [1e3, 1e6, np.inf])
def test_extreme_logits_are_certain_without_a_warning(logit: float) -> None:
    part = decision(0.5, 0.2, 0.5)
    assert part.probability(np.array([-logit, logit])).tolist() == [0, 1]
