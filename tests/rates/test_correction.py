"""The corrected fraction: the formula by hand, laws, and where there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption
from slidemitosis.options import ErrorCounts
from slidemitosis.rates.correction import Corrected, corrected_fraction
from slidemitosis.rates.intervals import wilson_interval

CARD = ErrorCounts(tp=571, fn=77, tn=1772, fp=474)
SPREAD = replace(CARD, sensitivity_sd=0.08, specificity_sd=0.1, sensitivity_se=0.0147, specificity_se=0.0228)
PERFECT = ErrorCounts(tp=10**9, fn=0, tn=10**9, fp=0)


def interval(found: Corrected) -> tuple[float, float]:
    assert found.interval is not None, found.reason
    return found.interval


def test_the_example_of_the_literature_comes_out() -> None:
    """Sensitivity .655 and specificity .890 read a true 10.4 % as 16.7 %, and one without any as 11 %."""
    errors = ErrorCounts(tp=655, fn=345, tn=890, fp=110)
    assert corrected_fraction(1667, 10_000, errors).fraction == pytest.approx(0.104, abs=5e-4)
    assert corrected_fraction(1100, 10_000, errors).fraction == pytest.approx(0, abs=1e-9)


def test_the_interval_is_that_of_lang_and_reiczigel() -> None:
    """Each step of their equations, written out apart from the code."""
    k, n, z = 30, 100, 1.959963984540054
    se, sp = (90 + 1) / (100 + 2), (240 + 1) / (300 + 2)
    n_ = n + z**2
    ap = (k + z**2 / 2) / n_
    p = (ap + sp - 1) / (se + sp - 1)
    dp = 2 * z**2 * (p * se * (1 - se) / 102 - (1 - p) * sp * (1 - sp) / 302)
    variance = ap * (1 - ap) / n_ + p**2 * se * (1 - se) / 102 + (1 - p) ** 2 * sp * (1 - sp) / 302
    half = z * math.sqrt(variance / (se + sp - 1) ** 2)
    found = corrected_fraction(k, n, ErrorCounts(tp=90, fn=10, tn=240, fp=60))
    assert interval(found) == pytest.approx((p + dp - half, p + dp + half), abs=1e-12)
    assert found.fraction == pytest.approx((0.3 + 0.8 - 1) / (0.9 + 0.8 - 1))


def test_without_errors_the_fraction_stays_and_the_interval_is_hardly_wider_than_wilsons() -> None:
    found = corrected_fraction(20, 100, PERFECT)
    assert found.fraction == pytest.approx(0.2, abs=1e-6)
    assert interval(found) == pytest.approx(wilson_interval(20, 100), abs=0.005)


errors = st.builds(
    ErrorCounts,
    tp=st.integers(0, 600),
    fn=st.integers(0, 200),
    tn=st.integers(0, 3000),
    fp=st.integers(0, 900),
    sensitivity_sd=st.floats(0, 0.2),
    specificity_sd=st.floats(0, 0.2),
    sensitivity_se=st.floats(0, 0.1),
    specificity_se=st.floats(0, 0.1),
)


@given(errors, st.integers(1, 300), st.floats(0.01, 1))
def test_intervals_hold_the_estimate_and_rise_with_the_figures_called_atypical(
    errors: ErrorCounts, n: int, spread: float
) -> None:
    found = [corrected_fraction(k, n, errors, spread=spread) for k in range(n + 1)]
    known = [(*f.interval, f.fraction or 0.0) for f in found if f.interval is not None]
    assume(known)
    assert all(f.fraction is not None for f in found if f.interval is not None)
    for low, high, fraction in known:
        assert 0 <= low <= fraction <= high <= 1
        assert low < high
    for (low, high, fraction), (next_low, next_high, next_fraction) in pairwise(known):
        assert fraction <= next_fraction
        assert low <= next_low + 1e-12
        assert high <= next_high + 1e-12
    assert all((f.reason is None) == (f.interval is not None) for f in found)


@given(st.integers(0, 60))
def test_what_is_not_known_of_the_classifier_widens_the_interval(k: int) -> None:
    def width(errors: ErrorCounts, spread: float = 1.0) -> float:
        low, high = interval(corrected_fraction(k, 60, errors, spread=spread))
        return high - low

    assume(15 < k < 45)  # elsewhere an end is cut off
    tenth = ErrorCounts(tp=57, fn=8, tn=177, fp=47)
    assert width(PERFECT) < width(CARD) < width(tenth)
    assert width(CARD) < width(SPREAD, 0.1) < width(SPREAD, 0.5) < width(SPREAD)


def test_correction_is_wider_than_what_it_corrects() -> None:
    low, high = wilson_interval(20, 60)
    corrected_low, corrected_high = interval(corrected_fraction(20, 60, CARD))
    assert corrected_high - corrected_low > high - low


def test_figures_of_like_slides_stand_for_fewer() -> None:
    positive, negative = SPREAD.effective
    assert sum(positive) == pytest.approx(571 * 77 / 648**2 / 0.0147**2)
    assert positive[0] / sum(positive) == pytest.approx(571 / 648)
    assert sum(negative) < 2246 / 5
    # An error below the binomial one makes no figures that were not there.
    assert replace(CARD, sensitivity_se=1e-6).effective[0] == (571, 77)


def test_a_share_that_no_true_fraction_can_give_has_no_interval_and_says_why() -> None:
    few = corrected_fraction(20, 500, CARD)
    assert (few.fraction, few.interval) == (0.0, None)
    assert few.reason == (
        "fewer figures are called atypical (4.0 %) than false calls alone would give (21.1 %): "
        "the specificity of these figures must be another"
    )
    many = corrected_fraction(500, 500, CARD)
    assert (many.fraction, many.interval) == (1.0, None)
    assert many.reason is not None
    assert "more figures are called atypical (100.0 %) than if all were (88.1 %)" in many.reason


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (ErrorCounts(tp=0, fn=0, tn=0, fp=0), "known of fewer than 10 figures"),
        (ErrorCounts(tp=9, fn=0, tn=500, fp=0), "known of fewer than 10 figures"),
        (ErrorCounts(tp=50, fn=50, tn=50, fp=50), "not surely better than chance"),
        (ErrorCounts(tp=10, fn=90, tn=20, fp=80), "not surely better than chance"),
        (replace(CARD, specificity_sd=0.5), "not surely better than chance"),
    ],
)
def test_errors_that_are_not_known_correct_nothing(errors: ErrorCounts, reason: str) -> None:
    found = corrected_fraction(5, 20, errors)
    assert (found.fraction, found.interval) == (None, None)
    assert found.reason is not None
    assert reason in found.reason


def test_no_figures_have_no_corrected_fraction() -> None:
    assert corrected_fraction(0, 0, CARD) == Corrected(None, None, "nothing was classified")


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidOption, match="0 or more"):
        ErrorCounts(tp=-1, fn=0, tn=1, fp=1)
    with pytest.raises(InvalidOption, match="must lie in 0 to 1"):
        replace(CARD, specificity_sd=1.0)
    for k, n, spread in ((-1, 5, 1.0), (6, 5, 1.0), (1, 5, 0.0), (1, 5, 1.1)):
        with pytest.raises(ValueError, match="must hold"):
            corrected_fraction(k, n, CARD, spread=spread)
