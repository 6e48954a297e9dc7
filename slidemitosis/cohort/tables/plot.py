"""Plot a cohort's rates: every slide with its interval, sorted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageDraw

from slidemitosis.files import write_whole
from slidemitosis.outputs.lettering import in_letters, load_font

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.tables.columns import Value
    from slidemitosis.outputs.lettering import Font

FIGURE = "cohort.png"
_NAMED = 150
"""Number of slides up to which the axis names each."""
_LONGEST_NAME = 30
_TITLE = "Expected atypical fraction, 95 % interval of the tumour"
_Y_LABEL = "expected atypical, % of figures"

_DPI = 150
_FINE = 4
"""The marks are drawn so many times larger and then reduced, which smooths their edges."""
_PITCH = 24  # px between two named slides
_LEAST_WIDTH, _MOST_WIDTH_UNNAMED = 560, 1300  # px, of the plot without its margins
_HEIGHT = 460  # px, of the plot without its margins
_LEFT, _RIGHT, _TOP = 84, 24, 82  # px
_TEXT, _TITLE_TEXT = 17, 20  # px
# Blue and vermilion of Okabe and Ito. What differs in colour differs in shape, too.
_COLOUR, _REVIEWED, _FAINT, _INK, _GRID = "#0072B2", "#D55E00", "#8a8a8a", "#333333", "#e6e6e6"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slide:
    """What is drawn of one slide; fractions of 1."""

    name: str
    expected: float
    tumour: tuple[float, float] | None
    few: bool
    reviewed: float | None
    """By the answers of persons and the model together."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the plot's area lies in the picture, px."""

    width: int
    slides: int

    def x(self, slide: float) -> float:
        """Return the middle of a slide's column, counted from 0."""
        return _LEFT + (slide + 0.5) * self.width / self.slides

    @staticmethod
    def y(fraction: float) -> float:
        """Return the height of a fraction from 0 to 1."""
        return _TOP + (1 - fraction) * _HEIGHT


def write_figure(rows: Sequence[Mapping[str, Value]], out: Path) -> Path | None:
    """Draw the fraction AMF / (AMF + NMF) of each slide that is done, as expected, with the 95 % interval of
    its tumour; and the fraction with reviewed figures, where persons have answered.

    Slides are sorted by fraction, then by name; those with few figures are hollow and grey. The same rows
    give the same bytes. Return the file, or None if no slide has a rate: nothing is written then. Raises
    OutputError.
    """
    slides = [_slide(r) for r in rows if r["status"] == "done" and r.get(_EXPECTED) is not None]
    if not slides:
        return None
    slides.sort(key=lambda s: (s.expected, s.name))
    data = io.BytesIO()
    _drawn(slides).save(data, format="PNG", dpi=(_DPI, _DPI))
    write_whole(out / FIGURE, data.getvalue())
    return out / FIGURE


_EXPECTED = "expected_fraction_amf_of_all"


def _slide(row: Mapping[str, Value]) -> _Slide:
    low, high = row.get("expected_tumour_95_low"), row.get("expected_tumour_95_high")
    reviewed = row.get("combined_fraction_amf_of_all")
    return _Slide(
        name=in_letters(str(row["name"])[:_LONGEST_NAME]),
        expected=_number(row[_EXPECTED]),
        tumour=None if low is None or high is None else (_number(low), _number(high)),
        few=bool(row.get("few_figures")),
        reviewed=None if reviewed is None else _number(reviewed),
    )


def _number(value: Value) -> float:
    return float(cast("float", value))


def _drawn(slides: Sequence[_Slide]) -> Image.Image:
    named = len(slides) <= _NAMED
    place = _Place(
        max(_LEAST_WIDTH, _PITCH * len(slides) if named else min(_MOST_WIDTH_UNNAMED, 2 * len(slides))),
        len(slides),
    )
    font = load_font(_TEXT)
    bottom = 16 + (round(max(font.getlength(s.name) for s in slides)) if named else 2 * _TEXT)
    size = (_LEFT + place.width + _RIGHT, _TOP + _HEIGHT + bottom)
    fine = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), "white")
    marks = _Marks(ImageDraw.Draw(fine), line=2.0 if named else 1.0, radius=6.0 if named else 2.0)
    _draw_axes(marks, place)
    for i, slide in enumerate(slides):
        _draw_slide(marks, place, i, slide)
    legend = _legend(slides)
    for i, (few, _) in enumerate(legend):
        at = (_LEFT + 14.0, _TOP + 18.0 + 26 * i)
        if few:
            marks.ring(*at)
        else:
            marks.diamond(*at)
    picture = fine.reduce(_FINE)
    draw = ImageDraw.Draw(picture)
    draw.text((_LEFT, 22), _TITLE, fill=_INK, font=load_font(_TITLE_TEXT))
    for percent in range(0, 101, 20):
        at = (_LEFT - 12, place.y(percent / 100))
        draw.text(at, str(percent), fill=_INK, font=font, anchor="rm")
    for i, (_, told) in enumerate(legend):
        draw.text((_LEFT + 30, _TOP + 18 + 26 * i), told, fill=_INK, font=font, anchor="lm")
    _write_upwards(picture, _Y_LABEL, font, x=18, end=_TOP + _HEIGHT // 2 - font.getlength(_Y_LABEL) / 2)
    if named:
        for i, slide in enumerate(slides):
            _write_upwards(picture, slide.name, font, x=place.x(i), end=_TOP + _HEIGHT + 10)
    else:
        at = (_LEFT + place.width / 2, _TOP + _HEIGHT + 26)
        draw.text(at, f"{len(slides):,} slides, sorted", fill=_INK, font=font, anchor="mm")
    return picture


def _legend(slides: Sequence[_Slide]) -> list[tuple[bool, str]]:
    """Return whether it is of the hollow mark, and the words, of each mark that needs them."""
    told = []
    if any(s.few for s in slides):
        told.append((True, "too few figures for a rate"))
    if any(s.reviewed is not None for s in slides):
        told.append((False, "with the figures that persons reviewed"))
    return told


@dataclass(frozen=True, slots=True)
class _Marks:
    """Draws on the large picture what is stated in px of the small one."""

    draw: ImageDraw.ImageDraw
    line: float
    radius: float

    def stroke(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> None:
        """Draw a straight line."""
        points = [(x * _FINE, y * _FINE) for x, y in (start, end)]
        self.draw.line(points, fill=colour, width=max(1, round(width * _FINE)))

    def dot(self, x: float, y: float, *, face: str = _COLOUR, edge: str = _COLOUR) -> None:
        """Draw a disc."""
        r = self.radius
        box = [(x - r) * _FINE, (y - r) * _FINE, (x + r) * _FINE, (y + r) * _FINE]
        self.draw.ellipse(box, fill=face, outline=edge, width=round(max(1.0, r / 3) * _FINE))

    def ring(self, x: float, y: float) -> None:
        """Draw the mark of a slide with few figures."""
        self.dot(x, y, face="white", edge=_FAINT)

    def diamond(self, x: float, y: float) -> None:
        """Draw the mark of a rate with reviewed figures."""
        r = self.radius * 1.2
        corners = [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        self.draw.polygon([(a * _FINE, b * _FINE) for a, b in corners], fill=_REVIEWED)


def _draw_axes(marks: _Marks, place: _Place) -> None:
    right = _LEFT + place.width
    for percent in range(0, 101, 20):
        y = place.y(percent / 100)
        marks.stroke((_LEFT, y), (right, y), _GRID, 1)
        marks.stroke((_LEFT - 6, y), (_LEFT, y), _INK, 1)
    marks.stroke((_LEFT, _TOP), (_LEFT, _TOP + _HEIGHT), _INK, 1)
    marks.stroke((_LEFT, _TOP + _HEIGHT), (right, _TOP + _HEIGHT), _INK, 1)


def _draw_slide(marks: _Marks, place: _Place, i: int, slide: _Slide) -> None:
    x = place.x(i)
    if slide.tumour is not None:
        low, high = slide.tumour
        colour = _FAINT if slide.few else _COLOUR
        marks.stroke((x, place.y(low)), (x, place.y(high)), colour, marks.line)
    if slide.few:
        marks.ring(x, place.y(slide.expected))
    else:
        marks.dot(x, place.y(slide.expected))
    if slide.reviewed is not None:
        marks.diamond(x, place.y(slide.reviewed))


def _write_upwards(
    picture: Image.Image,
    text: str,
    font: Font,
    *,
    x: float,
    end: float,
) -> None:
    """Write a text from below to above in black; it ends at the height `end`, in the column around x."""
    _, top, right, bottom = font.getbbox(text)
    line = Image.new("L", (max(1, round(right)), round(bottom) + 2), 0)
    ImageDraw.Draw(line).text((0, 0), text, fill=255, font=font)
    upright = line.transpose(Image.Transpose.ROTATE_90)
    at = (round(x - (top + bottom) / 2), round(end))
    picture.paste(Image.new("RGB", upright.size, _INK), at, upright)
