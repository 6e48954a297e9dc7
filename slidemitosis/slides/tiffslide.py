"""Read slides by tiffslide; the only module that imports it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.errors import UnreadableSlide
from slidemitosis.slides.declared import BadDeclaration, guard
from slidemitosis.slides.properties import LibrarySlide
from slidemitosis.slides.tiff import MOST_DIRECTORIES, BadTiff, EndlessTiff, page_places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.slides.slide import Slide


_LARGE_STRIP = 16 << 20  # bytes, decoded


class TiffSlideSlide(LibrarySlide):
    """A slide that tiffslide reads."""

    def __init__(self, path: Path) -> None:
        import tiffslide

        version = importlib.metadata.version("tiffslide")
        self._whole: dict[int, NDArray[Any] | None] = {}
        """Levels that were decoded as a whole, since their strips are large; None for others."""
        super().__init__(tiffslide.TiffSlide(path), path, library="tiffslide", version=version)
        self._guard()
        if self._handle.properties["tiffslide.series-axes"] == "CYX":
            self.planes_are_colours = self._channels_are_colours()

    def _channels_are_colours(self) -> bool | None:
        """Tell whether the channels are red, green and blue; None if nothing says what the three are."""
        tif = self._handle.ts_tifffile
        index = self._handle.properties["tiffslide.series-index"] or 0
        if tif.series[index].shape[0] != 3:
            return False
        return says_rgb(tif.ome_metadata or "", index)

    def _level_pages(self) -> list[list[Any]]:
        """Return tifffile's pages of each level."""
        tif = self._handle.ts_tifffile
        series = tif.series[self._handle.properties["tiffslide.series-index"] or 0]
        return [[page for page in level.pages if page is not None] for level in series.levels]

    def _pages(self) -> list[Any]:
        return [page for pages in self._level_pages() for page in pages]

    def _in_large_strips(self, level: int) -> NDArray[Any] | None:
        """Return all pixels of a level whose strips are large, decoded once, (height, width, 1, 3 or 4).

        For each patch a whole strip must be decoded, often the whole slide; kept, it takes no more memory
        than decoding it. None for other levels. Raises what tifffile raises.
        """
        if level not in self._whole:
            pages = self._level_pages()[level]
            page = pages[0].keyframe
            rows = min(int(page.rowsperstrip or 0), int(page.imagelength))
            large = rows * int(page.imagewidth) * int(page.samplesperpixel) > _LARGE_STRIP
            fits = len(pages) == 1 and not page.is_tiled and page.axes in ("YX", "YXS")
            pixels = pages[0].asarray() if large and fits else None
            self._whole[level] = pixels if pixels is None or pixels.ndim == 3 else pixels[..., None]
        return self._whole[level]

    def _guard(self) -> None:
        """Let each tile be checked before it is decoded; see `slides.declared`. Raises BadDeclaration."""
        try:
            for page in {id(page.keyframe): page.keyframe for page in self._pages()}.values():
                guard(page)
        except BaseException:
            self.close()
            raise

    def lacking(self) -> str | None:
        """Say which tiles are missing from the file, which tiffslide would show as black; None if none."""
        pages = self._pages()
        # NumPy, because a slide may have a million tiles and every reader process opens it.
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
        # tiffslide divides the place by the downsample and drops the fraction, so the place must lie just
        # inside the wanted pixel.
        downsample = self.info.levels[level].downsample
        place = (x, y)
        if downsample != 1:
            place = (math.ceil(x * downsample + 1e-6), math.ceil(y * downsample + 1e-6))
        try:
            whole = self._in_large_strips(level)
            region = (
                self._handle.read_region(place, level, (width, height), as_array=True)
                if whole is None
                else whole[y : y + height, x : x + width]
            )
        # The errors of tifffile, zarr and the codecs on damaged data have no common class.
        except Exception as e:
            raise UnreadableSlide(
                f"{self.info.path.name}: level {level} at x {place[0]}, y {place[1]}: {kind_and_text(e)}"
            ) from e
        pixels: NDArray[Any] = np.asarray(region)
        if pixels.dtype != np.uint8 or pixels.shape[2] not in (3, 4):
            raise UnreadableSlide(
                f"{self.info.path.name}: pixels are {pixels.dtype} with {pixels.shape[2]} channels, not as "
                "its tags say; is the file damaged?"
            )
        return self._blank_outside_bounds(pixels, level, x, y)

    def _blank_outside_bounds(
        self, pixels: NDArray[np.uint8], level: int, x: int, y: int
    ) -> NDArray[np.uint8]:
        """Fill what lies outside the slide's bounds with its background; tiffslide leaves it black."""
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


_RGB_NAMES = (("red", "green", "blue"), ("r", "g", "b"))
_RGB_COLOURS = (0xFF0000FF, 0x00FF00FF, 0x0000FFFF)  # with alpha last
_NAMES_NOTHING = re.compile(r"(channel|ch|c)?[\s:#_-]*[\d\s:]*", re.IGNORECASE)


def says_rgb(ome_xml: str, image: int) -> bool | None:
    """Tell whether OME-XML says that an image's three channels are red, green and blue.

    None if it says nothing of them: a name such as "Channel 1" says nothing, nor does white, its default.
    QuPath asks for the same before it shows channels as one picture. image: from 0.
    """
    images = re.split(r"<(?:\w+:)?Image\b", ome_xml)[1:]
    channels = re.findall(r"<(?:\w+:)?Channel\b([^>]*)>", images[image]) if image < len(images) else []
    names, colours = ([_attribute(channel, key) for channel in channels] for key in ("Name", "Color"))
    if not all(name is None or _NAMES_NOTHING.fullmatch(name) for name in names):
        return tuple((name or "").strip().casefold() for name in names) in _RGB_NAMES
    numbers = [int(c) % 2**32 for c in colours if c is not None and re.fullmatch(r"-?\d{1,10}", c.strip())]
    if not numbers or set(numbers) == {0xFFFFFFFF}:
        return None
    return tuple(numbers) == _RGB_COLOURS


def _attribute(element: str, name: str) -> str | None:
    found = re.search(rf"""\s{name}\s*=\s*(?:"([^"]*)"|'([^']*)')""", element)
    return None if found is None else found[1] if found[1] is not None else found[2]


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def hushed_tifffile() -> Iterator[list[str]]:
    """Hide what tifffile logs, and collect its errors, such as an offset beyond the file's end."""
    handler, logger = _Complaints(), logging.getLogger("tifffile")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def open_tiffslide(path: Path) -> Slide:
    """Open a slide with tiffslide. Raises UnreadableSlide, also if some of its tiles are not in the file."""
    _check_that_pages_end(path)
    try:
        with hushed_tifffile() as complaints, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tifffile warns of harmless oddities
            slide = TiffSlideSlide(path)
    # On damaged files tifffile's parsers raise anything from KeyError to struct.error.
    except Exception as e:
        raise UnreadableSlide(f"{path}: tiffslide cannot open it: {kind_and_text(e)}") from e
    reason = complaints[0] if complaints else slide.lacking()
    if reason is not None:
        slide.close()
        raise UnreadableSlide(f"{path}: damaged or cut off: {reason}")
    return slide


def _check_that_pages_end(path: Path) -> None:
    """Raise UnreadableSlide for a TIFF whose pages tifffile would follow round and round, into all memory."""
    try:
        with path.open("rb") as file:
            page_places(file, most=MOST_DIRECTORIES)
    except EndlessTiff as e:
        raise UnreadableSlide(f"{path}: damaged: {e}") from e
    except (OSError, BadTiff):
        pass  # tiffslide says what is wrong, or reads what is no TIFF


def kind_and_text(e: BaseException) -> str:
    """Return an error of tifffile or a codec in one line; its text alone may be a mere number."""
    if isinstance(e, BadDeclaration):  # ours
        return str(e)
    return f"{type(e).__name__}: {' '.join(str(e).split())}"[:300]
