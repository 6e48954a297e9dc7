"""Whole-slide images: open one, know its size and resolution, read RGB pixels.

This is the only module that imports a slide library. Both libraries are behind the same small
class, and both give the same frame: level-0 pixels of the slide's full extent.
"""

from __future__ import annotations

import abc
import importlib.metadata
import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from slidemitosis.errors import (
    InvalidOption,
    MissingResolution,
    UnreadableSlide,
    UnsettledOrigin,
    UnsuitableResolution,
)
from slidemitosis.geometry import Bounds, Level, Origin, PixelSize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Reader = Literal["auto", "openslide", "tiffslide"]

COARSEST_MPP = 0.6
"""um/px; anything coarser (below about 16x) shows too little of a mitotic figure."""


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

    @abc.abstractmethod
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """RGBA or RGB pixels of a region that lies inside the level, uint8 (height, width, 3 or 4)."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back the file handle."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """RGB pixels of a region in level px, uint8 (height, width, 3).

        Whatever lies beyond the level's edges, or is transparent, is the slide's background colour.
        Raises UnreadableSlide.
        """
        out = np.empty((height, width, 3), np.uint8)
        out[...] = self.info.background
        extent = self.info.levels[level]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, extent.width), min(y + height, extent.height)
        if x0 < x1 and y0 < y1:
            pixels = self._pixels(level, x0, y0, x1 - x0, y1 - y0)
            out[y0 - y : y1 - y, x0 - x : x1 - x] = _opaque(pixels, self.info.background)
        return out

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
            mpp=_pixel_size(properties, "openslide"),
            bounds=_bounds(properties, "openslide", levels[0]),
            background=_colour(properties.get(library.PROPERTY_NAME_BACKGROUND_COLOR)),
            tile=_tile(properties, "openslide"),
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
            mpp=_pixel_size(properties, "tiffslide"),
            bounds=_bounds(properties, "tiffslide", levels[0]),
            background=_colour(properties.get("tiffslide.background-color")),
            tile=_tile(properties, "tiffslide"),
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
        self._handle.close()


def open_slide(path: Path | str, *, reader: Reader = "auto") -> Slide:
    """Open a whole-slide image.

    `reader` "auto" takes OpenSlide, and tiffslide for files of a kind that OpenSlide does not know;
    "openslide" and "tiffslide" take that library or fail. Raises UnreadableSlide.
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


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _pixel_size(properties: Mapping[str, Any], library: str) -> PixelSize | None:
    x, y = (_number(properties.get(f"{library}.mpp-{axis}")) for axis in "xy")
    return PixelSize(x, y) if x and y and x > 0 and y > 0 else None


def _bounds(properties: Mapping[str, Any], library: str, full: Level) -> Bounds | None:
    numbers = [_number(properties.get(f"{library}.bounds-{k}")) for k in ("x", "y", "width", "height")]
    if any(v is None for v in numbers):
        return None
    bounds = Bounds(*(int(v) for v in numbers if v is not None))
    return None if bounds == Bounds(0, 0, full.width, full.height) else bounds


def _colour(text: object) -> tuple[int, int, int]:
    """RGB of "rrggbb"; white where nothing is stated, as scanners show empty glass."""
    try:
        value = bytes.fromhex(str(text or "ffffff").lstrip("#"))
    except ValueError:
        value = b""
    return (value[0], value[1], value[2]) if len(value) == 3 else (255, 255, 255)


def _tile(properties: Mapping[str, Any], library: str) -> tuple[int, int]:
    width, height = (_number(properties.get(f"{library}.level[0].tile-{k}")) for k in ("width", "height"))
    return (int(width), int(height)) if width and height else (256, 256)


def settle_mpp(
    info: SlideInfo, *, given: PixelSize | None, allow_coarse: bool, model_mpp: float
) -> PixelSize:
    """The slide's um/px: what the user gives, else what the metadata state; never a guess.

    Raises MissingResolution if neither is there, UnsuitableResolution if it is implausible, or
    coarser than 0.6 um/px and `allow_coarse` is not set.
    """
    mpp = given or info.mpp
    if mpp is None:
        raise MissingResolution(f"{info.path}: no pixel size in its metadata; pass --mpp (um/px of level 0)")
    whose = "given" if given else "in its metadata"
    for value in (mpp.x, mpp.y):
        if not 0.02 <= value <= 100:
            raise UnsuitableResolution(
                f"{info.path}: the pixel size {whose} is {value:g} um/px, which no scanner has; pass --mpp"
            )
    if max(mpp.x, mpp.y) > max(COARSEST_MPP, model_mpp) and not allow_coarse:
        raise UnsuitableResolution(
            f"{info.path}: the pixel size {whose} is {max(mpp.x, mpp.y):g} um/px, coarser than "
            f"{COARSEST_MPP} um/px: too coarse to tell mitotic figures apart; "
            "pass --allow-upsampling to classify all the same, or --mpp if the size is wrong"
        )
    return mpp


def settle_origin(info: SlideInfo, origin: Origin) -> tuple[int, int]:
    """What to add to the candidates' coordinates to get level-0 px, as (x, y).

    QuPath and some other tools show only the bounds of a slide that has them, and count from their
    corner. Nothing in a candidate file says so, and so on such a slide the origin must be told.
    Raises UnsettledOrigin.
    """
    if origin not in get_args(Origin):
        raise InvalidOption(f"origin {origin!r} is not known; use {', '.join(get_args(Origin))}")
    b = info.bounds
    if b is None or origin == "level0":
        return 0, 0
    if origin == "bounds":
        return b.x, b.y
    raise UnsettledOrigin(
        f"{info.path}: this slide has bounds ({b.width} x {b.height} px at x {b.x}, y {b.y} of "
        f"{info.size[0]} x {info.size[1]} px) and the candidates do not say where they count from; "
        "pass --origin bounds (QuPath's default) or --origin level0 (Bio-Formats, QuPath with --no-crop, "
        "OpenSlide scripts)"
    )
