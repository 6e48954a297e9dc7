"""Contact sheets: every patch as the model would see it, to check places and calls by eye."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from slidemitosis.errors import OutputError, UnreadableSlide
from slidemitosis.files import write_whole
from slidemitosis.outputs.lettering import in_letters, load_font
from slidemitosis.reading.worker import ReopeningSlide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from slidemitosis.outputs.lettering import Font
    from slidemitosis.reading.prepare import Prepared
    from slidemitosis.reading.windows import Window
    from slidemitosis.slides.slide import Slide

_COLUMNS, _ROWS = 8, 9
PER_PAGE = _COLUMNS * _ROWS
_GAP = 8  # px between patches
_CAPTION = 30  # px below each, for two lines
_TEXT = 11  # px
_INK = {"": (40, 40, 40), "AMF": (163, 71, 0), "NMF": (0, 92, 145)}
_NOT_READ = (128, 128, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One patch of a sheet."""

    window: Window
    name: str
    """Its number and its id."""
    said: str = ""
    """What a model says of it."""
    call: str = ""
    """AMF or NMF, by which it is framed; empty without a call."""


def write_sheets(
    shown: Sequence[Shown], open_slide: Callable[[], Slide], path: Path, *, side: int
) -> list[Path]:
    """Write all patches in their order, 72 a page, as PNG; return the pages.

    A single page is `path`; of several, `sheet.png` becomes `sheet-1.png`, `sheet-2.png`, ... A patch that
    cannot be read is grey. side: of a patch, px. Raises OutputError, before anything is read where a page
    would replace what is no PNG; UnreadableSlide if the slide cannot be opened.
    """
    pages = _pages(path, max(1, math.ceil(len(shown) / PER_PAGE)))
    for page in pages:
        _refuse_other_files(page)
    reader = ReopeningSlide(open_slide, side)
    try:
        for k, page in enumerate(pages):
            data = io.BytesIO()
            _drawn(shown[k * PER_PAGE : (k + 1) * PER_PAGE], reader, side).save(data, format="PNG")
            write_whole(page, data.getvalue())
    finally:
        reader.close()
    return pages


def sheet_of(prepared: Prepared) -> Iterator[Shown]:
    """Yield the patches that would be read, in the points file's order, with their ids."""
    for row, window in sorted(zip(prepared.to_read, prepared.windows, strict=True), key=lambda pair: pair[0]):
        candidate = prepared.placed[row].candidate
        yield Shown(window=window, name=f"{row + 1}  {candidate.id or candidate.source}")


def _pages(path: Path, number: int) -> list[Path]:
    if number == 1:
        return [path]
    wide = len(str(number))
    return [path.with_name(f"{path.stem}-{k:0{wide}}{path.suffix}") for k in range(1, number + 1)]


def _drawn(shown: Sequence[Shown], reader: ReopeningSlide, side: int) -> Image.Image:
    step_x, step_y = side + _GAP, side + _CAPTION + _GAP
    lines = max(1, math.ceil(len(shown) / _COLUMNS))
    sheet = Image.new("RGB", (_COLUMNS * step_x + _GAP, lines * step_y + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), load_font(_TEXT)
    for i, one in enumerate(shown):
        x, y = _GAP + i % _COLUMNS * step_x, _GAP + i // _COLUMNS * step_y
        try:
            sheet.paste(Image.fromarray(reader.read(one.window)), (x, y))
        except UnreadableSlide:
            sheet.paste(_NOT_READ, (x, y, x + side, y + side))
        if one.call:
            draw.rectangle((x - 3, y - 3, x + side + 2, y + side + 2), outline=_INK[one.call], width=3)
        draw.text((x, y + side + 3), _cut(one.name, font, side), fill=_INK[""], font=font)
        draw.text((x, y + side + 16), _cut(one.said, font, side), fill=_INK[one.call], font=font)
    return sheet


def _cut(text: str, font: Font, width: int) -> str:
    """A text in what the font has, cut off at a width, px."""
    text = in_letters(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _refuse_other_files(path: Path) -> None:
    """A sheet may replace a PNG and nothing else: not a slide, say."""
    try:
        with path.open("rb") as f:
            is_png = f.read(4) == b"\x89PNG"
    except FileNotFoundError:
        return
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror or e}") from e
    if not is_png:
        raise OutputError(f"{path}: cannot be written: a file that is no PNG is there, and is not replaced")
