"""SQLite files, opened without changing anything in them or beside them."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"SQLite format 3\0"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection that can only read. Raises UnreadableCandidates for what SQLite finds wrong."""
    try:
        file = path.resolve()
        # Without this, SQLite writes two files beside one with a write-ahead log, or fails where it may not.
        log = "&immutable=1" if _has_all_of_its_log(file) else ""
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro{log}", uri=True)
        with contextlib.closing(connection):
            # A schema can hold functions and views, which must not run for a file from elsewhere.
            connection.execute("PRAGMA trusted_schema = OFF")
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            # SQLite counts pages, and reads what the last one lacks as zeros.
            if path.stat().st_size % page:
                raise refusal(path, "an SQLite database that is cut off; copy it again")
            yield connection
    except sqlite3.Error as error:
        why = " ".join(str(error).split())
        remedy = "it may be cut off or in use: copy it again"
        raise refusal(path, f"not readable as an SQLite database ({why}); {remedy}") from error


def _has_all_of_its_log(path: Path) -> bool:
    """Tell whether a database has a write-ahead log, all in the file, which means that nobody has it open."""
    with path.open("rb") as file:
        uses_log = file.read(20)[18:] == b"\2\2"
    return uses_log and not path.with_name(f"{path.name}-wal").exists()


def columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Return the names of the columns of each table, all in lower case."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    query = "SELECT name FROM pragma_table_info(?)"
    return {t.casefold(): {c.casefold() for (c,) in connection.execute(query, (t,))} for t in tables}
