"""GeoJSON geometries checked and made into shapes of shapely, with their centres and extents.

Coordinates are in the file's own frame and unit. Messages begin with `where`: "a.geojson: feature 12".
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import shapely

from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

Polygon: TypeAlias = Sequence[Sequence[tuple[float, float]]]
"""An outline and its holes, each a ring of [x, y]."""

POINT_TYPES = {"Point", "MultiPoint"}
SHAPE_TYPES = {"Polygon", "MultiPolygon", "LineString", "MultiLineString"}


def usable_geometry(geometry: object, where: str) -> Mapping[str, Any]:
    """Return a geometry whose type can hold candidates. Raises UnreadableCandidates for anything else."""
    if geometry is None:
        raise refusal(where, "it has no geometry")
    if not isinstance(geometry, Mapping):
        raise refusal(where, f"its geometry is {reprlib.repr(geometry)}, not a GeoJSON geometry")
    kind = geometry.get("type")
    if not isinstance(kind, str) or kind not in POINT_TYPES | SHAPE_TYPES:
        # QuPath cannot import a GeometryCollection, so one kept in a feature would spoil our output.
        raise refusal(
            where, f"its geometry has the type {reprlib.repr(kind)}; points, lines and polygons can be read"
        )
    return geometry


def read_points(geometry: Mapping[str, Any], where: str) -> NDArray[np.float64]:
    """Return the one point of a Point, or the points of a MultiPoint, which may be none, as (N, 2)."""
    coordinates = geometry.get("coordinates")
    return _positions([coordinates] if geometry["type"] == "Point" else coordinates, where, at_least=0)


def read_shape(geometry: Mapping[str, Any], where: str) -> shapely.Geometry:
    """Return a line or polygon, whose numbers must be finite, its rings of three different points or more.

    A polygon of one ring with fewer becomes the line or the point that these make: tools that trace masks
    write such polygons for objects of a pixel or two. Raises UnreadableCandidates.
    """
    coordinates = geometry.get("coordinates")
    if geometry["type"] == "LineString":
        return _line(coordinates, where)
    if geometry["type"] == "Polygon":
        return _polygon_or_less(coordinates, where)
    parts = _some(coordinates, where, "parts")
    if geometry["type"] == "MultiLineString":
        return shapely.multilinestrings([_line(part, where) for part in parts])
    return shapely.multipolygons([_polygon(part, where) for part in parts])


def centres(shapes: Sequence[shapely.Geometry]) -> NDArray[np.float64]:
    """Return the centroid of each shape, or a point inside it where the centroid is outside, as (N, 2).

    A centroid in a hole, between two parts or beside a crescent shows something else than the
    object. NaN where the numbers are too large to compute with.
    """
    found = np.empty(len(shapes), dtype=object)
    found[:] = list(shapes)
    with np.errstate(all="ignore"):
        for index in np.flatnonzero(~shapely.is_valid(found) & (shapely.get_dimensions(found) == 2)):
            found[index] = made_valid(found[index])
        return _centres_of_valid(found)


def _centres_of_valid(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    points = shapely.centroid(shapes)
    outside = (shapely.get_dimensions(shapes) == 2) & ~shapely.intersects(shapes, points)
    points[outside] = shapely.point_on_surface(shapes[outside])
    return np.stack([shapely.get_x(points), shapely.get_y(points)], axis=1)


def measure_polygons(
    polygons: Sequence[Polygon],
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return which polygons are sound, (N,), and their centres, (N, 2), and extents, (N,).

    A sound polygon is valid, has closed rings, and its numbers are not too large to compute with; centre and
    extent of any other mean nothing. `centres` and `extents` give the same for shapes that are made one by
    one; this is for thousands at a time.
    """
    rings_of = np.fromiter(map(len, polygons), np.int64)
    sizes = np.fromiter(map(len, chain.from_iterable(polygons)), np.int64)
    numbers = chain.from_iterable(chain.from_iterable(chain.from_iterable(polygons)))
    xy = np.fromiter(numbers, np.float64).reshape(-1, 2)
    shapes = _closed_polygons(xy, sizes, rings_of)
    sound = shapely.is_valid(shapes)
    found, sides = np.full((len(polygons), 2), np.nan), np.full(len(polygons), np.nan)
    with np.errstate(all="ignore"):
        found[sound] = _centres_of_valid(shapes[sound])
        sides[sound] = extents(shapes[sound])
    return np.isfinite(found).all(axis=1) & np.isfinite(sides), found, sides


def _closed_polygons(
    xy: NDArray[np.float64], sizes: NDArray[np.int64], rings_of: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Return polygons of `rings_of` rings each, with `sizes` points each; None for one with an open ring."""
    owner = np.repeat(np.arange(len(rings_of)), rings_of)
    ends = np.cumsum(sizes)
    closed = sizes >= 4
    closed[closed] = (xy[(ends - sizes)[closed]] == xy[ends[closed] - 1]).all(axis=1)
    whole = rings_of > 0
    whole[owner[~closed]] = False
    polygons = np.full(len(rings_of), None, dtype=object)
    used = whole[owner]
    if used.any():
        points = np.repeat(used, sizes)
        of_ring = np.repeat(np.cumsum(used) - 1, sizes)[points]
        of_polygon = (np.cumsum(whole) - 1)[owner[used]]
        polygons[whole] = shapely.polygons(
            shapely.linearrings(xy[points], indices=of_ring), indices=of_polygon
        )
    return polygons


def extents(shapes: Sequence[shapely.Geometry]) -> NDArray[np.float64]:
    """Return the larger side of each shape's bounding box, (N,); infinite where the numbers are too large."""
    boxes = shapely.bounds(np.array(shapes, dtype=object)).reshape(-1, 4)
    with np.errstate(over="ignore"):
        larger: NDArray[np.float64] = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return larger


def made_valid(shape: shapely.Geometry) -> shapely.Geometry:
    """Return the area that a polygon covers which crosses itself; its line where it covers none."""
    try:
        # Each part by itself: what two parts both cover belongs to the area, too.
        parts = shapely.get_parts(shapely.make_valid(shapely.get_parts(shape)))
        areas = [p for p in shapely.get_parts(parts) if shapely.get_dimensions(p) == 2]
        return shapely.union_all(areas) if areas else shapely.union_all(parts)
    except shapely.errors.GEOSException:
        return shapely.Point()  # its centre is NaN, which the caller reports


def _polygon_or_less(rings: object, where: str) -> shapely.Geometry:
    """Return a polygon; of one ring with fewer than three points, the line or point these make."""
    if not isinstance(rings, list) or len(rings) != 1:
        return _polygon(rings, where)
    positions = _positions(rings[0], where, at_least=1)
    places = list(dict.fromkeys(map(tuple, positions.tolist())))
    if len(places) == 1:
        return shapely.points(places[0])
    return shapely.linestrings(places) if len(places) == 2 else shapely.polygons(positions)


def _polygon(rings: object, where: str) -> shapely.Geometry:
    outline, *holes = [_ring(ring, where) for ring in _some(rings, where, "rings")]
    return shapely.polygons(outline, holes or None)


def _ring(ring: object, where: str) -> shapely.Geometry:
    positions = _positions(ring, where, at_least=3)
    if len(set(map(tuple, positions.tolist()))) < 3:
        raise refusal(where, "a ring of its polygon has fewer than 3 different points")
    return shapely.linearrings(positions)  # closes a ring left open


def _line(coordinates: object, where: str) -> shapely.Geometry:
    return shapely.linestrings(_positions(coordinates, where, at_least=2))


def _some(value: object, where: str, noun: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise refusal(where, f"its geometry has no {noun}: coordinates are {reprlib.repr(value)}")
    return value


def _positions(value: object, where: str, *, at_least: int) -> NDArray[np.float64]:
    """Return a list of [x, y] or [x, y, z] as (N, 2). The third number is checked and left out."""
    if not isinstance(value, list) or not all(type(point) is list for point in value):
        raise refusal(where, f"expected a list of points [x, y], found {reprlib.repr(value)}")
    if len(value) < at_least:
        raise refusal(where, f"expected {at_least} points or more, found {len(value)}")
    lengths = set(map(len, value))
    if lengths and min(lengths) < 2:
        short = next(point for point in value if len(point) < 2)
        raise refusal(where, f"a point needs x and y, found {reprlib.repr(short)}")
    # numpy would turn true into 1.0 and "3" into 3.0 without a word, so that types are checked first.
    if not set(map(type, chain.from_iterable(value))) <= {int, float}:
        _fail_at_number(value, where)
    try:
        numbers = np.fromiter(chain.from_iterable(value), np.float64)
    except OverflowError:
        _fail_at_number(value, where)
    if not np.isfinite(numbers).all():
        _fail_at_number(value, where)
    if len(lengths) == 1:
        return numbers.reshape(len(value), -1)[:, :2]
    return np.array([point[:2] for point in value], np.float64).reshape(-1, 2)


def _fail_at_number(points: Sequence[Sequence[object]], where: str) -> NoReturn:
    for number in chain.from_iterable(points):
        if type(number) not in (int, float) or not abs(number) <= sys.float_info.max:  # type: ignore[arg-type]
            raise refusal(where, f"the coordinate {reprlib.repr(number)} is not a finite number")
    raise AssertionError(where)
