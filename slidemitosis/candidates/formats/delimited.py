"""Tables as text: their delimiter, the names of their columns, their rows and their numbers."""

from __future__ import annotations

import csv
import io
import re
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from slidemitosis.candidates.formats.decimals import finite_number
from slidemitosis.candidates.refusal import refusal
from slidemitosis.files import as_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

Row = tuple[int, list[str]]
"""The line on which a row begins, and its fields."""

# "1.250" may be a thousand and more, or a little more than one.
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Delimited:
    """A table whose first line names its columns."""

    path: Path
    """For messages; not opened."""
    text: str
    delimiter: str
    titles: tuple[str, ...]
    """The names of the columns as they are written."""

    @property
    def names(self) -> tuple[str, ...]:
        """The same in lower case and with single spaces."""
        return tuple(map(folded, self.titles))

    def rows(self) -> Iterator[Row]:
        """Yield the rows that hold anything, each with as many fields as there are columns."""
        rows = _rows(self.text, self.delimiter, self.path)
        next(rows)  # the names of the columns
        # QuPath ends the line of names of its table of points with a tab, and no other line.
        unnamed = len(self.titles) - max(i for i, title in enumerate(self.titles, start=1) if title)
        for line, fields in rows:
            if len(fields) == len(self.titles) - unnamed:
                fields.extend([""] * unnamed)
            if len(fields) != len(self.titles):
                self.fail(line, f"{len(fields)} fields where the first line has {len(self.titles)}")
            yield line, fields

    def column(self, wanted: Collection[str]) -> int | None:
        """Return the index of the one column with one of these names, None if none has; two are refused."""
        return self.only([name in wanted for name in self.names])

    def only(self, wanted: Sequence[bool]) -> int | None:
        """Return the index of the one column that is wanted, None if none is; two are refused."""
        found = [index for index, is_wanted in enumerate(wanted) if is_wanted]
        if len(found) > 1:
            both = " and ".join(repr(self.names[index]) for index in found)
            raise refusal(self.path, f"the columns {both} say the same; keep one of them")
        return found[0] if found else None

    def fail(self, line: int, what: str) -> NoReturn:
        """Refuse the table for what stands on a line."""
        raise refusal(f"{self.path}: line {line}", what)


def find_delimiter(
    text: str, path: Path, *, fits: Callable[[Sequence[str]], bool], looked_for: str
) -> Delimited:
    """Return the table as the delimiter parts it with which the names of its columns fit.

    Raises `UnreadableCandidates`, whose message names the columns `looked_for`, if they fit with none.
    """
    found: list[list[str]] = []
    for delimiter in ("\t", ";", ","):
        # Not strict: to a tab-separated reader the header "x","y" is one badly quoted field.
        _, titles = next(_rows(text, delimiter, path, strict=False), (0, [""]))
        if fits([folded(title) for title in titles]):
            return Delimited(path, text, delimiter, tuple(title.strip() for title in titles))
        found.append(titles)
    listed = ", ".join(reprlib.repr(title.strip()) for title in max(found, key=len)[:20])
    raise refusal(path, f"no {looked_for}; the columns of its first line are {listed}")


def folded(title: str) -> str:
    """Return the name of a column in lower case, with single spaces."""
    return " ".join(title.casefold().split())


def _rows(text: str, delimiter: str, path: Path, *, strict: bool = True) -> Iterator[Row]:
    """Yield the rows that hold anything. Unless read strictly, an open quote swallows the rows after it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    line = 1
    try:
        for fields in reader:
            # Spreadsheets write rows of bare delimiters below a table.
            if any(text.strip() for text in fields):
                yield line, [as_meant(text) for text in fields]
            line = reader.line_num + 1
    except csv.Error as error:
        raise refusal(f"{path}: line {line}", f"not readable as a table ({error})") from error


@dataclass(slots=True)
class Numbers:
    """Numbers of a table, which must have one decimal mark throughout."""

    table: Delimited
    comma: bool
    """Whether a comma may be the decimal mark: in a table whose fields commas part, it may part thousands."""
    _marks: dict[str, int] = field(default_factory=dict)
    """Decimal mark -> the line on which it was first seen."""
    _maybe_thousands: tuple[str, str, int] | None = None
    """The first coordinate whose mark may part thousands: axis, text, line."""
    _has_decimals: bool = False
    """Whether any coordinate shows that the mark is a decimal one."""

    def coordinate(self, text: str, axis: str, line: int) -> float:
        """Return the finite number that a field has to be."""
        value = self.value(text)
        if value is None:
            self.table.fail(line, f"{axis} is {reprlib.repr(text)}, not a finite number")
        mark = next((mark for mark in ".," if mark in text), None)
        if mark is not None:
            self._marks.setdefault(mark, line)
            if len(self._marks) > 1:
                # One of the two must part thousands, and nothing says which.
                first = min(self._marks.values())
                what = f"{axis} is {text!r}, yet line {first} has another decimal mark; use one throughout"
                self.table.fail(line, what)
        if mark is not None and _MAYBE_THOUSANDS.fullmatch(text):
            self._maybe_thousands = self._maybe_thousands or (axis, text, line)
        elif mark is not None or abs(value) >= 1000:
            self._has_decimals = True
        return value

    def check_thousands(self) -> None:
        """Refuse coordinates if the mark may part thousands in all of them."""
        if self._maybe_thousands and not self._has_decimals:
            axis, text, line = self._maybe_thousands
            whole = re.sub("[.,]", "", text)
            what = f"{axis} is {text!r}, which may be {whole} with its thousands parted"
            self.table.fail(line, f"{what}; write {whole} or {text}0")

    def value(self, text: str) -> float | None:
        """Return the finite number that a field states; None if it states something else."""
        return finite_number(text) if self.comma or "," not in text else None
