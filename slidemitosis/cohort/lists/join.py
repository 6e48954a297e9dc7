"""Join the columns of a user's own table to the slides of a cohort, by name, slide or patient."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.cohort.lists.read import folder_name
from slidemitosis.cohort.lists.rows import folded, read_rows, said
from slidemitosis.errors import InvalidCohort
from slidemitosis.outputs.folder import slide_stem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.slides import Cohort, CohortSlide

_KEYS: Mapping[str, Callable[[CohortSlide], tuple[str, ...]]] = {
    "name": lambda s: (s.name,),
    "slide": lambda s: (str(s.slide), s.slide.name, slide_stem(s.slide)),
    "patient": lambda s: (s.patient,) if s.patient else (),
}
_NAMED = 10
"""Rows that one message names at most."""


def join_columns(cohort: Cohort, path: Path) -> tuple[Cohort, list[str]]:
    """Return the cohort with the further columns of a table, and which of its rows fit no slide.

    The rows are told by the first of the columns name, slide (its path, file name, or that without suffix)
    and patient that the table has; in a table of patients one row fits all slides of its patient. Slides that
    no row fits get empty cells; columns of a table of patients stand in `patients.csv` too. Raises
    InvalidCohort for a table without such a column, with two rows of one key, or with a row that fits several
    slides and is no patient's.
    """
    names, rows = read_rows(path)
    by_folded = {folded(n): i for i, n in enumerate(names)}
    key = next((k for k in _KEYS if k in by_folded), None)
    if key is None:
        raise InvalidCohort(
            f"{path}: no column name, slide or patient to join by; its columns are {', '.join(names)}"
        )
    further = [n for n in names if folded(n) != key]
    by_value: dict[str, tuple[int, list[str]]] = {}
    for line, cells in rows:
        value = said(cells[by_folded[key]]) if key == "patient" else cells[by_folded[key]].strip()
        # A list's names are those of folders by now.
        value = folder_name(value) if key == "name" and value else value
        if value in by_value:
            raise InvalidCohort(f"{path}: line {line}: {key} {value!r} is on line {by_value[value][0]} too")
        if value:
            by_value[value] = (line, cells)
    fits = {s.name: next((v for v in _KEYS[key](s) if v in by_value), None) for s in cohort.slides}
    for value, slides_of_it in Counter(v for v in fits.values() if v is not None).items():
        if key != "patient" and slides_of_it > 1:
            line = by_value[value][0]
            raise InvalidCohort(
                f"{path}: line {line}: {key} {value!r} fits {slides_of_it} slides; give paths, or names"
            )
    slides = []
    for slide in cohort.slides:
        found = fits[slide.name]
        stated = dict(zip(names, by_value[found][1], strict=True)) if found is not None else {}
        joined = {_free(n, cohort.column_names): stated.get(n, "") for n in further}
        slides.append(replace(slide, columns={**slide.columns, **joined}))
    fitted = {v for v in fits.values() if v is not None}
    unfit = [f"line {line} ({key} {value!r})" for value, (line, _) in by_value.items() if value not in fitted]
    new = tuple(_free(n, cohort.column_names) for n in further)
    of_patients = new if key == "patient" else ()
    return replace(
        cohort,
        slides=tuple(slides),
        column_names=(*cohort.column_names, *new),
        patient_columns=(*cohort.patient_columns, *of_patients),
    ), unfit


def unfit_text(path: Path, unfit: Sequence[str]) -> str:
    """Say which rows of a table fit no slide, the first ten by their lines."""
    named = ", ".join(unfit[:_NAMED]) + (", ..." if len(unfit) > _NAMED else "")
    rows = "1 row fits" if len(unfit) == 1 else f"{len(unfit)} rows fit"
    return f"{path}: {rows} no slide of the cohort: {named}"


def _free(name: str, taken: tuple[str, ...]) -> str:
    """A column of this name may be in the list of slides as well."""
    return f"joined.{name}" if name in taken else name
