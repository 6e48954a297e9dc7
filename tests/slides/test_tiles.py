"""Tiles decoded without the library: its pixels bit for bit, or else the library's answer, with a reason."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from slidemitosis.errors import UnreadableSlide
from slidemitosis.reading.windows import Window, reading_order
from slidemitosis.slides import direct
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiff import BadTiff, read_directories
from slidemitosis.slides.tiles import CACHE_BYTES, TileCache, TileReader
from tests.conftest import JPEG, aperio_description, needs_shared, write_aperio, write_scn, write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.slides.slide import Slide


def texture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Colours with structure at every scale, so that no two places and no two decoders agree by chance."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width, 3))
    for side in (4, 16, 64):
        coarse = rng.integers(0, 256, (-(-height // side), -(-width // side), 3), dtype=np.uint8)
        out += np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return (out / 3).astype(np.uint8)


@dataclass
class Coding:
    """How the pages of a slide are encoded."""

    space: str = "YCbCr"
    subsampling: str = "420"
    tables: bool = False
    tile: tuple[int, int] = (256, 256)
    """Width and height."""
    change: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)
    """Number of a tile of the first page -> what becomes of it."""
    extra: list[Any] = field(default_factory=list)
    """Further TIFF tags of each page."""


def encode(pixels: NDArray[np.uint8], coding: Coding) -> bytes:
    jpeg = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels),
        level=85,
        colorspace="RGB",
        outcolorspace="YCBCR" if coding.space == "YCbCr" else "RGB",
        subsampling=coding.subsampling,
    )
    return bytes(jpeg)


def split(jpeg: bytes) -> tuple[bytes, bytes]:
    """A JPEG without tables and application markers, as Aperio's tiles are, and one of the tables alone."""
    at, tables, rest = 2, b"", b""
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] in (0xDB, 0xC4):
            tables += jpeg[at:end]
        elif not 0xE0 <= jpeg[at + 1] <= 0xEF:
            rest += jpeg[at:end]
        at = end
    return b"\xff\xd8" + rest + jpeg[at:], b"\xff\xd8" + tables + b"\xff\xd9"


def write_page(tif: tifffile.TiffWriter, pixels: NDArray[np.uint8], coding: Coding, **more: Any) -> None:
    (width, height), (h, w) = coding.tile, pixels.shape[:2]
    padded = np.pad(pixels, ((0, -h % height), (0, -w % width), (0, 0)), mode="edge")
    tiles = [
        encode(padded[y : y + height, x : x + width], coding)
        for y in range(0, h, height)
        for x in range(0, w, width)
    ]
    extra = list(coding.extra)
    if coding.tables:
        parts = [split(t) for t in tiles]
        assert len({tables for _, tables in parts}) == 1
        tiles, tables = [t for t, _ in parts], parts[0][1]
        extra.append((347, 7, len(tables), tables, True))
    for number, change in coding.change.items():
        tiles[number] = change(tiles[number])
    across, down = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}[coding.subsampling]
    layout: dict[str, Any] = {"photometric": "rgb", "compressionargs": {"outcolorspace": "RGB"}}
    if coding.space == "YCbCr":
        layout = {"photometric": "ycbcr", "subsampling": (across, down)}
    tif.write(
        iter(tiles),
        shape=pixels.shape,
        dtype=np.uint8,
        tile=(height, width),
        compression="jpeg",
        metadata=None,
        extratags=extra,
        **layout,
        **more,
    )


def write_slide(
    path: Path, levels: list[NDArray[np.uint8]], coding: Coding, *, aperio: bool = False, **container: Any
) -> Path:
    """A slide of JPEG tiles; `container` says byte order and BigTIFF."""
    h, w = levels[0].shape[:2]
    with tifffile.TiffWriter(path, **container) as tif:
        for i, pixels in enumerate(levels):
            one = coding if i == 0 else Coding(**{**vars(coding), "change": {}})
            said: dict[str, Any] = (
                {"description": aperio_description(w, h, 0.25), "software": False} if aperio else {}
            )
            write_page(tif, pixels, one, **said, **({"subfiletype": 1} if i else {}))
            if aperio and i == 0:
                small = np.ascontiguousarray(pixels[:: max(1, h // 32), :: max(1, w // 32)])
                tif.write(small, photometric="rgb", rowsperstrip=small.shape[0], metadata=None, **said)
    return path


def assert_same(a: Slide, b: Slide, level: int, windows: list[tuple[int, int, int, int]]) -> None:
    for window in windows:
        np.testing.assert_array_equal(a.read(level, *window), b.read(level, *window), err_msg=str(window))


def edge_windows(width: int, height: int, tile: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """(x, y, width, height): over each edge and corner of the level, over corners of tiles, and all of it."""
    xs = (-200, -64, -1, 0, tile[0] - 64, tile[0] - 1, tile[0], width - 128, width - 1, width, width + 50)
    ys = (-200, -64, -1, 0, tile[1] - 64, tile[1] - 1, tile[1], height - 128, height - 1, height)
    around = [(x, y, 128, 128) for x in xs for y in ys]
    pixels = [(x, y, 1, 1) for x in (0, tile[0] - 1, tile[0], width - 1) for y in (0, tile[1], height - 1)]
    return [*around, *pixels, (0, 0, width, height), (-10, -20, width + 30, height + 50)]


def random_windows(width: int, height: int, n: int = 40) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng(1)
    corner = rng.integers(-150, [width + 20, height + 20], (n, 2))
    size = rng.integers(1, 300, (n, 2))
    return [(int(x), int(y), int(w), int(h)) for (x, y), (w, h) in zip(corner, size, strict=True)]


def _not_wanted(*_: int) -> NDArray[np.uint8]:
    raise AssertionError("read by the library")


def assert_slide_reads_alike(path: Path, levels: tuple[int, ...] = (0,), library: Any = "openslide") -> None:
    """These levels are decoded directly, none of the others is, and every pixel is the library's."""
    with open_slide(path) as ours, open_slide(path, reader=library) as theirs:
        assert tuple(i for i, r in enumerate(ours.info.not_direct) if r is None) == levels, ours.info
        assert ours.info.reader == library
        for i, level in enumerate(ours.info.levels):
            size = level.width, level.height
            # What asks the library of both must fail here, if it happens to what should be direct.
            by_library: Any = _not_wanted if i in levels else type(ours)._pixels.__get__(ours)
            ours._pixels = by_library  # type: ignore[method-assign]
            assert_same(ours, theirs, i, [*edge_windows(*size, ours.info.tile), *random_windows(*size)])


SPACES = [("YCbCr", "444"), ("YCbCr", "422"), ("YCbCr", "420"), ("RGB", "444"), ("RGB", "422")]


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
    with open_slide(path) as slide:
        library = slide.info.reader  # of small big-endian TIFFs OpenSlide knows no vendor
    assert_slide_reads_alike(path, (0, 1), library)


@pytest.mark.parametrize("aperio", [True, False])
def test_levels_whose_downsample_is_not_whole_are_read_by_the_library(tmp_path: Path, aperio: bool) -> None:
    levels = [texture(1024, 768), texture(256, 192, 1), texture(129, 97, 2), texture(64, 48, 3)]
    path = write_slide(tmp_path / "a.svs", levels, Coding(tile=(128, 128)), aperio=aperio)
    assert_slide_reads_alike(path, (0, 1, 3))
    with open_slide(path) as slide:
        assert slide.info.not_direct[2] is not None
        assert "downsample, 7.92776, is not whole" in slide.info.not_direct[2]


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
    with open_slide(path) as slide:
        assert slide.info.not_direct[1] == "the slide's bounds are not whole pixels of it"


def write_ome(path: Path, **more: Any) -> Path:
    levels = [texture(700, 500), texture(350, 250, 1)]
    layout = {"tile": (256, 256), **JPEG, "metadata": {"axes": "YXS"}}
    with tifffile.TiffWriter(path, ome=True, **more) as tif:
        tif.write(levels[0], subifds=1, **layout)
        tif.write(levels[1], subfiletype=1, **layout)
    return path


def test_an_ome_tiff_gives_the_pixels_of_the_library_that_opens_it(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.ome.tif")
    with open_slide(path) as slide:
        library, levels = slide.info.reader, len(slide.info.levels)
    assert_slide_reads_alike(path, tuple(range(levels)), library)


def test_what_only_tiffslide_opens_gives_tiffslides_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openslide

    path = write_ome(tmp_path / "a.ome.tif")

    def unknown(_: Path) -> None:
        raise openslide.OpenSlideUnsupportedFormatError

    monkeypatch.setattr(openslide, "OpenSlide", unknown)
    with open_slide(path, reader="tiffslide") as slide:
        assert len(slide.info.levels) == 2
    assert_slide_reads_alike(path, (0, 1), "tiffslide")


def test_no_library_applies_an_icc_profile(tmp_path: Path) -> None:
    from PIL import ImageCms

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


def assert_falls_back(path: Path, reason: str, level: int = 0) -> None:
    with open_slide(path) as ours, open_slide(path, reader=ours.info.reader) as theirs:  # type: ignore[arg-type]
        assert reason in (ours.info.not_direct[level] or ""), ours.info.not_direct
        size = ours.info.levels[level].width, ours.info.levels[level].height
        assert_same(ours, theirs, level, edge_windows(*size, (64, 64)))


def with_tag(path: Path, tag: str, value: int, at: int = 0) -> Path:
    """One number of a tag of the first page changed in place."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].tags[tag]  # type: ignore[union-attr]
        size = {3: "H", 4: "I", 16: "Q"}[int(found.dtype)]
        struct.pack_into("<" + size, data, found.valueoffset + at * struct.calcsize(size), value)
    path.write_bytes(data)
    return path


def jpeg_tiff(path: Path, **coding: Any) -> Path:
    return write_slide(path, [texture(600, 500), texture(300, 250)], Coding(tile=(128, 128), **coding))


def test_other_compressions_are_read_by_the_library(tmp_path: Path) -> None:
    assert_falls_back(write_tiff(tmp_path / "a.tif", texture(200, 150)), "compression is LZW, not JPEG")
    assert_falls_back(write_aperio(tmp_path / "a.svs", [texture(200, 150)]), "compression is LZW, not JPEG")


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


def test_grey_and_deep_and_planar_pages_are_read_by_the_library(tmp_path: Path) -> None:
    grey = tmp_path / "grey.tif"
    layout: dict[str, Any] = {"tile": (64, 64), "compression": "jpeg", "metadata": None}
    tifffile.imwrite(grey, texture(200, 150)[..., 0], photometric="minisblack", **layout)
    assert_falls_back(grey, "samples per pixel is 1, not 3")
    planar = tmp_path / "planar.tif"
    planes = np.ascontiguousarray(np.moveaxis(texture(200, 150), 2, 0))
    tifffile.imwrite(planar, planes, photometric="rgb", planarconfig="separate", **layout)
    with open_slide(planar) as slide:
        assert slide.info.not_direct == ("its planar configuration is 2, not 1",)


def test_pixels_of_another_meaning_are_read_by_the_library(tmp_path: Path) -> None:
    path = with_tag(jpeg_tiff(tmp_path / "a.tif"), "PhotometricInterpretation", 8)
    with open_slide(path) as slide:
        assert "photometric interpretation is 8" in (slide.info.not_direct[0] or "")


def test_turned_pages_are_read_by_the_library(tmp_path: Path) -> None:
    path = jpeg_tiff(tmp_path / "a.tif", extra=[(274, 3, 1, 3, True)])
    assert_falls_back(path, "orientation is 3")


def test_sparse_pages_are_read_by_the_library(tmp_path: Path) -> None:
    path = with_tag(jpeg_tiff(tmp_path / "a.tif"), "TileByteCounts", 0, at=6)
    assert_falls_back(path, "1 of its 20 tiles are empty")
    with open_slide(path) as slide:
        assert slide.info.not_direct[1] is None


def test_several_pages_of_one_size_are_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    stack = np.stack([texture(300, 200, z) for z in range(3)])
    tifffile.imwrite(path, stack, tile=(64, 64), ome=True, metadata={"axes": "ZYXS"}, **JPEG)
    with open_slide(path) as slide:
        assert "3 tiled TIFF pages are 300 x 200 px" in (slide.info.not_direct[0] or "")


def test_tiles_too_large_to_keep_are_read_by_the_library(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    path = write_slide(tmp_path / "a.tif", [pixels], Coding(tile=(2560, 2560)))
    with open_slide(path) as slide:
        assert "too large to keep" in (slide.info.not_direct[0] or "")


def test_a_library_that_was_asked_for_reads_alone(tmp_path: Path) -> None:
    path = jpeg_tiff(tmp_path / "a.tif")
    for reader in ("openslide", "tiffslide"):
        with open_slide(path, reader=reader) as slide:
            assert slide._tiles is None
            assert set(slide.info.not_direct) == {"the library was asked for"}


def test_tiles_that_state_another_colour_space_are_read_by_the_library(tmp_path: Path) -> None:
    """JFIF outranks what is spliced in; these tiles carry it though the TIFF says RGB."""
    path = with_tag(
        jpeg_tiff(tmp_path / "a.tif", space="YCbCr", subsampling="444"), "PhotometricInterpretation", 2
    )
    assert_falls_back(path, "samples are YCbCr, not RGB as the TIFF states")


def test_tiles_follow_the_tiff_where_their_own_marker_contradicts_it(tmp_path: Path) -> None:
    # Without JFIF and Adobe markers a JPEG is YCbCr by its component numbers; the TIFF's word counts.
    path = jpeg_tiff(tmp_path / "a.tif", space="YCbCr", subsampling="444", tables=True)
    assert_slide_reads_alike(with_tag(path, "PhotometricInterpretation", 2), (0, 1))
    # Adobe's own markers are behind ours, and outrank it.
    path = jpeg_tiff(tmp_path / "b.tif", space="RGB", subsampling="444")
    assert_falls_back(with_tag(path, "PhotometricInterpretation", 6), "samples are RGB, not YCbCr")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_level_that_differs_from_the_library_anywhere_near_the_sample_is_not_direct(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: str
) -> None:
    path = jpeg_tiff(tmp_path / "a.tif")
    region = TileReader.region

    def shifted(self: TileReader, level: int, x: int, y: int, *size: Any, **more: Any) -> NDArray[np.uint8]:
        return region(self, level, x + (axis == "x"), y + (axis == "y"), *size, **more)

    monkeypatch.setattr(TileReader, "region", shifted)
    with open_slide(path) as slide, open_slide(path, reader="openslide") as theirs:
        assert all("does not give the library's pixels" in (r or "") for r in slide.info.not_direct)
        assert_same(slide, theirs, 0, [(100, 100, 128, 128)])


def test_a_library_that_cannot_read_the_sample_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = jpeg_tiff(tmp_path / "a.tif")

    def fails(*_: object) -> None:
        raise UnreadableSlide("a.tif: no")

    monkeypatch.setattr("slidemitosis.slides.slide.prove", fails)
    with open_slide(path) as slide, open_slide(path, reader="openslide") as theirs:
        assert slide._tiles is None
        assert "cannot be compared with the library's pixels: a.tif: no" in (slide.info.not_direct[0] or "")
        assert_same(slide, theirs, 0, [(100, 100, 128, 128)])


# Damage.


def scribbled(tile: bytes) -> bytes:
    middle = len(tile) // 2
    return tile[:middle] + b"\x00\xff\x12\x00\x55\xaa\xff\x99" + tile[middle + 8 :]


def one_bit(at: float) -> Callable[[bytes], bytes]:
    def change(tile: bytes) -> bytes:
        i = int(len(tile) * at)
        return tile[:i] + bytes([tile[i] ^ 16]) + tile[i + 1 :]

    return change


def other(side: int, coding: Coding) -> Callable[[bytes], bytes]:
    return lambda _: encode(texture(side, side, 5), coding)


def grey(_: bytes) -> bytes:
    return simplejpeg.encode_jpeg(texture(128, 128)[..., :1].copy(), colorspace="GRAY")  # type: ignore[no-any-return]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut to half": lambda tile: tile[: len(tile) // 2],
    "cut to its header": lambda tile: tile[:500],
    "cut by a byte": lambda tile: tile[:-1],
    "no end marker": lambda tile: tile[:-2],
    "no start marker": lambda tile: tile[2:],
    "scribbled over": scribbled,
    "zeros": lambda tile: bytes(len(tile)),
    "ones": lambda tile: b"\xff" * len(tile),
    "one byte": lambda tile: b"\xff",
    "smaller": other(120, Coding()),
    "larger": other(136, Coding()),
    "grey": grey,
    "samples are RGB": other(128, Coding("RGB", "444")),
    "other subsampling": other(128, Coding("YCbCr", "444")),
    "bytes behind it": lambda tile: tile + bytes(50),
    **{f"a bit at {at}": one_bit(at) for at in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)},
}

SPOT = (256, 128, 128, 128)
"""Tile 7 of rows of 5: its third in the second row."""


def outcome(path: Path, reader: Any) -> NDArray[np.uint8] | str:
    with open_slide(path, reader=reader) as slide:
        try:
            return slide.read(0, *SPOT)
        except UnreadableSlide as e:
            return str(e)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_tile_gives_what_openslide_gives(tmp_path: Path, kind: str) -> None:
    path = jpeg_tiff(tmp_path / "a.tif", change={7: DAMAGE[kind]})
    ours, theirs = outcome(path, "auto"), outcome(path, "openslide")
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        np.testing.assert_array_equal(ours, theirs)
    with open_slide(path) as slide, open_slide(path, reader="openslide") as library:
        assert slide.info.not_direct == (None, None)  # one bad tile must not slow the whole slide
        assert_same(slide, library, 0, [(0, 0, 128, 128), (384, 256, 128, 128)])


@pytest.mark.parametrize(
    ("tag", "value"),
    [("TileOffsets", 10**9), ("TileByteCounts", 10**9), ("TileOffsets", 9), ("TileByteCounts", 40)],
)
def test_a_tile_that_is_elsewhere_gives_what_openslide_gives(tmp_path: Path, tag: str, value: int) -> None:
    path = with_tag(jpeg_tiff(tmp_path / "a.tif"), tag, value, at=7)
    ours, theirs = outcome(path, "auto"), outcome(path, "openslide")
    assert isinstance(theirs, str)
    assert ours == theirs
    with open_slide(path) as slide:
        assert slide.info.not_direct == (None, None)


def test_after_an_error_of_the_library_a_new_handle_reads_on(tmp_path: Path) -> None:
    from slidemitosis.reading.worker import ReopeningSlide

    path = jpeg_tiff(tmp_path / "a.tif", change={7: DAMAGE["cut to half"]})
    reader = ReopeningSlide(lambda: open_slide(path), 128)
    with open_slide(path, reader="openslide") as library:
        want = library.read(0, 0, 0, 128, 128)
    for _ in range(2):
        with pytest.raises(UnreadableSlide, match=r"a\.tif: level 0 at x 256, y 128"):
            reader.read(Window(0, 256, 128, 128, 128, None))
        np.testing.assert_array_equal(reader.read(Window(0, 0, 0, 128, 128, None)), want)
    reader.close()


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_directories_are_a_reason_and_never_another_error(at: int, value: int) -> None:
    import io

    data = bytearray(_SMALL)
    data[at % len(data)] = value
    try:
        for directory in read_directories(io.BytesIO(data)):
            for one in directory.values():
                one.read(io.BytesIO(data))
    except BadTiff:
        pass


def _small_tiff() -> bytes:
    import io

    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        write_page(tif, np.full((64, 64, 3), 90, np.uint8), Coding(tile=(32, 32)), subifds=1)
        write_page(tif, np.full((32, 32, 3), 90, np.uint8), Coding(tile=(32, 32)))
    return file.getvalue()


_SMALL = _small_tiff()


@pytest.mark.parametrize("container", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_directories_say_what_tifffile_says(tmp_path: Path, container: dict[str, Any]) -> None:
    path = write_ome(tmp_path / "a.ome.tif", **container)
    with tifffile.TiffFile(path) as tif, path.open("rb") as file:
        first = tif.pages[0]
        assert isinstance(first, tifffile.TiffPage)
        assert first.pages is not None
        pages = [first, *first.pages]
        found = read_directories(file)
        assert len(found) == len(pages) == 2
        for directory, page in zip(found, pages, strict=True):
            assert tuple(directory[324].read(file)) == page.dataoffsets
            assert tuple(directory[325].read(file)) == page.databytecounts
            assert directory[256].read(file).tolist() == [page.imagewidth]


def test_a_loop_of_directories_ends(tmp_path: Path) -> None:
    import io

    loop = struct.pack("<2sHIHI", b"II", 42, 8, 0, 8)  # one directory, which is its own next one
    with pytest.raises(BadTiff, match="more than 1000"):
        read_directories(io.BytesIO(loop))


# The cache.


def test_each_tile_is_decoded_once_and_the_cache_keeps_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, rows = 30, 20
    assert columns * rows * 3 * 256 * 256 > 1.5 * CACHE_BYTES
    path = tmp_path / "a.tif"
    tile = encode(texture(256, 256), Coding())
    shape = (rows * 256, columns * 256, 3)
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter([tile] * columns * rows), shape=shape, dtype=np.uint8, tile=(256, 256), metadata=None, **JPEG
        )
    rng = np.random.default_rng(0)
    places = rng.integers(-64, [shape[1] - 64, shape[0] - 64], (3000, 2)).tolist()
    windows = [Window(0, x, y, 128, 128, None) for x, y in places]
    count: Counter[int] = Counter()
    fetch = TileReader._fetch

    def counted(self: TileReader, offset: int, size: int) -> bytes:
        count[offset] += 1
        return fetch(self, offset, size)

    with open_slide(path) as slide:
        assert slide.info.not_direct == (None,)
        assert slide._tiles is not None
        slide._tiles.cache = TileCache()  # those of the proof
        monkeypatch.setattr(TileReader, "_fetch", counted)
        for i in reading_order(windows, slide.info.tile):
            w = windows[i]
            slide.read(w.level, w.x, w.y, w.width, w.height)
            assert slide._tiles.cache.bytes <= CACHE_BYTES
    assert len(count) > 0.99 * columns * rows
    assert set(count.values()) == {1}


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(0, 30))
def test_the_cache_holds_the_tiles_used_last_within_its_bytes(uses: list[int], limit: int) -> None:
    cache = TileCache(limit)
    last: list[int] = []  # most recent first; a tile's number is its size
    for n in uses:
        if cache.get((0, n)) is None:
            cache.put((0, n), np.zeros(n, np.uint8))
        assert cache.bytes <= limit
        if n <= limit:
            last = [n, *(k for k in last if k != n)]
    # Whatever fits, counted from the tile used last, is there.
    for i, n in enumerate(last):
        if sum(last[: i + 1]) <= limit:
            assert cache.get((0, n)) is not None


def test_a_tile_that_is_used_again_outlives_one_that_is_not() -> None:
    cache, tile = TileCache(2), np.zeros(1, np.uint8)
    cache.put((0, 1), tile)
    cache.put((0, 2), tile)
    assert cache.get((0, 1)) is not None
    cache.put((0, 3), tile)
    assert [cache.get((0, n)) is not None for n in (1, 2, 3)] == [True, False, True]


def test_the_choice_is_the_same_in_every_process(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = jpeg_tiff(tmp_path / "a.tif")
    code = (
        f"from slidemitosis.slides.open import open_slide; print(open_slide({str(path)!r}).info.not_direct)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    with open_slide(path) as slide:
        assert done.stdout.strip() == str(slide.info.not_direct) == "(None, None)"


def test_only_vendors_of_plain_pages_are_read_directly() -> None:
    assert set(direct.VENDORS) == {"aperio", "generic-tiff", "leica", None}
