"""A local calibration finds the shift of a laboratory, as far as its figures tell it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit

from slidemitosis.calibration.local import fit_local
from slidemitosis.errors import InvalidOption
from slidemitosis.models.decision import (
    CalibrationPart,
    Decision,
    DecisionPart,
    PointPart,
    SpreadPart,
    ValidationPart,
)
from slidemitosis.rates.expected import expected_fraction
from tests.calibration.test_probability import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = PointPart(threshold=0.4, tp=1, fn=1, tn=1, fp=1)
# That of `drawn`: sigmoid(0.8 z - 1.2).
CARD = Decision(
    point="counting",
    threshold=0.4,
    calibration=CalibrationPart(
        views=1,
        slope=0.8,
        intercept=-1.2,
        counting=AT,
        balanced=AT,
        figures=1000,
        slides=20,
        protocol="drawn",
        spread=SpreadPart(slide_sd=0.3, domain_sd=0.0, intercept_se=0.05, slope_se=0.03, correlation=0.0),
    ),
    uncalibrated=DecisionPart(training_prior=0.5, target_prior=0.2, temperature=2.0, threshold=0.2),
    validation=ValidationPart(protocol="drawn", tp=1, fn=1, tn=1, fp=1),
)


def fitted(
    z: np.ndarray, labels: np.ndarray, slides: Sequence[str], card: Decision = CARD
) -> CalibrationPart:
    return fit_local(card, z, labels, slides=slides, views=1, protocol="drawn")


def log_odds_at(part: CalibrationPart, z: float) -> float:
    return part.slope * z + part.intercept


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.8])
def test_the_shift_of_a_laboratory_is_found_by_many_figures(shift: float) -> None:
    found = fitted(*drawn(30, 20, slide_sd=0.3, shift=shift, seed=2))
    assert log_odds_at(found, -1.0) == pytest.approx(0.8 * -1 - 1.2 + shift, abs=0.25)
    assert found.slope == pytest.approx(0.8, abs=0.15)
    assert (found.figures, found.slides) == (600, 30)


def test_few_figures_move_little_and_many_move_more() -> None:
    moved = [
        np.mean(
            [log_odds_at(fitted(*drawn(slides, 10, slide_sd=0.3, shift=1.2, seed=s)), -1.0) for s in range(6)]
        )
        for slides in (3, 10, 30)
    ]
    assert -2.0 < moved[0] - 0.1 < moved[1] - 0.05 < moved[2] < -0.8


def test_a_slope_that_differs_is_found_by_many_figures() -> None:
    z, labels, slides = drawn(15, 50, seed=4)
    # The network's logits are twice as far apart here as where the card was calibrated.
    assert fitted(2 * z, labels, slides).slope == pytest.approx(0.4, abs=0.08)


def test_a_model_without_calibration_gets_one() -> None:
    bare = dataclasses.replace(CARD, calibration=None)
    found = fitted(*drawn(15, 50, slide_sd=0.3, seed=6), bare)
    assert log_odds_at(found, -1.0) == pytest.approx(-2.0, abs=0.3)
    assert found.slope == pytest.approx(0.8, abs=0.1)
    assert found.spread is not None


@pytest.mark.slow
def test_intervals_of_other_slides_of_the_laboratory_hold_what_they_should() -> None:
    """Over laboratories, slides and samples drawn anew, each calibrated on 100 figures."""
    rng, held = np.random.default_rng(0), []
    for seed in range(40):
        shift = rng.normal(0, 0.5)
        own = fitted(*drawn(10, 10, slide_sd=0.3, shift=shift, seed=seed))
        z, labels, _ = drawn(10, 30, slide_sd=0.3, shift=shift, seed=1000 + seed)
        p = expit(own.slope * z + own.intercept)
        for rows in np.arange(300).reshape(10, 30):
            found = expected_fraction([p[rows].tolist()], own.spread).figures
            assert found is not None
            held.append(found[0] - 1e-9 <= labels[rows].mean() <= found[1] + 1e-9)
    assert 0.92 <= np.mean(held) <= 0.985


@pytest.mark.slow
def test_errors_are_those_of_samples_drawn_anew() -> None:
    fits = [fitted(*drawn(15, 20, slide_sd=0.3, seed=seed)) for seed in range(30)]
    spread = fits[0].spread
    assert spread is not None
    scatter = np.std([log_odds_at(f, -1.5) for f in fits])
    # At log-odds M an error of intercept a and slope b gives a + b M.
    m = log_odds_at(fits[0], -1.5)
    covariance = spread.correlation * spread.intercept_se * spread.slope_se
    stated = np.sqrt(spread.intercept_se**2 + 2 * m * covariance + (m * spread.slope_se) ** 2)
    # An estimate that begins from what is known scatters less than its error.
    assert 0.5 < scatter / stated < 1.1
    # Intercept and slope go together: without the correlation the error would be misstated.
    assert abs(np.hypot(spread.intercept_se, m * spread.slope_se) / stated - 1) > 0.2


def test_the_order_of_figures_and_the_names_of_slides_mean_nothing() -> None:
    z, labels, slides = drawn(8, 12, slide_sd=0.5, seed=9)
    order = np.random.default_rng(0).permutation(len(z))
    mixed = fitted(z[order], labels[order], [f"other {slides[i]}" for i in order])
    assert mixed == fitted(z, labels, slides)


def test_slides_that_are_alike_tell_more_than_one_slide() -> None:
    """A hundred figures of one slide may all be off with it."""
    z, labels, slides = drawn(10, 10, slide_sd=0.3, seed=11)
    of_ten, of_one = fitted(z, labels, slides).spread, fitted(z, labels, ["one"] * 100).spread
    assert of_ten is not None
    assert of_one is not None
    assert of_one.intercept_se > 1.1 * of_ten.intercept_se


def test_without_slides_there_is_no_spread() -> None:
    z, labels, _ = drawn(1, 100)
    found = fitted(z, labels, [""] * 100)
    assert found.spread is None
    assert found.slides == 0


def test_thresholds_count_as_expected_and_balance_as_expected() -> None:
    z, labels, slides = drawn(12, 50, shift=-0.5, seed=3)
    found = fitted(z, labels, slides)
    p = expit(found.slope * z + found.intercept)
    assert (p >= found.counting.threshold).sum() == pytest.approx(p.sum(), abs=1)

    def expected_balanced_accuracy(threshold: float) -> float:
        called = p >= threshold
        return float(p[called].sum() / p.sum() + (1 - p)[~called].sum() / (1 - p).sum()) / 2

    best = expected_balanced_accuracy(found.balanced.threshold)
    assert all(best >= expected_balanced_accuracy(t) - 1e-9 for t in np.linspace(0.02, 0.9, 89))


def test_changed_figures_alone_teach_the_reverse() -> None:
    """Why a list of corrections is refused: of figures chosen by the outcome, the slope turns round."""
    z, labels, slides = drawn(12, 50, seed=7)
    changed = (expit(0.8 * z - 1.2) >= 0.4) != (labels == 1)
    of_changed = fitted(z[changed], labels[changed], [s for s, c in zip(slides, changed, strict=True) if c])
    assert np.corrcoef(z, labels)[0, 1] > 0.4
    assert np.corrcoef(z[changed], labels[changed])[0, 1] < -0.7
    assert of_changed.slope < 0.5 * fitted(z, labels, slides).slope


def test_one_class_alone_is_refused() -> None:
    z, labels, slides = drawn(5, 20)
    with pytest.raises(InvalidOption, match="one class only"):
        fitted(z, 0 * labels, slides)
