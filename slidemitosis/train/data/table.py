"""Read CSV tables cell by cell; an error names file, row, column and remedy."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.files import as_meant, regular
from slidemitosis.labels import SUBTYPES
from slidemitosis.toml_tables import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_T = TypeVar("_T")

log = logging.getLogger(__name__)

LABELS = {
    "amf": 1, "atypical": 1, "1": 1, "true": 1,
    "nmf": 0, "normal": 0, "0": 0, "false": 0,
}  # fmt: skip
# The second is AMi-Br's own spelling.
_SUBTYPES = {s.lower(): s for s in SUBTYPES} | {"amf bipolar assymetric": "AMF bipolar asymmetric"}


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one CSV file. `row` counts from 0, below the header."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]
    """Line of the file in which each row ends; the header is line 1."""
    sha256: str

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Sequence[int]) -> Table:
        """Return the table of these rows, in this order."""
        return replace(self, rows=tuple(self.rows[i] for i in rows), lines=tuple(self.lines[i] for i in rows))

    def column(self, read: Callable[[int, str], _T], name: str) -> tuple[_T, ...]:
        """Return what `read`, a method of this table such as `text`, gives for each cell of a column."""
        return tuple(read(row, name) for row in range(len(self)))

    def grid(self, read: Callable[[int, str], float], names: Sequence[str]) -> NDArray[np.float64]:
        """Return the same for several columns, row by row, float64 (rows, columns)."""
        cells = [[read(row, name) for name in names] for row in range(len(self))]
        return np.array(cells, np.float64).reshape(len(self), len(names))

    def bad(self, row: int, column: str, reason: str) -> InvalidOption:
        """Return the error for one cell."""
        return InvalidOption(f"{self.path}: row {self.lines[row]}, column {column}: {reason}")

    def text(self, row: int, column: str) -> str:
        """Return the cell without surrounding spaces; "" where the column is absent."""
        return self.rows[row].get(column, "").strip()

    def needed(self, row: int, column: str) -> str:
        """Return the cell, which must not be empty."""
        text = self.text(row, column)
        if not text:
            raise self.bad(row, column, "is empty; fill it in, or take the row out")
        return text

    def number(self, row: int, column: str) -> float:
        """Return the cell as a number; NaN where it is empty or the column is absent."""
        text = self.text(row, column)
        try:
            value = float(text) if text else math.nan
        except ValueError:
            value = math.inf
        if text and not math.isfinite(value):
            raise self.bad(row, column, f"{text!r} is not a number; write it as 1234.5")
        return value

    def label(self, row: int, column: str) -> int:
        """Return 1 for AMF, 0 for NMF."""
        text = self.needed(row, column)
        if text.lower() not in LABELS:
            raise self.bad(row, column, f"label {text!r} is not known; use AMF or NMF")
        return LABELS[text.lower()]

    def vote(self, row: int, column: str) -> float:
        """Return an expert's label, 1 or 0; NaN where the cell is empty: the expert was not asked."""
        return self.label(row, column) if self.text(row, column) else math.nan

    def subtype(self, row: int, column: str) -> str:
        """Return a name of SUBTYPES, or "" where none is given."""
        text = self.text(row, column)
        if text and text.lower() not in _SUBTYPES:
            near = nearest(text, SUBTYPES)
            raise self.bad(row, column, f"subtype {text!r} is not known{near}; known: {', '.join(SUBTYPES)}")
        return _SUBTYPES[text.lower()] if text else ""

    def refuse_repeated(self, keys: Sequence[object], column: str) -> None:
        """Raise InvalidOption where two rows have the same key, and so are of the same figure."""
        first: dict[object, int] = {}
        for row, key in enumerate(keys):
            if first.setdefault(key, row) != row:
                raise self.bad(
                    row, column, f"the same figure as in row {self.lines[first[key]]}; keep one of them"
                )


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """Read a UTF-8 CSV whose first line names its columns, with at least one row.

    Raises InvalidOption if it cannot be read, lacks a needed column, or has a row of another length.
    """
    try:
        content = regular(path).read_bytes()
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = [
            (reader.line_num, [as_meant(c) for c in cells])
            for cells in reader
            if any(c.strip() for c in cells)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise InvalidOption(f"{path}: cannot be read: {reason}; give a CSV file in UTF-8") from e
    columns = tuple(c.strip() for c in lines[0][1]) if lines else ()
    lacking = [c for c in needed if c not in columns]
    if lacking:
        has = ", ".join(c for c in columns if c)[:200] or "none: the file has no rows"
        raise InvalidOption(
            f"{path}: lacks the columns {', '.join(lacking)}; its columns, which commas must part, are {has}"
        )
    repeated = sorted({c for c in columns if c and columns.count(c) > 1})
    if repeated:
        raise InvalidOption(f"{path}: has the column {repeated[0]} twice; keep one of them")
    if len(lines) < 2:
        raise InvalidOption(f"{path}: has no rows below its header; a row for each figure is needed")
    for number, cells in lines[1:]:
        if len(cells) != len(columns):
            raise InvalidOption(
                f"{path}: row {number} has {len(cells)} cells, the header {len(columns)}; put quotes around "
                "texts that hold commas"
            )
    rows = tuple(dict(zip(columns, cells, strict=True)) for _, cells in lines[1:])
    return Table(path, columns, rows, tuple(n for n, _ in lines[1:]), hashlib.sha256(content).hexdigest())


def warn_of_unread(table: Table, known: Sequence[str]) -> None:
    """Log each column that is nearly one of `known`: misspelt, it would be left out in silence."""
    for column in table.columns:
        if column not in known and (near := nearest(column, known)):
            log.warning("%s: column %r is not read%s", table.path, column, near)
