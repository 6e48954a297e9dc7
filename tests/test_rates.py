"""The atypical rate: counts, the two numbers of that name, and the interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import Candidate
from slidemitosis.predictions import Prediction
from slidemitosis.rates import SlideRate, slide_rate, wilson_interval

if TYPE_CHECKING:
    from slidemitosis.predictions import Status


def prediction(status: Status, atypical: bool | None = None) -> Prediction:
    candidate = Candidate(id=None, x=0, y=0, class_name=None, source="line 2")
    probability = None if atypical is None else float(atypical)
    return Prediction(
        candidate, "", 0, 0, 0, 0, status, None, 0.0, probability=probability, atypical=atypical
    )


def rate(atypical: int, normal: int) -> SlideRate:
    return SlideRate(atypical=atypical, normal=normal, unreadable=0, outside=0, blank=0, duplicates=0)


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
def test_the_interval_holds_the_proportion_and_stays_a_proportion(k_n: tuple[int, int]) -> None:
    k, n = k_n
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


@given(counts)
def test_the_ends_solve_the_equation_of_the_score_test(k_n: tuple[int, int]) -> None:
    """At each end, the proportion lies 1.96 standard errors of that end away (Wilson 1927)."""
    k, n = k_n
    for end in wilson_interval(k, n):
        if 0 < end < 1:
            assert abs(k / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, rel=1e-4)


@given(counts)
def test_the_interval_of_the_other_class_is_its_mirror_image(k_n: tuple[int, int]) -> None:
    k, n = k_n
    low, high = wilson_interval(k, n)
    assert wilson_interval(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


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


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5), (1, -1)])
def test_counts_that_cannot_be_have_no_interval(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="n > 0 must hold"):
        wilson_interval(k, n)


def test_every_status_is_counted_once_and_only_in_its_place() -> None:
    predictions = [
        *[prediction("classified", atypical=True)] * 2,
        *[prediction("classified", atypical=False)] * 3,
        *[prediction("unreadable")] * 5,
        *[prediction("outside")] * 7,
        *[prediction("duplicate")] * 11,
        *[prediction("blank")] * 13,
    ]
    found = slide_rate(predictions)
    assert found == SlideRate(atypical=2, normal=3, unreadable=5, outside=7, blank=13, duplicates=11)
    assert found.classified == 5
    assert found.fraction == 0.4
    assert found.ratio == pytest.approx(2 / 3)
    assert found == slide_rate(reversed(predictions))


def test_what_was_not_classified_does_not_move_the_rate() -> None:
    classified = [prediction("classified", atypical=True), prediction("classified", atypical=False)]
    with_others = slide_rate([*classified, prediction("outside"), prediction("unreadable")])
    assert with_others.fraction == slide_rate(classified).fraction == 0.5
    assert with_others.fraction_interval == slide_rate(classified).fraction_interval


def test_no_figures_have_no_rate_rather_than_a_rate_of_zero() -> None:
    none = slide_rate([prediction("outside")])
    assert (none.fraction, none.ratio, none.fraction_interval) == (None, None, None)
    assert none.few_figures


def test_only_normal_figures_have_a_rate_of_zero() -> None:
    assert (rate(0, 4).fraction, rate(0, 4).ratio) == (0, 0)


def test_only_atypical_figures_have_a_fraction_but_no_ratio() -> None:
    assert (rate(4, 0).fraction, rate(4, 0).ratio) == (1, None)
    assert rate(4, 0).fraction_interval == wilson_interval(4, 4)


def test_the_fraction_is_of_all_and_the_ratio_is_of_the_normal() -> None:
    found = rate(27, 100)
    assert found.ratio == 0.27
    assert found.fraction == pytest.approx(0.2126, abs=1e-4)


@pytest.mark.parametrize(
    ("atypical", "normal", "few"), [(0, 0, True), (4, 5, True), (5, 5, False), (0, 10, False)]
)
def test_fewer_than_ten_figures_are_few(atypical: int, normal: int, few: bool) -> None:
    assert rate(atypical, normal).few_figures is few
