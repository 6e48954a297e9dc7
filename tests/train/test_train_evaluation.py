"""Scores and calibration, against brute force and against cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from slidemitosis.cards import (
    TASK,
    DecisionPart,
    InputPart,
    ModelCard,
    NetworkPart,
    ValidationPart,
)
from slidemitosis.models import Classifier
from slidemitosis.train.data import Figures
from slidemitosis.train.evaluation import (
    best_threshold,
    count_validation,
    fit_decision,
    logits_of,
    score,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Brightness(nn.Module):
    """The logit is ten times the mean brightness, of -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))[:, None] * self.scale


def classifier(decision: DecisionPart) -> Classifier:
    card = ModelCard(
        format=1,
        name="brightness",
        version="1",
        task=TASK,
        description="",
        intended_use="tests",
        data=(),
        licence="",
        citation=(),
        network=NetworkPart(
            architecture="-",
            classes=("NMF", "AMF"),
            logit_of="AMF",
            weights="weights.safetensors",
            sha256="0" * 64,
            parameters=1,
        ),
        input=InputPart(
            mpp=0.25,
            patch=128,
            crop=32,
            resize=32,
            interpolation="bilinear",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        decision=decision,
        validation=ValidationPart(protocol="none", tp=0, fn=0, tn=0, fp=0),
        folder=Path(),
    )
    return Classifier(card, Brightness()).eval()


def figures(*shades: tuple[int, int]) -> Figures:
    """A grey figure for each (shade, label)."""
    pixels = np.stack([np.full((128, 128, 3), shade, np.uint8) for shade, _ in shades])
    labels = np.array([label for _, label in shades])
    return Figures(tuple(map(str, range(len(shades)))), pixels, labels, ("",) * len(shades))


def balanced_accuracy(called: NDArray[np.bool_], atypical: NDArray[np.int64]) -> float:
    """By the definition: the mean of sensitivity and specificity."""
    return float((called[atypical == 1].mean() + (~called[atypical == 0]).mean()) / 2)


# Few values, so that figures of both classes share some.
graded = st.lists(
    st.tuples(st.integers(1, 19).map(lambda i: i / 20), st.integers(0, 1)), min_size=2, max_size=30
).filter(lambda rows: len({p for p, _ in rows}) > 1 and len({y for _, y in rows}) == 2)


@given(graded)
def test_no_threshold_is_better_than_the_one_found(rows: list[tuple[float, int]]) -> None:
    p, y = (np.array(v) for v in zip(*rows, strict=True))
    found = best_threshold(p, y)
    every = [balanced_accuracy(p >= cut, y) for cut in sorted(set(p))[1:]]
    assert balanced_accuracy(p >= found, y) == pytest.approx(max(every), abs=1e-9)


@given(graded)
def test_the_threshold_lies_in_the_middle_of_the_widest_gap_of_the_best(
    rows: list[tuple[float, int]],
) -> None:
    p, y = (np.array(v) for v in zip(*rows, strict=True))
    found = best_threshold(p, y)
    below, above = p[p < found].max(), p[p >= found].min()
    assert found == pytest.approx((below + above) / 2)
    values = np.unique(p)
    cuts = [balanced_accuracy(p >= high, y) for high in values[1:]]
    gaps = [
        high - low
        for low, high, good in zip(values, values[1:], cuts, strict=False)
        if good >= max(cuts) - 1e-9
    ]
    assert above - below == pytest.approx(max(gaps))


def test_the_threshold_of_separate_classes_lies_half_way() -> None:
    assert best_threshold(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.4)


def simulated(
    temperature: float, share: float, *, n: int = 1500
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits that are `temperature` times the true log-likelihood ratio, of figures with this share of AMF.

    The log-likelihood ratio of two normal distributions at distance d is normal itself: mean +-d^2 / 2
    and variance d^2. Quantiles stand for draws, so that chance has no part in it.
    """
    y = (np.arange(n) < round(n * share)).astype(np.int64)
    ratio = np.empty(n)
    for label in (0, 1):
        count = int((y == label).sum())
        normal = NormalDist((label - 0.5) * 4.0, 2.0)
        ratio[y == label] = [normal.inv_cdf((i + 0.5) / count) for i in range(count)]
    return (ratio * temperature).astype(np.float32), y


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_known_temperature_is_found_again(temperature: float, share: float) -> None:
    logits, y = simulated(temperature, share)
    found = fit_decision(logits, y, training_prior=0.5, target_prior=0.2)
    assert found.temperature == pytest.approx(temperature, rel=0.04)
    assert (found.training_prior, found.target_prior) == (0.5, 0.2)


def test_the_temperature_is_the_likeliest_for_the_share_among_these_figures() -> None:
    """Of weak logits and few atypical figures, where another prior would ask for another temperature."""
    rng = np.random.default_rng(3)
    y = (np.arange(400) < 20).astype(np.int64)
    logits = rng.normal(y * 1.0, 1.5).astype(np.float32)

    def loss(temperature: float) -> float:
        shifted = logits.astype(float) / temperature + math.log(20 / 380)
        return float(np.mean(np.logaddexp(0, shifted) - y * shifted))

    found = fit_decision(logits, y, training_prior=0.5, target_prior=0.2).temperature
    grid = np.linspace(0.2, 5, 2000)
    assert found == pytest.approx(min(grid, key=loss), rel=0.02)


def test_fitted_probabilities_come_true() -> None:
    """Of the figures with a probability of about p, a share of about p is atypical."""
    logits, y = simulated(2.0, 0.25)
    p = fit_decision(logits, y, training_prior=0.5, target_prior=0.25).probability(logits)
    assert p.mean() == pytest.approx(y.mean(), abs=0.01)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        rows = (p >= low) & (p < high)
        assert y[rows].mean() == pytest.approx(p[rows].mean(), abs=0.05)


def test_the_fitted_threshold_is_where_the_likelihoods_are_equal() -> None:
    """There the balanced accuracy is best, and the probability is the prior that it is stated for."""
    logits, y = simulated(1.5, 0.3)
    found = fit_decision(logits, y, training_prior=0.5, target_prior=0.3)
    assert found.threshold == pytest.approx(0.3, abs=0.06)


def test_the_prior_that_probabilities_are_stated_for_changes_no_call() -> None:
    logits, y = simulated(1.5, 0.3)
    calls = []
    for prior in (0.1, 0.5):
        found = fit_decision(logits, y, training_prior=0.5, target_prior=prior)
        calls.append(found.probability(logits) >= found.threshold)
    assert (calls[0] != calls[1]).mean() < 0.002


def test_counts_are_those_of_the_four_cells() -> None:
    p, y = np.array([0.9, 0.8, 0.3, 0.5, 0.1, 0.2, 0.5]), np.array([1, 1, 1, 1, 0, 0, 0])
    found = count_validation(p, y, 0.5, "by hand")
    assert (found.tp, found.fn, found.tn, found.fp) == (3, 1, 2, 1)
    assert found.protocol == "by hand"


def test_counts_of_one_class_alone_keep_their_cells() -> None:
    found = count_validation(np.array([0.2, 0.1]), np.array([0, 0]), 0.5, "")
    assert (found.tp, found.fn, found.tn, found.fp) == (0, 0, 2, 0)


@pytest.mark.parametrize("views", [1, 8])
def test_scores_are_those_worked_out_by_hand(views: int) -> None:
    """Shades 255, 230, 140, 100, 50, 0 have the logits 10, 8.0, 1.0, -2.2, -6.1, -10."""
    decision = DecisionPart(training_prior=0.5, target_prior=0.5, temperature=2.0, threshold=0.75)
    shades = figures((255, 1), (230, 0), (140, 1), (100, 1), (50, 0), (0, 0))
    found = score("by hand", classifier(decision), shades, views=views)
    assert (found.data, found.figures, found.atypical, found.views) == ("by hand", 6, 3, views)
    assert found.balanced_accuracy == 0.5  # above 2 ln 3 = 2.2: 255 and 230; sensitivity 1/3, specificity 2/3
    assert found.balanced_accuracy_at_half == 0.6667  # above 0: 255, 230, 140; 2/3 and 2/3
    assert found.auroc == 0.7778  # of 9 pairs, 230 stands above 140 and above 100


def test_the_call_at_the_threshold_itself_is_atypical() -> None:
    """Shade 0 has the logit -10; its probability is taken as the threshold."""
    threshold = 1 / (1 + math.exp(10.0))
    part = DecisionPart(
        training_prior=0.5, target_prior=0.5, temperature=1.0, threshold=threshold * (1 - 1e-6)
    )
    assert score("", classifier(part), figures((0, 1), (0, 0)), views=1).balanced_accuracy == 0.5
    two = figures((1, 1), (0, 0))
    part = DecisionPart(training_prior=0.5, target_prior=0.5, temperature=1.0, threshold=threshold * 1.01)
    assert score("", classifier(part), two, views=1).balanced_accuracy == 1


def test_logits_come_in_the_order_of_the_figures() -> None:
    part = DecisionPart(training_prior=0.5, target_prior=0.5, temperature=1.0, threshold=0.5)
    shades = np.random.default_rng(0).integers(0, 256, 70)
    logits = logits_of(classifier(part), figures(*((int(s), 0) for s in shades)), views=1)
    assert logits == pytest.approx((shades / 255 - 0.5) * 20, abs=1e-4)
