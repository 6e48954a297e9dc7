"""P(atypical), thresholds and spread are those of the law that drew the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from slidemitosis.calibration.probability import fit_calibration
from slidemitosis.calibration.spread import domain_shift_sd
from slidemitosis.calibration.thresholds import counting_threshold
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from slidemitosis.models.decision import CalibrationPart


def drawn(
    slides: int, figures: int, *, slide_sd: float = 0.0, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Draw logits whose P(AMF) is sigmoid(0.8 z - 1.2 + the slide's shift), labels, and slides."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, slides * figures)
    of = np.repeat(np.arange(slides), figures)
    odds = 0.8 * z - 1.2 + shift + rng.normal(0, slide_sd, slides)[of]
    labels = (rng.random(len(z)) < expit(odds)).astype(np.int64)
    return z, labels, [f"slide {i}" for i in of]


def fitted(z: np.ndarray, labels: np.ndarray, slides: list[str]) -> CalibrationPart:
    return fit_calibration(z, labels, views=1, protocol="drawn", slides=slides)


def test_slope_and_intercept_are_found_again() -> None:
    found = fitted(*drawn(100, 200))
    assert found.slope == pytest.approx(0.8, abs=0.03)
    assert found.intercept == pytest.approx(-1.2, abs=0.06)
    assert (found.figures, found.slides, found.views) == (20_000, 100, 1)


def test_the_mean_of_the_probabilities_is_the_share_of_the_labels() -> None:
    z, labels, slides = drawn(40, 25, seed=3)
    found = fitted(z, labels, slides)
    assert expit(found.slope * z + found.intercept).mean() == pytest.approx(labels.mean(), abs=1e-4)


@pytest.mark.parametrize("sd", [0.0, 0.5, 1.0])
def test_the_spread_between_slides_is_found_again(sd: float) -> None:
    found = fitted(*drawn(300, 60, slide_sd=sd, seed=1)).spread
    assert found is not None
    assert found.slide_sd == pytest.approx(sd, abs=0.12)


def test_errors_of_the_fit_are_those_of_slides_drawn_anew() -> None:
    """A figure more on a slide says less than one of another slide, where slides differ."""
    fits = [fitted(*drawn(40, 40, slide_sd=0.8, seed=seed)) for seed in range(60)]
    # The marginal log-odds are flatter than those of one slide; only their scatter is looked at.
    odds = [f.intercept for f in fits]
    spreads = [f.spread for f in fits if f.spread]
    assert np.mean([s.intercept_se for s in spreads]) == pytest.approx(np.std(odds, ddof=1), rel=0.5)


def test_without_slides_there_is_no_spread() -> None:
    z, labels, slides = drawn(10, 50)
    found = fitted(z, labels, [*slides[:-1], ""])
    assert (found.spread, found.slides) == (None, 0)


def test_a_domain_that_shifts_is_seen_and_chance_is_not() -> None:
    own = fitted(*drawn(100, 100))
    alike = [drawn(50, 100, seed=s)[:2] for s in (5, 6)]
    shifted = [drawn(50, 100, seed=s, shift=shift)[:2] for s, shift in ((5, 0.6), (6, -0.6))]
    assert domain_shift_sd(own, alike) < 0.1
    assert domain_shift_sd(own, shifted) == pytest.approx(0.6, abs=0.1)
    assert domain_shift_sd(own, []) == 0


@given(
    figures=st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=2, max_size=60).filter(
        lambda f: len({a for _, a in f}) == 2 and len({p for p, _ in f}) == len(f)
    )
)
@settings(max_examples=100, deadline=None)
def test_as_many_are_called_as_are_atypical(figures: list[tuple[float, bool]]) -> None:
    p, labels = np.array([p for p, _ in figures]), np.array([int(a) for _, a in figures])
    assert (p >= counting_threshold(p, labels)).sum() == labels.sum()


def test_one_class_or_one_output_cannot_be_calibrated() -> None:
    z, labels, slides = drawn(10, 20)
    with pytest.raises(InvalidOption, match="one class only"):
        fitted(z, np.zeros_like(labels), slides)
    with pytest.raises(InvalidOption, match="the same probability"):
        fitted(np.zeros_like(z), labels, slides)


def test_the_two_operating_points_are_counted_on_the_same_figures() -> None:
    z, labels, slides = drawn(60, 50, seed=4)
    found = fitted(z, labels, slides)
    p = np.round(expit(found.slope * z + found.intercept), 6)
    for point in (found.counting, found.balanced):
        called = p >= point.threshold
        assert (point.tp, point.fp) == ((called & (labels == 1)).sum(), (called & (labels == 0)).sum())
        assert point.tp + point.fn + point.tn + point.fp == len(z)
    # Four decimals of the threshold may move a call or two.
    assert abs(found.counting.tp + found.counting.fp - labels.sum()) <= 2
    assert found.balanced.threshold < found.counting.threshold
