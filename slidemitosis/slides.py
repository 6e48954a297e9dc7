"""Whole-slide images: open one, know its size and resolution, read RGB pixels.

This is the only module that imports a slide library. Both libraries are behind the same small
class, and both give the same frame: level-0 pixels of the slide's full extent. Where a level's tiles
can be decoded without the library and give its pixels, they are; see `direct`.
"""

from __future__ import annotations

import abc
import importlib.metadata
import logging
import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from slidemitosis.direct import find_pages, prove
from slidemitosis.errors import InvalidOption, UnreadableSlide
from slidemitosis.geometry import Bounds, Level
from slidemitosis.properties import bounds, colour, pixel_size, tile
from slidemitosis.tiles import BadTile, TileReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.geometry import PixelSize

Reader = Literal["auto", "openslide", "tiffslide"]

_BY_LIBRARY = "the library was asked for"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What is known of a slide without reading its pixels."""

    path: Path
    reader: str
    """"openslide" or "tiffslide", as it was really opened."""
    reader_version: str
    vendor: str | None
    levels: tuple[Level, ...]
    mpp: PixelSize | None
    """From the metadata; None where they state none."""
    bounds: Bounds | None
    """None where the metadata state none, or state the full extent."""
    background: tuple[int, int, int]
    """RGB of what lies beyond the slide's edge and in its empty parts."""
    tile: tuple[int, int]
    """Width and height of a tile of level 0, px."""
    not_direct: tuple[str | None, ...]
    """One for each level: why its tiles are not decoded directly; None where they are."""
    quickhash: str | None = None
    """OpenSlide's hash of the smallest level and the metadata; None where it gives none."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of level 0, px."""
        return self.levels[0].width, self.levels[0].height

    @property
    def area(self) -> Bounds:
        """Where the slide has pixels: its bounds, or else its full extent."""
        return self.bounds or Bounds(0, 0, *self.size)


class Slide(abc.ABC):
    """An open slide. It belongs to one process and to one thread.

    After an `UnreadableSlide` from `read` it must be closed: OpenSlide answers every later read of
    the same handle with the same error.
    """

    info: SlideInfo
    _tiles: TileReader | None = None
    """Of the levels whose tiles are decoded directly."""

    @abc.abstractmethod
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """RGBA or RGB pixels of a region that lies inside the level, uint8 (height, width, 3 or 4)."""

    def close(self) -> None:
        """Give back the file handles."""
        if self._tiles is not None:
            self._tiles.close()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """RGB pixels of a region in level px, uint8 (height, width, 3).

        Whatever lies beyond the level's edges, or is transparent, is the slide's background colour.
        Raises UnreadableSlide.
        """
        if self._tiles is not None and level in self._tiles.pages:
            try:
                return self._tiles.region(level, x, y, width, height, self.info.background)
            except BadTile as e:
                # The library may know better, and if not, then its error is the one to show.
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
            out[y0 - y : y1 - y, x0 - x : x1 - x] = _opaque(pixels, self.info.background)
        return out

    def decode_directly(self) -> None:
        """From now on decode the tiles of those levels of which this gives the library's pixels.

        `info.not_direct` says which. Raises OSError if the file cannot be opened again, UnreadableSlide if
        the library cannot read what it is compared with; the slide must be closed then, as after `read`.
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


def _opaque(pixels: NDArray[np.uint8], background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGB of straight-alpha RGBA pixels over the background colour."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return pixels[..., :3]
    over = np.array(background, np.uint16) * (255 - alpha)
    return ((pixels[..., :3] * alpha + over + 127) // 255).astype(np.uint8)


class _OpenSlideSlide(Slide):
    def __init__(self, path: Path) -> None:
        import openslide

        self._library = openslide
        self._handle = openslide.OpenSlide(path)
        try:
            self.info = self._describe(path)
        except BaseException:
            self._handle.close()
            raise

    def _describe(self, path: Path) -> SlideInfo:
        handle, library = self._handle, self._library
        properties = dict(handle.properties)
        levels = tuple(
            Level(w, h, float(d))
            for (w, h), d in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        )
        return SlideInfo(
            path=path,
            reader="openslide",
            reader_version=library.__library_version__,
            vendor=properties.get(library.PROPERTY_NAME_VENDOR),
            levels=levels,
            mpp=pixel_size(properties, "openslide"),
            bounds=bounds(properties, "openslide", levels[0]),
            background=colour(properties.get(library.PROPERTY_NAME_BACKGROUND_COLOR)),
            tile=tile(properties, "openslide"),
            not_direct=(_BY_LIBRARY,) * len(levels),
            quickhash=properties.get("openslide.quickhash-1"),
        )

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        # OpenSlide wants the place in level-0 pixels; rounding costs half a level-0 pixel at most.
        downsample = self.info.levels[level].downsample
        place = (round(x * downsample), round(y * downsample))
        try:
            region = self._handle.read_region(place, level, (width, height))
        except (self._library.OpenSlideError, OSError) as e:
            raise UnreadableSlide(
                f"{self.info.path.name}: level {level} at x {place[0]}, y {place[1]}: {e}"
            ) from e
        return np.asarray(region)

    def close(self) -> None:
        super().close()
        self._handle.close()


class _TiffSlideSlide(Slide):
    def __init__(self, path: Path) -> None:
        import tiffslide

        self._handle = tiffslide.TiffSlide(path)
        try:
            self.info = self._describe(path)
        except BaseException:
            self._handle.close()
            raise

    def _describe(self, path: Path) -> SlideInfo:
        handle = self._handle
        properties = handle.properties
        levels = tuple(
            Level(int(w), int(h), float(d))
            for (w, h), d in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        )
        return SlideInfo(
            path=path,
            reader="tiffslide",
            reader_version=importlib.metadata.version("tiffslide"),
            vendor=properties.get("tiffslide.vendor"),
            levels=levels,
            mpp=pixel_size(properties, "tiffslide"),
            bounds=bounds(properties, "tiffslide", levels[0]),
            background=colour(properties.get("tiffslide.background-color")),
            tile=tile(properties, "tiffslide"),
            not_direct=(_BY_LIBRARY,) * len(levels),
        )

    def lacking(self) -> str | None:
        """What of the pixels is not in the file, in words; tiffslide would read it as black."""
        tif = self._handle.ts_tifffile
        series = tif.series[self._handle.properties["tiffslide.series-index"] or 0]
        pages = [page for level in series.levels for page in level.pages if page is not None]
        # A slide has a million tiles, and every reader process opens it.
        offsets, counts = (
            np.array([n for page in pages for n in getattr(page, name)], np.int64)
            for name in ("dataoffsets", "databytecounts")
        )
        empty = int((counts == 0).sum())
        if empty:
            return (
                f"{empty} of {len(counts)} tiles are empty; only OpenSlide can read that (--reader openslide)"
            )
        beyond = int((offsets + counts).max(initial=0)) - self.info.path.stat().st_size
        return f"the file ends {beyond} bytes before its last tile" if beyond > 0 else None

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        # tiffslide divides the place by the downsample and cuts the fraction off, so that a place a
        # little inside the wanted pixel is what gives that pixel.
        downsample = self.info.levels[level].downsample
        place = (x, y)
        if downsample != 1:
            place = (math.ceil(x * downsample + 1e-6), math.ceil(y * downsample + 1e-6))
        try:
            region = self._handle.read_region(place, level, (width, height), as_array=True)
        # What tifffile, zarr and the codecs raise on damaged data has no common root.
        except Exception as e:
            raise UnreadableSlide(
                f"{self.info.path.name}: level {level} at x {place[0]}, y {place[1]}: {_one_line(e)}"
            ) from e
        pixels: NDArray[Any] = np.asarray(region)
        if pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3, 4):
            raise UnreadableSlide(
                f"{self.info.path.name}: pixels are {pixels.dtype} with {pixels.shape[2]} channels; "
                "only 8-bit grey, RGB and RGBA can be read"
            )
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        return self._blank_outside_bounds(pixels, level, x, y)

    def _blank_outside_bounds(
        self, pixels: NDArray[np.uint8], level: int, x: int, y: int
    ) -> NDArray[np.uint8]:
        """tiffslide has no transparency: what lies outside a slide's bounds is black, as tissue is not."""
        b = self.info.bounds
        if b is None:
            return pixels
        downsample = self.info.levels[level].downsample
        height, width = pixels.shape[:2]
        xs, ys = np.arange(x, x + width) + 0.5, np.arange(y, y + height) + 0.5
        in_x = (xs >= b.x / downsample) & (xs < (b.x + b.width) / downsample)
        in_y = (ys >= b.y / downsample) & (ys < (b.y + b.height) / downsample)
        inside = in_y[:, None, None] & in_x[None, :, None]
        background = np.array(self.info.background, np.uint8)
        return np.where(inside, pixels[..., :3], background)

    def close(self) -> None:
        super().close()
        self._handle.close()


def open_slide(path: Path | str, *, reader: Reader = "auto") -> Slide:
    """Open a whole-slide image.

    `reader` "auto" takes OpenSlide, and tiffslide for files of a kind that OpenSlide does not know, and
    decodes tiles without either where that gives the same pixels; "openslide" and "tiffslide" take that
    library alone or fail. Raises UnreadableSlide.
    """
    path = Path(path)
    try:
        kind = "folder" if path.is_dir() else "file" if path.exists() else None
    except (OSError, ValueError) as e:  # a name that is too long, or holds a null
        raise UnreadableSlide(f"{str(path)[:80]!r}: not a usable file name: {e}") from e
    if reader not in get_args(Reader):
        raise InvalidOption(f"reader {reader!r} is not known; use {', '.join(get_args(Reader))}")
    if kind is None:
        raise UnreadableSlide(f"{path}: no such file")
    if kind == "folder":
        raise UnreadableSlide(f"{path}: is a folder, not a slide")
    slide = _open_library(path, reader)
    if reader != "auto":
        return slide
    try:
        slide.decode_directly()
    except OSError as e:  # UnreadableSlide is one
        # An error is terminal for the library's handle, and this tile may be one that nobody asks for.
        slide.close()
        slide = _open_library(path, reader)
        reason = f"tiles cannot be compared with the library's pixels: {e}"
        slide.info = replace(slide.info, not_direct=(reason,) * len(slide.info.levels))
    except BaseException:
        slide.close()
        raise
    return slide


def _open_library(path: Path, reader: Reader) -> Slide:
    if reader == "tiffslide":
        return _open_tiffslide(path)
    import openslide

    try:
        return _OpenSlideSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        if reader == "openslide":
            raise UnreadableSlide(
                f"{path}: not a slide that OpenSlide can read, or cut off; try --reader tiffslide"
            ) from None
    except (openslide.OpenSlideError, OSError) as e:
        raise UnreadableSlide(f"{path}: OpenSlide cannot open it (damaged or cut off?): {e}") from e
    try:
        return _open_tiffslide(path)
    except UnreadableSlide as e:
        reason = str(e).removeprefix(f"{path}: ")
        raise UnreadableSlide(f"{path}: not a slide that OpenSlide can read; {reason}") from e


class _Complaints(logging.Handler):
    """What tifffile logs as an error where it carries on: an offset beyond the file's end, say."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _open_tiffslide(path: Path) -> Slide:
    complaints = _Complaints()
    logger = logging.getLogger("tifffile")
    logger.addHandler(complaints)
    propagate, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tifffile warns of every oddity; what matters raises
            slide = _TiffSlideSlide(path)
    # tifffile's parsers raise anything from KeyError to struct.error on damaged files.
    except Exception as e:
        raise UnreadableSlide(f"{path}: tiffslide cannot open it: {_one_line(e)}") from e
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagate
    reason = complaints.texts[0] if complaints.texts else slide.lacking()
    if reason is not None:
        slide.close()
        raise UnreadableSlide(f"{path}: damaged or cut off: {reason}")
    return slide


def _one_line(e: BaseException) -> str:
    text = " ".join(str(e).split())
    return f"{type(e).__name__}: {text}"[:300]
