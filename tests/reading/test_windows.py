"""The level and the window that a patch is read from, and the order of reading."""

from __future__ import annotations

import itertools
import math
from collections import Counter, OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidemitosis.geometry import Bounds, Level, PixelSize
from slidemitosis.reading.windows import Window, padding_share, place_window, plan_reading, reading_order
from slidemitosis.reading.worker import read_patch
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiles import CACHE_BYTES
from tests.conftest import write_aperio

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.options.read import Reader

PYRAMID = (Level(40000, 30000, 1.0), Level(10000, 7500, 4.0), Level(2500, 1875, 16.0))


@pytest.mark.parametrize(
    ("mpp", "level", "resampling"),
    [
        (0.25, 0, "none"),
        (0.2505, 0, "none"),  # 0.26 px over the whole patch
        (0.2525, 0, "resampled"),  # 1.3 px over the whole patch
        (0.2425, 0, "resampled"),
        (0.27, 0, "resampled"),
        (0.28, 0, "upsampled"),
        (0.22, 0, "downsampled"),
        (0.0625, 1, "none"),
        (0.05, 1, "downsampled"),
        (0.5, 0, "upsampled"),
        (0.0625 / 4, 2, "none"),
    ],
)
def test_the_coarsest_level_that_is_not_too_coarse_is_read(mpp: float, level: int, resampling: str) -> None:
    plan = plan_reading(PYRAMID, PixelSize(mpp, mpp), model_mpp=0.25, patch=128)
    assert (plan.level, plan.resampling) == (level, resampling)


def test_levels_are_chosen_by_their_coarser_axis() -> None:
    plan = plan_reading(PYRAMID, PixelSize(0.0625, 0.08), model_mpp=0.25, patch=128)
    assert plan.level == 0
    assert (plan.scale_x, plan.scale_y) == pytest.approx((4.0, 3.125))


@given(st.floats(0, 40000), st.floats(0, 30000), st.floats(0.03, 0.6), st.floats(0.03, 0.6))
def test_a_window_is_centred_on_its_candidate_and_has_the_models_extent(
    x: float, y: float, mpp_x: float, mpp_y: float
) -> None:
    plan = plan_reading(PYRAMID, PixelSize(mpp_x, mpp_y), model_mpp=0.25, patch=128)
    window = place_window(x, y, plan)
    left, top, right, bottom = window.box or (0, 0, window.width, window.height)
    centre = (window.x + (left + right) / 2, window.y + (top + bottom) / 2)
    # Whole pixels move a patch by half a pixel at most; resampled ones are exact.
    tolerance = 0.5 + 1e-6 if window.box is None else 1e-6
    assert centre[0] * plan.downsample == pytest.approx(x, abs=tolerance * plan.downsample)
    assert centre[1] * plan.downsample == pytest.approx(y, abs=tolerance * plan.downsample)
    um = (right - left) * plan.downsample * mpp_x, (bottom - top) * plan.downsample * mpp_y
    assert um == pytest.approx((32.0, 32.0), rel=0.5 / 128)


@given(st.floats(0, 40000), st.floats(0.03, 0.6))
def test_what_is_read_holds_the_patch_and_the_reach_of_the_filter(x: float, mpp: float) -> None:
    plan = plan_reading(PYRAMID, PixelSize(mpp, mpp), model_mpp=0.25, patch=128)
    window = place_window(x, x, plan)
    if window.box is not None:
        reach = 2 * max(1.0, plan.scale_x)
        left, _, right, _ = window.box
        assert left >= reach - 1e-6
        assert window.width - right >= reach - 1e-6


@pytest.mark.parametrize(
    ("x", "first"), [(64.0, 0), (64.49, 0), (64.5, 1), (63.5, 0), (63.49, -1), (0.0, -64)]
)
def test_a_patch_starts_at_the_nearest_pixel_boundary(x: float, first: int) -> None:
    plan = plan_reading(PYRAMID, PixelSize(0.25, 0.25), model_mpp=0.25, patch=128)
    assert place_window(x, x, plan) == Window(0, first, first, 128, 128, None)


@pytest.mark.parametrize(
    ("x", "y", "share"), [(500, 500, 0.0), (0, 500, 0.5), (0, 0, 0.75), (1000, 800, 0.75), (-70, 500, 1.0)]
)
def test_padding_is_the_share_of_the_patch_off_the_slide(x: float, y: float, share: float) -> None:
    level = Level(1000, 800, 1.0)
    plan = plan_reading([level], PixelSize(0.25, 0.25), model_mpp=0.25, patch=128)
    assert padding_share(place_window(x, y, plan), Bounds(0, 0, 1000, 800), 1.0) == pytest.approx(share)


def test_padding_counts_what_lies_outside_the_bounds_on_any_level() -> None:
    levels = (Level(4000, 3200, 1.0), Level(1000, 800, 4.0))
    plan = plan_reading(levels, PixelSize(0.0625, 0.0625), model_mpp=0.25, patch=128)
    area = Bounds(400, 800, 1000, 1000)
    assert padding_share(place_window(400, 1300, plan), area, plan.downsample) == pytest.approx(0.5)
    assert padding_share(place_window(1400, 1800, plan), area, plan.downsample) == pytest.approx(0.75)
    assert padding_share(place_window(900, 1300, plan), area, plan.downsample) == pytest.approx(0.0)


@given(st.lists(st.tuples(st.integers(-50, 5000), st.integers(-50, 5000)), max_size=60))
def test_the_order_of_reading_is_a_permutation(places: list[tuple[int, int]]) -> None:
    windows = [Window(0, x, y, 128, 128, None) for x, y in places]
    assert sorted(reading_order(windows, (256, 256)).tolist()) == list(range(len(windows)))


def test_windows_of_one_tile_are_read_one_after_the_other() -> None:
    windows = [Window(0, x % 2048, (x * 7919) % 2048, 2, 2, None) for x in range(0, 30000, 17)]
    order = reading_order(windows, (256, 256))
    tiles = [windows[i].x // 256 + 8 * (windows[i].y // 256) for i in order]
    changes = sum(a != b for a, b in pairwise(tiles))
    assert changes == len(set(tiles)) - 1


def decodes(
    windows: list[Window], tile: tuple[int, int], corner: tuple[int, int]
) -> dict[tuple[int, int], int]:
    """Tile (column, row) -> how often it is decoded in the order of reading, with a cache of the last."""
    room = CACHE_BYTES // (3 * tile[0] * tile[1])
    cache: OrderedDict[tuple[int, int], None] = OrderedDict()
    count: Counter[tuple[int, int]] = Counter()
    for i in reading_order(windows, tile):
        w = windows[i]
        columns = range((w.x - corner[0]) // tile[0], (w.x + w.width - 1 - corner[0]) // tile[0] + 1)
        rows = range((w.y - corner[1]) // tile[1], (w.y + w.height - 1 - corner[1]) // tile[1] + 1)
        for key in itertools.product(columns, rows):
            if key not in cache:
                count[key] += 1
                cache[key] = None
            cache.move_to_end(key)
            while len(cache) > room:
                cache.popitem(last=False)
    return count


@given(
    st.sampled_from([(240, 240), (256, 256), (512, 512), (1024, 1024), (512, 128)]),
    st.tuples(st.integers(0, 600), st.integers(0, 600)),
    st.integers(0, 10),
)
@settings(max_examples=25)
def test_a_cache_of_fixed_size_decodes_each_tile_once_but_for_those_between_strips(
    tile: tuple[int, int], corner: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, [20000, 40000], (4000, 2)).tolist()  # x and y; several strips of any tile
    count = decodes([Window(0, x, y, 128, 128, None) for x, y in places], tile, corner)
    twice = {row for (_, row), n in count.items() if n > 1}
    assert max(count.values()) <= 2
    # Of the rows of tiles, the one between two strips; two on a slide whose tiles begin at its bounds.
    between = 39999 // tile[1] // min(64, CACHE_BYTES // (9 * tile[0] * tile[1]) - 2)
    assert len(twice) <= 2 * between


def patch_around(
    path: Path, x: float, y: float, *, model_mpp: float, reader: Reader = "auto"
) -> NDArray[Any]:
    """The patch of 128 px around a place, float64 (128, 128, 3)."""
    with open_slide(path, reader=reader) as opened:
        assert opened.info.mpp is not None
        plan = plan_reading(opened.info.levels, opened.info.mpp, model_mpp=model_mpp, patch=128)
        return read_patch(opened, place_window(x, y, plan), 128).astype(float)


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
@pytest.mark.parametrize(
    ("mpp", "model_mpp"), [(0.125, 0.25), (0.2, 0.25), (0.17, 0.25), (0.5, 0.25), (0.25, 0.5)]
)
def test_resampled_patches_show_the_right_place(
    tmp_path: Path, reader: Reader, mpp: float, model_mpp: float
) -> None:
    # A ramp stays a ramp under any filter: each output pixel is the coordinate of its own centre.
    ramp = np.zeros((600, 800, 3), np.uint8)
    ramp[..., 0] = np.clip(np.arange(800) - 273, 0, 255)[None, :]
    ramp[..., 1] = np.clip(np.arange(600) - 172, 0, 255)[:, None]
    path = write_aperio(tmp_path / "ramp.svs", [ramp], mpp=mpp)
    patch = patch_around(path, 401.3, 299.7, model_mpp=model_mpp, reader=reader)
    at = (np.arange(128) + 0.5 - 64) * model_mpp / mpp
    inner = slice(4, -4)  # the ramp ends where the widest patch does
    # The centre of pixel i is i + 0.5, and its colour is i less the ramp's start.
    np.testing.assert_allclose(patch[64, inner, 0], (401.3 + at - 0.5 - 273)[inner], atol=0.51)
    np.testing.assert_allclose(patch[inner, 64, 1], (299.7 + at - 0.5 - 172)[inner], atol=0.51)


def test_reduction_does_not_alias(tmp_path: Path) -> None:
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 254  # the finest stripes there are: any reduction must give grey
    path = write_aperio(tmp_path / "stripes.svs", [stripes], mpp=0.1)
    assert abs(patch_around(path, 300, 300, model_mpp=0.25) - 127).max() < 12


def test_half_a_pixel_over_the_patch_is_where_resampling_begins() -> None:
    for ratio, exact in ((1 + 0.49 / 128, True), (1 + 0.51 / 128, False)):
        plan = plan_reading(PYRAMID, PixelSize(0.25 / ratio, 0.25 / ratio), model_mpp=0.25, patch=128)
        assert plan.exact is exact
        assert math.isclose(plan.scale_x, ratio)
