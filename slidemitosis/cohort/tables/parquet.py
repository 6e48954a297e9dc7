"""Write the cohort's table as Parquet, with types, for programs that read many columns of many slides."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING

from slidemitosis.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.tables.columns import Value

PARQUET = "cohort.parquet"


def write_parquet(names: Sequence[str], rows: Sequence[Mapping[str, Value]], out: Path) -> Path | None:
    """Write the columns `names` of the rows; return the file, or None if pyarrow is not installed.

    A column is text, a number or a truth value by what it holds; null means not known. Raises OutputError.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(v) for v in values if v is not None}
        if kinds == {int, float}:
            values = [None if v is None else float(v) for v in values]
        elif len(kinds) > 1:
            values = [None if v is None else str(v) for v in values]
        # A column without a known value is text, as those of the user's own table are.
        columns[name] = pa.array(values, None if kinds else pa.string())
    data = io.BytesIO()
    pq.write_table(pa.table(columns), data)
    write_whole(out / PARQUET, data.getvalue())
    return out / PARQUET
