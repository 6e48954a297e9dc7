"""Distribution functions, against SciPy's and by their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.distributions import (
    beta_cdf,
    beta_density,
    beta_quantile,
    log_odds,
    log_sum_exp,
    normal_cdf,
    sigmoid,
    student_quantile,
)

shapes = st.floats(math.log(0.05), math.log(20_000)).map(math.exp)
probabilities = st.floats(1e-6, 1 - 1e-6)
numbers = st.floats(-700, 700)


@given(shapes, shapes, probabilities)
def test_the_beta_distribution_is_scipys(a: float, b: float, q: float) -> None:
    special = pytest.importorskip("scipy.special")
    x = float(special.betaincinv(a, b, q))
    if 0 < x < 1:
        assert float(beta_cdf(a, b, x)) == pytest.approx(float(special.betainc(a, b, x)), abs=1e-9)
    assert beta_quantile(a, b, q) == pytest.approx(x, rel=1e-6, abs=1e-9)


@given(shapes, shapes, st.floats(1e-4, 1 - 1e-4))
def test_the_two_sides_of_a_beta_distribution_add_up_to_one(a: float, b: float, x: float) -> None:
    assert float(beta_cdf(a, b, x)) + float(beta_cdf(b, a, 1 - x)) == pytest.approx(1, abs=1e-9)
    assert 0 <= float(beta_cdf(a, b, x)) <= 1


@given(st.floats(1, 500), st.floats(1, 500), st.floats(0.01, 0.99))
def test_the_density_is_the_slope_of_the_distribution(a: float, b: float, x: float) -> None:
    step = 1e-6
    slope = float(beta_cdf(a, b, x + step) - beta_cdf(a, b, x - step)) / (2 * step)
    assert float(beta_density(a, b, x)) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_uniform_and_square_root_are_known() -> None:
    x = np.linspace(0, 1, 11)
    np.testing.assert_allclose(beta_cdf(1, 1, x), x, atol=1e-15)
    np.testing.assert_allclose(beta_cdf([2, 0.5], 1, 0.25), [0.0625, 0.5], rtol=1e-13)


@given(st.integers(1, 400), st.floats(0.5001, 0.9999))
def test_students_quantile_is_scipys(degrees: int, q: float) -> None:
    special = pytest.importorskip("scipy.special")
    assert student_quantile(degrees, q) == pytest.approx(float(special.stdtrit(degrees, q)), rel=1e-6)


@given(st.lists(numbers, min_size=1, max_size=20))
def test_log_odds_and_the_normal_are_scipys(values: list[float]) -> None:
    special = pytest.importorskip("scipy.special")
    z = np.array(values)
    np.testing.assert_allclose(sigmoid(z), special.expit(z), atol=1e-15)
    np.testing.assert_allclose(normal_cdf(z / 20), special.ndtr(z / 20), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(log_sum_exp(z), special.logsumexp(z), rtol=1e-12, atol=1e-12)
    p = special.expit(z / 30)
    np.testing.assert_allclose(log_odds(p), special.logit(p), rtol=1e-9, atol=1e-9)
