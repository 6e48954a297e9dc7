"""Temperature, threshold and counts, against brute force and against cases worked out by hand."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.calibration.thresholds import (
    best_threshold,
    between_slides,
    count_validation,
    fit_decision,
)
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    found = count_validation(p, y, 0.5, "by hand", slides=[""] * 7)
    assert (found.tp, found.fn, found.tn, found.fp) == (3, 1, 2, 1)
    assert found.protocol == "by hand"


def test_counts_of_one_class_alone_keep_their_cells() -> None:
    found = count_validation(np.array([0.2, 0.1]), np.array([0, 0]), 0.5, "", slides=["a", "b"])
    assert found.between_slides is None
    assert (found.tp, found.fn, found.tn, found.fp) == (0, 0, 2, 0)


@pytest.mark.parametrize(("temperature", "limit"), [(0.02, 0.2), (50.0, 5.0)])
def test_the_temperature_stays_within_its_limits(temperature: float, limit: float) -> None:
    logits, y = simulated(temperature, 0.5)
    assert fit_decision(logits, y, training_prior=0.5, target_prior=0.5).temperature == limit


def test_the_training_prior_is_undone() -> None:
    """Logits that were learnt with 80 % AMF lie log 4 higher; the fit is the same as without that."""
    logits, y = simulated(1.0, 0.3)
    plain = fit_decision(logits, y, training_prior=0.5, target_prior=0.3)
    shifted = logits + np.float32(math.log(4))
    found = fit_decision(shifted, y, training_prior=0.8, target_prior=0.3)
    assert found.temperature == pytest.approx(plain.temperature, abs=2e-4)
    assert found.threshold == pytest.approx(plain.threshold, abs=2e-4)
    assert found.probability(shifted) == pytest.approx(plain.probability(logits), abs=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label: int) -> None:
    y = np.full(3, label)
    with pytest.raises(InvalidOption, match="one class only"):
        fit_decision(np.arange(3, dtype=np.float32), y, training_prior=0.5, target_prior=0.2)
    with pytest.raises(InvalidOption, match="one class only"):
        best_threshold(np.array([0.1, 0.2, 0.3]), y)


def test_a_collapsed_training_is_refused() -> None:
    with pytest.raises(InvalidOption, match="collapsed"):
        fit_decision(np.ones(4, np.float32), np.array([0, 1, 0, 1]), training_prior=0.5, target_prior=0.5)


def slides_of(
    sd: float, *, slides: int = 400, seed: int = 0
) -> tuple[NDArray[np.bool_], NDArray[np.int64], list[str]]:
    """Calls on slides of unlike sizes whose specificity is .8 with this SD; sensitivity .9 on all."""
    rng = np.random.default_rng(seed)
    called, atypical, names = [], [], []
    for i in range(slides):
        n = int(rng.integers(2, 40))
        size = 0.8 * 0.2 / sd**2 - 1 if sd else 0
        specificity = rng.beta(0.8 * size, 0.2 * size) if sd else 0.8
        y = (rng.random(n) < 0.4).astype(np.int64)
        called.append(np.where(y == 1, rng.random(n) < 0.9, rng.random(n) >= specificity))
        atypical.append(y)
        names += [f"{i}.svs"] * n
    return np.concatenate(called), np.concatenate(atypical), names


@pytest.mark.parametrize("sd", [0.0, 0.1, 0.2])
def test_the_spread_between_slides_is_found_again(sd: float) -> None:
    found = between_slides(*slides_of(sd))
    assert found is not None
    assert found.slides == 400
    assert found.specificity_sd == pytest.approx(sd, abs=0.03)
    assert found.sensitivity_sd < 0.04


def test_the_standard_error_is_that_of_validations_on_other_slides() -> None:
    specificities, errors = [], []
    for seed in range(200):
        called, y, names = slides_of(0.2, slides=60, seed=seed)
        found = between_slides(called, y, names)
        assert found is not None
        specificities.append(1 - called[y == 0].mean())
        errors.append(found.specificity_se)
    assert np.mean(errors) == pytest.approx(np.std(specificities), rel=0.15)


def test_slides_that_cannot_tell_a_spread_give_none() -> None:
    called, y = np.array([True, True, False, False]), np.array([1, 1, 0, 0])
    assert between_slides(called, y, ["a", "b", "a", ""]) is None  # one is not known
    assert between_slides(called, y, ["a", "b", "a", "b"]) is None  # never two of a class on one
    assert between_slides(called, y, ["a", "a", "a", "a"]) is None  # one slide
