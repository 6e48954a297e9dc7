"""`Slide`, an open slide whichever library reads it, and `SlideInfo`, its metadata."""

from __future__ import annotations

import abc
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from slidemitosis.geometry import Bounds
from slidemitosis.slides.direct import find_pages, prove
from slidemitosis.slides.tiles import BadTile, TileReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.geometry import Level, PixelSize

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """A slide's metadata, known without reading pixels."""

    path: Path
    reader: str
    """"openslide" or "tiffslide": the library that opened it."""
    reader_version: str
    vendor: str | None
    levels: tuple[Level, ...]
    mpp: PixelSize | None
    """From the metadata; None if they do not state it."""
    bounds: Bounds | None
    """None if the metadata state none, or the full extent."""
    background: tuple[int, int, int]
    """RGB shown beyond the slide's edge and in its empty parts."""
    tile: tuple[int, int]
    """Width and height of a tile of level 0, px."""
    not_direct: tuple[str | None, ...]
    """For each level why its tiles are not decoded directly; None if they are."""
    quickhash: str | None = None
    """OpenSlide's hash of the smallest level and the metadata; None if there is none."""
    planes: int = 1
    """Number of pages of level 0's size, as of a z-stack; the first alone is read."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of level 0, px."""
        return self.levels[0].width, self.levels[0].height

    @property
    def area(self) -> Bounds:
        """The part that holds pixels: the bounds, or the full extent without bounds; level-0 px."""
        return self.bounds or Bounds(0, 0, *self.size)


class Slide(abc.ABC):
    """An open slide. It belongs to one process and to one thread.

    After an `UnreadableSlide` from `read` it must be closed: OpenSlide then raises the same error at every
    later read.
    """

    info: SlideInfo
    _tiles: TileReader | None = None
    """Reads the levels whose tiles are decoded directly; None if there are none."""
    planes_are_colours: bool | None = False
    """Whether three grey planes are read as red, green and blue; None if so, though nothing says that these
    are their colours."""

    @abc.abstractmethod
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a region inside the level by the library, uint8 (height, width, 3 or 4), RGB or RGBA.

        Raises UnreadableSlide.
        """

    def close(self) -> None:
        """Close the files."""
        if self._tiles is not None:
            self._tiles.close()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read RGB pixels of a region in level px, uint8 (height, width, 3).

        What lies beyond the level's edges, or is transparent, has the slide's background colour.
        Raises UnreadableSlide.
        """
        if self._tiles is not None and level in self._tiles.pages:
            try:
                return self._tiles.region(level, x, y, width, height, self.info.background)
            except BadTile as e:
                # The library may be able to read the tile; if not, its error is the one to show.
                log.debug("%s: level %d at x %d, y %d: %s", self.info.path.name, level, x, y, e)
        return self._read_by_library(level, x, y, width, height)

    def _read_by_library(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        out = np.empty((height, width, 3), np.uint8)
        out[...] = self.info.background
        extent = self.info.levels[level]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, extent.width), min(y + height, extent.height)
        if x0 < x1 and y0 < y1:
            pixels = self._pixels(level, x0, y0, x1 - x0, y1 - y0)
            out[y0 - y : y1 - y, x0 - x : x1 - x] = over_background(pixels, self.info.background)
        return out

    def decode_directly(self) -> None:
        """Decode tiles without the library from now on, on levels where that gives the library's pixels.

        Sets `info.not_direct`. Raises OSError if the file cannot be opened a second time, UnreadableSlide if
        the library cannot read the sample to compare; the slide must be closed then, as after `read`.
        """
        info = self.info
        pages, reasons = find_pages(info.path, info.vendor, info.levels, info.bounds)
        not_direct = list(reasons)
        if pages:
            self._tiles = TileReader(info.path, pages)
            for level in list(pages):
                not_direct[level] = prove(self._tiles, level, self._read_by_library)
                if not_direct[level] is not None:
                    del pages[level]
        self.info = replace(info, not_direct=tuple(not_direct))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def over_background(pixels: NDArray[np.uint8], background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Lay straight-alpha RGBA pixels over the background colour; return RGB, uint8 (H, W, 3)."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return pixels[..., :3]
    over = np.array(background, np.uint16) * (255 - alpha)
    return ((pixels[..., :3] * alpha + over + 127) // 255).astype(np.uint8)
