"""Name the folder of one slide's results and its files, and refuse to replace what is not theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import read_candidates
from slidemitosis.candidates.answered import set_by_hand
from slidemitosis.errors import OutputError
from slidemitosis.files import writing
from slidemitosis.slides.identity import same_slide
from slidemitosis.slides.moved import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECTS = "objects.geojson"
CANDIDATES = "candidates.csv"
REGIONS = "regions.csv"
"""Written if regions were named; one of an earlier run is taken away where they were not."""
SUMMARY = "summary.json"
REPORT = "report.html"
"""Left out by --no-report; one of an earlier run is then taken away, since it shows other results."""
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
    if not all(is_there(given) for given in inputs.values()):
        return  # whoever reads them says so
    with writing(out):  # a name may be too long
        names = (OBJECTS, CANDIDATES, REGIONS, SUMMARY, REPORT)
        there = [out / name for name in names if (out / name).exists()]
    for path in there:
        if any(given.exists() and path.samefile(given) for given in inputs.values()):
            raise OutputError(f"{path}: is an input, and would be replaced; choose another --out")
    if not there:
        return
    try:
        earlier = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        ours = _is_of_slide(earlier, slide) and (points is None or _is_of_points(earlier, points))
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


def result_folders(place: Path) -> list[Path]:
    """Return the folder of one slide's results, or those of a cohort's slides that are done; else none."""
    if (place / SUMMARY).is_file():
        return [place]
    return sorted(path.parent for path in place.glob(f"slides/*/{SUMMARY}"))


def check_no_answers(out: Path) -> None:
    """Raise OutputError where a person has answered about the figures of these results, or set classes."""
    objects = out / OBJECTS
    if (out / REVIEW).exists() or (objects.exists() and set_by_hand(read_candidates(objects))):
        raise OutputError(
            f"{out}: holds answers of a person, which would not count in these results; classify with "
            "answers_of, or choose another folder"
        )


def _is_of_slide(summary: Mapping[str, Any], slide: Path) -> bool:
    """Whether a summary is of the slide at this place, or of the same slide, which was moved."""
    recorded, counts = summary["slide"], summary["counts"]
    if Path(recorded["path"]).resolve() == slide.resolve():
        return True
    return same_slide(recorded, slide, whole=not (counts["unreadable"] or counts["blank"]))


def _is_of_points(summary: Mapping[str, Any], points: Path) -> bool:
    """Whether a summary is of this file of candidates: the same place, or moved with name and size."""
    recorded = summary["points"]
    before = Path(recorded["path"])
    if before.resolve() == points.resolve():
        return True
    return before.name == points.name and bool(recorded["bytes"] == points.stat().st_size)


def summary_text(summary: Mapping[str, Any]) -> str:
    """JSON with null for what is not known; NaN is a programming error."""
    return json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
