"""Open a whole-slide image with the library that reads it."""

from __future__ import annotations

import contextlib
import errno
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from slidemitosis.errors import InvalidOption, UnreadableSlide
from slidemitosis.files import regular
from slidemitosis.options.read import Reader
from slidemitosis.slides.openslide import OpenSlideLacks, open_openslide
from slidemitosis.slides.picture import look_at
from slidemitosis.slides.tiffslide import open_tiffslide

if TYPE_CHECKING:
    from slidemitosis.slides.slide import Slide

log = logging.getLogger(__name__)


def open_slide(path: Path | str, *, reader: Reader = "auto") -> Slide:
    """Open a whole-slide image.

    `reader` "auto" takes OpenSlide, or tiffslide for formats that OpenSlide does not know, and decodes
    tiles without either where that gives the same pixels; "openslide" and "tiffslide" use that library
    alone. Raises InvalidOption, and UnreadableSlide also for a picture that is not read in its own colours.
    """
    path = Path(path)
    if reader not in get_args(Reader):
        raise InvalidOption(f"reader {reader!r} is not known; use {', '.join(get_args(Reader))}")
    _check_file(path)
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


def _check_file(path: Path) -> None:
    """Raise UnreadableSlide for a slide that is not there, or that is no file."""
    try:
        is_folder = regular(path).is_dir()
    except FileNotFoundError:
        raise UnreadableSlide(f"{path}: no such file") from None
    except OSError as e:
        if e.errno == errno.ENAMETOOLONG:
            raise UnreadableSlide(f"{str(path)[:80]!r}: not a usable file name: {e.strerror}") from e
        raise UnreadableSlide(f"{path}: cannot be read: {e.strerror}") from e
    except ValueError as e:  # a name that holds a null
        raise UnreadableSlide(f"{str(path)[:80]!r}: not a usable file name: {e}") from e
    if is_folder:
        # The files of a DICOM slide lie in one folder, and each of them opens it.
        part = next(iter(sorted(path.glob("*.dcm"))), None)
        of_dicom = f"; if it holds a DICOM slide, name one of its files, such as {part}" if part else ""
        raise UnreadableSlide(f"{path}: is a folder, not a slide{of_dicom}")


def _open_library(path: Path, reader: Reader) -> Slide:
    if reader == "tiffslide":
        return _looked_at(open_tiffslide(path), asked=True)
    try:
        found = open_openslide(path)
    except OpenSlideLacks:
        if reader == "openslide":
            raise
        found = None
    if found is not None:
        try:
            return _looked_at(found)
        except UnreadableSlide as e:
            colours = _planes_as_colours(path) if reader == "auto" else None
            if colours is None:
                raise
            log.debug("%s; tiffslide reads its planes as colours", e)
            return colours
    if reader == "openslide":
        raise UnreadableSlide(
            f"{path}: not a slide that OpenSlide can read, or cut off; try --reader tiffslide"
        )
    try:
        slide = open_tiffslide(path)
    except UnreadableSlide as e:
        reason = str(e).removeprefix(f"{path}: ")
        raise UnreadableSlide(f"{path}: not a slide that OpenSlide can read; {reason}") from e
    return _looked_at(slide)


def _planes_as_colours(path: Path) -> Slide | None:
    """Open a slide of one grey plane for each of red, green and blue; None if it does not say that it is."""
    with contextlib.suppress(UnreadableSlide):
        slide = open_tiffslide(path)
        if slide.planes_are_colours:
            return _looked_at(slide)
        slide.close()
    return None


def _looked_at(slide: Slide, *, asked: bool = False) -> Slide:
    """Return the slide if the library reads its picture right, else close it. Raises UnreadableSlide.

    asked: whether the user has asked for the library, and so says that three planes are colours where
    nothing says what they are.
    """
    told = slide.planes_are_colours
    try:
        reason, planes = look_at(slide.info, planes_are_colours=told is not False if asked else bool(told))
    except OSError as e:
        reason, planes = f"cannot be read: {e.strerror or e}", 1
    if reason is not None:
        slide.close()
        raise UnreadableSlide(f"{slide.info.path}: {reason}")
    if planes > 1 and not told:
        slide.info = replace(slide.info, planes=planes)
    return slide
