"""Decide which levels of a slide can be read tile by tile without the slide library, and why others cannot.

Sizes, bounds and colours are taken from the library, and `prove` compares pixels with it. The decision
depends on the file alone, so that every process that opens the slide decides alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from slidemitosis.geometry import Bounds
from slidemitosis.slides.tiff import BadTiff, Directory, read_directories, whole_number
from slidemitosis.slides.tiles import CACHE_BYTES, BadTile, TiledPage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.geometry import Level
    from slidemitosis.slides.tiles import TileReader

VENDORS = ("aperio", "generic-tiff", "leica", None)
"""Vendors whose tiles lie edge to edge in one TIFF page a level; others overlap tiles, or are no TIFF.

None is for OME-TIFF and the like, for which tiffslide has no name; OpenSlide names every file's vendor."""

_PROOF = 64  # px on each side of a tile's corner that are compared with the library's
_TRIES = 3  # tiles that are tried until one is not damaged

# TIFF tags.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANAR, _SAMPLE_FORMAT = 274, 277, 284, 339
_TILE_WIDTH, _TILE_HEIGHT, _OFFSETS, _COUNTS, _TABLES = 322, 323, 324, 325, 347
_DEPTH, _TILE_DEPTH = 32997, 32998

# Tag -> (the value that can be read, the value of a page without the tag, the tag's name in a message).
_WANTED = {
    _COMPRESSION: (7, 1, "compression"),
    _BITS: (8, 1, "bits per sample"),
    _SAMPLES: (3, 1, "samples per pixel"),
    _PLANAR: (1, 1, "planar configuration"),
    _SAMPLE_FORMAT: (1, 1, "sample format"),
    _ORIENTATION: (1, 1, "orientation"),
    _DEPTH: (1, 1, "image depth"),
    _TILE_DEPTH: (1, 1, "tile depth"),
}
_COMPRESSIONS = {
    1: "none",
    5: "LZW",
    8: "Deflate",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
}


class _NotDirectError(Exception):
    """Tiles cannot be decoded directly; the message says why."""


def find_pages(
    path: Path, vendor: str | None, levels: tuple[Level, ...], bounds: Bounds | None
) -> tuple[dict[int, TiledPage], tuple[str | None, ...]]:
    """Return level -> page for the levels that can be decoded directly; and for each level why not, or None.

    An ICC profile is no reason, since neither library applies one when it reads a region.
    """
    if vendor not in VENDORS:
        reason = f"vendor {vendor}; only tiles of {', '.join(filter(None, VENDORS))} and OME-TIFF are"
        return {}, (reason,) * len(levels)
    pages: dict[int, TiledPage] = {}
    reasons: list[str | None] = []
    try:
        with path.open("rb") as file:
            directories = read_directories(file)
            for i, level in enumerate(levels):
                try:
                    pages[i] = _page(file, directories, level, bounds)
                    reasons.append(None)
                except (_NotDirectError, BadTiff) as e:
                    reasons.append(str(e))
    except (BadTiff, OSError) as e:
        return {}, (f"its TIFF directories cannot be read: {e}",) * len(levels)
    return pages, tuple(reasons)


def _page(file: BinaryIO, directories: list[Directory], level: Level, bounds: Bounds | None) -> TiledPage:
    """Find the page of one level. Raises _NotDirectError, BadTiff, OSError."""
    if not float(level.downsample).is_integer():
        # Here the library shifts pixels by fractions, and blends them where tiles meet.
        raise _NotDirectError(f"its downsample, {level.downsample:.6g}, is not whole")
    area = bounds or Bounds(0, 0, level.width, level.height)
    if bounds:
        place = [n / level.downsample for n in (bounds.x, bounds.y, bounds.width, bounds.height)]
        if not all(n.is_integer() for n in place):
            raise _NotDirectError("the slide's bounds are not whole pixels of it")
        area = Bounds(*(int(n) for n in place))
    found = [
        d
        for d in directories
        if _TILE_WIDTH in d
        and whole_number(file, d, _WIDTH, 0) == area.width
        and whole_number(file, d, _HEIGHT, 0) == area.height
    ]
    if len(found) != 1:
        several = "several regions, perhaps" if bounds and not found else "several planes, perhaps"
        raise _NotDirectError(
            f"{len(found) or 'no'} tiled TIFF pages are {area.width} x {area.height} px"
            + (f": {several}" if found or bounds else "")
        )
    return replace(_tiled_page(file, found[0]), x=area.x, y=area.y)


def _tiled_page(file: BinaryIO, directory: Directory) -> TiledPage:
    """Make a page of its directory. Raises _NotDirectError, BadTiff, OSError."""
    for tag, (wanted, default, name) in _WANTED.items():
        value = whole_number(file, directory, tag, default)
        if value != wanted:
            told = _COMPRESSIONS.get(value, str(value)) if tag == _COMPRESSION else str(value)
            raise _NotDirectError(f"its {name} is {told}, not {'JPEG' if tag == _COMPRESSION else wanted}")
    photometric = whole_number(file, directory, _PHOTOMETRIC, -1)
    if photometric not in (2, 6):
        raise _NotDirectError(f"its photometric interpretation is {photometric}, not RGB or YCbCr")
    page = TiledPage(
        width=whole_number(file, directory, _WIDTH, 0),
        height=whole_number(file, directory, _HEIGHT, 0),
        tile_width=whole_number(file, directory, _TILE_WIDTH, 0),
        tile_height=whole_number(file, directory, _TILE_HEIGHT, 0),
        offsets=_numbers(file, directory, _OFFSETS),
        counts=_numbers(file, directory, _COUNTS),
        tables=_numbers(file, directory, _TABLES).tobytes() if _TABLES in directory else b"",
        space="RGB" if photometric == 2 else "YCbCr",
    )
    _check(page)
    return page


def _numbers(file: BinaryIO, directory: Directory, tag: int) -> NDArray[np.integer]:
    if tag not in directory:
        raise _NotDirectError(f"it has no TIFF tag {tag}")
    return directory[tag].read(file)


def _check(page: TiledPage) -> None:
    """Raise _NotDirectError if tiles are too large, missing, or not as many as the page needs."""
    if min(page.tile_width, page.tile_height) < 1:
        raise _NotDirectError(f"its tiles are {page.tile_width} x {page.tile_height} px")
    if 4 * 3 * page.tile_width * page.tile_height > CACHE_BYTES:
        raise _NotDirectError(f"its tiles, {page.tile_width} x {page.tile_height} px, are too large to keep")
    expected = page.rows * page.columns
    if not len(page.offsets) == len(page.counts) == expected:
        raise _NotDirectError(
            f"it has {len(page.offsets)} places and {len(page.counts)} sizes of {expected} tiles"
        )
    # What is shown instead of a missing tile differs by vendor, which the library knows.
    empty = int(((page.counts == 0) | (page.offsets == 0)).sum())
    if empty:
        raise _NotDirectError(f"{empty} of its {expected} tiles are empty")


def prove(
    tiles: TileReader, level: int, read: Callable[[int, int, int, int, int], NDArray[np.uint8]]
) -> str | None:
    """Compare a sample of a level with the library's pixels; return how it differs, or None if it is equal.

    `read` (level, x, y, width, height) reads the same slide by the library. The sample lies around a corner
    of the tile with most bytes, which shows tissue and not glass, so that a shift, other colours or another
    codec are seen. If that tile is damaged, the next ones are tried. Raises what `read` raises.
    """
    page = tiles.pages[level]
    most = min(_TRIES, len(page.counts))
    richest = np.argpartition(page.counts, -most)[-most:]
    reason = None
    for number in richest[np.argsort(page.counts[richest])[::-1]].tolist():
        place = (level, *_around_a_corner(page, number))
        try:
            ours = tiles.region(*place, background=(0, 0, 0))
        except BadTile as e:
            reason = reason or str(e)
            continue
        if np.array_equal(ours, read(*place)):
            return None
        return f"at x {place[1]}, y {place[2]} it does not give the library's pixels"
    return reason


def _around_a_corner(page: TiledPage, number: int) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the sample, level px; if possible, four tiles meet in it."""
    row, column = divmod(number, page.columns)
    # The tile's lower right corner, or the opposite one if the page ends there.
    x, y = (column + 1) * page.tile_width, (row + 1) * page.tile_height
    x = x if x < page.width else column * page.tile_width
    y = y if y < page.height else row * page.tile_height
    left, top = max(x - _PROOF, 0), max(y - _PROOF, 0)
    right, bottom = min(x + _PROOF, page.width), min(y + _PROOF, page.height)
    return page.x + left, page.y + top, right - left, bottom - top
