"""Tables with columns x and y, and the reading of rows, by a layout of columns, that all tables share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slidemitosis.candidates.formats.delimited import Numbers, find_delimiter
from slidemitosis.candidates.images import choose_image
from slidemitosis.candidates.marks import Mark, candidates_of
from slidemitosis.candidates.planes import plane_text
from slidemitosis.candidates.refusal import refusal
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.candidates.formats.delimited import Delimited, Row
    from slidemitosis.options.read import Format, Unit

UNITS: Mapping[str, Unit] = {
    **dict.fromkeys(("px", "pixel", "pixels"), "px"),
    # casefold() turns the micro sign into the Greek letter, so one spelling stands for both.
    **dict.fromkeys(("um", "\N{GREEK SMALL LETTER MU}m", "micron", "microns"), "um"),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), "um"),
}
"""How the name of a column may state its unit, in lower case."""
_IMAGE_NAMES = {
    "image",
    "image name",
    "image_name",
    "slide",
    "slide name",
    "slide_name",
    "filename",
    "file_name",
}

_PLANE_NAMES = re.compile(
    r"plane_([ztc])|([zt])(?:[ _-]?(?:index|slice))?|(z)[ _-]slice[ _-]index|(t)ime ?point"
)
"""Of columns that say on which plane of a stack a figure lies."""
_QUPATHS_POINTS = {"c", "name", "color"}
"""QuPath's table of points has a column c of channels beside these."""

LOOKED_FOR = "columns x and y, or x_um and y_um"

_COORDINATE = re.compile(r"(?P<axis>[xy])(?:(?:[ _]+|[ _]*([(\[])\s*)(?P<unit>\w+)(?(2)\s*[)\]]))?")
_CLASS_NAMES = {"class", "classification", "class_name", "class name"}
# Beside these, x and y may be a corner of a box, and not the centre.
_BOX_NAMES = {"width", "height", "w", "h", "xmax", "ymax", "x2", "y2"}
# The colour in which an object is shown, and the row numbers that pandas writes.
_SAYS_NOTHING = re.compile(r"|colou?r|unnamed: \d+")
# Columns of a table of results, which a run writes anew.
_OURS = {"object_id", "source", "level0_x", "level0_y", "status", "reason", "p_atypical", "call"}
# Columns that the conversion to a table writes, and reads.
_OUR_PLANES = {"plane_z", "plane_t", "plane_c"}
_OURS |= {"padding", "upsampled", "subtype", "p_subtype", "p_hard"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What each column of a table states, by its index. A column that is not named here is kept as it is."""

    format: Format
    x: int
    y: int
    unit: Unit
    frame: Literal["level0"] | None = None
    id: tuple[int, ...] = ()
    """Columns that make up the id together."""
    class_name: int | str | None = None
    """The column of the class, or the class of all rows."""
    image: int | None = None
    left_out: frozenset[int] = frozenset()
    """Columns that state nothing of the figure."""
    comma: bool = False
    """Whether a comma may be the decimal mark even if commas part the fields."""
    wanted: Callable[[Row], bool] | None = None
    """Whether a row is a candidate."""
    check: Callable[[Row], None] | None = None
    """Refuses the table if a row of the image that is meant cannot be read."""
    otherwise: Layout | None = None
    """The layout for an image all of whose rows are blank, or NaN, in column `x`."""


def parse_table(
    text: str, *, path: Path, unit: Unit | None = None, slide_name: str | None = None
) -> Candidates:
    """Read the candidates in a table with x and y, in its order; `path` is for messages and is not opened.

    `unit` is that of columns whose names state none; without it these are px. If a column names the image,
    such as `slide`, only the rows of the image `slide_name` are read. Raises `UnreadableCandidates`, or
    `InvalidOption` where the name of a column contradicts `unit`.
    """
    table = find_delimiter(text, path, fits=fits, looked_for=LOOKED_FOR)
    return read_rows(table, layout(table, unit), slide_name=slide_name)


def fits(names: Sequence[str]) -> bool:
    """Tell whether there are columns x and y, bare or with a unit."""
    return {found[0] for name in names if (found := _coordinate(name))} == {"x", "y"}


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Return the layout of a table with columns x and y. Raises as `parse_table` does."""
    stated = [_coordinate(name) or ("", None) for name in table.names]
    x, y = (table.only([axis == wanted for axis, _ in stated]) for wanted in "xy")
    assert x is not None
    assert y is not None
    if stated[x][1] != stated[y][1]:
        both = f"{table.names[x]!r} and {table.names[y]!r}"
        raise refusal(table.path, f"the columns {both} state different units; give both the same")
    boxes = [name for name in table.names if name in _BOX_NAMES]
    if boxes:
        raise refusal(
            table.path,
            f"beside the column {boxes[0]!r}, x and y may be a corner of a box or its centre; give the "
            "centres, and no columns of a box",
        )
    id_column = table.column({"id"})
    class_name = table.column(_CLASS_NAMES)
    if class_name is None:
        class_name = table.column({"label"})
    ours = _OURS if "p_atypical" in table.names else set()
    return Layout(
        format="csv",
        x=x,
        y=y,
        unit=agreed_unit(stated[x][1], unit, table.path) or "px",
        id=() if id_column is None else (id_column,),
        class_name=class_name,
        image=table.column(_IMAGE_NAMES),
        left_out=frozenset(i for i, name in enumerate(table.names) if name in ours),
        comma=table.delimiter == ";",
    )


def agreed_unit(stated: Unit | None, given: Unit | None, path: Path) -> Unit | None:
    """Return the unit that the columns state, else the one given. Raises InvalidOption if they differ."""
    if given is not None and stated is not None and given != stated:
        raise InvalidOption(
            f"{path}: its columns are in {stated}, yet the unit given is {given}; leave the unit out"
        )
    return stated or given


def read_rows(table: Delimited, layout: Layout, *, slide_name: str | None) -> Candidates:
    """Read the candidates of a table whose layout is known: of several images those of the slide."""
    image, chosen = layout.image, None
    if image is not None:
        counts = Counter(fields[image].strip() for _, fields in _rows(table, layout))
        chosen = choose_image(counts, path=table.path, slide_name=slide_name)
    if layout.otherwise is not None:
        of_image = _rows(table, layout, chosen)
        is_filled = any(not _is_missing(fields[layout.x].strip()) for _, fields in of_image)
        layout = layout if is_filled else layout.otherwise
    rows = _rows(table, layout, chosen)
    numbers = Numbers(table, layout.comma)
    extras, planes = _extras(table, layout), _planes(table, layout)
    marks = (_mark(row, layout, numbers, extras, planes) for row in rows)
    found = candidates_of(marks, path=table.path, format=layout.format, unit=layout.unit, frame=layout.frame)
    # Spreadsheets that part fields by semicolons part thousands by points.
    if layout.format == "csv" and table.delimiter == ";":
        numbers.check_thousands()
    return found


def _rows(table: Delimited, layout: Layout, chosen: str | None = None) -> Iterator[Row]:
    """Yield the rows that are candidates; those of the image `chosen` alone if one is named."""
    rows = (row for row in table.rows() if layout.wanted is None or layout.wanted(row))
    image = layout.image
    if image is None or chosen is None:
        return rows
    return (row for row in rows if row[1][image].strip() == chosen)


def _planes(table: Delimited, layout: Layout) -> dict[str, int]:
    """Return the columns that state z, t and c, by these letters."""
    used = {layout.x, layout.y, layout.class_name, layout.image, *layout.id}
    found: dict[str, int] = {}
    for column, name in enumerate(table.names):
        match = _PLANE_NAMES.fullmatch(name)
        if match is not None and column not in used:
            found.setdefault(next(filter(None, match.groups())), column)
    if set(table.names) >= _QUPATHS_POINTS:
        found["c"] = table.names.index("c")
    return found


def _mark(
    row: Row, layout: Layout, numbers: Numbers, extras: Mapping[str, int], planes: Mapping[str, int]
) -> Mark:
    if layout.check is not None:
        layout.check(row)
    line, fields = row
    x = numbers.coordinate(fields[layout.x].strip(), "x", line)
    y = numbers.coordinate(fields[layout.y].strip(), "y", line)
    class_name = layout.class_name
    stated: dict[str, object] = {}
    for title, column in extras.items():
        text = fields[column].strip()
        number = numbers.value(text)
        if not _is_missing(text):
            stated[title] = text if number is None else number
    return Mark(
        source=f"line {line}",
        centre=(x, y),
        id="_".join(fields[column].strip() for column in layout.id) or None,
        class_name=fields[class_name] if isinstance(class_name, int) else class_name,
        plane=plane_text({key: numbers.value(fields[column].strip()) for key, column in planes.items()})
        if planes
        else None,
        stated=stated,
    )


def _is_missing(text: str) -> bool:
    """Tell whether a field states that there is no measurement."""
    return not text or text.casefold() == "nan"


def _extras(table: Delimited, layout: Layout) -> dict[str, int]:
    """Return the columns that are kept as they are, by title; a title that stands again gets a number."""
    used = {layout.x, layout.y, layout.class_name, layout.image, *layout.id, *layout.left_out}
    used |= {column for column, name in enumerate(table.names) if name in _OUR_PLANES}
    extras: dict[str, int] = {}
    for column, (title, name) in enumerate(zip(table.titles, table.names, strict=True)):
        if column in used or _SAYS_NOTHING.fullmatch(name):
            continue
        count = sum(seen == name for seen in table.names[:column])
        extras[f"{title} ({count + 1})" if count else title] = column
    return extras


def _coordinate(name: str) -> tuple[str, Unit | None] | None:
    return axis_and_unit(_COORDINATE.fullmatch(name), UNITS)


def axis_and_unit(name: re.Match[str] | None, units: Mapping[str, Unit]) -> tuple[str, Unit | None] | None:
    """Return the axis and, if any, the unit that a column's name states; None if it is no coordinate's."""
    if name is None or name["unit"] not in {None, *units}:
        return None
    return name["axis"], units.get(name["unit"] or "")
