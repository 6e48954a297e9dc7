"""Read what a review needs from folders of results: the slides, and the figures that a model classified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.geometry import PixelSize
from slidemitosis.outputs.folder import SUMMARY, result_folders
from slidemitosis.outputs.read import read_rows, read_summary
from slidemitosis.slides.moved import find_by_name, is_there

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from slidemitosis.outputs.read import Row

_OF_A_RATE = ("classified", "uncertain")
"""Status of the candidates that a rate counts, and a person is therefore asked about."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, and what the model says of it."""

    id: str
    """Of the object in `objects.geojson`."""
    x: float  # level-0 px
    y: float  # level-0 px
    p_atypical: float
    p_hard: float | None
    """Probability that experts disagree; None where the model does not tell."""
    call: str
    """"AMF", "NMF", or "" where it was uncertain."""
    subtype: str


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """The results of one slide."""

    folder: Path
    name: str
    """Of the slide's file."""
    slide: Path
    size: tuple[int, int]
    """Width and height of level 0, px."""
    mpp: PixelSize
    reader: str
    """The library that reads the slide, as it was asked for: "auto", "openslide" or "tiffslide"."""
    threshold: float
    """P(atypical) from which on a figure was called atypical."""
    figures: tuple[Figure, ...]


def read_results(
    place: Path, *, slide: Path | None = None, search: Sequence[Path] = ()
) -> tuple[ResultFolder, ...]:
    """Read the folder of one slide's results, or those of all slides of a cohort that are done.

    slide: where the slide is now, if `place` is of one slide. search: folders in which slides that have moved
    are looked for by name. Raises InvalidOption, OutputError.
    """
    folders = result_folders(place)
    if not folders:
        raise InvalidOption(
            f"{place}: no {SUMMARY} in it; name the folder that slidemitosis classify or cohort has written"
        )
    if slide is not None and len(folders) > 1:
        raise InvalidOption(f"--slide: {place} is a cohort of {len(folders)} slides; use --search FOLDER")
    found = [_read(folder) for folder in folders]
    if slide is not None:
        return (replace(found[0], slide=slide),)
    lost = {f.slide.name for f in found if not is_there(f.slide)}
    places = find_by_name(lost, search)
    return tuple(_where_it_is(f, places, many=len(found) > 1) for f in found)


def _where_it_is(found: ResultFolder, places: Mapping[str, list[Path]], *, many: bool) -> ResultFolder:
    """Return the results with the slide's path of today."""
    if found.slide.name not in places:
        return found
    there = places[found.slide.name]
    if len(there) == 1:
        return replace(found, slide=there[0])
    if there:
        listed = ", ".join(map(str, there[:3]))
        raise InvalidOption(f"{found.slide.name}: {len(there)} files have this name ({listed}); use --slide")
    remedy = "--search FOLDER" if many else "--slide FILE"
    raise InvalidOption(f"{found.slide}: the slide is not there any more; say where it is by {remedy}")


def _read(folder: Path) -> ResultFolder:
    summary = read_summary(folder)
    try:
        slide = summary["slide"]
        return ResultFolder(
            folder=folder,
            name=str(slide["name"]),
            slide=Path(slide["path"]),
            size=(int(slide["width_px"]), int(slide["height_px"])),
            mpp=PixelSize(float(slide["mpp_x"]), float(slide["mpp_y"])),
            reader=str(summary["options"]["reader"]),
            threshold=float(summary["model"]["threshold"]),
            figures=tuple(_figures(read_rows(folder))),
        )
    except (KeyError, TypeError, ValueError) as e:
        reason = f"no {e}" if isinstance(e, KeyError) else str(e)
        raise OutputError(
            f"{folder / SUMMARY}: does not say what a review needs ({reason}); classify the slide again"
        ) from e


def _figures(rows: Iterable[Row]) -> Iterator[Figure]:
    """Yield the figures that a rate counts."""
    for row in rows:
        if row.probability is not None and row.status in _OF_A_RATE:
            yield Figure(
                id=row.object_id,
                x=row.x,
                y=row.y,
                p_atypical=row.probability,
                p_hard=row.p_hard,
                call=row.call,
                subtype=row.subtype,
            )
