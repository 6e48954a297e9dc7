"""Levels read without the library: its pixels bit for bit, or else the library reads, with a reason."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import openslide
import pytest
import tifffile
from PIL import ImageCms

from slidemitosis.errors import UnreadableSlide
from slidemitosis.slides.direct import VENDORS
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiles import TileReader
from tests.conftest import JPEG, aperio_description, needs_shared, write_aperio, write_scn, write_tiff
from tests.slides.jpeg_slides import (
    Coding,
    assert_same,
    assert_slide_reads_alike,
    edge_windows,
    jpeg_tiff,
    texture,
    with_tag,
    write_ome,
    write_page,
    write_slide,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PHOTOMETRIC = "PhotometricInterpretation"
SPACES = [("YCbCr", "444"), ("YCbCr", "422"), ("YCbCr", "420"), ("RGB", "444"), ("RGB", "422")]


def why_not(path: Path, level: int = 0) -> str | None:
    """Why the level is not read directly; None if it is."""
    with open_slide(path) as slide:
        return slide.info.not_direct[level]


def assert_falls_back(path: Path, reason: str) -> None:
    assert reason in (why_not(path) or "")
    with open_slide(path) as ours, open_slide(path, reader=ours.info.reader) as theirs:  # type: ignore[arg-type]
        assert_same(ours, theirs, 0, edge_windows(*ours.info.size, (64, 64)))


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    """A TIFF of two levels of JPEG tiles, which are read directly."""
    return jpeg_tiff(tmp_path / "a.tif")


@pytest.mark.parametrize("aperio", [True, False])
@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize(("space", "subsampling"), SPACES)
def test_every_coding_gives_openslides_pixels(
    tmp_path: Path, space: str, subsampling: str, tables: bool, aperio: bool
) -> None:
    coding = Coding(space, subsampling, tables, (240, 240))
    path = write_slide(tmp_path / "a.svs", [texture(533, 417)], coding, aperio=aperio)
    assert_slide_reads_alike(path)


@pytest.mark.parametrize("tile", [(256, 256), (512, 512), (320, 128), (64, 192)])
def test_every_shape_of_tile_gives_openslides_pixels(tmp_path: Path, tile: tuple[int, int]) -> None:
    path = write_slide(tmp_path / "a.svs", [texture(701, 530)], Coding(tile=tile, tables=True), aperio=True)
    assert_slide_reads_alike(path)


@pytest.mark.parametrize("size", [(512, 256), (513, 257), (100, 90), (1, 300)])
def test_levels_that_end_within_a_tile_or_with_it_give_openslides_pixels(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    assert_slide_reads_alike(write_slide(tmp_path / "a.tif", [texture(*size)], Coding()))


@pytest.mark.parametrize(
    "container", [{"bigtiff": True}, {"byteorder": ">"}, {"byteorder": ">", "bigtiff": True}]
)
@pytest.mark.parametrize("tables", [True, False])
def test_bigtiff_and_either_byte_order_are_read(
    tmp_path: Path, container: dict[str, Any], tables: bool
) -> None:
    coding = Coding(tables=tables)
    path = write_slide(tmp_path / "a.tif", [texture(600, 500), texture(300, 250)], coding, **container)
    assert_slide_reads_alike(path, (0, 1), None)  # of small big-endian TIFFs OpenSlide knows no vendor


@pytest.mark.parametrize("aperio", [True, False])
def test_levels_whose_downsample_is_not_whole_are_read_by_the_library(tmp_path: Path, aperio: bool) -> None:
    levels = [texture(1024, 768), texture(256, 192, 1), texture(129, 97, 2), texture(64, 48, 3)]
    path = write_slide(tmp_path / "a.svs", levels, Coding(tile=(128, 128)), aperio=aperio)
    assert_slide_reads_alike(path, (0, 1, 3))
    assert "downsample, 7.92776, is not whole" in (why_not(path, 2) or "")


def test_the_regions_of_an_scn_are_read_around_its_edges(tmp_path: Path) -> None:
    region = texture(600, 400)
    path = write_scn(tmp_path / "a.scn", region, at=(100, 60), collection=(1000, 800), layout=JPEG)
    assert_slide_reads_alike(path, (0, 1))
    with open_slide(path) as ours, open_slide(path, reader="openslide") as theirs:
        assert ours.info.vendor == "leica"
        for x, y in ((36, 10), (99, 59), (100, 60), (636, 400), (650, 396), (699, 459), (700, 460), (0, 0)):
            assert_same(ours, theirs, 0, [(x, y, 128, 128), (x, y, 1, 1)])
            assert_same(ours, theirs, 1, [(x // 2, y // 2, 64, 64), (x // 2, y // 2, 1, 1)])


def test_an_scn_whose_region_lies_between_pixels_of_a_level_is_read_by_the_library(tmp_path: Path) -> None:
    path = write_scn(tmp_path / "a.scn", texture(600, 400), at=(101, 60), collection=(1000, 800), layout=JPEG)
    assert_slide_reads_alike(path, (0,))
    assert why_not(path, 1) == "the slide's bounds are not whole pixels of it"


def test_an_ome_tiff_gives_the_pixels_of_the_library_that_opens_it(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.ome.tif")
    with open_slide(path) as slide:
        levels = len(slide.info.levels)
    assert_slide_reads_alike(path, tuple(range(levels)), None)


def test_what_only_tiffslide_opens_gives_tiffslides_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ome(tmp_path / "a.ome.tif")

    def unknown(_: Path) -> None:
        raise openslide.OpenSlideUnsupportedFormatError

    monkeypatch.setattr(openslide, "OpenSlide", unknown)
    with open_slide(path, reader="tiffslide") as slide:
        assert len(slide.info.levels) == 2
    assert_slide_reads_alike(path, (0, 1), "tiffslide")


def test_no_library_applies_an_icc_profile(tmp_path: Path) -> None:
    # A profile that would change every pixel.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    levels = [texture(600, 400)]
    with_it = Coding(extra=[(34675, 7, len(profile), profile, True)])
    plain = write_slide(tmp_path / "plain.svs", levels, Coding(), aperio=True)
    path = write_slide(tmp_path / "icc.svs", levels, with_it, aperio=True)
    assert_slide_reads_alike(path)
    with open_slide(plain, reader="openslide") as a, open_slide(path, reader="openslide") as b:
        assert "openslide.icc-size" in b._handle.properties  # type: ignore[attr-defined]
        assert_same(a, b, 0, [(0, 0, 600, 400)])


def test_a_real_slide_gives_openslides_pixels() -> None:
    path = needs_shared("data", "CMU-1-Small-Region.svs")
    assert_slide_reads_alike(path)
    with open_slide(path) as ours, open_slide(path, reader="openslide") as theirs:
        assert_same(ours, theirs, 0, [(0, 0, *ours.info.size)])


# What is not read directly.


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda p: write_tiff(p, texture(200, 150)), "compression is LZW, not JPEG"),
        (lambda p: write_aperio(p, [texture(200, 150)]), "compression is LZW, not JPEG"),
        (lambda p: with_tag(jpeg_tiff(p), "TileByteCounts", 0, at=6), "1 of its 20 tiles are empty"),
        # JFIF outranks what is spliced in; these tiles carry it though the TIFF says RGB.
        (
            lambda p: with_tag(jpeg_tiff(p, subsampling="444"), PHOTOMETRIC, 2),
            "samples are YCbCr, not RGB as the TIFF states",
        ),
        # Adobe's own markers are behind ours, and outrank it.
        (
            lambda p: with_tag(jpeg_tiff(p, space="RGB", subsampling="444"), PHOTOMETRIC, 6),
            "samples are RGB, not YCbCr",
        ),
    ],
    ids=["LZW", "LZW of Aperio", "sparse", "JFIF against TIFF", "Adobe against TIFF"],
)
def test_other_pages_are_read_by_the_library(tmp_path: Path, write: Any, reason: str) -> None:
    assert_falls_back(write(tmp_path / "a.svs"), reason)


def test_jpeg_2000_is_read_by_the_library(tmp_path: Path) -> None:
    pixels, path = texture(256, 128), tmp_path / "a.svs"
    said: dict[str, Any] = {
        "description": aperio_description(256, 128, 0.25),
        "metadata": None,
        "photometric": "rgb",
    }
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels, tile=(128, 128), compression="aperio_jp2000_rgb", **said)
        tif.write(pixels[::8, ::8], rowsperstrip=16, **said)
    assert_falls_back(path, "compression is JPEG 2000")


def test_other_vendors_are_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        said: dict[str, Any] = {
            "description": "Background Color=E6E6E6;OverlapsXY= 0 0",
            "software": "MedScan",
        }
        write_page(tif, texture(600, 500), Coding(tile=(128, 128)), **said)
    with open_slide(path) as slide:
        assert slide.info.vendor == "trestle"
    assert_falls_back(path, "vendor trestle")


def test_a_plane_for_each_colour_is_read_by_the_library(tmp_path: Path) -> None:
    layout: dict[str, Any] = {"tile": (64, 64), "compression": "jpeg", "metadata": None}
    path = tmp_path / "planar.tif"
    planes = np.ascontiguousarray(np.moveaxis(texture(200, 150), 2, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **layout)
    with open_slide(path) as slide:
        assert slide.info.not_direct == ("its planar configuration is 2, not 1",)


def test_empty_tiles_of_one_level_leave_the_others_direct(jpeg: Path) -> None:
    assert why_not(with_tag(jpeg, "TileByteCounts", 0, at=6), 1) is None


def test_several_pages_of_one_size_are_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    stack = np.stack([texture(300, 200, z) for z in range(3)])
    tifffile.imwrite(path, stack, tile=(64, 64), ome=True, metadata={"axes": "ZYXS"}, **JPEG)
    assert "3 tiled TIFF pages are 300 x 200 px" in (why_not(path) or "")


def test_tiles_too_large_to_keep_are_read_by_the_library(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    path = write_slide(tmp_path / "a.tif", [pixels], Coding(tile=(2560, 2560)))
    assert "too large to keep" in (why_not(path) or "")


def test_a_library_that_was_asked_for_reads_alone(jpeg: Path) -> None:
    for reader in ("openslide", "tiffslide"):
        with open_slide(jpeg, reader=reader) as slide:
            assert slide._tiles is None
            assert set(slide.info.not_direct) == {"the library was asked for"}


def test_tiles_follow_the_tiff_where_their_own_marker_contradicts_it(tmp_path: Path) -> None:
    # Without JFIF and Adobe markers a JPEG is YCbCr by its component numbers; the TIFF's word counts.
    path = jpeg_tiff(tmp_path / "a.tif", space="YCbCr", subsampling="444", tables=True)
    assert_slide_reads_alike(with_tag(path, PHOTOMETRIC, 2), (0, 1))


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_level_that_differs_from_the_library_anywhere_near_the_sample_is_not_direct(
    jpeg: Path, monkeypatch: pytest.MonkeyPatch, axis: str
) -> None:
    region = TileReader.region

    def shifted(self: TileReader, level: int, x: int, y: int, *size: Any, **more: Any) -> NDArray[np.uint8]:
        return region(self, level, x + (axis == "x"), y + (axis == "y"), *size, **more)

    monkeypatch.setattr(TileReader, "region", shifted)
    with open_slide(jpeg) as slide, open_slide(jpeg, reader="openslide") as theirs:
        assert all("does not give the library's pixels" in (r or "") for r in slide.info.not_direct)
        assert_same(slide, theirs, 0, [(100, 100, 128, 128)])


def test_a_library_that_cannot_read_the_sample_is_opened_again(
    jpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fails(*_: object) -> None:
        raise UnreadableSlide("a.tif: no")

    monkeypatch.setattr("slidemitosis.slides.slide.prove", fails)
    with open_slide(jpeg) as slide, open_slide(jpeg, reader="openslide") as theirs:
        assert slide._tiles is None
        assert "cannot be compared with the library's pixels: a.tif: no" in (slide.info.not_direct[0] or "")
        assert_same(slide, theirs, 0, [(100, 100, 128, 128)])


def test_the_choice_is_the_same_in_every_process(jpeg: Path) -> None:
    code = f"import slidemitosis as s; print(s.open_slide({str(jpeg)!r}).info.not_direct)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    with open_slide(jpeg) as slide:
        assert done.stdout.strip() == str(slide.info.not_direct) == "(None, None)"


def test_only_vendors_of_plain_pages_are_read_directly() -> None:
    assert set(VENDORS) == {"aperio", "generic-tiff", "leica", None}
