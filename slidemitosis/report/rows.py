"""The rows of `candidates.csv`, as a report needs them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.errors import OutputError

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


def read_rows(path: Path) -> list[Row]:
    """Read `candidates.csv`. Raises OutputError if it is not there, or no such table."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [_row(i, cells) for i, cells in enumerate(csv.DictReader(file), start=1)]
    except OSError as e:
        raise OutputError(f"{path}: cannot be read: {e.strerror or e}; classify the slide again") from e
    except (KeyError, TypeError, ValueError) as e:
        raise OutputError(f"{path}: not a table of candidates: {e}; classify the slide again") from e


def _row(number: int, cells: dict[str, str]) -> Row:
    return Row(
        number=number,
        id=cells["id"] or cells["object_id"],
        object_id=cells["object_id"],
        source=cells["source"],
        x=float(cells["level0_x"]),
        y=float(cells["level0_y"]),
        status=cells["status"],
        reason=cells["reason"],
        probability=_number(cells["p_atypical"]),
        call=cells["call"],
        subtype=cells["subtype"],
        p_subtype=_number(cells["p_subtype"]),
        p_hard=_number(cells["p_hard"]),
        answer=cells.get("answer") or "",
    )


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
