"""Tell from the pages of a TIFF whether a library reads its picture in the right colours and places.

A library reads more than it says: the first of three grey pages as a grey slide, the high bytes of 16-bit
colours, the numbers of a palette as grey. What is not known to be read right is refused when a slide is
opened, so that every command says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from slidemitosis.slides.tiff import BadTiff, read_directories, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.geometry import Level
    from slidemitosis.slides.slide import SlideInfo
    from slidemitosis.slides.tiff import Directory

# TIFF tags.
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANAR, _TILE_WIDTH, _EXTRA, _SAMPLE_FORMAT = 274, 277, 284, 322, 338, 339

_RGB, _YCBCR = 2, 6
_COLOURS = {
    0: "grey",
    1: "grey",
    _RGB: "RGB",
    3: "palette",
    5: "CMYK",
    _YCBCR: "YCbCr",
    8: "CIELab",
    9: "CIELab",
    10: "CIELab",
}
_GREY = (0, 1)
_FORMATS = {1: "", 2: "signed ", 3: "floating-point "}
_ASSOCIATED, _UNASSOCIATED = 1, 2
"""Kinds of alpha: colours are multiplied by it already, or not."""
_JPEG = (6, 7, 33007, 34892)
"""Compressions whose decoders give RGB of YCbCr, in both libraries."""
_YCBCR_OF_APERIO = 33003
"""JPEG 2000 whose YCbCr OpenSlide alone turns into RGB."""
_ANY_TIFF = ("generic-tiff", None)
"""Vendors of files that any program may have written; None: tiffslide has no name for it."""
_LEVEL_A_PAGE = ("aperio", *_ANY_TIFF)
"""Vendors whose levels are pages of the same size."""


@dataclass(frozen=True, slots=True)
class Page:
    """How one page of a TIFF holds its picture, in the numbers of TIFF 6.0."""

    width: int  # px
    height: int  # px
    tiled: bool
    subfile: int
    """Bits: 1 a smaller copy, 4 a mask."""
    bits: int
    """Of a sample; -1 where samples differ."""
    compression: int
    photometric: int
    orientation: int
    samples: int
    planar: int
    """1: the samples of a pixel lie beside one another; 2: each has a plane of its own."""
    extra: int
    """Kind of the samples beyond the colours: 0 not stated, 1 or 2 alpha; -1 where they differ."""
    sample_format: int

    @property
    def is_grey(self) -> bool:
        """Whether it holds one kind of brightness and no colours."""
        return self.photometric in _GREY

    @property
    def text(self) -> str:
        """What it holds, for messages: "16-bit grey", "8-bit RGB with 5 samples a pixel"."""
        colours = _COLOURS.get(self.photometric, f"photometric {self.photometric}")
        bits = f"{self.bits}-bit " if self.bits > 0 else "unevenly deep "
        usual = 1 if self.is_grey or self.photometric == 3 else 4 if self.photometric == 5 else 3
        more = f" with {self.samples} samples a pixel" if self.samples != usual else ""
        return f"{bits}{_FORMATS.get(self.sample_format, 'other ')}{colours}{more}"


def read_pages(file: BinaryIO) -> list[Page]:
    """Read what every page of a TIFF says of its picture, SubIFDs included. Raises BadTiff, OSError."""
    return [_page(file, directory) for directory in read_directories(file)]


def _page(file: BinaryIO, directory: Directory) -> Page:
    def number(tag: int, default: int) -> int:
        return whole_number(file, directory, tag, default)

    samples = number(_SAMPLES, 1)
    return Page(
        width=number(_WIDTH, 0),
        height=number(_HEIGHT, 0),
        tiled=_TILE_WIDTH in directory,
        subfile=number(_SUBFILE, 0),
        bits=number(_BITS, 1),
        compression=number(_COMPRESSION, 1),
        photometric=number(_PHOTOMETRIC, _RGB if samples == 3 else 1),
        orientation=number(_ORIENTATION, 1),
        samples=samples,
        planar=number(_PLANAR, 1),
        extra=number(_EXTRA, 0),
        sample_format=number(_SAMPLE_FORMAT, 1),
    )


def look_at(info: SlideInfo, *, planes_are_colours: bool = False) -> tuple[str | None, int]:
    """Return why a slide's picture is not read right, None if it is, and how many planes of one size it has.

    info: as a library has described the slide. planes_are_colours: whether the library reads three grey
    planes as red, green and blue. Files that are no TIFF are the library's own affair. Raises OSError.
    """
    try:
        with info.path.open("rb") as file:
            pages = read_pages(file)
    except BadTiff as e:
        # Other vendors write what is no TIFF, or TIFFs of their own above 4 GB.
        return (f"its TIFF directories cannot be read: {e}" if info.vendor in _ANY_TIFF else None), 1
    if info.reader == "openslide" and info.vendor != "hamamatsu":
        pages = [p for p in pages if p.tiled]
    read = _pages_read(pages, info.vendor, info.levels)
    reason = next((why for page in read if (why := _why_not(page, info.reader, planes_are_colours))), None)
    planes = 1
    if info.vendor in _ANY_TIFF:
        planes = sum((p.width, p.height) == info.size and not p.subfile for p in pages)
    if reason is not None and planes > 1 and read[0].is_grey:
        reason = _of_several(planes, read[0])
    return reason, max(planes, 1)


def _pages_read(pages: Sequence[Page], vendor: str | None, levels: Sequence[Level]) -> list[Page]:
    """Return the pages that levels are read from, as far as it can be told: the largest, and those of a size.

    Scanners also write small grey pages of other things, such as where tissue was found.
    """
    sizes = {(level.width, level.height) for level in levels} if vendor in _LEVEL_A_PAGE else set()
    found = [p for p in pages if (p.width, p.height) in sizes]
    return sorted(found, key=_area, reverse=True) or sorted(pages, key=_area)[-1:]


def _area(page: Page) -> int:
    return page.width * page.height


def _why_not(page: Page, reader: str, planes_are_colours: bool) -> str | None:
    """Return why a library would read a page in other colours or places than its own, None if it would not.

    What it says was tried with OpenSlide 4.0 and tiffslide 3.0.
    """
    if page.orientation != 1:
        return (
            f"its TIFF tag Orientation is {page.orientation}: the picture is to be turned or mirrored, and "
            "programs differ on whether they do; write it anew as it is to be seen, with Orientation 1"
        )
    if planes_are_colours and (page.photometric, page.bits, page.samples) == (1, 8, 1):
        return None if page.sample_format == 1 else _only_rgb(page)
    if (page.bits, page.sample_format) != (8, 1) or page.photometric not in (_RGB, _YCBCR):
        return _only_rgb(page)
    if page.photometric == _RGB:
        return _why_not_rgb(page, reader)
    if page.samples != 3:
        return _only_rgb(page)
    return _only_openslide(page) if reader == "tiffslide" and page.compression not in _JPEG else None


def _why_not_rgb(page: Page, reader: str) -> str | None:
    alpha = page.samples == 4 and page.extra in (_ASSOCIATED, _UNASSOCIATED)
    if page.samples != 3 and not alpha:
        unknown = page.samples == 4
        return (
            f"{_only_rgb(page)}{'; what the fourth is, its tag ExtraSamples does not say' if unknown else ''}"
        )
    openslide_alone = (
        page.planar != 1 or (alpha and page.extra == _ASSOCIATED) or page.compression == _YCBCR_OF_APERIO
    )
    return _only_openslide(page) if openslide_alone and reader == "tiffslide" else None


def _only_rgb(page: Page) -> str:
    return (
        f"its picture is {page.text}; of slides of H&E only 8-bit RGB, with alpha or without, is read: write "
        "it anew as that"
    )


def _only_openslide(page: Page) -> str:
    layout = "planes of their own" if page.planar != 1 else f"TIFF compression {page.compression}"
    alpha = ", multiplied by alpha" if page.samples == 4 and page.extra == _ASSOCIATED else ""
    return (
        f"tiffslide would read its picture, {page.text} ({layout}{alpha}), in wrong colours; take --reader "
        "openslide, or write it anew as 8-bit RGB"
    )


def _of_several(planes: int, page: Page) -> str:
    remedy = "; if they are red, green and blue, pass --reader tiffslide" if planes == 3 else ""
    return (
        f"it has {planes} pages of one size, each {page.text}: separate channels, of which the first alone "
        f"would be read{remedy or '; write it anew as 8-bit RGB'}"
    )
