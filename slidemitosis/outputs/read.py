"""Read a folder of results: its summary, and the rows of its table of candidates."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import OutputError
from slidemitosis.files import as_meant
from slidemitosis.outputs.folder import CANDIDATES, SUMMARY

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One candidate."""

    number: int
    """Its place among the candidates, from 1."""
    id: str
    """As the points file states it; else that of its object."""
    object_id: str
    source: str
    x: float  # level-0 px
    y: float  # level-0 px
    status: str
    reason: str
    probability: float | None
    """P(atypical); None where the model says nothing of it."""
    call: str
    """AMF or NMF; empty where it was not classified."""
    subtype: str
    p_subtype: float | None
    p_hard: float | None
    answer: str = ""
    """What persons say of it: AMF, NMF, none (no mitosis) or unsure; empty where nobody was asked."""


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the `summary.json` of a folder. Raises OutputError where there is none of this version."""
    path = folder / SUMMARY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise OutputError(
            f"{path}: cannot be read: {e.strerror or e}; name a folder that classify or cohort wrote"
        ) from e
    except ValueError as e:
        raise OutputError(f"{path}: not valid JSON: {e}; classify the slide again") from e
    if not isinstance(found, dict) or "patch_px" not in found.get("reading", {}):
        raise OutputError(f"{path}: of an earlier version of slidemitosis; classify the slide again")
    return found


def read_rows(folder: Path) -> list[Row]:
    """Read the `candidates.csv` of a folder. Raises OutputError if it is not there, or no such table."""
    path = folder / CANDIDATES
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [_row(i, cells) for i, cells in enumerate(csv.DictReader(file), start=1)]
    except OSError as e:
        raise OutputError(f"{path}: cannot be read: {e.strerror or e}; classify the slide again") from e
    except KeyError as e:
        raise OutputError(f"{path}: has no column {e}; classify the slide again") from e
    except (TypeError, ValueError, csv.Error) as e:
        raise OutputError(f"{path}: not a table of candidates: {e}; classify the slide again") from e


def _row(number: int, cells: dict[str, str]) -> Row:
    return Row(
        number=number,
        id=as_meant(cells["id"]) or cells["object_id"],
        object_id=as_meant(cells["object_id"]),
        source=cells["source"],
        x=_finite(cells["level0_x"]),
        y=_finite(cells["level0_y"]),
        status=cells["status"],
        reason=as_meant(cells["reason"]),
        probability=_number(cells["p_atypical"]),
        call=cells["call"],
        subtype=cells["subtype"],
        p_subtype=_number(cells["p_subtype"]),
        p_hard=_number(cells["p_hard"]),
        answer=cells.get("answer") or "",
    )


def _number(cell: str) -> float | None:
    return _finite(cell) if cell else None


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"a number is {cell}")
    return value
