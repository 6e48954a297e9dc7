"""Augmentation: what each step may change, how far, and that the seed alone decides it."""

from __future__ import annotations

import io
import math
import multiprocessing
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from slidemitosis.errors import InvalidOption
from slidemitosis.models.colour import STAINS
from slidemitosis.train.fit.augment.augmentation import STEPS, Augmentation
from slidemitosis.train.fit.augment.jpeg import through_jpeg
from slidemitosis.train.recipe.recipe import AugmentStep, load_recipe, recipe_names
from tests.train.drawn import drawn_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VALUES: dict[str, dict[str, Any]] = {
    "flip": {},
    "transpose": {},
    "dihedral": {},
    "rotate": {"degrees": 180.0},
    "affine": {"degrees": 30.0, "scale": 0.2, "shift": 5.0},
    "resized_crop": {"scale_min": 0.6},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.3, "hue": 0.1},
    "brightness_contrast": {"brightness": 0.4, "contrast": 0.4},
    "contrast": {"strength": 0.4},
    "stain": {"gain": 0.5, "offset": 0.2},
    "gaussian_noise": {"sigma_max": 0.2},
    "gaussian_blur": {"sigma_min": 0.3, "sigma_max": 1.2},
    "blur": {"size": 7.0},
    "jpeg": {"quality_min": 30.0, "quality_max": 60.0},
    "grid_dropout": {"ratio": 0.3, "unit": 9.0},
}
ALL = [AugmentStep(name=n, probability=0.5, values=v) for n, v in VALUES.items()]
SEEDS = st.integers(0, 2**64 - 1)
MANY = range(200)


def one(steps: Sequence[AugmentStep]) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """What these steps make of one patch, uint8 (3, S, S), by a seed."""
    augmentation = Augmentation(steps)
    return lambda patch, seed: augmentation(patch[None], [seed])[0]


def step(name: str, **values: float) -> Callable[[torch.Tensor, int], torch.Tensor]:
    return one([AugmentStep(name=name, values=dict(values))])


def usual(name: str) -> Callable[[torch.Tensor, int], torch.Tensor]:
    return step(name, **VALUES[name])


def noise(side: int = 64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(99)
    return torch.randint(0, 256, (3, side, side), dtype=torch.uint8, generator=rng)


def smooth(side: int = 64) -> torch.Tensor:
    """Pink with soft waves, as tissue is."""
    at = torch.arange(side) / 9
    waves = torch.stack([torch.cos(at[:, None] + i) * torch.sin(at[None, :] * (i + 1)) for i in range(3)])
    return (torch.tensor([200, 130, 180])[:, None, None] + 40 * waves).round().to(torch.uint8)


def blob(x: float = 0.0, y: float = 0.0, side: int = 65) -> torch.Tensor:
    """A soft bright spot on black, px from the centre."""
    at = torch.arange(side) - (side - 1) / 2
    light = torch.exp(-((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2) / 18)
    return (255 * light).round().to(torch.uint8).expand(3, side, side)


def centre(image: torch.Tensor) -> tuple[float, float]:
    """x and y of the middle of an image's light, px from its centre."""
    at = torch.arange(image.shape[-1]) - (image.shape[-1] - 1) / 2
    light = image[0]
    return float((light.sum(0) * at).sum() / light.sum()), float((light.sum(1) * at).sum() / light.sum())


def test_every_step_is_tried_here() -> None:
    assert list(VALUES) == list(STEPS)


@pytest.mark.parametrize("name", recipe_names())
def test_the_steps_of_every_recipe_can_be_built(name: str) -> None:
    Augmentation(load_recipe(name).augment)


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=8)
@given(seed=SEEDS, side=st.sampled_from([17, 32, 63, 80]))
def test_images_keep_their_size_and_are_numbers_from_zero_to_one(name: str, seed: int, side: int) -> None:
    for patch in (noise(side), torch.zeros(3, side, side, dtype=torch.uint8)):
        out = usual(name)(patch, seed)
        assert out.shape == patch.shape
        assert out.dtype == torch.float32
        assert out.is_contiguous()
        assert torch.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1


def test_with_probability_zero_or_without_steps_nothing_changes() -> None:
    never = [AugmentStep(name=n, probability=0.0, values=v) for n, v in VALUES.items()]
    for seed in range(20):
        assert torch.equal(one(never)(noise(), seed), noise() / 255)
    assert torch.equal(one([])(noise(), 0), noise() / 255)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_its_share_of_the_figures(name: str) -> None:
    patch = noise(33)
    some = one([AugmentStep(name=name, probability=0.3, values=VALUES[name])])
    changed = sum(not torch.equal(some(patch, seed), patch / 255) for seed in MANY)
    assert 20 < changed < 90  # flip and dihedral leave a quarter and an eighth as they are
    assert name in {"flip", "dihedral"} or all(
        not torch.equal(usual(name)(patch, s), patch / 255) for s in range(20)
    )


@given(SEEDS)
@settings(max_examples=20)
def test_the_seed_decides_everything(seed: int) -> None:
    every = one(ALL)
    torch.manual_seed(seed % 1000)
    first = every(smooth(), seed)
    torch.rand(7)
    assert torch.equal(every(smooth(), seed), first)
    assert torch.equal(one(ALL)(smooth(), seed), first)


def test_seeds_that_differ_in_any_bit_give_other_images() -> None:
    """Of a seed, torch itself reads the lowest 32 bits alone."""
    noisy = usual("gaussian_noise")
    outs = {noisy(smooth(), seed).numpy().tobytes() for seed in (0, *(1 << bit for bit in range(64)))}
    assert len(outs) == 65
    assert len({noisy(smooth(), seed).numpy().tobytes() for seed in MANY}) == len(MANY)


def test_the_global_generator_is_put_back_also_after_an_error() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one(ALL)(noise(), 5)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(RuntimeError):
        usual("gaussian_blur")(noise(2), 5)  # no two pixels can be mirrored for its kernel of nine
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", STEPS)
def test_the_patch_is_not_written_into(name: str) -> None:
    patch = noise()
    usual(name)(patch, 3)
    assert torch.equal(patch, noise())


def test_neither_layout_in_memory_nor_a_copy_from_a_pickle_changes_anything() -> None:
    rows_first = noise().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    copy = pickle.loads(pickle.dumps(Augmentation(ALL)))
    for seed in range(20):
        assert torch.equal(copy(rows_first[None], [seed])[0], one(ALL)(noise(), seed))


@pytest.mark.slow
def test_a_process_started_by_spawn_does_the_same() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.starmap(_augmented, [(Augmentation(ALL), seed) for seed in range(20)])
    assert theirs == [_augmented(Augmentation(ALL), seed) for seed in range(20)]


def _augmented(augmentation: Augmentation, seed: int) -> bytes:
    torch.set_num_threads(1)
    return augmentation(smooth()[None], [seed]).numpy().tobytes()


def test_steps_are_applied_in_their_order() -> None:
    dropout = AugmentStep(name="grid_dropout", values={"ratio": 0.3, "unit": 9.0})
    blur = AugmentStep(name="gaussian_blur", values={"sigma_min": 1.0, "sigma_max": 1.0})
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    sharp, soft = one([blur, dropout])(white, 1), one([dropout, blur])(white, 1)
    assert ((sharp < 0.01) | (sharp > 0.99)).all()
    assert ((soft > 0.1) & (soft < 0.9)).any()


@pytest.mark.parametrize(
    ("given_step", "message"),
    [
        (AugmentStep(name="afine"), r"unknown augment step 'afine'; did you mean 'affine'\?; known: flip, "),
        (
            AugmentStep(name="affine", values={"degree": 1.0}),
            r"'affine': unknown value 'degree'; did you mean 'degrees'\?; known: degrees, scale, shift",
        ),
        (AugmentStep(name="transpose", values={"x": 1.0}), "unknown value 'x'; known: none"),
        (AugmentStep(name="stain", values={"gain": 0.1}), "'stain' lacks offset; its values: gain, offset"),
        (AugmentStep(name="rotate", values={"degrees": (0.0, 9.0)}), "degrees must be one number"),
        (AugmentStep(name="flip", probability=1.5), "probability must be from 0 to 1, not 1.5"),
        (AugmentStep(name="affine", values={"scale": -0.1}), "must not be negative"),
        (AugmentStep(name="resized_crop", values={"scale_min": 0.9, "scale_max": 0.8}), "rising shares"),
        (AugmentStep(name="resized_crop", values={"scale_min": 0.9, "ratio_min": 2.0}), "ratio_min must be"),
        (AugmentStep(name="color_jitter", values={"hue": 0.7}), "hue"),
        (AugmentStep(name="gaussian_blur", values={"sigma_min": 2.0, "sigma_max": 1.0}), "sigma"),
        (AugmentStep(name="blur", values={"size": 4.0}), "odd number of px from 3, not 4"),
        (AugmentStep(name="jpeg", values={"quality_min": 0.0, "quality_max": 9.0}), "within 1 to 100"),
        (AugmentStep(name="grid_dropout", values={"ratio": 1.5, "unit": 8.0}), "ratio must be"),
    ],
)
def test_a_step_that_cannot_be_meant_is_named(given_step: AugmentStep, message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as error:
        Augmentation([given_step])
    assert "\n" not in str(error.value)
    assert given_step.name in str(error.value)


@pytest.mark.parametrize("name", ["flip", "transpose", "dihedral"])
@given(seed=SEEDS)
@settings(max_examples=20)
def test_mirrors_and_quarter_turns_only_move_the_pixels(name: str, seed: int) -> None:
    out = usual(name)(noise(31), seed)
    assert torch.equal(out.flatten(1).sort().values, (noise(31) / 255).flatten(1).sort().values)


@pytest.mark.parametrize("name", ["flip", "transpose"])
@given(seed=SEEDS)
@settings(max_examples=20)
def test_a_mirror_undoes_itself(name: str, seed: int) -> None:
    once = (usual(name)(noise(), seed) * 255).round().to(torch.uint8)
    assert torch.equal(usual(name)(once, seed), noise() / 255)


@pytest.mark.parametrize(("name", "views"), [("flip", 4), ("dihedral", 8)])
def test_every_view_comes_equally_often(name: str, views: int) -> None:
    seen: dict[bytes, int] = {}
    for seed in range(100 * views):
        view = usual(name)(noise(8), seed).numpy().tobytes()
        seen[view] = seen.get(view, 0) + 1
    assert len(seen) == views
    assert min(seen.values()) > 65
    assert max(seen.values()) < 140


@given(SEEDS, st.integers(16, 65))
@settings(max_examples=20)
def test_affine_of_nothing_changes_nothing(seed: int, side: int) -> None:
    for still in (step("rotate", degrees=0.0), step("affine", degrees=0.0, scale=0.0, shift=0.0)):
        assert (still(noise(side), seed) - noise(side) / 255).abs().max() < 1e-3


@given(SEEDS)
@settings(max_examples=20)
def test_what_lies_beyond_the_patch_is_not_black(seed: int) -> None:
    white = torch.full((3, 41, 41), 255, dtype=torch.uint8)
    for name, far in (
        ("rotate", {"degrees": 180.0}),
        ("affine", {"degrees": 180.0, "scale": 0.5, "shift": 30.0}),
    ):
        assert torch.allclose(step(name, **far)(white, seed), torch.ones(3, 41, 41), atol=1e-5)


def test_a_corner_shows_the_mirror_image_of_its_patch() -> None:
    """Left half white, right half black: shifted right, the new left is the left's mirror image."""
    patch = torch.zeros(3, 64, 64, dtype=torch.uint8)
    patch[:, :, :10] = 255
    lit = [step("affine", shift=8.0)(patch, seed)[0, 32].sum().item() for seed in MANY]
    assert min(lit) == pytest.approx(2, abs=0.5)
    assert max(lit) == pytest.approx(18, abs=0.5)


@given(SEEDS)
@settings(max_examples=20)
def test_without_shift_the_centre_stays(seed: int) -> None:
    out = step("affine", degrees=180.0, scale=0.3)(blob(), seed)
    assert centre(out) == pytest.approx((0, 0), abs=0.05)


def test_figures_are_turned_both_ways_as_far_as_said() -> None:
    for degrees in (30.0, 180.0):
        angles = []
        for seed in MANY:
            x, y = centre(step("rotate", degrees=degrees)(blob(x=8), seed))
            assert math.hypot(x, y) == pytest.approx(8, abs=0.1)
            angles.append(math.degrees(math.atan2(y, x)))
        assert -degrees - 1 < min(angles) < -0.93 * degrees
        assert 0.93 * degrees < max(angles) < degrees + 1
        assert sum(angles) / len(angles) == pytest.approx(0, abs=0.15 * degrees)


def test_figures_are_magnified_and_shrunk_equally_and_no_further_than_said() -> None:
    factors = sorted(centre(step("affine", scale=0.25)(blob(x=15), seed))[0] / 15 for seed in MANY)
    assert 1 / 1.25 - 0.01 < factors[0] < 0.82
    assert 1.22 < factors[-1] < 1.26
    assert factors[100] == pytest.approx(1, abs=0.04)


def test_figures_are_shifted_along_both_axes_in_px() -> None:
    at = torch.tensor([centre(step("affine", shift=6.0)(blob(), seed)) for seed in MANY])
    assert at.abs().max() < 6.05
    assert (at.amax(0) > 5.5).all()
    assert (at.amin(0) < -5.5).all()
    assert at.mean(0).abs().max() < 0.8


def test_a_crop_magnifies_what_it_shows() -> None:
    at = [
        centre(step("resized_crop", scale_min=0.25, ratio_min=1.0, ratio_max=1.0)(blob(), s))
        for s in range(40)
    ]
    assert max(abs(x) for x, _ in at) > 4
    whole = step("resized_crop", scale_min=1.0, ratio_min=1.0, ratio_max=1.0)
    assert torch.allclose(whole(noise(), 0), noise() / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("color_jitter", {}),
        ("brightness_contrast", {"brightness": 0.0, "contrast": 0.0}),
        ("contrast", {"strength": 0.0}),
        ("stain", {"gain": 0.0, "offset": 0.0}),
        ("stain", {"gain": 0.0, "offset": 0.0, "colour": 0.0}),
        ("gaussian_noise", {"sigma_max": 0.0}),
        ("grid_dropout", {"ratio": 0.0, "unit": 8.0}),
    ],
)
@given(seed=SEEDS)
@settings(max_examples=10)
def test_a_strength_of_zero_changes_nothing(name: str, values: dict[str, float], seed: int) -> None:
    assert torch.allclose(step(name, **values)(noise(), seed), noise() / 255, rtol=0, atol=1e-6)


def test_contrast_keeps_the_mean_and_scales_what_is_around_it() -> None:
    patch = (127 + 40 * torch.sign(torch.arange(64) - 31.5)).to(torch.uint8).expand(3, 64, 64)
    factors = []
    for seed in MANY:
        out = step("contrast", strength=0.3)(patch, seed)
        assert out.mean() == pytest.approx(127 / 255, abs=0.001)
        factors.append(float(out.std() / (patch / 255).std()))
    assert 0.69 < min(factors) < 0.73
    assert 1.27 < max(factors) < 1.31


def test_each_stain_of_each_figure_gets_a_normal_draw() -> None:
    haematoxylin = torch.tensor([150, 140, 205], dtype=torch.uint8)[:, None, None].expand(3, 4, 4)
    colours = torch.stack([step("stain", gain=0.2, offset=0.0)(haematoxylin, s)[:, 0, 0] for s in MANY])
    share = torch.log(colours[:, 0]) / torch.log(torch.tensor(150 / 255))
    assert share.mean() == pytest.approx(1, abs=0.06)
    assert 0.12 < share.std() < 0.28
    assert (share - 1).abs().max() > 0.3


def test_stains_get_other_colours_and_the_residual_none() -> None:
    for stain, changes in ((0, True), (1, True), (2, False)):
        rgb = (255 * torch.exp(-0.7 * STAINS[stain])).round().to(torch.uint8)
        patch = rgb[:, None, None].expand(3, 4, 4)
        out = torch.stack([step("stain", gain=0.0, offset=0.0, colour=0.08)(patch, s)[:, 0, 0] for s in MANY])
        density = -torch.log(out)
        spread = density.std(dim=0).max()
        assert (spread > 0.02) == changes
        # As strong as before: rounding to bytes is all that differs.
        assert torch.allclose(density.norm(dim=1), 0.7 * STAINS[stain].norm().expand(len(out)), atol=0.03)


def test_noise_is_independent_and_up_to_its_sigma() -> None:
    grey = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    outs = torch.stack([step("gaussian_noise", sigma_max=0.1)(grey, s) for s in MANY])
    deviations = outs.std((1, 2, 3)).sort().values
    assert deviations[0] < 0.01
    assert 0.09 < deviations[-1] < 0.102
    assert torch.corrcoef(outs[0].flatten(1)).fill_diagonal_(0).abs().max() < 0.06


@pytest.mark.parametrize("name", ["blur", "gaussian_blur"])
def test_blur_smooths_keeps_the_mean_and_mixes_no_channels(name: str) -> None:
    red = noise()
    red[1:] = 0
    for seed in range(40):
        out = usual(name)(red, seed)
        assert out[0].std() < (red[0] / 255).std()
        assert out[0].mean() == pytest.approx(float((red[0] / 255).mean()), abs=0.02)
        assert out[1:].max() == 0


def test_motion_median_and_box_blur_come_equally_often() -> None:
    """Of a white point the median leaves nothing, a box a square, and motion a line."""
    point = torch.zeros(3, 33, 33, dtype=torch.uint8)
    point[:, 16, 16] = 255
    kinds = {"median": 0, "box": 0, "motion": 0}
    for seed in range(300):
        out = step("blur", size=5.0)(point, seed)[0]
        lit = int((out > 1e-4).sum())
        kinds["median" if lit == 0 else "box" if out.max() < 1.01 / 9 and lit in {9, 25} else "motion"] += 1
        assert lit in {0, 9, 25} or (out[16, 16] == out.max() and out.sum() == pytest.approx(1, abs=1e-4))
    assert min(kinds.values()) > 70


def test_the_median_takes_single_pixels_away_and_keeps_edges() -> None:
    clean = (torch.arange(32) >= 16).to(torch.uint8).expand(3, 32, 32) * 255
    patch = clean.clone()
    patch[:, 5, 5], patch[:, 20, 25] = 255, 0
    outs = [step("blur", size=3.0)(patch, seed) for seed in range(30)]
    assert sum(torch.equal(o, clean / 255) for o in outs) > 3


def test_jpeg_changes_pixels_and_keeps_the_mean() -> None:
    for seed in range(20):
        out = usual("jpeg")(smooth(), seed)
        difference = out - smooth() / 255
        assert difference.abs().max() > 1 / 255
        assert difference.mean((1, 2)).abs().max() < 3 / 255


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 95, 100])
@pytest.mark.parametrize("side", [128, 33])
def test_jpeg_loses_what_libjpeg_loses(quality: int, side: int) -> None:
    """But for rounding, which may take a coefficient to its other neighbour."""
    pixels = drawn_figures(6).pixels[:, :side, :side]
    figures = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    files = [io.BytesIO() for _ in pixels]
    for file, one_figure in zip(files, pixels, strict=True):
        Image.fromarray(one_figure).save(file, "JPEG", quality=quality)
    theirs = torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files]).permute(0, 3, 1, 2)
    ours = through_jpeg(figures / 255, [quality] * 6) * 255
    assert torch.equal(ours, ours.round())
    lost = (theirs.float() - figures.float()).abs().mean()
    differ = (ours - theirs).abs()
    assert differ.mean() < 0.05 * lost + 0.1
    assert (differ > 2).float().mean() < 0.02


def test_each_figure_has_a_quality_of_its_own() -> None:
    pair = torch.stack([noise(), noise()]) / 255
    both = through_jpeg(pair, [10, 90])
    for i, quality in enumerate((10, 90)):
        assert (both[i] - through_jpeg(pair[i : i + 1], [quality])[0]).abs().mean() < 0.1 / 255
    assert (both[0] - pair[0]).abs().mean() > 1.2 * (both[1] - pair[1]).abs().mean()


@pytest.mark.parametrize(("ratio", "unit"), [(0.1, 8.0), (0.25, 16.0), (0.5, 7.5), (1.0, 8.0)])
def test_grid_dropout_takes_its_share_of_the_area(ratio: float, unit: float) -> None:
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    outs = torch.stack([step("grid_dropout", ratio=ratio, unit=unit)(white, s) for s in MANY])
    assert ((outs == 0) | (outs == 1)).all()
    assert 1 - outs.mean() == pytest.approx(ratio, abs=0.02)
    assert torch.equal(outs[:, 0], outs[:, 1])


@pytest.mark.parametrize("name", [*STEPS, "all"])
def test_a_figure_is_the_same_in_any_batch(name: str) -> None:
    steps = ALL if name == "all" else [AugmentStep(name=name, probability=0.6, values=VALUES[name])]
    patches, seeds = torch.stack([noise(), smooth()] * 11), list(range(22))
    alone = torch.stack([one(steps)(p, s) for p, s in zip(patches, seeds, strict=True)])
    # JPEG rounds to whole colours, so that what differs by next to nothing may differ by a step of them.
    close = 0.08 if name in {"all", "jpeg"} else 1e-5
    for order in (slice(None), slice(None, None, -1), slice(3, 8)):
        together = Augmentation(steps)(patches.flip(0) if order.step else patches[order], seeds[order])
        assert (together - (alone.flip(0) if order.step else alone[order])).abs().max() < close


@pytest.mark.parametrize("name", [n for n in STEPS if n != "blur"])
def test_a_step_computes_on_the_device_of_its_figures(name: str) -> None:
    """The device without numbers, "meta", refuses whatever lies elsewhere; medians need numbers."""
    made = STEPS[name](**VALUES[name])
    drawn = [made.draw(32) for _ in range(5)]
    if name == "resized_crop":
        drawn = [(2, 3, 20, 24)] * 5
    out = made.apply(torch.empty(5, 3, 32, 32, device="meta"), drawn)
    assert out.device.type == "meta"
    assert out.shape == (5, 3, 32, 32)


def jitter(x: torch.Tensor, step: v2.ColorJitter, seed: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        torch.rand(())  # whether the step is taken
        jittered: torch.Tensor = step(x)
    return jittered


@given(SEEDS)
@settings(max_examples=60)
def test_colours_are_those_of_torchvision(seed: int) -> None:
    values = VALUES["color_jitter"]
    mixed = (seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32
    grey_and_pure = torch.tensor(
        [
            [0, 9, 255, 255, 0, 0, 255, 255, 0],
            [0, 9, 255, 0, 255, 0, 255, 0, 255],
            [0, 9, 255, 0, 0, 255, 0, 255, 255],
        ],
        dtype=torch.uint8,
    )
    for patch in (noise(), smooth(), grey_and_pure[:, :, None].expand(3, 9, 9).contiguous()):
        theirs = jitter(patch / 255, v2.ColorJitter(*values.values()), mixed)
        assert (step("color_jitter", **values)(patch, seed) - theirs.clamp(0, 1)).abs().max() < 1e-5


@given(SEEDS, st.floats(0.3, 3))
@settings(max_examples=30)
def test_a_gaussian_blur_is_that_of_torchvision(seed: int, sigma: float) -> None:
    ours = step("gaussian_blur", sigma_min=sigma, sigma_max=sigma)(noise(), seed)
    theirs = v2.functional.gaussian_blur(noise() / 255, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma] * 2)
    assert (ours - theirs).abs().max() < 1e-5
