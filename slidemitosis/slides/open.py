"""Open a whole-slide image with the library that reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from slidemitosis.errors import InvalidOption, UnreadableSlide
from slidemitosis.options.read import Reader
from slidemitosis.slides.openslide import open_openslide
from slidemitosis.slides.tiffslide import open_tiffslide

if TYPE_CHECKING:
    from slidemitosis.slides.slide import Slide


def open_slide(path: Path | str, *, reader: Reader = "auto") -> Slide:
    """Open a whole-slide image.

    `reader` "auto" takes OpenSlide, or tiffslide for formats that OpenSlide does not know, and decodes
    tiles without either where that gives the same pixels; "openslide" and "tiffslide" use that library
    alone. Raises UnreadableSlide, InvalidOption.
    """
    path = Path(path)
    try:
        kind = "folder" if path.is_dir() else "file" if path.exists() else None
    except (OSError, ValueError) as e:  # a name that is too long or holds a null
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
        # The library's handle is useless after an error, but the tile that failed may never be asked for.
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
        return open_tiffslide(path)
    found = open_openslide(path)
    if found is not None:
        return found
    if reader == "openslide":
        raise UnreadableSlide(
            f"{path}: not a slide that OpenSlide can read, or cut off; try --reader tiffslide"
        )
    try:
        return open_tiffslide(path)
    except UnreadableSlide as e:
        reason = str(e).removeprefix(f"{path}: ")
        raise UnreadableSlide(f"{path}: not a slide that OpenSlide can read; {reason}") from e
