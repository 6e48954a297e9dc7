"""Tissue found on drawn slides: its area, its place, and slides that have none or cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import PixelSize
from slidemitosis.rates.tissue import Tissue, find_tissue, otsu
from slidemitosis.slides.open import open_slide
from tests.conftest import needs_shared, write_aperio, write_scn, write_tiff

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GLASS, PINK = (243, 242, 244), (215, 160, 195)


def drawn(width: int, height: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Glass with a pink box (left, top, right, bottom), both a little noisy."""
    noise = np.random.default_rng(0).integers(-2, 3, (height, width, 3))
    pixels = np.full((height, width, 3), GLASS)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = PINK
    return (pixels + noise).astype(np.uint8)


def tissue_of(path: Path, x: float, y: float | None = None) -> Tissue:
    with open_slide(path) as slide:
        found = find_tissue(slide, PixelSize(x, y or x))
    assert found is not None
    return found


def test_the_area_is_that_of_the_coloured_pixels(tmp_path: Path) -> None:
    pixels = drawn(2048, 1024, (512, 256, 1536, 768))
    levels = [pixels, pixels[::4, ::4].copy(), pixels[::16, ::16].copy()]
    found = tissue_of(write_aperio(tmp_path / "a.svs", levels, mpp=0.5), 0.5)
    assert (found.level, found.pixel_um) == (2, (16.0, 16.0))  # 8 um/px, two by two
    assert found.mm2 == pytest.approx(512e-3 * 256e-3, rel=0.03)


def test_pixels_that_are_not_square_count_as_what_they_are(tmp_path: Path) -> None:
    found = tissue_of(write_tiff(tmp_path / "a.tiff", drawn(1024, 512, (256, 128, 768, 384))), 0.5, 1.0)
    assert found.mm2 == pytest.approx(512 * 0.5 * 256 * 1.0 / 1e6, rel=0.03)
    assert found.pixel_um[1] == 2 * found.pixel_um[0]


def test_of_a_slide_with_bounds_the_bounds_alone_are_looked_at_and_the_place_is_right(tmp_path: Path) -> None:
    region = drawn(512, 512, (128, 256, 384, 448))
    path = write_scn(tmp_path / "a.scn", region, at=(128, 64), collection=(4000, 3000))
    found = tissue_of(path, 0.25)
    assert (found.x_um, found.y_um) == (32, 16)
    assert found.mm2 == pytest.approx(256 * 192 * 0.25**2 / 1e6, rel=0.1)
    rows, columns = np.nonzero(found.mask)
    assert found.x_um + columns.min() * found.pixel_um[0] == pytest.approx((128 + 128) * 0.25, abs=17)
    assert found.y_um + rows.min() * found.pixel_um[1] == pytest.approx((64 + 256) * 0.25, abs=17)


def test_bare_glass_has_no_tissue_and_a_slide_full_of_it_is_all_tissue(tmp_path: Path) -> None:
    full = write_tiff(tmp_path / "full.tiff", drawn(800, 600, (0, 0, 800, 600)))
    assert tissue_of(full, 0.25).mask.all()
    with open_slide(write_tiff(tmp_path / "glass.tiff", drawn(800, 600, (0, 0, 0, 0)))) as slide:
        assert find_tissue(slide, PixelSize(0.25, 0.25)) is None


def test_a_slide_without_a_small_level_is_refused_and_not_decoded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "a.tiff", drawn(800, 600, (0, 0, 400, 300)))
    monkeypatch.setattr("slidemitosis.rates.tissue.MOST_PIXELS", 100_000)
    with (
        open_slide(path) as slide,
        pytest.raises(InvalidOption, match=r"no small level, 800 x 600 px .*--area"),
    ):
        find_tissue(slide, PixelSize(0.25, 0.25))


@given(st.lists(st.integers(0, 40), min_size=2, max_size=16))
def test_the_threshold_has_the_most_variance_between(counts: list[int]) -> None:
    histogram = np.array(counts, np.float64)
    values = np.repeat(np.arange(len(counts)), counts)

    def between(t: int) -> float:
        below, above = values[values < t], values[values >= t]
        if not (len(below) and len(above)):
            return 0.0
        return float(len(below) * len(above) * (below.mean() - above.mean()) ** 2)

    best = max((between(t) for t in range(1, len(counts))), default=0.0)
    assert between(otsu(histogram)) == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_a_real_slide_has_tissue_and_glass() -> None:
    found = tissue_of(needs_shared("data", "CMU-1-Small-Region.svs"), 0.499)
    assert 0.3 < found.mask.mean() < 0.4  # by eye, a third of the picture
    assert found.mask[20:80, 30].all()  # in its middle
    assert not found.mask[:, :1].any()
