"""Read CSV and TSV files whose first line names the columns."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidCohort
from slidemitosis.files import as_meant, regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_UNKNOWN = frozenset(("", "na", "<na>", "n/a", "nan", "none", "null"))
"""How tables of R, pandas and spreadsheets write that a cell is not known, in lower case."""


def said(cell: str) -> str:
    """Return what a cell says, without spaces around it; "" where it says that nothing is known."""
    text = cell.strip()
    return "" if text.casefold() in _UNKNOWN else text


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of the columns, and each row that is not empty with the line on which it begins.

    Tab, semicolon or comma parts the cells. Raises InvalidCohort for what is no such table, for rows of
    another length, and for two columns of one name.
    """
    try:
        text = regular(path).read_text(encoding="utf-8-sig")
    except OSError as e:
        raise InvalidCohort(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InvalidCohort(f"{path}: not UTF-8 text; save it as UTF-8 (in Excel: CSV UTF-8)") from e
    if "\0" in text:
        raise InvalidCohort(f"{path}: holds a null character, which no table has; save it anew as CSV")
    first = next(iter(text.splitlines()), "")
    delimiter = max("\t;,", key=lambda d: (first.count(d), d == ","))
    rows = _rows(path, text, delimiter)
    _, names = next(rows, (1, [""]))
    names = [n.strip() for n in names]
    known = [folded(n) for n in names]
    twice = next((n for n in known if known.count(n) > 1), None)
    if twice is not None:
        raise InvalidCohort(f"{path}: two columns are named {twice!r}")
    table = []
    for line, cells in rows:
        if len(cells) != len(names):
            what = f"{len(cells)} fields where the first line has {len(names)}"
            raise InvalidCohort(f"{path}: line {line}: {what}")
        table.append((line, cells))
    return names, table


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(c.strip() for c in cells):
                yield line, [as_meant(c) for c in cells]
            line = reader.line_num + 1
    except csv.Error as e:
        raise InvalidCohort(f"{path}: line {line}: not readable as a table ({e})") from e


def folded(name: str) -> str:
    """Return a column's name as it is compared: case and kinds of space do not matter."""
    return "_".join(name.casefold().split())
