"""Grand Challenge's "Multiple points", in millimetres, as detectors of the MIDOG challenges write them."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from slidemitosis.candidates.marks import Mark, candidates_of, is_finite
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.options.read import Unit

LOOKED_FOR = "a list of points, each with a point"

_UM_PER_MM = 1000.0
# How detectors number points: any other name of a point is its class.
_NUMBERED = re.compile(r"point[ _-]*\d+", re.IGNORECASE)


def fits(document: object) -> bool:
    """Tell whether a JSON document has the list of points of Grand Challenge."""
    points = document.get("points") if isinstance(document, Mapping) else None
    return isinstance(points, list) and all(isinstance(p, Mapping) and "point" in p for p in points[:1])


def parse_points(document: object, *, path: Path, unit: Unit = "um") -> Candidates:
    """Read the points in the file's order, from the corner of the image, which is the whole of level 0.

    The points are in mm and the candidates in um; with the unit "px" both are in px, as the reference
    detector of MIDOG writes points for an image without a pixel size. Raises UnreadableCandidates.
    """
    points = document.get("points") if isinstance(document, Mapping) else None
    if not isinstance(points, list):
        raise refusal(path, f"no {LOOKED_FOR}, as Grand Challenge has them")
    scale = _UM_PER_MM if unit == "um" else 1.0
    marks = [_mark(one, f"point {number}", scale, path) for number, one in enumerate(points, start=1)]
    return candidates_of(marks, path=path, format="grand-challenge", unit=unit, frame="level0")


def _mark(one: object, source: str, scale: float, path: Path) -> Mark:
    where = f"{path}: {source}"
    if not isinstance(one, Mapping):
        raise refusal(where, f"expected an object with a point, found {reprlib.repr(one)}")
    point = one.get("point")
    numbers = [v for v in point if is_finite(v)] if isinstance(point, list) else []
    if not isinstance(point, list) or len(point) not in {2, 3} or len(numbers) != len(point):
        raise refusal(where, f"its point is {reprlib.repr(point)}, not two or three finite numbers")
    name = one.get("name")
    if name is not None and not isinstance(name, str):
        raise refusal(where, f"its name is {reprlib.repr(name)}, not a text")
    numbered = name is not None and _NUMBERED.fullmatch(name.strip())
    return Mark(
        source=source,
        centre=(float(point[0]) * scale, float(point[1]) * scale),
        class_name=None if numbered else name,
        name=name if numbered else None,
        stated={key: value for key, value in one.items() if key not in {"point", "name"}},
    )
