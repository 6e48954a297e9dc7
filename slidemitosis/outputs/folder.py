"""Name the folder of one slide's results and its files, and refuse to replace what is not theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import read_candidates
from slidemitosis.candidates.answered import set_by_hand
from slidemitosis.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECTS = "objects.geojson"
CANDIDATES = "candidates.csv"
REGIONS = "regions.csv"
"""Written if regions were named; one of an earlier run is taken away where they were not."""
SUMMARY = "summary.json"
REVIEW = "review.csv"
"""A person's answers, which no run writes or removes; see `slidemitosis.review.answers`."""
# What is taken off a slide's name for its folder; of any other name all is kept, dots too.
SLIDE_SUFFIXES = frozenset(
    (".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".dcm", ".czi")
)


def result_folder(out: Path | None, slide: Path, points: Path) -> Path:
    """Where results go: `out`, or else `default_folder`.

    Raises OutputError for a folder in which they would replace an input, a stranger's file, or results of
    other inputs.
    """
    folder = default_folder(slide, points) if out is None else out
    check_folder(folder, slide, points)
    return folder


def default_folder(slide: Path, points: Path) -> Path:
    """Where results go unless told otherwise: `<slide name>.slidemitosis` beside the points."""
    return points.parent / f"{slide_stem(slide)}.slidemitosis"


def slide_stem(slide: Path) -> str:
    """A slide's name without the suffix of its format."""
    return slide.stem if slide.suffix.lower() in SLIDE_SUFFIXES else slide.name


def check_folder(out: Path, slide: Path, points: Path | None) -> None:
    """Raise OutputError where results would replace an input, a stranger's file, or other results.

    points: None where the candidates are in no file.
    """
    inputs = {"slide": slide} | ({"points": points} if points else {})
    if not all(given.exists() for given in inputs.values()):
        return  # whoever reads them says so
    there = [out / name for name in (OBJECTS, CANDIDATES, REGIONS, SUMMARY) if (out / name).exists()]
    for path in there:
        if any(given.exists() and path.samefile(given) for given in inputs.values()):
            raise OutputError(f"{path}: is an input, and would be replaced; choose another --out")
    if not there:
        return
    try:
        earlier = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        ours = all(_same_input(given, earlier[kind]) for kind, given in inputs.items())
        of = " with ".join(Path(earlier[kind]["path"]).name for kind in inputs)
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{there[0]}: is there already, and no {SUMMARY} says that it is a result; choose another --out"
        ) from None
    if not ours:
        raise OutputError(
            f"{out}: holds results of other inputs ({of}), which would be replaced; "
            "choose another --out, or remove them"
        )


def check_no_answers(out: Path) -> None:
    """Raise OutputError where a person has answered about the figures of these results, or set classes."""
    objects = out / OBJECTS
    if (out / REVIEW).exists() or (objects.exists() and set_by_hand(read_candidates(objects))):
        raise OutputError(
            f"{out}: holds answers of a person, which would not count in these results; classify with "
            "answers_of, or choose another folder"
        )


def _same_input(given: Path, earlier: Mapping[str, Any]) -> bool:
    """Whether a summary speaks of this file: the same place, or moved with its name and its size."""
    before = Path(earlier["path"])
    if before == given.resolve():
        return True
    return before.name == given.name and bool(earlier["bytes"] == given.stat().st_size)


def summary_text(summary: Mapping[str, Any]) -> str:
    """JSON with null for what is not known; NaN is a programming error."""
    return json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
