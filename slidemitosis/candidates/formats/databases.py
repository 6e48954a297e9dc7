"""SQLite files, opened without changing anything in them or beside them."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"SQLite format 3\0"
_LONGEST = 64 << 20  # bytes of one value
# A damaged or hostile file can give the same page, or one long default, in every row without end.
_FREE, _MOST_GIVEN = 16 << 20, 500
"""Bytes that every file may give, and how many times its size a larger file may."""
_STEPS, _FREE_STEPS, _STEPS_A_BYTE = 1_000_000, 100_000_000, 100
"""Steps of SQLite between two checks, those that every file may take, and further ones for each byte."""

_COMPUTED = (2, 3)
"""What SQLite says of generated columns."""


class Database:
    """An open SQLite file, which is refused if it gives more, or takes longer, than any file of its size."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        size = path.stat().st_size
        self._bytes_left = max(_FREE, _MOST_GIVEN * size)
        self._steps_left = _FREE_STEPS + _STEPS_A_BYTE * size
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.set_progress_handler(self._is_enough, _STEPS)

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query. Raises UnreadableCandidates, and sqlite3.Error."""
        for row in self._connection.execute(query, values):
            self._bytes_left -= sum(len(v) if isinstance(v, str | bytes) else 8 for v in row)
            if self._bytes_left < 0:
                raise self.too_much()
            yield row

    def columns(self) -> dict[str, set[str]]:
        """Return the names of the columns of each table, all in lower case.

        Raises UnreadableCandidates if one is computed, which can take any time and memory: no program whose
        files are read here makes such.
        """
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND typeof(name) = 'text'"
        found = {}
        for (table,) in list(self.rows(query)):
            columns = list(self.rows("SELECT name, hidden FROM pragma_table_xinfo(?)", table))
            if computed := [name for name, hidden in columns if hidden in _COMPUTED]:
                what = f"its table {table!r} computes the column {computed[0]!r}; write the values themselves"
                raise refusal(self.path, what)
            found[table.casefold()] = {name.casefold() for name, _ in columns}
        return found

    @property
    def is_exhausted(self) -> bool:
        """Whether the file has taken longer than any of its size."""
        return self._steps_left < 0

    def too_much(self) -> Exception:
        """Return the refusal of a file that gives or takes too much."""
        return refusal(
            self.path, "an SQLite database out of all proportion to its size: damaged, or not to be trusted"
        )

    def _is_enough(self) -> bool:
        self._steps_left -= _STEPS
        return self.is_exhausted


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Database]:
    """Open a database that can only be read. Raises UnreadableCandidates for what SQLite finds wrong."""
    database: Database | None = None
    try:
        file = path.resolve()
        # Without this, SQLite writes two files beside one with a write-ahead log, or fails where it may not.
        log = "&immutable=1" if _has_all_of_its_log(file) else ""
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro{log}", uri=True)
        with contextlib.closing(connection):
            # A schema can hold functions and views, which must not run for a file from elsewhere.
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            # SQLite counts pages, and reads what the last one lacks as zeros.
            if path.stat().st_size % page:
                raise refusal(path, "an SQLite database that is cut off; copy it again")
            database = Database(connection, path)
            yield database
    except sqlite3.Error as error:
        if database is not None and database.is_exhausted:
            raise database.too_much() from error
        why = " ".join(str(error).split())
        remedy = "it may be cut off or in use: copy it again"
        raise refusal(path, f"not readable as an SQLite database ({why}); {remedy}") from error


def _has_all_of_its_log(path: Path) -> bool:
    """Tell whether a database has a write-ahead log, all in the file, which means that nobody has it open."""
    with path.open("rb") as file:
        uses_log = file.read(20)[18:] == b"\2\2"
    return uses_log and not path.with_name(f"{path.name}-wal").exists()
