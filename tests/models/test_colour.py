"""Colours as optical densities of stains: scikit-image's numbers, and a jitter along the stains' lines."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.models.colour import HED_MEAN, HED_STD, STAINS, rgb_to_hed, stain_jitter

BYTE = st.integers(0, 255)
NONE = torch.zeros(1, 3)
HAEMATOXYLIN = torch.exp(-0.8 * STAINS[0]).view(1, 3, 1, 1)
TURN = torch.tensor([[[0.1, -0.05, 0.02], [0, 0, 0], [0, 0, 0]]])


def one_pixel(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1)


def stained(amounts: torch.Tensor) -> torch.Tensor:
    """RGB (B, 3, 1, 1) of amounts (B, 3) of the stains, in scikit-image's unit."""
    return torch.pow(1e-6, amounts @ STAINS)[:, :, None, None]


def test_colours_are_unmixed_as_scikit_image_does() -> None:
    """log_1e-6 of the colour times the inverse of the matrix, negatives set to 0.

    The inverse is (1.87798274, -1.00767869, -0.55611582; -0.06590806, 1.13473037, -0.1355218;
    -0.60190736, -0.48041419, 1.57358807), as scikit-image's documentation of `hed_from_rgb` gives it.
    """
    # log_1e-6 of 0.5, 0.25, 0.5 is 0.0501717, 0.1003433, 0.0501717; of 0.1 it is 1/6.
    expected = {
        (0.5, 0.25, 0.5): (0.0574096, 0.0392023, 0.0374492),
        (0.1, 1.0, 1.0): (0.3129971, 0.0, 0.0),
        (0.1, 0.1, 0.1): (0.2016945, 0.0, 0.1469917),
        (1.0, 1.0, 1.0): (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0): (1.2101673, 0.0, 0.8819505),
    }
    for colour, hed in expected.items():
        assert rgb_to_hed(one_pixel(*colour)).flatten().tolist() == pytest.approx(hed, abs=2e-6)


def test_scikit_image_itself_gives_the_same() -> None:
    skimage_color = pytest.importorskip("skimage.color")
    x = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    theirs = skimage_color.rgb2hed(x.numpy(), channel_axis=1)
    assert torch.allclose(rgb_to_hed(x), torch.from_numpy(theirs).float(), atol=1e-5)


@pytest.mark.parametrize("stain", range(3))
def test_the_colour_of_a_pure_stain_is_in_its_channel_alone(stain: int) -> None:
    amounts = torch.zeros(1, 3)
    amounts[0, stain] = 0.3
    hed = rgb_to_hed(stained(amounts)).flatten()
    assert torch.allclose(hed, amounts.flatten(), atol=1e-5)


@given(st.lists(st.floats(0, 0.3), min_size=3, max_size=3))
def test_mixed_stains_come_out_in_their_amounts(amounts: list[float]) -> None:
    wanted = torch.tensor([amounts])
    assert torch.allclose(rgb_to_hed(stained(wanted))[:, :, 0, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_shape_and_the_type_of_a_batch_are_kept(dtype: torch.dtype) -> None:
    x = torch.rand(4, 3, 9, 6, dtype=dtype)
    for out in (rgb_to_hed(x), stain_jitter(x, gain=x[:, :, 0, 0], offset=x[:, :, 1, 1])):
        assert out.shape == x.shape
        assert out.dtype == dtype


def test_the_normalisation_has_three_sound_numbers_each() -> None:
    assert len(HED_MEAN) == len(HED_STD) == 3
    assert all(0 < m < 0.1 for m in HED_MEAN)
    assert all(0 < s < 0.2 for s in HED_STD)


def test_the_stains_are_one_long_and_apart_from_each_other() -> None:
    assert STAINS.norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=0.01)
    assert torch.linalg.cond(STAINS) < 20


@given(BYTE, BYTE, BYTE)
def test_without_gain_and_offset_every_colour_stays_as_it_is(red: int, green: int, blue: int) -> None:
    x = one_pixel(red / 255, green / 255, blue / 255)
    # Not to the bit: 0 times the inverse's rounding may leave 1e-8.
    assert torch.allclose(stain_jitter(x, gain=NONE, offset=NONE), x, rtol=0, atol=1e-6)


def test_a_stain_alone_changes_along_its_own_line() -> None:
    """Scaled haematoxylin is more or less haematoxylin, and gets no eosin."""
    out = stain_jitter(HAEMATOXYLIN, gain=torch.tensor([[0.25, -0.4, 0.3]]), offset=NONE)
    assert torch.allclose(-torch.log(out).flatten(), 0.8 * 1.25 * STAINS[0], atol=1e-5)


def test_an_offset_adds_an_amount_of_its_stain_to_any_colour() -> None:
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)).clamp(min=0.1)
    out = stain_jitter(x, gain=NONE, offset=torch.tensor([[0.0, 0.2, 0.0]]))
    assert torch.allclose(torch.log(x / out), (0.2 * STAINS[1]).view(1, 3, 1, 1).expand_as(x), atol=1e-5)


def test_white_takes_on_no_gain_and_black_stays_black() -> None:
    gain, offset = torch.full((1, 3), 0.5), torch.full((1, 3), -0.3)
    white, black = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    assert torch.allclose(stain_jitter(white, gain=gain, offset=NONE), white, atol=1e-6)
    assert torch.equal(stain_jitter(black, gain=gain, offset=offset), black)


def test_a_turned_stain_has_another_colour_and_the_same_strength() -> None:
    density = -torch.log(stain_jitter(HAEMATOXYLIN, gain=NONE, offset=NONE, turn=TURN)).flatten()
    other = STAINS[0] + TURN[0, 0]
    want = 0.8 * other * STAINS[0].norm() / other.norm()
    assert torch.allclose(density, want, atol=1e-5)
    assert not torch.allclose(density, 0.8 * STAINS[0], atol=0.01)


def test_turning_one_stain_leaves_the_others_and_negative_absorption_is_none() -> None:
    eosin = torch.exp(-0.5 * STAINS[1]).view(1, 3, 1, 1)
    turn = TURN.clone()
    assert torch.allclose(stain_jitter(eosin, gain=NONE, offset=NONE, turn=turn), eosin, atol=1e-6)
    turn[0, 1, 0] = -1.0
    red = stain_jitter(eosin, gain=NONE, offset=NONE, turn=turn)[0, 0]
    assert torch.allclose(red, torch.ones(1, 1), atol=1e-6)


def test_a_turn_of_nothing_changes_nothing() -> None:
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2)).clamp(min=0.1)
    gain, offset = torch.full((2, 3), 0.2), torch.full((2, 3), 0.1)
    plain = stain_jitter(x, gain=gain, offset=offset)
    assert torch.allclose(
        stain_jitter(x, gain=gain, offset=offset, turn=torch.zeros(2, 3, 3)), plain, atol=1e-6
    )


def test_each_figure_has_its_own_factors() -> None:
    x = torch.full((2, 3, 2, 2), math.exp(-0.5))
    gain = torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.2, 0.2]])
    out = stain_jitter(x, gain=gain, offset=torch.zeros(2, 3))
    assert torch.allclose(out[0], x[0], atol=1e-6)
    assert torch.allclose(out[1], torch.tensor(math.exp(-0.6)), atol=1e-5)
