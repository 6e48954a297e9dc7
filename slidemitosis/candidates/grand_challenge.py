"""Grand Challenge's "Multiple points", which detectors of the MIDOG challenges write: millimetres."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from slidemitosis.candidates.marks import Mark, candidates_of, is_finite
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.candidates.model import Candidates

LOOKED_FOR = "a list of points, each with a point"

_UM_PER_MM = 1000.0


def fits(document: object) -> bool:
    """Whether a JSON document is a list of Grand Challenge's points."""
    points = document.get("points") if isinstance(document, Mapping) else None
    return isinstance(points, list) and all(isinstance(p, Mapping) and "point" in p for p in points[:1])


def parse_points(document: object, *, path: Path) -> Candidates:
    """The points in the file's order, in um from the corner of the image, which is the whole of level 0.

    Raises UnreadableCandidates.
    """
    points = document.get("points") if isinstance(document, Mapping) else None
    if not isinstance(points, list):
        raise refusal(path, f"no {LOOKED_FOR}, as Grand Challenge has them")
    marks = [_mark(one, f"point {number}", path) for number, one in enumerate(points, start=1)]
    return candidates_of(marks, path=path, format="grand-challenge", unit="um", frame="level0")


def _mark(one: object, source: str, path: Path) -> Mark:
    if not isinstance(one, Mapping):
        raise refusal(f"{path}: {source}", f"expected an object with a point, found {reprlib.repr(one)}")
    point = one.get("point")
    numbers = [v for v in point if is_finite(v)] if isinstance(point, list) else []
    if not isinstance(point, list) or len(point) not in {2, 3} or len(numbers) != len(point):
        raise refusal(
            f"{path}: {source}", f"its point is {reprlib.repr(point)}, not two or three finite numbers"
        )
    name = one.get("name")
    if name is not None and not isinstance(name, str):
        raise refusal(f"{path}: {source}", f"its name is {reprlib.repr(name)}, not a text")
    return Mark(
        source=source,
        centre=(float(point[0]) * _UM_PER_MM, float(point[1]) * _UM_PER_MM),
        class_name=name,
        stated={key: value for key, value in one.items() if key not in {"point", "name"}},
    )
