"""Find the results of an image of a project among folders of results: by its entry, and by its slide.

docs/qupath.md says the rules, which import_results.groovy follows too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.outputs.folder import OBJECTS, SUMMARY
from slidemitosis.slides.identity import same_slide

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from slidemitosis.qupath.project import ProjectImage

# The points of a run in QuPath, and those that were exported for a cohort.
_POINTS_OF_ENTRY = re.compile(
    r"(?:^|/)(?:candidates/([^/]+)\.geojson|(?:results|work)/([^/]+)/points\.geojson)$"
)
_NO_RESULTS = {"work", "selections", "summaries"}
"""Folders below `slidemitosis/` whose results, if any, are not of whole images."""
_PARTS = ("slide", "points", "model", "counts", "reading")


@dataclass(frozen=True, slots=True)
class Result:
    """A folder with the results of one slide."""

    folder: Path
    summary: dict[str, Any]
    names: str | None
    """File name of the entry whose candidates were classified; None if they are of none in this project."""
    chosen: bool
    """Whether a person has named this very folder: it may then be of another entry with the same slide."""


class NoResult(Exception):
    """An image has no results, or none that can be used; the message says why."""


def file_name(entry_id: str) -> str:
    """Return an id as the name of files: an underscore stands for all but letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", entry_id)


def results_in(folder: Path, *, entries: Iterable[str], named: bool) -> list[Result]:
    """Return the whole results in a folder, sorted by path.

    named: whether a person has named the folder, which is then results itself, or holds them, or is that of a
    cohort; else it is the folder of the scripts in a project. entries: ids of the project's images.
    """
    known = {file_name(entry) for entry in entries}
    paths = sorted(_summaries(folder, named=named))
    found = (_result(p.parent, known, chosen=named and p.parent == folder) for p in paths)
    return [result for result in found if result is not None]


def _summaries(folder: Path, *, named: bool) -> Iterator[Path]:
    if named:
        for pattern in (SUMMARY, f"*/{SUMMARY}", f"slides/*/{SUMMARY}"):
            yield from folder.glob(pattern)
        return
    for path in folder.rglob(SUMMARY):
        if path.relative_to(folder).parts[0] not in _NO_RESULTS:
            yield path


def _result(folder: Path, known: Collection[str], *, chosen: bool) -> Result | None:
    """Return what a folder holds; None where it is of another program, or only half there."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        whole = all(isinstance(summary[key], dict) for key in _PARTS)
        points = summary["points"]["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or not (folder / OBJECTS).is_file():
        return None
    match = _POINTS_OF_ENTRY.search((points or "").replace("\\", "/"))
    name = match and (match[1] or match[2])
    return Result(folder, summary, name if name in known else None, chosen)


def result_of(image: ProjectImage, found: Sequence[Result]) -> Result:
    """Return the results of an image. Raises NoResult where there are none, or several."""
    slide = image.slide
    assert slide is not None
    name = file_name(image.entry_id)
    found = [r for r in found if r.chosen or r.names in (None, name)]
    of_slide = [r for r in found if _is_of_slide(r, slide)]
    mine = [r for r in of_slide if r.names == name] or of_slide
    if len(mine) > 1:
        places = ", ".join(str(r.folder) for r in mine)
        raise NoResult(f"it has several results: {places}; name the folder that is meant with --results")
    if not mine:
        raise NoResult(next((_why_not(r, slide) for r in found if r.names == name), "it has no results"))
    problem = _other_origin(mine[0].summary, image)
    if problem is not None:
        raise NoResult(f"{mine[0].folder}: {problem}")
    return mine[0]


def _is_of_slide(result: Result, slide: Path) -> bool:
    recorded = result.summary["slide"]
    if "content_sha256" in recorded:
        return same_slide(recorded, slide, whole=not _unread(result))
    # Of a version that recorded no more than this.
    return recorded.get("bytes") == slide.stat().st_size and (
        result.names is not None or recorded.get("name") == slide.name
    )


def _unread(result: Result) -> int:
    """Count the figures that could not be read, or where there was nothing."""
    counts = result.summary["counts"]
    return int(counts.get("unreadable", 0) + counts.get("blank", 0))


def _why_not(result: Result, slide: Path) -> str:
    """Return why results that name an image's entry are not of its slide."""
    if result.summary["slide"].get("bytes") == slide.stat().st_size and _unread(result):
        return (
            f"its slide has another time than at {result.folder}, and {_unread(result)} figures were "
            "unreadable or blank then, as in a file that is still being copied: classify it again (copy "
            "slides with their times)"
        )
    return f"{result.folder} is of another slide than {slide}; classify it again"


def _other_origin(summary: dict[str, Any], image: ProjectImage) -> str | None:
    """Return why these results do not count from where the image does in QuPath; None where they do."""
    slide, reading = summary["slide"], summary["reading"]
    offset = reading.get("objects_offset_px") or reading.get("offset_px") or [0, 0]
    bounds = slide.get("bounds_px")
    shown = (image.width, image.height)
    if shown == (slide["width_px"], slide["height_px"]) and list(offset) == [0, 0]:
        return None
    if bounds and shown == (bounds["width"], bounds["height"]) and list(offset) == [bounds["x"], bounds["y"]]:
        return None
    whole = f"{slide['width_px']} x {slide['height_px']} px"
    return (
        f"its objects count from {offset[0]}, {offset[1]} px of a slide of {whole}, and QuPath shows "
        f"{image.width} x {image.height} px of it; classify the exported candidates, without --origin"
    )
