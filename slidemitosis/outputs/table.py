"""Make `candidates.csv`: one row for each candidate."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from slidemitosis.prediction import Prediction

COLUMNS = (
    "id",
    "object_id",
    "source",
    "class",
    "x",
    "y",
    "level0_x",
    "level0_y",
    "status",
    "reason",
    "p_atypical",
    "call",
    "padding",
    "upsampled",
    "subtype",
    "p_subtype",
    "p_hard",
)


class _Line:
    """A file for a csv writer, which hands back what is written."""

    def write(self, line: str) -> str:
        return line


def candidates_csv(predictions: Iterable[Prediction], *, upsampled: bool) -> Iterator[str]:
    """The lines of the table: the names of its columns, then each candidate in the points file's order."""
    # Only a carriage return in the terminator makes Python 3.11 quote a cell that holds one.
    writer = csv.writer(_Line(), lineterminator="\r\n")
    for row in _rows(predictions, upsampled=upsampled):
        line: str = writer.writerow(row)
        yield line.replace("\r\n", "\n")


def _rows(predictions: Iterable[Prediction], *, upsampled: bool) -> Iterator[Sequence[str]]:
    yield COLUMNS
    for p in predictions:
        call = {True: "AMF", False: "NMF", None: ""}[p.atypical]
        subtype = p.subtype
        yield (
            p.candidate.id or "",
            p.object_id,
            p.candidate.source,
            p.candidate.class_name or "",
            _number(p.frame_x, 2),
            _number(p.frame_y, 2),
            _number(p.x, 2),
            _number(p.y, 2),
            p.status,
            p.reason or "",
            "" if p.probability is None else f"{p.probability:.6f}",
            call,
            "" if p.padding is None else _number(p.padding, 4),
            str(upsampled).lower(),
            subtype or "",
            "" if subtype is None else f"{p.subtypes[subtype]:.6f}",
            "" if p.p_hard is None else f"{p.p_hard:.6f}",
        )


def _number(value: float, decimals: int) -> str:
    """At most so many decimals, no trailing zeros, no negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")
