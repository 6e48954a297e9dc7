"""Intervals of 95 % hold the truth of 93 to 97 of 100 simulated slides; by benchmarks/coverage.py."""

from __future__ import annotations

import runpy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slidemitosis.models.shipped import find_model
from slidemitosis.options import ErrorCounts
from slidemitosis.rates.counts import SlideRate
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval
from slidemitosis.rates.slide import validated_errors
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

NOISE = 0.011
"""2.3 standard errors of a share of .95 of 2,000 draws."""


@pytest.fixture(scope="module")
def simulation() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "benchmarks" / "coverage.py"))


@pytest.mark.parametrize("interval", [wilson_interval, jeffreys_interval])
@pytest.mark.parametrize("n", [10, 50, 500])
def test_intervals_as_called_hold_the_truth_over_all_fractions(
    simulation: dict[str, Any], interval: Any, n: int
) -> None:
    """At a single fraction they need not: k is a whole number (Brown, Cai and DasGupta 2001)."""
    assert 0.93 <= simulation["raw_coverage"](interval, n, None) <= 0.97


@pytest.mark.parametrize(("n", "worst"), [(10, 0.91), (50, 0.92), (500, 0.93)])
@pytest.mark.parametrize("p", [0.1, 0.2, 0.4])
def test_wilson_intervals_are_never_far_off_at_a_single_fraction(
    simulation: dict[str, Any], n: int, worst: float, p: float
) -> None:
    assert worst <= simulation["raw_coverage"](wilson_interval, n, p) <= 0.99


@pytest.mark.parametrize("model", ["lite0", "lite0-ensemble"])
@pytest.mark.parametrize("differ", [False, True], ids=["slides alike", "slides differ"])
@pytest.mark.parametrize("n", [10, 50, 500])
@pytest.mark.parametrize("p", [0.1, 0.2, 0.4])
def test_corrected_intervals_hold_the_truth_with_se_and_sp_from_counts_as_the_cards(
    simulation: dict[str, Any], model: str, differ: bool, n: int, p: float
) -> None:
    known = validated_errors(find_model(model).validation)
    if not differ:
        known = ErrorCounts(tp=known.tp, fn=known.fn, tn=known.tn, fp=known.fp)
    held, _ = simulation["corrected_coverage"](n, p, known=known, differ=differ, told=True)
    assert 0.93 - NOISE <= held <= 0.97 + NOISE


def test_counts_alone_are_far_from_enough_where_slides_differ(simulation: dict[str, Any]) -> None:
    """Why the card says how slides differ."""
    known = validated_errors(find_model("lite0-ensemble").validation)
    held, _ = simulation["corrected_coverage"](500, 0.2, known=known, differ=True, told=False)
    assert held < 0.6


def test_intervals_of_a_few_validated_figures_hold_the_truth_too(simulation: dict[str, Any]) -> None:
    few = ErrorCounts(tp=26, fn=4, tn=48, fp=12)
    for n, p in ((10, 0.2), (50, 0.2), (500, 0.2), (500, 0.4)):
        held, _ = simulation["corrected_coverage"](n, p, known=few, differ=False, told=True)
        assert held >= 0.93 - NOISE


def test_pooled_intervals_hold_the_truth_of_many_slides(simulation: dict[str, Any]) -> None:
    known = validated_errors(find_model("lite0-ensemble").validation)
    raw, corrected, these = simulation["pooled_coverage"](50, known, draws=400)
    assert min(raw, corrected, these) >= 0.9
    few_raw, _, few_these = simulation["pooled_coverage"](3, known, draws=400)
    assert few_raw < 0.85  # which is why few_units is set
    # Below ten figures there is no interval, and these were the widest.
    assert few_these >= 0.9


def test_five_figures_are_said_to_be_too_few() -> None:
    assert SlideRate(atypical=1, normal=4).few_figures


@pytest.fixture(scope="module")
def rates() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "benchmarks" / "rates.py"))


@pytest.mark.parametrize("n", [5, 20, 100, 500])
@pytest.mark.parametrize("mean", [0.05, 0.2, 0.4])
def test_the_expected_interval_holds_what_experts_would_count_at_the_fitted_spread(
    rates: dict[str, Any], n: int, mean: float
) -> None:
    (part,) = (c for c in find_model("lite0").calibrations if c.views == 1)
    p = np.random.default_rng(0).beta(0.35, 1.2, 2000)
    held = rates["simulated_coverage"](part, p, n=n, mean=mean, draws=400)
    # 400 draws have a standard error of .011; a number of figures is whole, so that few figures hold more.
    assert 0.92 <= held <= (0.98 if n > 20 else 1)


def test_an_interval_without_the_slides_own_shift_would_be_too_narrow(rates: dict[str, Any]) -> None:
    (part,) = (c for c in find_model("lite0").calibrations if c.views == 1)
    p = np.random.default_rng(0).beta(0.35, 1.2, 2000)
    assert part.spread is not None
    alike = replace(part, spread=replace(part.spread, slide_sd=0, domain_sd=0, intercept_se=0, slope_se=0))
    held = rates["simulated_coverage"](part, p, n=500, mean=0.2, draws=300, told=alike.spread)
    assert held < 0.85
