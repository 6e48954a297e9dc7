"""Tables of candidates: comma, semicolon or tab between the fields, the first line naming the columns."""

from __future__ import annotations

import csv
import io
import math
import re
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from slidemitosis.candidates.classes import normal_name
from slidemitosis.candidates.model import Candidate, Candidates
from slidemitosis.errors import InvalidOption, UnreadableCandidates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slidemitosis.candidates.model import Unit

_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("px", "pixel", "pixels"), "px"),
    # casefold() turns the micro sign into the Greek letter, so one spelling stands for both.
    **dict.fromkeys(("um", "\N{GREEK SMALL LETTER MU}m", "micron", "microns"), "um"),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), "um"),
}
_COORDINATE = re.compile(r"(?P<axis>[xy])(?:[ _]+(?P<bare>\w+)|[ _]*[(\[]\s*(?P<bracketed>\w+)\s*[)\]])?")
_ID_NAMES = {"id"}
_CLASS_NAMES = {"class", "classification", "class_name", "class name"}
_LESSER_CLASS_NAMES = {"label"}
# Beside these, x and y may be a corner as well as a centre.
_BOX_NAMES = {"width", "height", "w", "h", "xmax", "ymax", "x2", "y2"}
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

_Row = tuple[int, list[str]]
"""The line on which a row begins, and its fields."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns stand that are read."""

    x: int
    y: int
    id: int | None
    class_name: int | None
    width: int
    unit: Unit | None


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the rows of one table are to be read."""

    path: Path
    delimiter: str
    columns: _Columns
    marks: dict[str, int]
    """Decimal mark -> the line on which it was first seen; filled while rows are read."""


def parse_table(text: str, *, path: Path, unit: Unit | None = None) -> Candidates:
    """The candidates in a table, in its order; `path` is for messages and is not opened.

    `unit` is that of columns whose names state none; without it these are px. Raises
    `UnreadableCandidates`, or `InvalidOption` where a column's name contradicts `unit`.
    """
    delimiter, header = _header(text, path)
    columns = _columns(header, path)
    if unit is not None and columns.unit is not None and unit != columns.unit:
        message = (
            f"{path}: its columns are in {columns.unit}, yet the unit given is {unit}; leave the unit out"
        )
        raise InvalidOption(message)
    layout = _Layout(path, delimiter, columns, marks={})
    rows = _rows(text, delimiter, path)
    next(rows)  # the names of the columns
    items = tuple(_candidate(row, layout) for row in rows)
    return Candidates(path=path, format="csv", unit=columns.unit or unit or "px", items=items)


def _header(text: str, path: Path) -> tuple[str, list[str]]:
    """The delimiter and the column names: the delimiter is the one that brings x and y to light."""
    found: list[tuple[str, list[str]]] = []
    for delimiter in ("\t", ";", ","):
        # Not strict: to a tab-separated reader the header "x","y" is one badly quoted field.
        _, fields = next(_rows(text, delimiter, path, strict=False), (0, [""]))
        names = [_folded(field) for field in fields]
        if {match["axis"] for name in names if (match := _coordinate(name))} == {"x", "y"}:
            return delimiter, names
        found.append((delimiter, fields))
    _, fields = max(found, key=lambda one: len(one[1]))
    listed = ", ".join(reprlib.repr(field.strip()) for field in fields[:20])
    message = f"{path}: no columns x and y, or x_um and y_um; the columns of its first line are {listed}"
    raise UnreadableCandidates(message)


def _columns(names: list[str], path: Path) -> _Columns:
    x = _one(names, [bool((m := _coordinate(name)) and m["axis"] == "x") for name in names], path)
    y = _one(names, [bool((m := _coordinate(name)) and m["axis"] == "y") for name in names], path)
    assert x is not None
    assert y is not None
    units = [_unit(names[x]), _unit(names[y])]
    if units[0] != units[1]:
        _fail(
            f"{path}", f"the columns {names[x]!r} and {names[y]!r} state different units; give both the same"
        )
    boxes = [name for name in names if name in _BOX_NAMES]
    if boxes:
        _fail(
            f"{path}",
            f"beside the column {boxes[0]!r}, x and y may be a corner of a box or its centre; give the "
            "centres, and no columns of a box",
        )
    class_name = _one(names, [name in _CLASS_NAMES for name in names], path)
    if class_name is None:
        class_name = _one(names, [name in _LESSER_CLASS_NAMES for name in names], path)
    return _Columns(
        x=x,
        y=y,
        id=_one(names, [name in _ID_NAMES for name in names], path),
        class_name=class_name,
        width=len(names),
        unit=units[0],
    )


def _one(names: list[str], wanted: list[bool], path: Path) -> int | None:
    """The index of the one column that is wanted; two would leave open which one is meant."""
    found = [index for index, is_wanted in enumerate(wanted) if is_wanted]
    if len(found) > 1:
        both = " and ".join(repr(names[index]) for index in found)
        _fail(f"{path}", f"the columns {both} say the same; keep one of them")
    return found[0] if found else None


def _coordinate(name: str) -> re.Match[str] | None:
    """The match of a column name that is x or y, bare or with a unit that we know."""
    match = _COORDINATE.fullmatch(name)
    word = match and (match["bare"] or match["bracketed"])
    return match if word is None or word in _UNITS else None


def _unit(name: str) -> Unit | None:
    match = _coordinate(name)
    assert match is not None
    return _UNITS.get(match["bare"] or match["bracketed"] or "")


def _folded(field: str) -> str:
    return " ".join(field.casefold().split())


def _rows(text: str, delimiter: str, path: Path, *, strict: bool = True) -> Iterator[_Row]:
    """Rows that hold anything. Read strictly, or else an open quote would swallow the rows after it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    line = 1
    try:
        for fields in reader:
            # Spreadsheets write rows of bare delimiters below a table.
            if any(field.strip() for field in fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        _fail(f"{path}: line {line}", f"not readable as a table ({error})")


def _candidate(row: _Row, layout: _Layout) -> Candidate:
    line, fields = row
    columns = layout.columns
    if len(fields) != columns.width:
        what = f"{len(fields)} fields where the first line has {columns.width}"
        _fail(f"{layout.path}: line {line}", what)
    name = "" if columns.id is None else fields[columns.id].strip()
    class_name = "" if columns.class_name is None else fields[columns.class_name]
    return Candidate(
        id=name or None,
        x=_number(fields[columns.x].strip(), "x", line, layout),
        y=_number(fields[columns.y].strip(), "y", line, layout),
        class_name=normal_name(class_name),
        source=f"line {line}",
    )


def _number(text: str, axis: str, line: int, layout: _Layout) -> float:
    where = f"{layout.path}: line {line}"
    mark = next((mark for mark in ".," if mark in text), None)
    # float() would also take "nan", "1_000" and digits of other scripts.
    is_number = _NUMBER.fullmatch(text) and (mark != "," or layout.delimiter == ";")
    value = float(text.replace(",", ".")) if is_number else math.nan
    if not math.isfinite(value):
        _fail(where, f"{axis} is {reprlib.repr(text)}, not a finite number")
    if mark is not None:
        layout.marks.setdefault(mark, line)
        if len(layout.marks) > 1:
            # One of the two must then be parting thousands, and nothing says which.
            first = min(layout.marks.values())
            _fail(where, f"{axis} is {text!r}, yet line {first} has another decimal mark; use one throughout")
    return value


def _fail(where: str, what: str) -> NoReturn:
    message = f"{where}: {what}"
    raise UnreadableCandidates(message)
