"""Make a data set from the columns that our own two CSV layouts share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.train.data.figures import Figures, LabelledData
from slidemitosis.train.data.patches import pixels_sha256, warn_of_contradictions
from slidemitosis.train.data.table import warn_of_unread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.data.table import Table

_EXPERT = re.compile(r"expert(\d+)")
_KNOWN = ("label", "slide", "patient", "domain", "x", "y", "subtype", "split")


def data_of_rows(
    table: Table,
    *,
    names: Sequence[str],
    pixels: NDArray[np.uint8],
    slides: Sequence[str],
    known: Sequence[str],
) -> LabelledData:
    """Return the data set of a CSV in one of our own two layouts; its name is the file's.

    Optional columns are read if they are there: patient, domain, x, y, subtype, expert1 to expertN, split.
    `known`: columns that the caller reads. Raises InvalidOption for a cell that cannot be used.
    """
    experts = sorted(
        (c for c in table.columns if _EXPERT.fullmatch(c)), key=lambda c: int(c.removeprefix("expert"))
    )
    warn_of_unread(table, (*_KNOWN, *known, *(experts or ["expert1"])))
    test = _test_rows(table)
    figures = Figures(
        names=tuple(names),
        pixels=pixels,
        atypical=np.array(table.column(table.label, "label"), np.int64),
        votes=table.grid(table.vote, experts).astype(np.float32),
        subtypes=tuple((s,) if s else () for s in table.column(table.subtype, "subtype")),
        slides=tuple(slides),
        patients=tuple(p or s for p, s in zip(table.column(table.text, "patient"), slides, strict=True)),
        domains=table.column(table.text, "domain"),
        centres=table.grid(table.number, ("x", "y")),
        data=(table.path.stem,) * len(table),
    )
    warn_of_contradictions(figures, table.path)
    parts = (figures.take(np.flatnonzero(~test)), figures.take(np.flatnonzero(test))) if test.any() else None
    training, held_out = parts or (figures, None)
    hashes = {table.path.name: table.sha256, "pixels": pixels_sha256([training, held_out])}
    return LabelledData(table.path.stem, training, held_out, hashes, ())


def _test_rows(table: Table) -> NDArray[np.bool_]:
    """Return which rows the column split calls test rows, (N,)."""
    test = np.zeros(len(table), np.bool_)
    if "split" in table.columns:
        for i in range(len(table)):
            text = table.needed(i, "split").lower()
            if text not in ("train", "test"):
                raise table.bad(i, "split", f"{text!r} is not known; use train or test")
            test[i] = text == "test"
    return test
