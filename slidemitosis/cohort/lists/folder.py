"""Read a cohort from a folder in which each slide lies beside its candidates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.cohort.slides import CohortSlide, Outcome
from slidemitosis.errors import InvalidCohort
from slidemitosis.outputs.folder import SLIDE_SUFFIXES, slide_stem
from slidemitosis.slides.dicom import dicom_series

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.options import ReadOptions

_ENDS = (
    *(".geojson", ".geojson.gz", ".geojson.zip", ".json", ".json.gz", ".zip"),
    *(".csv", ".tsv", ".txt", ".xml", ".sqlite", ".db"),
)


def folder_slides(folder: Path, *, read: ReadOptions) -> list[CohortSlide]:
    """Return every slide of a folder, with the candidates of the same name.

    `a.svs` goes with `a.geojson` or `a.svs.geojson`. A slide without candidates is skipped; one with several
    files of them has failed. Raises InvalidCohort for a folder without a slide.
    """
    try:
        files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as e:
        raise InvalidCohort(f"{folder}: cannot be listed: {e.strerror}") from e
    slides = [p for p in files if p.suffix.lower() in SLIDE_SUFFIXES]
    if not slides:
        if projects := [p for p in files if p.suffix.lower() == ".qpproj"]:
            raise InvalidCohort(f"{folder}: holds no slide, but a QuPath project: give {projects[0]}")
        raise InvalidCohort(f"{folder}: holds no slide (looked for {', '.join(sorted(SLIDE_SUFFIXES))})")
    by_name = {p.name.casefold(): p for p in files}
    pairs = _one_of_each_series([_pair(slide, by_name, read) for slide in slides])
    uses = Counter(pair.points for pair in pairs)
    return [pair if pair.points is None or uses[pair.points] == 1 else _contested(pair) for pair in pairs]


def _one_of_each_series(pairs: list[CohortSlide]) -> list[CohortSlide]:
    """Return the pairs with one of the files of each DICOM slide, that with candidates; each opens it."""
    kept: list[CohortSlide] = []
    at: dict[str, int] = {}
    for pair in pairs:
        series = dicom_series(pair.slide) if pair.slide.suffix.lower() == ".dcm" else None
        first = at.setdefault(series, len(kept)) if series else len(kept)
        if first == len(kept):
            kept.append(pair)
        elif (problem := kept[first].problem) is not None and problem.status == "skipped":
            kept[first] = pair
        elif pair.points is not None:
            both = f"{kept[first].slide.name} and {pair.slide.name}"
            cause = f"{both} are of one DICOM slide, and both have candidates: keep those of one"
            kept[first] = replace(kept[first], points=None, problem=Outcome("failed", "cohort", cause))
    return kept


def _contested(pair: CohortSlide) -> CohortSlide:
    assert pair.points is not None
    name = f"{pair.slide.name}{pair.points.suffix}"
    cause = f"{pair.points.name} could be another slide's as well; if it is of this one, name it {name}"
    return replace(pair, points=None, problem=Outcome("failed", "cohort", cause))


def _pair(slide: Path, by_name: dict[str, Path], read: ReadOptions) -> CohortSlide:
    names = {f"{stem}{suffix}".casefold() for stem in (slide.stem, slide.name) for suffix in _ENDS}
    found = [by_name[n] for n in sorted(names) if n in by_name]
    problem = None
    if not found:
        problem = Outcome("skipped", "cohort", f"no candidates beside it, such as {slide.stem}.geojson")
    elif len(found) > 1:
        listed = " and ".join(p.name for p in found)
        problem = Outcome("failed", "cohort", f"{listed} could both be its candidates: keep one of them")
    return CohortSlide(
        where=str(slide),
        name=slide_stem(slide),
        slide=slide,
        points=found[0] if len(found) == 1 else None,
        read=read,
        problem=problem,
    )
