"""Intervals of a proportion: published ends, laws, and the rare counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval

Interval = Callable[[int, int], tuple[float, float]]
both = pytest.mark.parametrize("interval", [wilson_interval, jeffreys_interval])


# Four are published; the others follow from the quadratic equation that the score interval solves.
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (2, 10, 0.0567, 0.5098),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (1, 1, 0.2065, 1.0),
        (0, 1, 0.0, 0.7935),
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (1, 29, 0.0061, 0.1718),  # Newcombe 1998, table I
        (0, 20, 0.0, 0.1611),  # Newcombe 1998, table I
    ],
)
def test_the_interval_has_the_published_ends(k: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=5.1e-5)


counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_ends_solve_the_equation_of_the_score_test(k_n: tuple[int, int]) -> None:
    """At each end, the proportion lies 1.96 standard errors of that end away (Wilson 1927)."""
    k, n = k_n
    for end in wilson_interval(k, n):
        if 0 < end < 1:
            assert abs(k / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, rel=1e-4)


@given(k_n=counts, times=st.integers(2, 50))
def test_more_figures_of_the_same_share_narrow_the_interval(k_n: tuple[int, int], times: int) -> None:
    k, n = k_n
    low, high = wilson_interval(k, n)
    closer_low, closer_high = wilson_interval(k * times, n * times)
    assert closer_high - closer_low < high - low
    assert low <= closer_low + 1e-15
    assert closer_high <= high + 1e-15


def test_a_larger_quantile_widens_the_interval() -> None:
    (low, high), (wider_low, wider_high) = wilson_interval(3, 10), wilson_interval(3, 10, z=2.5758)
    assert wider_low < low < high < wider_high


@pytest.mark.parametrize(("k", "n"), [(1, 5), (2, 10), (5, 10), (3, 200), (199, 200)])
def test_the_jeffreys_interval_cuts_off_equal_tails_of_its_posterior(k: int, n: int) -> None:
    """The likelihood times the prior p^(-1/2) (1 - p)^(-1/2), summed by hand over p = sin^2 t, flat in t."""
    t = (np.arange(1_000_000) + 0.5) / 1_000_000 * math.pi / 2
    weight = np.sin(t) ** (2 * k) * np.cos(t) ** (2 * (n - k))
    low, high = jeffreys_interval(k, n)
    below = weight[np.sin(t) ** 2 < low].sum() / weight.sum()
    above = weight[np.sin(t) ** 2 > high].sum() / weight.sum()
    assert (below, above) == pytest.approx((0.025, 0.025), abs=1e-5)


@pytest.mark.parametrize("n", [1, 10, 500])
def test_the_jeffreys_interval_reaches_to_an_end_where_all_figures_are_of_one_class(n: int) -> None:
    assert jeffreys_interval(0, n)[0] == 0
    assert jeffreys_interval(n, n)[1] == 1


@pytest.mark.parametrize(
    ("interval", "precision"),
    [(wilson_interval, 1e-12), (jeffreys_interval, 1e-9)],
    ids=["Wilson", "Jeffreys"],
)
@given(counts)
def test_intervals_hold_the_proportion_and_those_of_the_other_class_are_their_mirror_images(
    interval: Interval, precision: float, k_n: tuple[int, int]
) -> None:
    k, n = k_n
    low, high = interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    assert interval(n - k, n) == pytest.approx((1 - high, 1 - low), abs=precision)


@both
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_one_more_atypical_figure_moves_both_ends_up(interval: Interval, k_n: tuple[int, int]) -> None:
    k, n = k_n
    (low, high), (next_low, next_high) = interval(k, n), interval(k + 1, n)
    assert low < next_low
    assert high <= next_high
    assert high < next_high or k + 1 == n


@both
@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5), (1, -1)])
def test_counts_that_cannot_be_have_no_interval(interval: Interval, k: int, n: int) -> None:
    with pytest.raises(ValueError, match="n > 0 must hold"):
        interval(k, n)
