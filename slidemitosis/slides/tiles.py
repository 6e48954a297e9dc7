"""Read regions from the JPEG tiles of a TIFF, which are decoded once and kept in a cache.

The pixels are those of OpenSlide 4, which decodes each tile by libjpeg-turbo in the colour space that the
TIFF states and treats every warning as an error. So does this module; it raises `BadTile` for every doubtful
tile, and the caller asks the library.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Space = Literal["YCbCr", "RGB"]

CACHE_BYTES = 64 * 2**20
"""Most bytes of decoded tiles that a reader process keeps; a pixel has three."""

_START = b"\xff\xd8"


class BadTile(Exception):
    """A tile is damaged or not as its page says. Never raised outside `slides`."""


@dataclass(frozen=True, slots=True)
class TiledPage:
    """One TIFF page of JPEG tiles, and its place in the level."""

    width: int  # page px, which are level px
    height: int  # page px
    tile_width: int  # px
    tile_height: int  # px
    offsets: NDArray[np.integer]
    """Place of each tile, row by row, in bytes from the start of the file, (rows x columns,)."""
    counts: NDArray[np.integer]
    """Bytes of each tile, (rows x columns,)."""
    tables: bytes
    """A JPEG that holds only the tables that the tiles lack; empty if they have their own."""
    space: Space
    """Colour space of the JPEG's samples, as the TIFF states it."""
    x: int = 0  # level px, the page's left edge
    y: int = 0  # level px, the page's top edge

    @property
    def columns(self) -> int:
        """Tiles across."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Tiles down."""
        return -(-self.height // self.tile_height)

    @property
    def head(self) -> bytes:
        """Bytes that replace the first two of each tile: start marker, colour space and tables."""
        # Adobe's APP14 marker tells libjpeg that samples are YCbCr (1) or RGB (0).
        adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([self.space == "YCbCr"])
        return _START + adobe + self.tables[2:-2]


class TileCache:
    """Keeps the tiles used last, at most `limit` bytes of them."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._tiles: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()

    def get(self, key: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Return the tile of a (level, number) and mark it as used last; None if it is not kept."""
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
        return tile

    def put(self, key: tuple[int, int], tile: NDArray[np.uint8]) -> None:
        """Keep a tile that is not kept yet; drop those used longest ago if room is needed."""
        if tile.nbytes > self.limit:
            return
        while self.bytes + tile.nbytes > self.limit:
            self.bytes -= self._tiles.popitem(last=False)[1].nbytes
        self._tiles[key] = tile
        self.bytes += tile.nbytes


class TileReader:
    """Reads regions from one slide's tiles. It belongs to one process and to one thread."""

    def __init__(self, path: Path, pages: dict[int, TiledPage]) -> None:
        import simplejpeg

        self.pages = pages
        """Level -> its page."""
        self.cache = TileCache()
        self._heads = {level: page.head for level, page in pages.items()}
        self._decode = simplejpeg.decode_jpeg
        self._look = simplejpeg.decode_jpeg_header
        # Unbuffered, since a tile is read whole and the next one wanted seldom follows it in the file.
        self._file = path.open("rb", buffering=0)
        self._size = self._file.seek(0, 2)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def region(
        self, level: int, x: int, y: int, width: int, height: int, background: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Read RGB pixels of a region in level px, uint8 (height, width, 3).

        What the page does not cover has the colour `background`. Raises BadTile.
        """
        page = self.pages[level]
        x, y = x - page.x, y - page.y
        out = np.empty((height, width, 3), np.uint8)
        if x < 0 or y < 0 or x + width > page.width or y + height > page.height:
            out[...] = background
        tile_width, tile_height, columns = page.tile_width, page.tile_height, page.columns
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, page.width), min(y + height, page.height)
        if left >= right or top >= bottom:
            return out
        for row in range(top // tile_height, -(-bottom // tile_height)):
            edge_y = row * tile_height
            y0, y1 = max(top, edge_y), min(bottom, edge_y + tile_height)
            for column in range(left // tile_width, -(-right // tile_width)):
                edge_x = column * tile_width
                x0, x1 = max(left, edge_x), min(right, edge_x + tile_width)
                tile = self._tile(level, row * columns + column)
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[
                    y0 - edge_y : y1 - edge_y, x0 - edge_x : x1 - edge_x
                ]
        return out

    def _tile(self, level: int, number: int) -> NDArray[np.uint8]:
        """Take a tile from the cache or the file, uint8 (tile height, tile width, 3). Raises BadTile."""
        tile = self.cache.get((level, number))
        if tile is None:
            page = self.pages[level]
            data = self._fetch(int(page.offsets[number]), int(page.counts[number]))
            tile = self.decode(page, self._heads[level], data)
            self.cache.put((level, number), tile)
        return tile

    def _fetch(self, offset: int, count: int) -> bytes:
        if offset + count > self._size:
            raise BadTile(f"a tile ends {offset + count - self._size} bytes behind the file")
        try:
            self._file.seek(offset)
            data = self._file.read(count)
        except OSError as e:
            raise BadTile(f"a tile cannot be read: {e}") from e
        if data is None or len(data) != count:
            raise BadTile("a tile was read in part")
        return data

    def decode(self, page: TiledPage, head: bytes, data: bytes) -> NDArray[np.uint8]:
        """Decode the bytes of one tile to RGB, uint8 (tile height, tile width, 3). Raises BadTile.

        libjpeg would also decode grey tiles and other sizes, which OpenSlide refuses, and a marker in the
        tile may overrule that in `head`. Reading the header, a hundredth of the time, shows both.
        """
        if data[:2] != _START:
            raise BadTile("a tile is no JPEG")
        data = head + data[2:]
        try:
            height, width, space, _ = self._look(data)
            if (width, height) != (page.tile_width, page.tile_height):
                raise BadTile(f"a tile is {width} x {height} px, not {page.tile_width} x {page.tile_height}")
            if space != page.space:
                raise BadTile(f"a tile's samples are {space}, not {page.space} as the TIFF states")
            # "strict", the default, turns libjpeg's warnings into errors, as for a tile that is cut off.
            tile: NDArray[np.uint8] = self._decode(data, strict=True)
        except ValueError as e:
            raise BadTile(f"a tile cannot be decoded: {e}") from e
        return tile
