"""Several slides together: counts, drawn intervals, and what a few slides cannot tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.options import ErrorCounts
from slidemitosis.rates.correction import corrected_fraction
from slidemitosis.rates.counts import SlideRate, total
from slidemitosis.rates.intervals import wilson_interval
from slidemitosis.rates.pooling import PooledRate, pooled

CARD = ErrorCounts(tp=571, fn=77, tn=1772, fp=474, sensitivity_sd=0.08, specificity_sd=0.1)

slides = st.lists(st.builds(SlideRate, atypical=st.integers(0, 30), normal=st.integers(0, 90)), max_size=12)


@given(slides)
def test_the_pooled_fraction_is_that_of_all_figures_and_lies_in_its_interval(rates: list[SlideRate]) -> None:
    found = pooled(rates, draws=200)
    assert found.rate == total(rates)
    assert found.units == sum(r.classified > 0 for r in rates)
    if found.units < 2:
        assert found.fraction_interval is None
        return
    assert found.fraction_interval is not None
    low, high = found.fraction_interval
    each = [r.fraction for r in rates if r.fraction is not None]
    assert min(each) - 1e-12 <= low <= high <= max(each) + 1e-12


def test_slides_that_differ_have_a_wider_interval_than_their_figures() -> None:
    rates = [SlideRate(atypical=0, normal=50), SlideRate(atypical=40, normal=10)] * 10
    found = pooled(rates)
    assert found.fraction_interval is not None
    low, high = found.fraction_interval
    of_figures = wilson_interval(found.rate.atypical, found.rate.classified)
    assert high - low > 2 * (of_figures[1] - of_figures[0])


def test_slides_that_are_alike_have_hardly_any_interval_from_drawing_them() -> None:
    found = pooled([SlideRate(atypical=2, normal=8)] * 20)
    assert found.fraction_interval == pytest.approx((0.2, 0.2))
    assert not found.few_units
    assert pooled([SlideRate(atypical=2, normal=8)] * 5).few_units


def test_the_same_slides_in_the_same_order_give_the_same_numbers() -> None:
    rates = [SlideRate(atypical=i % 5, normal=3 + i) for i in range(15)]
    assert pooled(rates, errors=CARD) == pooled(rates, errors=CARD)
    assert pooled(rates, errors=CARD, seed=1) != pooled(rates, errors=CARD)


def test_slides_without_figures_change_nothing_but_counts() -> None:
    rates = [SlideRate(atypical=a, normal=n) for a, n in ((3, 9), (1, 20), (4, 4))]
    with_empty = pooled([rates[0], SlideRate(atypical=0, normal=0, blank=3), *rates[1:]], errors=CARD)
    alone = pooled(rates, errors=CARD)
    assert with_empty.rate.blank == 3
    assert replace(with_empty, rate=alone.rate) == alone


def test_errors_of_slides_average_out_over_slides() -> None:
    """One slide is corrected as itself; ten slides of the same share have a narrower interval than it has."""

    def interval(found: PooledRate) -> tuple[float, float]:
        assert found.corrected is not None
        assert found.corrected.interval is not None
        return found.corrected.interval

    one = pooled([SlideRate(atypical=300, normal=700)], errors=CARD)
    assert one.corrected == corrected_fraction(300, 1000, CARD)
    ten = pooled([SlideRate(atypical=30, normal=70)] * 10, errors=CARD)
    together = corrected_fraction(300, 1000, CARD, spread=0.1)
    assert interval(ten) == pytest.approx(together.interval, abs=1e-12)
    assert interval(one)[0] < interval(ten)[0]
    assert interval(ten)[1] < interval(one)[1]
    # Drawing slides still leaves what is not known of the mean sensitivity and specificity.
    assert ten.corrected_interval is not None
    assert ten.corrected_interval[1] - ten.corrected_interval[0] > 0.02


def test_nothing_to_pool_is_no_rate() -> None:
    found = pooled([], errors=CARD)
    assert (found.units, found.rate.fraction) == (0, None)
    assert (found.fraction_interval, found.corrected_interval) == (None, None)
    assert found.corrected is not None
    assert found.corrected.reason == "nothing was classified"


def test_without_error_counts_nothing_is_corrected() -> None:
    found = pooled([SlideRate(atypical=3, normal=9)] * 3)
    assert (found.corrected, found.corrected_interval) == (None, None)
