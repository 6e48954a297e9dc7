"""Reading: every pixel is where the frame says, with either library, on every side of the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from slidemitosis.errors import InvalidOption, UnreadableSlide
from slidemitosis.geometry import Bounds, PixelSize
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.slide import over_background
from tests.conftest import needs_shared, position_colours, write_aperio, write_scn, write_tiff
from tests.slides.jpeg_slides import spoil_tiles, with_tag

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.options.read import Reader

LIBRARIES: tuple[Reader, ...] = ("openslide", "tiffslide")
both = pytest.mark.parametrize("reader", LIBRARIES)

WIDTH, HEIGHT = 517, 389  # odd, not square, not a multiple of a tile


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "painted.svs"
    return write_aperio(path, [position_colours(WIDTH, HEIGHT)])


def around(pixels: NDArray[np.uint8], x: int, y: int, side: int) -> NDArray[np.uint8]:
    """The pixels of a square, white beyond the edge."""
    canvas = np.pad(pixels, ((side, side), (side, side), (0, 0)), constant_values=255)
    return canvas[y + side : y + 2 * side, x + side : x + 2 * side]


@both
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (0, 0),
        (200, 130),
        (-64, 100),
        (-1, -1),
        (WIDTH - 64, 100),
        (WIDTH - 1, HEIGHT - 1),
        (100, -128 + 1),
        (100, HEIGHT - 64),
        (-128, -128),
        (WIDTH, HEIGHT),
    ],
)
def test_every_pixel_is_the_painted_one_and_white_beyond_the_edge(
    painted: Path, reader: Reader, x: int, y: int
) -> None:
    with open_slide(painted, reader=reader) as slide:
        np.testing.assert_array_equal(
            slide.read(0, x, y, 128, 128), around(position_colours(WIDTH, HEIGHT), x, y, 128)
        )


@both
def test_the_reader_that_was_asked_for_is_the_one_that_reads(painted: Path, reader: Reader) -> None:
    with open_slide(painted, reader=reader) as slide:
        assert slide.info.reader == reader
        assert reader[:4] in type(slide).__name__.lower()
        assert (slide.info.size, slide.info.mpp) == ((WIDTH, HEIGHT), PixelSize(0.25, 0.25))
        assert slide.info.vendor == "aperio"
        assert slide.info.tile == (64, 64)


@both
@pytest.mark.parametrize("factor", [2, 4])
def test_lower_levels_are_read_at_their_own_pixels(tmp_path: Path, reader: Reader, factor: int) -> None:
    full = position_colours(512, 384)
    small = position_colours(512 // factor, 384 // factor)  # painted by its own places, not by averaging
    path = write_aperio(tmp_path / "levels.svs", [full, small])
    with open_slide(path, reader=reader) as slide:
        assert [level.downsample for level in slide.info.levels] == [1.0, factor]
        for x, y in ((0, 0), (7, 11), (512 // factor - 20, 384 // factor - 20), (-5, -6)):
            np.testing.assert_array_equal(slide.read(1, x, y, 32, 32), around(small, x, y, 32))


@both
def test_levels_of_uneven_downsample_are_read_at_the_right_pixel(tmp_path: Path, reader: Reader) -> None:
    full, small = position_colours(517, 389), position_colours(129, 97)  # 4.0078 and 4.0103
    path = write_aperio(tmp_path / "uneven.svs", [full, small])
    with open_slide(path, reader=reader) as slide:
        for x, y in ((3, 5), (50, 40), (90, 60)):
            got = slide.read(1, x, y, 16, 16)[..., :2].astype(int)
            off = np.abs(got - around(small, x, y, 16)[..., :2])
            # OpenSlide blends neighbours by a grey level where tiles meet; a shift would be everywhere.
            assert off.max() <= 1
            assert off.any(axis=2).mean() < 0.1


@both
def test_bounds_of_an_scn_are_found_and_its_frame_is_the_whole_slide(tmp_path: Path, reader: Reader) -> None:
    """What was not scanned is background, not black."""
    region = position_colours(300, 200)
    path = write_scn(tmp_path / "a.scn", region, at=(100, 60), collection=(1000, 800))
    with open_slide(path, reader=reader) as slide:
        assert slide.info.size == (1000, 800)
        assert slide.info.bounds == Bounds(100, 60, 300, 200)
        assert slide.info.mpp is not None
        assert slide.info.mpp.x == pytest.approx(0.25)
        np.testing.assert_array_equal(slide.read(0, 100, 60, 300, 200), region)
        np.testing.assert_array_equal(slide.read(0, 90, 50, 64, 64), around(region, -10, -10, 64))


def test_both_libraries_read_the_same_pixels_of_a_real_slide() -> None:
    path = needs_shared("data", "CMU-1-Small-Region.svs")
    with open_slide(path, reader="openslide") as a, open_slide(path, reader="tiffslide") as b:
        assert (a.info.levels, a.info.mpp) == (b.info.levels, b.info.mpp)
        assert a.info.mpp == PixelSize(0.499, 0.499)
        for x, y in ((0, 0), (1000, 1500), (2150, 2900), (-30, 700)):
            np.testing.assert_array_equal(a.read(0, x, y, 128, 128), b.read(0, x, y, 128, 128))


def test_auto_falls_back_to_tiffslide_for_what_openslide_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "stripped.tif"
    tifffile.imwrite(path, position_colours(200, 100), photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        assert slide.info.reader == "tiffslide"
        np.testing.assert_array_equal(slide.read(0, 10, 10, 50, 50), position_colours(200, 100)[10:60, 10:60])
    with pytest.raises(UnreadableSlide, match="OpenSlide"):
        open_slide(path, reader="openslide")


@pytest.mark.parametrize("reader", ["auto", *LIBRARIES])
@pytest.mark.parametrize("content", [b"", b"not a slide at all", b"II*\0", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_slide_is_one_line(tmp_path: Path, reader: Reader, content: bytes) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(content)
    with pytest.raises(UnreadableSlide) as e:
        open_slide(path, reader=reader)
    assert "a.svs" in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("codec", "compression"), [("webp", 50001), ("jpeg2k", 34712), ("jpegxl", 50002)])
def test_a_compression_that_openslide_lacks_is_read_by_tiffslide(
    tmp_path: Path, codec: str, compression: int
) -> None:
    pixels = position_colours(128, 64)
    encode = getattr(imagecodecs, f"{codec}_encode")
    lossless: dict[str, Any] = {"level": 0} if codec == "jpeg2k" else {"lossless": True}
    tiles = [bytes(encode(np.ascontiguousarray(pixels[:, x : x + 64]), **lossless)) for x in (0, 64)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter(tiles),
            shape=pixels.shape,
            dtype=np.uint8,
            tile=(64, 64),
            compression=compression,
            photometric="rgb",
        )
    with open_slide(path) as slide:
        assert slide.info.reader == "tiffslide"
        np.testing.assert_array_equal(slide.read(0, 30, 10, 60, 50), pixels[10:60, 30:90])
    with pytest.raises(
        UnreadableSlide, match=r"compression: \d+, which OpenSlide lacks; use --reader tiffslide$"
    ):
        open_slide(path, reader="openslide")


@pytest.mark.parametrize("rows", [4000, 2000, 100])
def test_a_large_strip_is_decoded_once_and_gives_the_pixels_that_it_holds(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.tile(position_colours(3000, 400), (10, 1, 1))
    path = tmp_path / "strip.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, rowsperstrip=rows, compression="zlib")
    decoded: list[object] = []
    true = tifffile.TiffPage.asarray

    def decode(page: tifffile.TiffPage, **options: Any) -> Any:
        decoded.append(page)
        return true(page, **options)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", decode)
    with open_slide(path, reader="tiffslide") as slide:
        for x, y in ((0, 0), (2950, 3950), (1000, 1990), (-20, 3990)):
            part = pixels[max(y, 0) : y + 60, max(x, 0) : x + 60]
            read = slide.read(0, x, y, 60, 60)[max(-y, 0) : part.shape[0], max(-x, 0) :][:, : part.shape[1]]
            np.testing.assert_array_equal(read, part)
    assert len(decoded) == (rows > 100)  # as a whole; small strips are read one by one


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("reader", ["auto", "tiffslide"])
@pytest.mark.parametrize("stripped", [False, True])
def test_a_cut_off_slide_is_refused_or_its_missing_tiles_are_errors(
    tmp_path: Path, reader: Reader, keep: float, stripped: bool
) -> None:
    """No reader may show black where the file has ended."""
    path = tmp_path / "a.svs"
    pixels = position_colours(512, 384) | np.uint8(1)  # nowhere black
    if stripped:  # a kind that only tiffslide reads, its directory before its pixels
        tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, rowsperstrip=32)
    else:
        write_aperio(path, [pixels, pixels[::2, ::2]])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UnreadableSlide, match="cut off"), open_slide(path, reader=reader) as slide:
        for y in range(0, 384, 32):
            slide.read(0, 0, y, 512, 32)


def test_an_empty_tile_is_background_or_refused_and_never_black(tmp_path: Path) -> None:
    """Sparse slides leave out tiles without tissue: offset and length are 0."""
    path = write_aperio(tmp_path / "sparse.svs", [position_colours(512, 384)])
    for tag in ("TileOffsets", "TileByteCounts"):
        with_tag(path, tag, 0, at=9)
    with open_slide(path, reader="openslide") as slide:
        assert (slide.read(0, 64, 64, 64, 64) == 255).all()
        np.testing.assert_array_equal(slide.read(0, 0, 0, 64, 64), position_colours(64, 64))
    with pytest.raises(UnreadableSlide, match=r"tiles are empty.*openslide"):
        open_slide(path, reader="tiffslide")


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSlide, match="no such file"):
        open_slide(tmp_path / "none.svs")
    with pytest.raises(UnreadableSlide, match="folder"):
        open_slide(tmp_path)
    with pytest.raises(InvalidOption, match="bioformats"):
        open_slide(tmp_path, reader="bioformats")  # type: ignore[arg-type]


def test_a_damaged_tile_is_an_error_and_not_a_white_patch(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.svs", [position_colours(512, 384)])
    spoil_tiles(path, 9)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 40, 40), position_colours(40, 40))
        with pytest.raises(UnreadableSlide, match=r"a\.svs: level 0 at x 70, y 70"):
            slide.read(0, 70, 70, 20, 20)


@both
@pytest.mark.parametrize("mpp", [0.25, 0.61, 2.0, None])
def test_the_pixel_size_is_the_one_stated_and_never_made_of_the_magnification(
    tmp_path: Path, reader: Reader, mpp: float | None
) -> None:
    path = write_aperio(tmp_path / "a.svs", [position_colours(300, 200)], mpp=mpp)  # AppMag = 40
    with open_slide(path, reader=reader) as slide:
        assert slide.info.mpp == (None if mpp is None else PixelSize(mpp, mpp))
    with open_slide(write_tiff(tmp_path / "plain.tif", position_colours(300, 200)), reader=reader) as slide:
        assert slide.info.mpp is None


def test_transparent_pixels_are_mixed_with_the_background() -> None:
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 200, 51]]], np.uint8)
    want = Image.new("RGB", (3, 1), (250, 240, 230))
    got = over_background(rgba, (250, 240, 230))
    assert got[0, 0].tolist() == list(want.getpixel((0, 0)))  # type: ignore[arg-type]
    assert got[0, 1].tolist() == [10, 20, 30]
    assert got[0, 2].tolist() == [200, 212, 224]
