"""The tables of a cohort, made of what was recorded of its slides; docs/cohorts.md explains each column."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from slidemitosis.cohort.slides import Status
from slidemitosis.cohort.tables.columns import COLUMN_TYPES, FIRST_COLUMNS, own_column
from slidemitosis.cohort.tables.page import COHORT_HTML, cohort_page
from slidemitosis.cohort.tables.parquet import PARQUET, write_parquet
from slidemitosis.cohort.tables.patients import (
    Recorded,
    borrowed_values,
    patient_rows,
    patients_together,
    pooled_values,
)
from slidemitosis.cohort.tables.plot import FIGURE, write_figure
from slidemitosis.files import csv_lines, write_whole
from slidemitosis.outputs.folder import summary_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.slides import Cohort, CohortSlide
    from slidemitosis.cohort.store import CohortStore
    from slidemitosis.cohort.tables.columns import Row, Value

COHORT_CSV, COHORT_JSON, PATIENTS_CSV = "cohort.csv", "cohort.json", "patients.csv"
_WRITTEN = {COHORT_CSV, COHORT_JSON, PATIENTS_CSV, FIGURE, PARQUET, COHORT_HTML}
_TABLES_LOCK = ".tables"
_PAUSE = 2.0  # seconds between two writings while slides finish
_SHARE = 0.05  # of the time that writing may take


class CohortTables:
    """Collects the rows of a cohort and writes its tables, whole or not at all.

    Only what is recorded in the slides' folders enters the tables, so that they depend on nothing but the
    slides: not on who wrote them, on the order in which they were done, or on how often a run was broken off.
    """

    def __init__(self, cohort: Cohort, store: CohortStore, *, page: bool = True) -> None:
        self._cohort, self._store, self._page = cohort, store, page
        self._recorded: dict[str, Recorded] = {}
        self._rows: dict[str, Row] = {s.name: _ended(s, {"status": "pending"}) for s in cohort.slides}
        self._written, self._took = time.monotonic(), 0.0

    def note(self, slide: CohortSlide) -> None:
        """Read what is recorded of a slide; write the tables if the last time is long enough ago."""
        self._read(slide)
        if time.monotonic() - self._written > max(_PAUSE, self._took / _SHARE):
            self.write()

    def collect(self) -> None:
        """Read what is recorded of every slide, whoever has recorded it."""
        for slide in self._cohort.slides:
            self._read(slide)

    def _read(self, slide: CohortSlide) -> None:
        record, kept = recorded(self._store, slide)
        self._rows[slide.name] = _ended(slide, record)
        if kept is not None:
            self._recorded[slide.name] = kept

    def rows(self) -> Sequence[Row]:
        """One for each slide, in the order of the list."""
        return [self._rows[s.name] for s in self._cohort.slides]

    def write(self) -> None:
        """The rows as they are now. Raises OutputError."""
        began = time.monotonic()
        with self._store.lock(_TABLES_LOCK, wait=True):
            self._write(COHORT_CSV, table_text(self.rows(), every=_EVERY_COLUMN))
        self._written = time.monotonic()
        self._took = self._written - began

    def finish(self) -> list[Path]:
        """Write everything that is made of the rows; the files. Raises OutputError."""
        out, rows = self._store.out, self._with_borrowed()
        with self._store.lock(_TABLES_LOCK, wait=True):
            written = [self._write(COHORT_CSV, table_text(rows, every=_EVERY_COLUMN))]
            written += filter(None, [write_parquet(column_order([_EVERY_COLUMN, *rows]), rows, out)])
            whole = self._whole(rows)
            patients = patient_rows(rows, self._recorded, self._cohort.patient_columns)
            written.append(self._write(COHORT_JSON, summary_text(whole)))
            if patients:
                written.append(self._write(PATIENTS_CSV, table_text(patients)))
            written += filter(None, [write_figure(rows, out)])
            if self._page:
                written.append(self._write(COHORT_HTML, cohort_page(self._store, whole, patients)))
            for name in _WRITTEN - {p.name for p in written}:
                (out / name).unlink(missing_ok=True)  # an earlier run's, of other rows
        return written

    def _with_borrowed(self) -> list[Row]:
        """The rows, each of those that are done with what it borrows from the cohort."""
        rows = self.rows()
        borrowed = borrowed_values([[row] for row in rows], self._recorded)
        return [
            insert_after(row, "probability_above_cutoff", more) if row["status"] == "done" else row
            for row, more in zip(rows, borrowed, strict=True)
        ]

    def _whole(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The cohort as a whole, for `cohort.json`."""
        by_status = Counter(str(row["status"]) for row in rows)
        return {
            "counts": {status: by_status[status] for status in get_args(Status)},
            "models": sorted({str(row["model"]) for row in rows if row.get("model")}),
            "together": pooled_values(rows, self._recorded, tumours=len(rows)),
            "by_patient": patients_together(rows, self._recorded),
            "slides": rows,
        }

    def _write(self, name: str, text: str) -> Path:
        path = self._store.out / name
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        return path


def recorded(store: CohortStore, slide: CohortSlide) -> tuple[Row, Recorded | None]:
    """How a slide ended, and the values and the rate of one that is done, as its folder says."""
    if slide.problem is not None:
        p = slide.problem
        return {"status": p.status, "step": p.step, "cause": p.cause}, None
    failure = store.failure(slide.name)
    if failure is not None:
        return {"status": "failed", "step": failure.get("step"), "cause": failure.get("cause")}, None
    row = store.row(slide.name)
    if row is not None:
        return {"status": "done", **row["values"]}, Recorded.of(row)
    return {"status": "pending"}, None


_EVERY_COLUMN: Row = dict.fromkeys((*FIRST_COLUMNS, *COLUMN_TYPES))


def _ended(slide: CohortSlide, record: Row) -> Row:
    """A row of `cohort.csv`: what it is of, how it ended, the list's own columns last."""
    row: Row = {
        "name": slide.name,
        "slide": str(slide.slide),
        "points": str(slide.points) if slide.points else None,
        "patient": slide.patient,
        **dict.fromkeys(("status", "step", "cause")),
        **record,
    }
    for name, cell in slide.columns.items():
        row[own_column(name)] = cell
    return row


def table_text(rows: Iterable[Mapping[str, Value]], *, every: Iterable[str] = ()) -> str:
    """CSV, with every column that any row has; an empty cell is what is not known.

    every: of columns that the table has whatever is in its rows.
    """
    rows = list(rows)
    names = column_order([dict.fromkeys(every), *rows])
    return "".join(csv_lines([names, *([_cell(row.get(n)) for n in names] for row in rows)]))


def insert_after(row: Row, name: str, more: Row) -> Row:
    """Return a row with further columns behind the one of this name, or at its end."""
    names = list(row)
    at = names.index(name) + 1 if name in row else len(names)
    return {**{k: row[k] for k in names[:at]}, **more, **{k: row[k] for k in names[at:]}}


def column_order(rows: Sequence[Mapping[str, Value]]) -> list[str]:
    """The longest row's columns, and where they stand in it; those of other rows after their neighbour."""
    order: list[str] = []
    for row in sorted(rows, key=len, reverse=True):
        if len(row) <= len(order) and set(row) <= set(order):
            continue
        at = 0
        for name in row:
            if name in order:
                at = order.index(name) + 1
            else:
                order.insert(at, name)
                at += 1
    return order


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
