"""Slides that a library has opened, and their metadata; the library's name is the prefix of its keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from slidemitosis.geometry import Bounds, Level, PixelSize
from slidemitosis.slides.ome import ome_pixel_size
from slidemitosis.slides.slide import Slide, SlideInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LibrarySlide(Slide):
    """A slide that `handle`, an open slide of a library, reads."""

    def __init__(self, handle: Any, path: Path, *, library: str, version: str) -> None:
        self._handle = handle
        try:
            self.info = _describe(handle, path, library=library, version=version)
        except BaseException:
            handle.close()
            raise

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._handle.close()


def _describe(handle: Any, path: Path, *, library: str, version: str) -> SlideInfo:
    properties = dict(handle.properties)
    sizes = zip(handle.level_dimensions, handle.level_downsamples, strict=True)
    levels = tuple(Level(int(w), int(h), float(downsample)) for (w, h), downsample in sizes)
    return SlideInfo(
        path=path,
        reader=library,
        reader_version=version,
        vendor=properties.get(f"{library}.vendor"),
        levels=levels,
        mpp=ome_pixel_size(_description(properties, library), (levels[0].width, levels[0].height))
        or _pixel_size(properties, library),
        bounds=_bounds(properties, library, levels[0]),
        background=_colour(properties.get(f"{library}.background-color")),
        tile=_tile(properties, library),
        not_direct=("the library was asked for",) * len(levels),
        quickhash=properties.get("openslide.quickhash-1"),
    )


def _description(properties: Mapping[str, Any], library: str) -> str:
    """Return what a TIFF says of itself in words."""
    return str(properties.get("tiff.ImageDescription") or properties.get(f"{library}.comment") or "")


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _pixel_size(properties: Mapping[str, Any], library: str) -> PixelSize | None:
    """Return um/px of level 0; None if it is not stated or not a positive number."""
    x, y = (_number(properties.get(f"{library}.mpp-{axis}")) for axis in "xy")
    return PixelSize(x, y) if x and y and x > 0 and y > 0 else None


def _bounds(properties: Mapping[str, Any], library: str, full: Level) -> Bounds | None:
    """Return the part of the slide that holds pixels; None if none is stated, or it is the full extent."""
    numbers = [_number(properties.get(f"{library}.bounds-{k}")) for k in ("x", "y", "width", "height")]
    if any(v is None for v in numbers):
        return None
    stated = Bounds(*(int(v) for v in numbers if v is not None))
    return None if stated == Bounds(0, 0, full.width, full.height) else stated


def _colour(text: object) -> tuple[int, int, int]:
    """Return the RGB of "rrggbb"; white if none is stated, as scanners show empty glass."""
    try:
        value = bytes.fromhex(str(text or "ffffff").lstrip("#"))
    except ValueError:
        value = b""
    return (value[0], value[1], value[2]) if len(value) == 3 else (255, 255, 255)


def _tile(properties: Mapping[str, Any], library: str) -> tuple[int, int]:
    """Return width and height of a tile of level 0, px; 256 x 256 if they are not stated."""
    width, height = (_number(properties.get(f"{library}.level[0].tile-{k}")) for k in ("width", "height"))
    return (int(width), int(height)) if width and height else (256, 256)
