"""Slides of JPEG tiles in every coding, and whether they read alike with and without the library."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from slidemitosis.slides.open import open_slide
from tests.conftest import JPEG, aperio_description

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
    """Check that these levels alone are decoded directly, and that every pixel is the library's.

    library: its name; None for the one that opens the slide, whichever that is.
    """
    with open_slide(path) as ours, open_slide(path, reader=library or ours.info.reader) as theirs:  # type: ignore[arg-type]
        assert tuple(i for i, r in enumerate(ours.info.not_direct) if r is None) == levels, ours.info
        assert ours.info.reader == theirs.info.reader
        for i, level in enumerate(ours.info.levels):
            size = level.width, level.height
            # What asks the library of both must fail here, if it happens to what should be direct.
            by_library: Any = _not_wanted if i in levels else type(ours)._pixels.__get__(ours)
            ours._pixels = by_library  # type: ignore[method-assign]
            assert_same(ours, theirs, i, [*edge_windows(*size, ours.info.tile), *random_windows(*size)])


def write_ome(path: Path, **more: Any) -> Path:
    levels = [texture(700, 500), texture(350, 250, 1)]
    layout = {"tile": (256, 256), **JPEG, "metadata": {"axes": "YXS"}}
    with tifffile.TiffWriter(path, ome=True, **more) as tif:
        tif.write(levels[0], subifds=1, **layout)
        tif.write(levels[1], subfiletype=1, **layout)
    return path


def with_tag(path: Path, tag: str, value: int, at: int = 0) -> Path:
    """Change one number of a tag of the first page in place."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].tags[tag]  # type: ignore[union-attr]
        size = {3: "H", 4: "I", 16: "Q"}[int(found.dtype)]
        struct.pack_into("<" + size, data, found.valueoffset + at * struct.calcsize(size), value)
    path.write_bytes(data)
    return path


def spoil_tiles(path: Path, *numbers: int) -> None:
    """Overwrite these tiles of the first page, or all of them, with bytes that no decoder reads."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        for number in numbers or range(len(page.dataoffsets)):
            offset, count = page.dataoffsets[number], page.databytecounts[number]
            data[offset : offset + count] = bytes([255]) * count
    path.write_bytes(data)


def jpeg_tiff(path: Path, **coding: Any) -> Path:
    return write_slide(path, [texture(600, 500), texture(300, 250)], Coding(tile=(128, 128), **coding))
