"""The atypical rate: counts, the two numbers of that name, and the interval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.candidates import Candidate
from slidemitosis.prediction import CandidateResult, PlacedCandidate, Prediction
from slidemitosis.rates.counts import SlideRate, slide_rate, total
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval

if TYPE_CHECKING:
    from slidemitosis.prediction import Status


def prediction(status: Status, atypical: bool | None = None, **told: Any) -> CandidateResult:
    placed = PlacedCandidate(Candidate(id=None, x=0, y=0, class_name=None, source="line 2"), "", 0, 0, 0, 0)
    p = told.pop("probability", None if atypical is None else float(atypical))
    said = None if p is None else Prediction(p, atypical=bool(atypical), **told)
    return CandidateResult(placed, status, None, said)


def rate(atypical: int, normal: int) -> SlideRate:
    return SlideRate(atypical=atypical, normal=normal)


def test_every_status_is_counted_once_and_only_in_its_place() -> None:
    predictions = [
        *[prediction("classified", atypical=True)] * 2,
        *[prediction("classified", atypical=False)] * 3,
        *[prediction("unreadable")] * 5,
        *[prediction("outside")] * 7,
        *[prediction("duplicate")] * 11,
        *[prediction("blank")] * 13,
        *[prediction("uncertain", probability=0.25)] * 4,
    ]
    found = slide_rate(predictions)
    assert found == SlideRate(
        atypical=2,
        normal=3,
        unreadable=5,
        outside=7,
        blank=13,
        duplicates=11,
        uncertain=4,
        probabilities=((0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25, 1.0, 1.0),),
    )
    assert (found.classified, found.mitoses) == (5, 9)
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


@pytest.mark.parametrize(
    ("status", "atypical"), [("outside", True), ("classified", None), ("blank", True), ("uncertain", None)]
)
def test_a_status_that_contradicts_the_prediction_is_an_error(status: Status, atypical: bool | None) -> None:
    with pytest.raises(ValueError, match="line 2 is"):
        slide_rate([prediction(status, atypical)])


def test_the_mean_probability_is_over_all_that_the_model_looked_at() -> None:
    found = slide_rate(
        [
            prediction("classified", atypical=True, probability=0.9),
            prediction("classified", atypical=False, probability=0.1),
            prediction("uncertain", probability=0.2),
            prediction("outside"),
        ]
    )
    assert found.mean_probability == pytest.approx(0.4)
    assert slide_rate([prediction("outside")]).mean_probability is None


def test_both_intervals_are_of_the_classified_figures_alone() -> None:
    found = slide_rate(
        [
            *[prediction("classified", atypical=True)] * 2,
            *[prediction("classified", atypical=False)] * 8,
            *[prediction("uncertain", probability=0.2)] * 30,
        ]
    )
    assert found.fraction_interval == wilson_interval(2, 10)
    assert found.fraction_interval_jeffreys == jeffreys_interval(2, 10)


def test_the_total_of_slides_is_the_rate_of_all_their_figures() -> None:
    first = [
        prediction("classified", atypical=True, subtypes={"AMF other": 0.5}, p_hard=0.25),
        prediction("blank"),
    ]
    second = [
        prediction("classified", atypical=False, subtypes={"AMF other": 0.25, "NMF metaphase": 0.5}),
        prediction("duplicate"),
        prediction("uncertain", probability=0.2),
    ]
    together = total([slide_rate(first), slide_rate(second)])
    assert together.probabilities == ((1.0,), (0.0, 0.2))
    in_one = slide_rate([*first, *second])
    assert replace(together, probabilities=in_one.probabilities) == in_one
    assert total([]) == slide_rate([])
