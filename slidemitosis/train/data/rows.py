"""The optional columns that our own two CSV layouts share."""

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
    labels: Sequence[int],
    known: Sequence[str],
) -> LabelledData:
    """The data set of one of our own CSVs, whose name is the file's.

    Read where they are there: patient, domain, x, y, subtype, expert1 to expertN, split. `known`: columns
    that the caller reads. Raises InvalidOption for a cell that cannot be used.
    """
    experts = sorted(
        (c for c in table.columns if _EXPERT.fullmatch(c)), key=lambda c: int(c.removeprefix("expert"))
    )
    warn_of_unread(table, (*_KNOWN, *known, *(experts or ["expert1"])))
    rows = range(len(table))
    test = _test_rows(table)
    figures = Figures(
        names=tuple(names),
        pixels=pixels,
        atypical=np.array(labels, np.int64),
        votes=np.array([[table.vote(i, c) for c in experts] for i in rows], np.float32).reshape(
            len(table), -1
        ),
        subtypes=tuple((s,) if (s := table.subtype(i, "subtype")) else () for i in rows),
        slides=tuple(slides),
        patients=tuple(table.text(i, "patient") or slides[i] for i in rows),
        domains=tuple(table.text(i, "domain") for i in rows),
        centres=np.array([(table.number(i, "x"), table.number(i, "y")) for i in rows], np.float64),
        data=(table.path.stem,) * len(table),
    )
    warn_of_contradictions(figures, table.path)
    parts = (figures.take(np.flatnonzero(~test)), figures.take(np.flatnonzero(test))) if test.any() else None
    training, held_out = parts or (figures, None)
    hashes = {table.path.name: table.sha256, "pixels": pixels_sha256([training, held_out])}
    return LabelledData(table.path.stem, training, held_out, hashes, ())


def _test_rows(table: Table) -> NDArray[np.bool_]:
    test = np.zeros(len(table), np.bool_)
    if "split" in table.columns:
        for i in range(len(table)):
            text = table.needed(i, "split").lower()
            if text not in ("train", "test"):
                raise table.bad(i, "split", f"{text!r} is not known; use train or test")
            test[i] = text == "test"
    return test
