"""Read a cohort from a table of slides: one row a slide; the first line names the columns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from slidemitosis.cohort.lists.rows import folded, read_rows, said
from slidemitosis.cohort.slides import CohortSlide, Outcome
from slidemitosis.errors import InvalidCohort
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.options import RateOptions, ReadOptions
from slidemitosis.options.option import columns_of
from slidemitosis.options.read import FORMATS
from slidemitosis.outputs.folder import slide_stem
from slidemitosis.slides.moved import as_it_is_there, find_by_name, is_there

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


_STATED = columns_of(ReadOptions, RateOptions)
"""Options that a row may state, by the name of their column."""
_KNOWN = ("name", "slide", "points", "patient", "mpp_x", "mpp_y", *_STATED)
_AS_IT_STANDS = ("name", "slide", "candidate_class")
"""Columns in which a word such as "None" is a name and does not mean that nothing is known."""


def table_slides(
    path: Path, *, read: ReadOptions, search: Sequence[Path] = ()
) -> tuple[list[CohortSlide], list[str]]:
    """Return the slides of a table, and the names of its further columns.

    The table has the columns slide and points, whose paths count from its folder; optionally name, patient,
    mpp (or mpp_x and mpp_y; um/px), origin, viewer_size and viewer_server (what QuPath states),
    candidate_class (several parted by ";"), unit, format, area_mm2 and tumour. A cell that is empty, or NA,
    nan or None as R and pandas write it, says nothing.
    search: folders in which slides that are not where the table says are looked for by name. Raises
    InvalidCohort, which names the line that is wrong; InvalidOption if a place to search is no folder.
    """
    names, rows = read_rows(path)
    lacking = [n for n in ("slide", "points") if n not in map(folded, names)]
    if lacking:
        listed = ", ".join(map(repr, names[:20]))
        raise InvalidCohort(
            f"{path}: no column {' and no column '.join(lacking)}; its first line names {listed}"
        )
    further = [n for n in names if folded(n) not in _KNOWN]
    stated = [_stated(names, cells) for _, cells in rows]
    for row in stated:
        for name in ("slide", "points"):
            if row.get(name):
                row[name] = str(as_it_is_there(path.parent / row[name]))
    found = _find({path.parent / row["slide"] for row in stated}, search)
    slides = []
    for (line, cells), row in zip(rows, stated, strict=True):
        if not row["slide"]:
            raise InvalidCohort(f"{path}: line {line}: names no slide")
        columns = {n: cell for n, cell in zip(names, cells, strict=True) if n in further}
        slides.append(_slide(row, columns, path=path, line=line, read=read, found=found))
    return slides, further


def _stated(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return what a row says, by the names of its columns as they are compared."""
    by_name = {folded(n): cell for n, cell in zip(names, cells, strict=True)}
    return {n: cell.strip() if n in _AS_IT_STANDS else said(cell) for n, cell in by_name.items()}


def _find(slides: Collection[Path], search: Sequence[Path]) -> dict[Path, Path | str]:
    """Return where each slide is: as the table says, or else the only file of its name in `search`.

    For a slide that is not found, the value is one line that says why.
    """
    # A table made on another system may say "C:\\slides\\a.svs".
    names = {slide: PureWindowsPath(str(slide)).name for slide in slides if not is_there(slide)}
    places = find_by_name(set(names.values()), search)
    stated: dict[Path, Path | str] = {slide: slide for slide in slides}
    return stated | {slide: _place(slide, name, places[name], search) for slide, name in names.items()}


def _place(slide: Path, name: str, found: Sequence[Path], search: Sequence[Path]) -> Path | str:
    if len(found) == 1:
        return found[0]
    if not search:
        return f"{slide}: no such file; if it was moved, name the folder that holds it with --search"
    looked = ", ".join(map(str, search))
    if not found:
        return f"{slide}: no such file, and no {name} in {looked}"
    return f"{slide}: no such file, and several of its name in {looked}: {', '.join(map(str, found[:3]))}"


def _slide(
    stated: Mapping[str, str],
    columns: Mapping[str, str],
    *,
    path: Path,
    line: int,
    read: ReadOptions,
    found: Mapping[Path, Path | str],
) -> CohortSlide:
    slide = path.parent / stated["slide"]
    points = path.parent / stated["points"] if stated.get("points") else None
    problem = None if points else Outcome("skipped", "cohort", "no candidates are given")
    place = found[slide]
    if isinstance(place, str):
        problem = Outcome("failed", "slide", place)
    else:
        slide = place
    where = f"{path}: line {line}"
    return CohortSlide(
        where=f"{path.name}, line {line}",
        name=stated.get("name") or slide_stem(slide),
        slide=slide,
        points=points,
        patient=stated.get("patient") or None,
        read=_read_options(stated, read, where),
        area_mm2=_positive(stated.get("area_mm2", ""), "area_mm2", where),
        tumour=stated.get("tumour") or None,
        columns=columns,
        problem=problem,
    )


def _read_options(stated: Mapping[str, str], read: ReadOptions, where: str) -> ReadOptions:
    """Return the run's options, changed by what this row says."""
    changes: dict[str, Any] = {}
    x, y = (_positive(stated.get(f"mpp_{a}", ""), f"mpp_{a}", where) for a in "xy")
    both = _positive(stated.get("mpp", ""), "mpp", where)
    if (x is None) != (y is None):
        raise InvalidCohort(f"{where}: mpp_x and mpp_y must both be given, or neither")
    if both is not None and x is not None:
        raise InvalidCohort(f"{where}: gives both mpp and mpp_x; keep one of them")
    if both is not None or (x is not None and y is not None):
        changes["mpp"] = PixelSize(both or x or 0.0, both or y or 0.0)
    for name in ("origin", "unit", "format"):
        if value := stated.get(name, ""):
            known = FORMATS if name == "format" else _STATED[name].choices
            if value not in known:
                raise InvalidCohort(f"{where}: {name} {value!r} is not known; use {', '.join(known)}")
            changes[name] = value
    if size := stated.get("viewer_size", ""):
        try:
            changes["viewer"] = Viewer.of(size, stated.get("viewer_server") or None)
        except ValueError as e:
            raise InvalidCohort(f"{where}: viewer_size {e}") from None
    if classes := stated.get("candidate_class", ""):
        changes["candidate_classes"] = tuple(c.strip() for c in classes.split(";") if c.strip())
    return replace(read, **changes)


def _positive(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidCohort(f"{where}: {name} is {text!r}, not a number above 0")
    return value
