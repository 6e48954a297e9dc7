"""The expected fraction, its two intervals, and what slides of a cohort borrow from one another."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from slidemitosis.models.decision import SpreadPart
from slidemitosis.rates.borrowing import LEAST, borrowed_fractions, cohort_prior
from slidemitosis.rates.expected import (
    count_distribution,
    expected_fraction,
    poisson_binomial,
    tumour_fractions,
)
from slidemitosis.rates.intervals import jeffreys_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING_SHARED = SpreadPart(slide_sd=0, domain_sd=0, intercept_se=0, slope_se=0, correlation=0)
FITTED = SpreadPart(slide_sd=0.3, domain_sd=0.1, intercept_se=0.09, slope_se=0.05, correlation=-0.5)

probabilities = st.lists(st.floats(0, 1).map(lambda p: round(p, 6)), min_size=1, max_size=40)


def width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


@pytest.mark.parametrize("n", [1, 7, 60])
def test_equal_probabilities_give_the_binomial_distribution(n: int) -> None:
    found = poisson_binomial(np.full((1, n), 0.3))[0]
    assert found == pytest.approx(binom.pmf(np.arange(n + 1), n, 0.3), abs=1e-12)


def test_the_distribution_is_that_of_every_outcome_counted_by_hand() -> None:
    p = [0.1, 0.5, 0.9, 0.25]
    by_hand = [0.0] * 5
    for outcome in itertools.product((0, 1), repeat=4):
        by_hand[sum(outcome)] += math.prod(q if hit else 1 - q for q, hit in zip(p, outcome, strict=True))
    numbers, weights = count_distribution([p], NOTHING_SHARED)
    assert numbers.tolist() == [0, 1, 2, 3, 4]
    assert weights == pytest.approx(by_hand, abs=1e-12)


@given(p=probabilities)
@settings(max_examples=60, deadline=None)
def test_the_fraction_is_the_mean_and_lies_in_both_intervals(p: list[float]) -> None:
    found = expected_fraction([p], FITTED)
    assert found.fraction == pytest.approx(np.mean(p), abs=1e-12)
    for interval in (found.figures, found.tumour):
        assert interval is not None
        low, high = interval
        assert 0 <= low <= high <= 1
    assert found.figures is not None
    assert found.fraction is not None
    assert found.figures[0] <= found.fraction <= found.figures[1]
    assert found.reason is None


@given(p=probabilities)
@settings(max_examples=40, deadline=None)
def test_the_order_of_figures_means_nothing(p: list[float]) -> None:
    assert expected_fraction([p], FITTED) == expected_fraction([p[::-1]], FITTED)


def test_the_interval_is_the_shortest_run_of_numbers_with_95_percent() -> None:
    p = [0.05, 0.2, 0.4, 0.1, 0.8, 0.3, 0.15]
    _, weights = count_distribution([p], NOTHING_SHARED)
    runs = [(b - a, a, b) for a in range(8) for b in range(a, 8) if weights[a : b + 1].sum() >= 0.95]
    shortest = min(runs)[0]
    found = expected_fraction([p], NOTHING_SHARED).figures
    assert found is not None
    low, high = (round(7 * end) for end in found)
    assert high - low == shortest
    assert weights[low : high + 1].sum() >= 0.95


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 10), (40, 200), (7, 7)])
def test_figures_that_are_certain_leave_only_the_sampling_of_the_tumour(k: int, n: int) -> None:
    found = expected_fraction([[1.0] * k + [0.0] * (n - k)], NOTHING_SHARED)
    assert found.figures == pytest.approx((k / n, k / n), abs=1e-6)
    low, high = jeffreys_interval(k, n)
    assert found.tumour is not None
    # Jeffreys' interval of none, and of all, is one-sided by convention.
    assert k == 0 or found.tumour[0] == pytest.approx(low, abs=2e-3)
    assert k == n or found.tumour[1] == pytest.approx(high, abs=2e-3)


@pytest.mark.parametrize("what", ["slide_sd", "domain_sd", "intercept_se"])
def test_what_figures_share_widens_both_intervals(what: str) -> None:
    p = np.linspace(0.02, 0.7, 200).tolist()
    plain, shared = (
        expected_fraction([p], s) for s in (NOTHING_SHARED, replace(NOTHING_SHARED, **{what: 0.6}))
    )
    assert width(shared.figures) > 1.3 * width(plain.figures)
    assert width(shared.tumour) > 1.3 * width(plain.tumour)


def test_exact_and_normal_distributions_meet() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 2, 300).tolist()
    exact, normal = expected_fraction([p], FITTED), expected_fraction([[*p, float(np.mean(p))]], FITTED)
    assert exact.figures == pytest.approx(normal.figures, abs=0.006)


def test_a_shift_that_a_slide_has_for_itself_evens_out_over_slides_and_a_common_one_does_not() -> None:
    rng = np.random.default_rng(0)
    slides = [rng.beta(0.5, 2, 100).tolist() for _ in range(60)]
    own, common = (
        width(expected_fraction(slides, replace(NOTHING_SHARED, **{which: 0.5})).figures)
        for which in ("slide_sd", "domain_sd")
    )
    none = width(expected_fraction(slides, NOTHING_SHARED).figures)
    assert none < own < 2 * none
    assert common > 5 * own


def test_one_slide_in_two_parts_shares_no_shift_and_so_is_surer() -> None:
    p = np.linspace(0.05, 0.6, 200).tolist()
    whole, parts = (expected_fraction(s, FITTED) for s in ([p], [p[::2], p[1::2]]))
    assert parts.fraction == pytest.approx(whole.fraction)
    assert width(parts.figures) < width(whole.figures)


def test_without_a_calibration_there_is_a_mean_and_no_interval() -> None:
    found = expected_fraction([[0.2, 0.4]], None, cutoff=0.2)
    assert found.fraction == pytest.approx(0.3)
    assert (found.figures, found.tumour, found.above) == (None, None, None)
    assert found.reason == "the model is not calibrated for this number of views"


@pytest.mark.parametrize("slides", [[], [[]], [[], []]])
def test_no_figure_is_no_fraction(slides: Sequence[Sequence[float]]) -> None:
    found = expected_fraction(slides, FITTED)
    assert (found.fraction, found.figures, found.tumour) == (None, None, None)
    assert found.reason == "nothing was classified"


def test_the_probability_above_a_cut_off_is_what_the_interval_says() -> None:
    p = np.linspace(0.02, 0.7, 120).tolist()
    low, high = expected_fraction([p], FITTED).tumour or (0, 0)
    above = [expected_fraction([p], FITTED, cutoff=c).above for c in (low, (low + high) / 2, high)]
    assert above[0] == pytest.approx(0.975, abs=1e-3)
    assert above[2] == pytest.approx(0.025, abs=1e-3)
    assert above[1] is not None
    assert 0.3 < above[1] < 0.7


def test_a_tumour_of_equal_figures_is_surer_than_one_of_figures_that_differ() -> None:
    """What experts would say of one figure is uncertain, and evens out over all of a tumour's."""
    equal, mixed = [0.3] * 100, [0.0] * 70 + [1.0] * 30
    assert width(tumour_fractions([equal], NOTHING_SHARED).interval) < 0.5 * width(
        tumour_fractions([mixed], NOTHING_SHARED).interval
    )


# Borrowing


def cohort(fractions: Sequence[float], figures: Sequence[int], seed: int = 0) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [rng.beta(8 * f, 8 * (1 - f), n).tolist() for f, n in zip(fractions, figures, strict=True)]


def test_slides_with_few_figures_come_nearer_to_the_cohort_than_those_with_many() -> None:
    rng = np.random.default_rng(1)
    slides = cohort(rng.uniform(0.05, 0.4, 40).tolist(), [5] * 20 + [400] * 20)
    mean = np.mean([np.mean(s) for s in slides])
    found = borrowed_fractions([[s] for s in slides], FITTED)
    moved = [
        abs(np.mean(s) - b.fraction) / max(abs(np.mean(s) - mean), 0.02)
        for s, b in zip(slides, found, strict=True)
        if b is not None
    ]
    assert np.mean(moved[:20]) > 2 * np.mean(moved[20:])
    few = found[0]
    assert few is not None
    assert width(few.tumour) < width(expected_fraction([slides[0]], FITTED).tumour)


def test_the_prior_has_the_mean_and_the_spread_of_the_tumours() -> None:
    rng = np.random.default_rng(2)
    truth = rng.beta(4, 12, 300).tolist()
    a, b = cohort_prior(cohort(truth, [200] * 300), NOTHING_SHARED)
    assert a / (a + b) == pytest.approx(0.25, abs=0.02)
    assert a + b == pytest.approx(16, rel=0.3)


def test_slides_that_are_alike_are_one_and_chance_alone_is_no_difference() -> None:
    a, b = cohort_prior(cohort([0.2] * 50, [8] * 50), NOTHING_SHARED)
    assert a + b > 100


def test_nothing_is_borrowed_where_it_would_say_nothing() -> None:
    slides = [[s] for s in cohort([0.2] * LEAST, [10] * LEAST)]
    assert None not in borrowed_fractions(slides, FITTED)
    assert set(borrowed_fractions(slides[1:], FITTED)) == {None}
    assert set(borrowed_fractions(slides, None)) == {None}
    assert borrowed_fractions([*slides, []], FITTED)[-1] is None
