"""Intervals of 95 % hold the truth of 93 to 97 of 100 simulated slides; by benchmarks/coverage.py."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from slidemitosis.models.shipped import find_model
from slidemitosis.options import ErrorCounts
from slidemitosis.rates.counts import SlideRate
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval
from slidemitosis.rates.slide import card_errors
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
    known = card_errors(find_model(model))
    if not differ:
        known = ErrorCounts(tp=known.tp, fn=known.fn, tn=known.tn, fp=known.fp)
    held, _ = simulation["corrected_coverage"](n, p, known=known, differ=differ, told=True)
    assert 0.93 - NOISE <= held <= 0.97 + NOISE


def test_counts_alone_are_far_from_enough_where_slides_differ(simulation: dict[str, Any]) -> None:
    """Why the card says how slides differ."""
    known = card_errors(find_model("lite0-ensemble"))
    held, _ = simulation["corrected_coverage"](500, 0.2, known=known, differ=True, told=False)
    assert held < 0.6


def test_intervals_of_a_few_validated_figures_hold_the_truth_too(simulation: dict[str, Any]) -> None:
    few = ErrorCounts(tp=26, fn=4, tn=48, fp=12)
    for n, p in ((10, 0.2), (50, 0.2), (500, 0.2), (500, 0.4)):
        held, _ = simulation["corrected_coverage"](n, p, known=few, differ=False, told=True)
        assert held >= 0.93 - NOISE


def test_pooled_intervals_hold_the_truth_of_many_slides(simulation: dict[str, Any]) -> None:
    known = card_errors(find_model("lite0-ensemble"))
    raw, corrected, these = simulation["pooled_coverage"](50, known, draws=400)
    assert min(raw, corrected, these) >= 0.9
    few_raw, _, few_these = simulation["pooled_coverage"](3, known, draws=400)
    assert few_raw < 0.85  # which is why few_units is set
    assert few_these >= 0.92


def test_five_figures_are_said_to_be_too_few() -> None:
    assert SlideRate(atypical=1, normal=4).few_figures
