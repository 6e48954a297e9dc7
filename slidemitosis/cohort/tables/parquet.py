"""Write the cohort's table as Parquet, with types, for programs that read many columns of many slides."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING

from slidemitosis.cohort.tables.columns import column_type
from slidemitosis.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from slidemitosis.cohort.tables.columns import Value

PARQUET = "cohort.parquet"


def write_parquet(names: Sequence[str], rows: Sequence[Mapping[str, Value]], out: Path) -> Path | None:
    """Write the columns `names` of the rows; return the file, or None if pyarrow is not installed.

    A column of ours has the type that `COLUMN_TYPES` states, whether it holds anything or not, so that the
    files of several cohorts fit together; every other one is text. null means not known. Raises OutputError.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    columns = {}
    for name in names:
        kind = column_type(name) or str
        values = [None if (v := row.get(name)) is None else _value(kind, v) for row in rows]
        columns[str(_value(str, name))] = pa.array(values, types[kind])
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    write_whole(out / PARQUET, data.getvalue())
    return out / PARQUET


def _value(kind: Callable[[Any], Value], value: object) -> Value:
    """Return a value as its column's type; of a text what is no Unicode as `cohort.csv` shows it.

    That is a file's name in another encoding, or half of a pair of surrogates in the metadata of a project.
    """
    typed = kind(value)
    return typed.encode("utf-8", "backslashreplace").decode() if isinstance(typed, str) else typed
