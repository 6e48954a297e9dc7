"""Candidates of any format as QuPath's GeoJSON, or as a table: the same objects in the same places."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slidemitosis.candidates import SOURCE_ID, read_candidates
from slidemitosis.candidates.formats.table import parse_table
from slidemitosis.candidates.ids import object_ids
from slidemitosis.candidates.parts import each_part
from slidemitosis.candidates.planes import plane_numbers, refuse_other_planes
from slidemitosis.errors import (
    InvalidOption,
    MissingResolution,
    OutputError,
    UnreadableCandidates,
    UnsettledOrigin,
)
from slidemitosis.files import csv_lines, write_whole
from slidemitosis.outputs.objects import feature_collection, plain_feature
from slidemitosis.reading.frames import settle_mpp
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slidemitosis.candidates import Candidates
    from slidemitosis.geometry import PixelSize
    from slidemitosis.options.read import Format, Unit
    from slidemitosis.slides.slide import SlideInfo

ToOrigin = Literal["level0", "bounds"]

_GEOJSON = {".geojson", ".json"}
_TABLE = {".csv"}

_Feature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Converted:
    """What was read, and what was made of it."""

    candidates: Candidates
    """As the source states them."""
    target: Path
    unit: Unit
    """Of what was written."""
    counts_from: str
    """Where (0, 0) of what was written is, in words."""
    without_outline: int
    """Objects whose outline a table cannot hold."""
    without_text: int
    """Objects whose texts a table does not hold."""


def convert_candidates(
    source: Path,
    target: Path,
    *,
    format: Format | None = None,
    unit: Unit | None = None,
    slide: Path | None = None,
    mpp: PixelSize | None = None,
    to_origin: ToOrigin | None = None,
) -> Converted:
    """Read `source` and write `target`, whole or not at all: GeoJSON or a table, as its suffix says.

    GeoJSON is in px; a source in um needs the pixel size of `slide`, or `mpp`. `slide` also says whose
    objects are meant in a file of several images, and whether it has bounds: then `to_origin` must say from
    where the target is to count, if the source counts from the corner of the whole slide. No file is
    replaced. Raises CandidateError, SlideError, InvalidOption or OutputError.
    """
    suffix = target.suffix.lower()
    if suffix not in _GEOJSON | _TABLE:
        known = ", ".join(sorted(_GEOJSON | _TABLE))
        raise InvalidOption(f"{target}: what is written is told by the suffix, which must be one of {known}")
    if to_origin == "bounds" and slide is None:
        raise InvalidOption("--to-origin bounds: the bounds are the slide's; pass --slide")
    _check_target(target, source, slide)
    info = None
    if slide is not None:
        with open_slide(slide) as opened:
            info = opened.info
    candidates = read_candidates(source, unit=unit, format=format, slide_name=slide.name if slide else None)
    table = suffix in _TABLE
    if table:
        candidates = _by_parts(candidates, info)
    elif candidates.format != "geojson":
        refuse_other_planes(candidates, candidates.where)  # which would not be said any more
    offset, counts_from = _offset(candidates, info, to_origin)
    per_um = _pixels_per_um(candidates, info, mpp, needed=suffix in _GEOJSON or any(offset))
    scale = per_um or (1.0, 1.0)
    places = [(c.x * scale[0] + offset[0], c.y * scale[1] + offset[1]) for c in candidates]
    ids = object_ids(candidates.items, slide.name if slide else source.name)
    classes = candidates.class_counts()
    features = [
        plain_feature(c, object_id=None if c.id is None else name, centre=place, taken=classes, shift=offset)
        for c, name, place in zip(candidates, ids, places, strict=True)
    ]
    written: Unit = candidates.unit if per_um is None else "px"
    told = [json.loads(feature) for feature in features] if table else []
    if table:
        data = _table_text(candidates, places, told, written, target).encode("utf-8", "backslashreplace")
    else:
        data = b"".join(feature_collection(features))
    write_whole(target, data)
    return Converted(
        candidates=candidates,
        target=target,
        unit=written,
        counts_from=counts_from,
        without_outline=sum(f["geometry"]["type"] != "Point" for f in told),
        # A text besides the class and the id, which a table has columns for.
        without_text=sum(
            "name" in p or bool(p.get("metadata", {}).keys() - {SOURCE_ID})
            for p in (f["properties"] for f in told)
        ),
    )


def _by_parts(candidates: Candidates, info: SlideInfo | None) -> Candidates:
    """Return the candidates with one for each part of objects that are several figures."""
    stated = info.mpp if info else None
    um = 1.0 if candidates.unit == "um" else max(stated.x, stated.y) if stated else None
    found = each_part(candidates.items, candidates.where, um=um)
    return replace(candidates, items=tuple(part for parts in found for part in parts))


def _check_target(target: Path, source: Path, slide: Path | None) -> None:
    for given in (source, slide):
        if given is not None and given.exists() and target.exists() and target.samefile(given):
            raise OutputError(f"{target}: is an input, and would be replaced; choose another name")
    if target.exists():
        raise OutputError(f"{target}: is there already; remove it, or choose another name")


def _offset(
    candidates: Candidates, info: SlideInfo | None, to_origin: ToOrigin | None
) -> tuple[tuple[int, int], str]:
    """What to add to level-0 px, and where the sums count from, in words."""
    path, frame = Path(candidates.where), candidates.frame
    bounds = info.bounds if info else None
    if info and bounds is None:
        return (0, 0), f"the corner of {info.path.name}, which has no bounds"
    if frame is None and to_origin is not None:
        raise InvalidOption(
            f"{path}: does not say where it counts from, and so cannot be made to count from elsewhere; "
            "leave --to-origin out, and give --origin to the command that reads what is written"
        )
    if frame is None:
        return (0, 0), f"where {path.name} counts from, which it does not say"
    if info and bounds and to_origin is None:
        raise UnsettledOrigin(
            f"{info.path}: this slide has bounds ({bounds.width} x {bounds.height} px at x {bounds.x}, y "
            f"{bounds.y}), and {path.name} counts from the corner of the whole slide; pass --to-origin "
            "bounds for QuPath, which counts from the bounds, or --to-origin level0 for QuPath with "
            "--no-crop, Bio-Formats and OpenSlide scripts"
        )
    if info and bounds and to_origin == "bounds":
        return (-bounds.x, -bounds.y), f"the corner of the bounds of {info.path.name}, as QuPath does"
    hint = "" if info else "; for QuPath, a slide with bounds (MIRAX, Leica SCN) must be given by --slide"
    return (0, 0), f"the corner of the whole slide{hint}"


def _pixels_per_um(
    candidates: Candidates, info: SlideInfo | None, mpp: PixelSize | None, *, needed: bool
) -> tuple[float, float] | None:
    """By what coordinates in um are multiplied; None if they are in px, or may stay in um."""
    if candidates.unit == "px":
        if mpp is not None:
            raise InvalidOption(f"{candidates.where}: is in px; leave --mpp out")
        return None
    if info is not None and (needed or mpp is not None or info.mpp is not None):
        mpp = settle_mpp(info, given=mpp, allow_coarse=True, model_mpp=0.25)
    if mpp is not None:
        return 1 / mpp.x, 1 / mpp.y
    if needed:
        raise MissingResolution(
            f"{candidates.where}: is in um or mm, and what is written in px; pass --slide, or --mpp "
            "(um/px of "
            "level 0)"
        )
    return None


def _table_text(
    candidates: Candidates,
    places: Sequence[tuple[float, float]],
    features: Sequence[_Feature],
    unit: Unit,
    target: Path,
) -> str:
    measured: list[Mapping[str, float]] = [f["properties"].get("measurements", {}) for f in features]
    names = list(dict.fromkeys(name for measurements in measured for name in measurements))
    planes = [plane_numbers(c.plane) for c in candidates]
    axes = [axis for axis in "ztc" if any(axis in plane for plane in planes)]
    header = ["id", "class", f"x_{unit}", f"y_{unit}", *(f"plane_{axis}" for axis in axes)]
    _check_header(header, names, target)
    rows = [
        [
            *(c.id or "", c.class_name or "", *map(repr, place)),
            *(plane.get(axis, "0") for axis in axes),
            *("" if name not in values else repr(values[name]) for name in names),
        ]
        for c, place, plane, values in zip(candidates, places, planes, measured, strict=True)
    ]
    return "".join(csv_lines([[*header, *names], *rows], newline="\r\n"))


def _check_header(header: Sequence[str], names: Sequence[str], target: Path) -> None:
    """Refuse a measurement whose name would be read as something else: x, id, width."""
    row = ["", "", *("0" for _ in header[2:]), *("1" for _ in names)]
    text = "".join(csv_lines([[*header, *names], row], newline="\r\n"))
    try:
        (read,) = parse_table(text, path=target)
    except UnreadableCandidates as error:
        why = str(error).removeprefix(f"{target}: ")
    else:
        found = read.feature["properties"]["measurements"] if read.feature else {}
        lost = ", ".join(repr(name) for name in names if name not in found)
        if not lost:
            return
        why = f"the measurements {lost} would not be read again"
    raise InvalidOption(f"{target}: cannot be a table: {why}; write .geojson instead")
