"""Pure: outlines as QuPath can import them, with every digit that needs no repair as it was written."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.formats.json_text import compact, elements, joined, kind, members
from slidemitosis.candidates.formats.shapes import made_valid, read_shape

if TYPE_CHECKING:
    from slidemitosis.candidates.formats.json_text import JsonText

# Candidates of a table have no outline; they get a circle as wide as the boxes of the MIDOG data sets.
_CIRCLE_UM = 12.5
_CIRCLE_CORNERS = 16
_PLANE = {"c", "z", "t"}
_INT = 2**31


def importable(
    geometry: JsonText, *, sound: bool = False, shift: tuple[int, int] = (0, 0)
) -> tuple[bytes | None, bool]:
    """The geometry, and whether its outline is as it was: one invalid outline ends QuPath's whole import.

    Rings are closed. Of an outline that crosses itself the area it covers is left, and None of one without
    any. A `plane` loses what QuPath fails at: keys but c, z and t, and values that are no whole numbers.
    `sound`: the outline is known to need no repair. `shift`, px, is added to all coordinates.
    """
    parts = members(geometry)
    # There is no text among coordinates: all that is blank may go.
    coordinates = _moved(bytes(parts["coordinates"]).translate(None, b" \t\n\r"), shift)
    of_type, repaired = bytes(parts["type"]), None
    if not sound:
        coordinates = _closed(of_type, coordinates)
        repaired = _repaired(of_type, coordinates)
        if repaired == b"":
            return None, False
    clean: dict[str, JsonText] = {}
    for name, part in parts.items():
        if name == "plane":
            if kind(part) == "{":
                clean[name] = joined({k: v for k, v in members(part).items() if k in _PLANE and _is_int(v)})
        elif name == "coordinates":
            clean[name] = coordinates
        elif name == "bbox":
            clean |= moved_box(part, shift)
        elif name != "isEllipse" or bytes(part) in (b"true", b"false"):
            clean |= {} if bytes(part) in (b"NaN", b"Infinity", b"-Infinity") else {name: compact(part)}
    if repaired is None:
        return joined(clean), True
    plane = b',"plane":%b' % bytes(clean["plane"]) if "plane" in clean else b""
    return b"{%b%b}" % (repaired, plane), False


def moved_box(box: JsonText, shift: tuple[int, int]) -> dict[str, JsonText]:
    """The member `bbox` with `shift` px added; none where it is of a form that cannot be moved."""
    if shift == (0, 0):
        return {"bbox": compact(box)}
    values = json.loads(bytes(box))
    if not isinstance(values, list) or len(values) not in (4, 6) or not all(map(is_number, values)):
        return {}
    half = len(values) // 2
    return {"bbox": _text([*_moved_positions(values[:half], shift), *_moved_positions(values[half:], shift)])}


def _moved(coordinates: bytes, shift: tuple[int, int]) -> bytes:
    return coordinates if shift == (0, 0) else _text(_moved_positions(json.loads(coordinates), shift))


def _moved_positions(value: list[Any], shift: tuple[int, int]) -> list[Any]:
    """A position [x, y], with or without more numbers, or a list of such at any depth."""
    if not value or isinstance(value[0], list):
        return [_moved_positions(inner, shift) for inner in value]
    # Adding a whole number must not turn 0.1 into 100.10000000000001; whole numbers stay whole.
    return [*(round(v + d, 6) for v, d in zip(value, shift, strict=False)), *value[2:]]


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _closed(of_type: bytes, coordinates: bytes) -> bytes:
    if of_type == b'"Polygon"':
        return b"[%b]" % b",".join(map(_closed_ring, elements(coordinates)))
    if of_type == b'"MultiPolygon"':
        return b"[%b]" % b",".join(_closed(b'"Polygon"', bytes(part)) for part in elements(coordinates))
    return coordinates


def _closed_ring(ring: JsonText) -> bytes:
    points = [bytes(point) for point in elements(ring)]
    first, last = (json.loads(point)[:2] for point in (points[0], points[-1]))
    return b"[%b]" % b",".join(points if first == last else [*points, points[0]])


def _repaired(of_type: bytes, coordinates: bytes) -> bytes | None:
    """Type and coordinates of the area that an invalid outline covers; empty where it covers none."""
    if of_type not in (b'"Polygon"', b'"MultiPolygon"'):
        return None
    import shapely.geometry  # noqa: PLC0415

    geometry = {"type": json.loads(of_type), "coordinates": json.loads(coordinates)}
    outline = read_shape(geometry, "an object")
    if shapely.get_dimensions(outline) < 2:
        return b""
    if outline.is_valid:
        return None
    area = made_valid(outline)
    if area.is_empty or shapely.get_dimensions(area) < 2:
        return b""
    return _text(shapely.geometry.mapping(area))[1:-1]


def _is_int(text: JsonText) -> bool:
    """Whether QuPath reads it as a whole number; 1.0 is one to it."""
    try:
        value = float(bytes(text))
    except ValueError:
        return False
    return value.is_integer() and -_INT <= value < _INT


def is_number(value: object) -> bool:
    """Whether it is a finite number; a truth value is none."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def circle(x: float, y: float, pixels_per_um: tuple[float, float]) -> bytes:
    """A closed polygon around a centre, in px of its frame, two decimals."""
    rx, ry = (_CIRCLE_UM / 2 * s for s in pixels_per_um)
    angles = [2 * math.pi * i / _CIRCLE_CORNERS for i in range(_CIRCLE_CORNERS)]
    ring = [[round(x + rx * math.cos(a), 2), round(y + ry * math.sin(a), 2)] for a in angles]
    return b'{"type":"Polygon","coordinates":%b}' % _text([[*ring, ring[0]]])
