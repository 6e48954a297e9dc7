"""The page of a cohort, of its tables and of what lies in its folder."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import OutputError, SlideMitosisError
from slidemitosis.files import as_meant, write_whole
from slidemitosis.outputs.folder import REPORT
from slidemitosis.report.choice import SOME, Limits
from slidemitosis.report.cohort_page import cohort_html
from slidemitosis.report.make import report_again

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.store import CohortStore

COHORT_HTML = "cohort.html"


def cohort_page(store: CohortStore, whole: Mapping[str, Any], patients: Sequence[Mapping[str, Any]]) -> str:
    """Make `cohort.html`, with links to the reports that are there."""
    names = [str(row["name"]) for row in whole["slides"]]
    reports = {name for name in names if (store.folder(name) / REPORT).exists()}
    return cohort_html(store.out.resolve().name, whole, patients, reports=reports)


def pages_again(
    store: CohortStore, tables: tuple[Path, Path], *, limits: Limits = SOME
) -> tuple[list[Path], list[str]]:
    """Write the reports of all slides that are done, and `cohort.html`, again.

    tables: `cohort.json` and `patients.csv`, which need not be there. Return the pages, and a line for each
    slide that has none. Raises OutputError where the folder holds no tables of a cohort.
    """
    whole, patients = _read(*tables)
    written, missing = [], []
    for row in whole["slides"]:
        if row["status"] == "done":
            try:
                written.append(report_again(store.folder(row["name"]), limits=limits))
            except SlideMitosisError as e:
                missing.append(f"{row['name']}: no report: {e}")
    page = cohort_page(store, whole, patients)
    write_whole(store.out / COHORT_HTML, page.encode("utf-8", "backslashreplace"))
    return [*written, store.out / COHORT_HTML], missing


def _read(whole: Path, patients: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    try:
        rows: list[dict[str, str]] = []
        if patients.exists():
            with patients.open(encoding="utf-8", newline="") as file:
                told = csv.DictReader(file)
                rows = [{as_meant(k): as_meant(v or "") for k, v in row.items() if k} for row in told]
        found = json.loads(whole.read_text(encoding="utf-8"))
        return dict(found), rows
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise OutputError(
            f"{whole}: cannot be read: {reason}; `slidemitosis cohort` with --collect writes it"
        ) from e
