"""Objects of files that are no GeoJSON, made into candidates with all that the files say of them."""

from __future__ import annotations

import json
import math
import reprlib
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from slidemitosis.candidates.candidate import Candidate, Candidates
from slidemitosis.candidates.class_text import class_of_text
from slidemitosis.candidates.formats.shapes import centres, extents, read_shape
from slidemitosis.candidates.refusal import refusal
from slidemitosis.candidates.select import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import shapely

    from slidemitosis.options.read import Format, Unit

# Longer texts are lists of vertices and the like, and not for people who click on an object.
_LONGEST_TEXT = 500
_NO_CENTRE = "its centre cannot be computed; are its coordinates right?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One object as a file describes it: by its centre, or by its outline."""

    source: str
    """Its place in the file, for messages: "annotation 12"."""
    centre: tuple[float, float] | None = None
    """x and y in the file's own frame and unit; None where the centre of the outline counts."""
    outline: Mapping[str, Any] | None = None
    """A line or polygon as a GeoJSON geometry, px of the file's own frame."""
    id: str | None = None
    class_name: str | None = None
    """As the file states it."""
    name: str | None = None
    plane: str | None = None
    """As in `Candidate`."""
    stated: Mapping[str, object] = field(default_factory=dict)
    """All else that the file says of it, by the file's own names."""


def candidates_of(
    marks: Iterable[Mark],
    *,
    path: Path,
    format: Format,
    unit: Unit = "px",
    frame: Literal["level0"] | None = None,
) -> Candidates:
    """Make a candidate of each mark, in their order. Raises UnreadableCandidates."""
    items: list[Candidate] = []
    shapes: dict[int, shapely.Geometry] = {}
    for index, mark in enumerate(marks):
        x, y = mark.centre or (math.nan, math.nan)
        if mark.outline is not None:
            shapes[index] = read_shape(mark.outline, f"{path}: {mark.source}")
        elif not (math.isfinite(x) and math.isfinite(y)):
            raise refusal(f"{path}: {mark.source}", _NO_CENTRE)
        class_name = _class_name(mark, path)
        text = _feature_text(mark)
        items.append(Candidate(mark.id, x, y, class_name, mark.source, 0.0, text, plane=mark.plane))
    # All at once, as shapely is made for.
    outlines = list(shapes.values())
    for index, (x, y), extent in zip(
        shapes, centres(outlines).tolist(), extents(outlines).tolist(), strict=True
    ):
        if not all(map(math.isfinite, (x, y, extent))):
            raise refusal(f"{path}: {items[index].source}", _NO_CENTRE)
        items[index] = replace(items[index], x=x, y=y, extent=extent)
    return Candidates(path=path, format=format, unit=unit, items=tuple(items), frame=frame)


def _class_name(mark: Mark, path: Path) -> str | None:
    try:
        return normal_name(class_of_text(mark.class_name))
    except ValueError as error:
        told = f"its class is {reprlib.repr(mark.class_name)}; {error}"
        raise refusal(f"{path}: {mark.source}", told) from None


def at_points(mark: Mark, points: Sequence[Sequence[float]]) -> Iterator[Mark]:
    """Yield the mark at each of the points, (N, 2); if there are several, its source and id are numbered."""
    several = len(points) > 1
    for number, (x, y) in enumerate(points, start=1):
        source = f"{mark.source}, point {number}" if several else mark.source
        name = f"{mark.id}#{number}" if several and mark.id else mark.id
        yield replace(mark, source=source, id=name, centre=(x, y))


def _feature_text(mark: Mark) -> bytes | None:
    """Return the Feature of what QuPath is to show besides place and class; None if there is nothing."""
    measurements, metadata = _told_apart(mark.stated)
    told = {"name": mark.name, "measurements": measurements, "metadata": metadata}
    properties = {key: value for key, value in told.items() if value}
    if not (mark.outline or properties):
        return None
    outline = {"geometry": dict(mark.outline)} if mark.outline else {}
    feature = {"type": "Feature", **outline, "properties": {"objectType": "detection", **properties}}
    return json.dumps(feature, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _told_apart(stated: Mapping[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the numbers, which QuPath shows as measurements, and the texts, which it shows as metadata."""
    measurements: dict[str, float] = {}
    metadata: dict[str, str] = {}
    for name, value in stated.items():
        if value is None:
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            if is_finite(value):  # a measurement that is NaN is one that is missing
                measurements[name] = float(value)
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        if text.strip() and len(text) <= _LONGEST_TEXT:
            metadata[name] = text.strip()
    return measurements, metadata


def is_finite(value: object) -> bool:
    """Tell whether a value of JSON is a number, and finite as a float64."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
