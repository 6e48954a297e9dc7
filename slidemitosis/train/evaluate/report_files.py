"""Write and read the files of an evaluation: report.json, report.md, and the predictions behind them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.files import as_meant, csv_lines, regular, write_whole
from slidemitosis.toml_tables import InvalidTable, build
from slidemitosis.train.evaluate.metrics import Scored
from slidemitosis.train.evaluate.report import EvaluationReport
from slidemitosis.train.evaluate.report_text import report_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FORMAT = 1
REPORT_JSON, REPORT_TEXT = "report.json", "report.md"
COLUMNS = (
    "figure",
    "data",
    "slide",
    "domain",
    "atypical",
    "logit",
    "p_atypical",
    "called",
    "subtype",
    "hardness",
    "model",
    "threshold",
)
"""Columns of a predictions file, before a column p_<name> for each further output."""


def report_table(report: EvaluationReport) -> dict[str, Any]:
    """Return what report.json holds, null for what is not known.

    "folds" is computed from the entries, "cross_validation" from "validation".
    """
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(report), allow_nan=False))
    entries = told.pop("entries")
    folds = [dataclasses.asdict(f) for f in report.folds]
    head = {"format": FORMAT, "models": list(report.models), "data": list(report.data)}
    validated = [dataclasses.asdict(v) for v in report.cross_validation]
    return {**head, **told, "cross_validation": validated, "folds": folds, "entries": entries}


def write_report(report: EvaluationReport, folder: Path) -> tuple[Path, Path]:
    """Write report.md and report.json into `folder` and return their paths. Raises OutputError."""
    text, data = folder / REPORT_TEXT, folder / REPORT_JSON
    write_whole(text, report_markdown(report).encode())
    told = json.dumps(report_table(report), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(data, (told + "\n").encode())
    return text, data


def unreadable(path: Path, what: str, remedy: str = "evaluate again") -> InvalidOption:
    """Return the error that a file of an evaluation is not as it is written here, in one line."""
    return InvalidOption(f"{path}: {what}; {remedy}")


def read_report_table(path: Path) -> dict[str, Any]:
    """Read report.json as it stands, whatever its entries are. Raises InvalidOption for another format."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise unreadable(path, f"cannot be read as a report ({e})") from e
    except (ValueError, RecursionError) as e:
        raise unreadable(path, f"cannot be read as JSON ({e})") from e
    table: dict[str, Any] = told if isinstance(told, dict) else {}
    if table.get("format") != FORMAT:
        raise unreadable(path, f"format {table.get('format')!r}, and this version reads {FORMAT}")
    return table


def read_report(path: Path) -> EvaluationReport:
    """Read what `write_report` wrote as report.json. Raises InvalidOption, in one line, for other files."""
    computed = ("format", "models", "data", "folds", "cross_validation")
    told = {k: v for k, v in read_report_table(path).items() if k not in computed}
    try:
        return build(EvaluationReport, told, where="the top level")
    except (InvalidTable, InvalidOption) as e:
        raise unreadable(path, str(e)) from None


def write_predictions(scored: Scored, path: Path) -> None:
    """Write a row for each figure, numbers in full, for `read_predictions`.

    Raises InvalidOption if there is no figure, and OutputError.
    """
    if not len(scored):
        raise InvalidOption(f"{path}: no figures were scored")
    s, rows = scored, [[*COLUMNS, *(f"p_{name}" for name in scored.extra)]]
    numbers = [s.logit, s.probability, *s.extra.values()]
    for i, values in enumerate(zip(*(np.asarray(n, np.float64).tolist() for n in numbers), strict=True)):
        logit, p, *extra = map(repr, values)
        about = [s.names[i], s.data, s.slides[i], s.domains[i], str(int(s.atypical[i]))]
        said = [logit, p, str(int(s.called[i])), s.subtypes[i], s.hardness[i], s.model]
        rows.append([*about, *said, repr(float(s.threshold)), *extra])
    write_whole(path, "".join(csv_lines(rows)).encode("utf-8", "surrogateescape"))


def read_rows(path: Path, needed: Iterable[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Read the columns' names and the rows of a predictions file.

    Raises InvalidOption, in one line, for a file that cannot be read or lacks a column of `needed`, or rows.
    """
    try:
        text = regular(path).read_bytes().decode("utf-8", "surrogateescape")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        # Too many cells stand under None, and of too few some are None: whoever needs them refuses both.
        rows = [{k: as_meant(v) if isinstance(v, str) else v for k, v in row.items()} for row in reader]
        columns = list(reader.fieldnames or ())
    except (OSError, csv.Error) as e:
        raise unreadable(path, f"cannot be read as predictions ({e})") from e
    if missing := [c for c in needed if c not in columns]:
        raise unreadable(path, f"no column {', '.join(missing)}")
    if not rows:
        raise unreadable(path, "no figures")
    return columns, rows


def read_predictions(path: Path) -> Scored:
    """Read what `write_predictions` wrote; logits and probabilities as float64.

    Raises InvalidOption as `read_rows`, and for a file that holds several models or data sets, or contradicts
    itself.
    """
    # Predictions of earlier versions do not tell hardness.
    columns, rows = read_rows(path, [c for c in COLUMNS if c != "hardness"])
    if any(None in r or None in r.values() for r in rows):
        raise unreadable(path, "a row of another length than its head")
    several = [c for c in ("model", "data", "threshold") if len({r[c] for r in rows}) > 1]
    if several:
        raise unreadable(path, f"more than one {several[0]}")
    try:
        scored = _scored(rows, [c for c in columns if c not in COLUMNS])
    except ValueError as e:
        raise unreadable(path, str(e)) from e
    if [str(int(c)) for c in scored.called] != [r["called"] for r in rows]:
        raise unreadable(path, "called is not what p_atypical and threshold say")
    return scored


def _scored(rows: Sequence[dict[str, str]], extra: Sequence[str]) -> Scored:
    """Build the scores. Raises ValueError for what is no number, and InvalidOption as Scored does."""
    return Scored(
        model=rows[0]["model"],
        data=rows[0]["data"],
        names=tuple(r["figure"] for r in rows),
        slides=tuple(r["slide"] for r in rows),
        domains=tuple(r["domain"] for r in rows),
        atypical=np.array([int(r["atypical"]) for r in rows], dtype=np.int64),
        logit=np.array([float(r["logit"]) for r in rows]),
        probability=np.array([float(r["p_atypical"]) for r in rows]),
        threshold=float(rows[0]["threshold"]),
        extra={c.removeprefix("p_"): np.array([float(r[c]) for r in rows]) for c in extra},
        subtypes=tuple(r["subtype"] for r in rows),
        hardness=tuple(r.get("hardness", "") for r in rows),
    )
