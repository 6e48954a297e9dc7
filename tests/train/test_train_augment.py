"""Augmentation: what it may change, how far, and that a generator decides all of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.train.augment import STAINS, augment, jitter_stains
from slidemitosis.train.recipe import load_recipe

if TYPE_CHECKING:
    from slidemitosis.train.recipe import Recipe

RECIPE = load_recipe("lite0")
STILL = replace(
    RECIPE, crop=64, resize=64, scale=0.0, shift=0.0, stain_gain=0.0, stain_offset=0.0, contrast=0.0, blur=0.0
)
"""Turns and mirrors, and changes nothing else."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 4) -> torch.Tensor:
    return torch.randint(0, 256, (n, 128, 128, 3), dtype=torch.uint8, generator=generator(99))


def with_recipe(patches: torch.Tensor, seed: int = 0, **changes: Any) -> torch.Tensor:
    recipe: Recipe = replace(STILL, **changes)
    return augment(patches, recipe, generator(seed))


def distances() -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of each pixel of a patch, in px from its centre."""
    at = torch.arange(128) - 63.5
    return at[None, :].expand(128, 128), at[:, None].expand(128, 128)


def grey(values: torch.Tensor) -> torch.Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)[None, :, :, None].expand(1, 128, 128, 3)


def blobs(*places: tuple[float, float]) -> torch.Tensor:
    """One patch with a soft bright spot in a channel of its own at each place, px from the centre."""
    x, y = distances()
    patch = torch.zeros(1, 128, 128, 3)
    for channel, (x0, y0) in enumerate(places):
        patch[0, :, :, channel] = 255 * torch.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 18)
    return patch.round().to(torch.uint8)


def centres(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 2): x and y of the middle of each channel's light, in px from the centre of the image."""
    side = images.shape[-1]
    at = torch.arange(side) - (side - 1) / 2
    images = (images - 0.02).clamp(min=0)  # the stains' logarithm lifts black to 1 / 255
    light = images.sum((2, 3))
    return torch.stack([(images.sum(2) * at).sum(2) / light, (images.sum(3) * at).sum(2) / light], -1)


@pytest.mark.parametrize("resize", [64, 128])
@pytest.mark.parametrize(
    "patches",
    [
        noise(),
        torch.zeros((2, 128, 128, 3), dtype=torch.uint8),
        torch.full((2, 128, 128, 3), 255, dtype=torch.uint8),
        torch.tensor([255, 0, 0], dtype=torch.uint8).expand(2, 128, 128, 3),
    ],
    ids=["noise", "black", "white", "red"],
)
def test_images_come_out_as_numbers_from_zero_to_one(patches: torch.Tensor, resize: int) -> None:
    strong = replace(RECIPE, resize=resize, blur=1.0, stain_gain=1.0, stain_offset=1.0, contrast=0.9)
    for recipe in (replace(RECIPE, resize=resize), strong):
        out = augment(patches, recipe, generator())
        assert out.shape == (len(patches), 3, resize, resize)
        assert out.dtype == torch.float32
        assert torch.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1


def test_the_generator_decides_everything() -> None:
    torch.manual_seed(1)
    first = augment(noise(), RECIPE, generator(5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again, other = augment(noise(), RECIPE, generator(5)), augment(noise(), RECIPE, generator(6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_patches_are_not_written_into() -> None:
    patches = noise()
    augment(patches, RECIPE, generator())
    assert torch.equal(patches, noise())


def test_each_figure_of_a_batch_gets_a_draw_of_its_own() -> None:
    same = noise(1).expand(6, 128, 128, 3)
    every: list[dict[str, Any]] = [
        {},
        {"stain_gain": 0.5},
        {"contrast": 0.5},
        {"shift": 8.0},
        {"scale": 0.3},
    ]
    for changes in every:
        out = with_recipe(same, **changes)
        assert len({image.numpy().tobytes() for image in out}) == 6


@given(st.integers(0, 10**6))
def test_a_round_image_stays_as_it_is_when_turned(seed: int) -> None:
    """So the crop is centred, nothing is stretched, and a pixel keeps its size."""
    x, y = distances()
    rings = grey(127 + 100 * torch.cos(torch.hypot(x, y) / 4))
    out = with_recipe(rings, seed)
    expected = rings[:, 32:96, 32:96].permute(0, 3, 1, 2) / 255
    assert (out - expected).abs().max() < 0.06


def test_figures_are_turned_all_round_and_mirrored() -> None:
    places = [(18 * math.cos(a), 18 * math.sin(a)) for a in (0, 2.1, 4.2)]
    out = centres(with_recipe(blobs(*places).expand(200, 128, 128, 3)))
    assert torch.allclose(out.norm(dim=-1), torch.tensor(18.0), atol=0.3)
    angle = torch.atan2(out[:, 0, 1], out[:, 0, 0])
    assert torch.histc(angle, 8, -math.pi, math.pi).min() > 5
    hand = out[:, 0, 0] * out[:, 1, 1] - out[:, 0, 1] * out[:, 1, 0] > 0
    assert 60 < int(hand.sum()) < 140


def test_figures_are_scaled_by_the_recipe_both_ways_and_no_further() -> None:
    places = [(18, 0), (-9, 15.6), (-9, -15.6)]
    factor = centres(with_recipe(blobs(*places).expand(150, 128, 128, 3), scale=0.25)).norm(dim=-1)[:, 0] / 18
    assert factor.min() > 1 / 1.25 - 0.02
    assert factor.max() < 1.25 + 0.02
    assert factor.min() < 0.82
    assert factor.max() > 1.22
    assert factor.median() == pytest.approx(1, abs=0.05)


def test_figures_are_shifted_by_the_recipe_in_px_of_the_patch() -> None:
    middle = blobs((0, 0), (0, 0), (0, 0)).expand(150, 128, 128, 3)
    for resize, factor in ((64, 1), (128, 2)):
        away = centres(with_recipe(middle, shift=6.0, resize=resize))[:, 0] / factor
        assert away.abs().max() < math.sqrt(2) * 6.1
        assert away.norm(dim=-1).max() > 6
        assert away.mean(0).abs().max() < 1


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_without_gain_and_offset_the_stains_stay_as_they_are(red: int, green: int, blue: int) -> None:
    x = (torch.tensor([red, green, blue]) / 255).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert torch.allclose(jitter_stains(x, 0.0, 0.0, generator()), x.clamp(min=1 / 255), atol=1e-4)


def test_a_stain_alone_changes_along_its_own_line() -> None:
    """Scaled haematoxylin is more or less haematoxylin, and gets no eosin."""
    stain = STAINS[0]
    x = torch.exp(-0.8 * stain).view(1, 3, 1, 1).expand(50, 3, 2, 2)
    density = -torch.log(jitter_stains(x, 0.2, 0.0, generator()))[:, :, 0, 0]
    amount = density @ stain / (stain @ stain)
    assert torch.allclose(density, amount[:, None] * stain, atol=1e-3)
    assert 0.08 < (amount / 0.8).std() < 0.35
    assert (amount / 0.8).mean() == pytest.approx(1, abs=0.12)


def test_the_stains_are_one_apart_from_the_others() -> None:
    assert STAINS.norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=0.01)
    assert torch.linalg.cond(STAINS) < 20


def test_white_background_takes_on_no_gain() -> None:
    white = torch.ones(4, 3, 2, 2)
    assert torch.allclose(jitter_stains(white, 0.5, 0.0, generator()), white, atol=1e-6)


def test_contrast_keeps_the_mean_and_scales_what_is_around_it() -> None:
    x, _ = distances()
    patches = grey(127 + 40 * torch.sign(x)).expand(50, 128, 128, 3)
    plain, changed = with_recipe(patches), with_recipe(patches, contrast=0.3)
    assert torch.allclose(plain.mean((1, 2, 3)), changed.mean((1, 2, 3)), atol=1e-4)
    factor = changed.std((1, 2, 3)) / plain.std((1, 2, 3))
    assert 0.69 < factor.min() < 0.8
    assert 1.2 < factor.max() < 1.31


def test_blur_takes_its_share_of_the_figures_and_smooths_them() -> None:
    patches = noise(1).expand(100, 128, 128, 3)
    plain, blurred = with_recipe(patches), with_recipe(patches, blur=0.3)
    changed = (plain - blurred).abs().amax((1, 2, 3)) > 1e-6
    assert 15 < int(changed.sum()) < 45
    assert (blurred[changed].std((1, 2, 3)) < plain[changed].std((1, 2, 3))).all()
    assert torch.allclose(blurred.mean((1, 2, 3)), plain.mean((1, 2, 3)), atol=0.01)
    constant = with_recipe(torch.full((8, 128, 128, 3), 51, dtype=torch.uint8), blur=1.0)
    assert torch.allclose(constant, torch.tensor(0.2), atol=1e-5)


def test_blur_mixes_neither_channels_nor_figures() -> None:
    patches = torch.zeros((2, 128, 128, 3), dtype=torch.uint8)
    patches[0, :, :, 0] = 255
    out = with_recipe(patches, blur=1.0)
    assert torch.allclose(out[0, 0], torch.tensor(1.0), atol=1e-5)
    assert out[0, 1:].max() < 0.02
    assert out[1].max() < 0.02
