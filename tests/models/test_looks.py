"""A slide that looks unlike those of training is told from them, and one that looks alike is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.calibration.looks import measure_looks
from slidemitosis.errors import InvalidCard
from slidemitosis.models.looks import LIMIT, LooksPart, SlideLooks, figure_looks
from slidemitosis.models.shipped import find_model
from slidemitosis.train.data.ami_br import read_ami_br
from slidemitosis.train.data.class_folders import read_atnorm_md
from tests.conftest import needs_shared


def painted(slides: int, figures: int, *, seed: int, stain: float = 1.0, blur: bool = False) -> np.ndarray:
    """Paint noisy patches, uint8 (slides * figures, 32, 32, 3); each slide has its own stain and noise."""
    rng = np.random.default_rng(seed)
    density = np.array([0.5, 0.9, 0.5]) * np.exp(rng.normal(0, 0.2, (slides, 1, 1, 1, 3)))
    own = np.exp(rng.normal(0, 0.15, (slides, figures, 1, 1, 1)))
    noise = rng.normal(0, 0.2, (slides, figures, 32, 32, 1)) * np.exp(
        rng.normal(0, 0.2, (slides, 1, 1, 1, 1))
    )
    if blur:
        noise = (noise + np.roll(noise, 1, axis=2)) / 2
        noise = (noise + np.roll(noise, 1, axis=3)) / 2
    light = np.exp(-stain * density * own * np.maximum(1 + noise, 0))
    return np.round(255 * light).astype(np.uint8).reshape(-1, 32, 32, 3)


def looks_of(pixels: np.ndarray) -> SlideLooks:
    looks = SlideLooks()
    looks.add(figure_looks(pixels))
    return looks


def trained() -> LooksPart:
    part = measure_looks(painted(100, 20, seed=0), [f"slide {i // 20}" for i in range(2000)])
    assert part is not None
    return part


def share_beyond(part: LooksPart, pixels: np.ndarray, figures: int) -> float:
    units = pixels.reshape(-1, figures, *pixels.shape[1:])
    return float(np.mean([part.distance(looks_of(u)) > LIMIT for u in units]))


@pytest.mark.parametrize("figures", [5, 20, 60])
def test_slides_of_the_same_population_are_within_the_limit_however_many_figures(figures: int) -> None:
    assert share_beyond(trained(), painted(100, figures, seed=1), figures) <= 0.03


@pytest.mark.parametrize("other", [{"stain": 3.0}, {"stain": 0.3}, {"blur": True}])
def test_another_stain_or_sharpness_is_beyond_it(other: dict[str, Any]) -> None:
    assert share_beyond(trained(), painted(20, 20, seed=2, **other), 20) > 0.8


def test_features_are_what_they_are_called() -> None:
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 255, 94, 0
    pixels[0, :, ::2, 1] = 90  # every second column: 4 grey levels from its neighbours
    red, green, blue, sharpness = figure_looks(pixels)[0]
    assert red == 0
    assert green == pytest.approx(-np.log(90 / 255), rel=1e-5)  # every fourth column
    assert blue == pytest.approx(np.log(255))  # nothing is darker than one grey level
    assert sharpness == pytest.approx(np.log((0 + 4) / 2 + 0.1))


@given(st.integers(9, 40), st.integers(1, 3))
def test_patches_of_any_side_can_be_measured(side: int, count: int) -> None:
    found = figure_looks(np.full((count, side, side, 3), 128, np.uint8))
    assert found.shape == (count, 4)
    assert np.isfinite(found).all()
    assert figure_looks(np.zeros((0, side, side, 3), np.uint8)).shape == (0, 4)


def test_batches_add_up_to_the_whole() -> None:
    pixels = painted(1, 30, seed=3)
    parts = SlideLooks()
    for at in (0, 7, 21):
        parts.add(figure_looks(pixels[at : {0: 7, 7: 21, 21: 30}[at]]))
    assert parts.figures == 30
    assert parts.mean == pytest.approx(looks_of(pixels).mean)


def test_few_or_unknown_slides_are_not_measured() -> None:
    pixels = painted(19, 5, seed=0)
    assert measure_looks(pixels, [f"{i // 5}" for i in range(95)]) is None
    assert measure_looks(painted(20, 5, seed=0), [""] * 100) is None
    assert measure_looks(painted(20, 4, seed=0), [f"{i // 4}" for i in range(80)]) is None


def test_a_card_with_an_impossible_covariance_is_refused() -> None:
    part = trained()
    with pytest.raises(InvalidCard, match="positive definite"):
        dataclasses.replace(part, between=((0.0,) * 4,) * 4)


@pytest.mark.slow
def test_what_the_shipped_models_warn_of_on_real_figures() -> None:
    """The figures of docs/models.md: no slide of AMi-Br's test part, nearly every block of AtNorM-MD."""
    part = find_model("lite0").looks
    assert part is not None
    assert part == find_model("lite0-ensemble").looks
    test = read_ami_br(needs_shared("data", "ami-br")).test
    other = read_atnorm_md(needs_shared("data", "atnorm-md-dev")).training
    assert test is not None
    names = np.array(test.slides)
    alike = [test.pixels[names == n] for n in np.unique(names) if (names == n).sum() >= 5]
    assert len(alike) == 33
    assert not any(part.distance(looks_of(u)) > LIMIT for u in alike)
    blocks = [other.pixels[i : i + 20] for i in range(0, len(other) - 19, 20)]
    assert np.mean([part.distance(looks_of(u)) > LIMIT for u in blocks]) == pytest.approx(48 / 52)
