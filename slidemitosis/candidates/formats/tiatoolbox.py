"""Annotation stores of TIAToolbox, which are SQLite files, and the GeoJSON that a store writes."""

from __future__ import annotations

import json
import re
import reprlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import shapely

from slidemitosis.candidates.formats.qupath_keys import is_object_type
from slidemitosis.candidates.formats.shapes import POINT_TYPES, read_points, usable_geometry
from slidemitosis.candidates.marks import Mark, at_points, candidates_of
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.candidates.formats.databases import Database

LOOKED_FOR = "a table annotations with key, cx, cy, geometry and properties"

_NEEDED = {"id", "key", "cx", "cy", "geometry", "properties"}
_LARGEST = 64 << 20  # bytes of one outline when unpacked, a million vertices many times over
_POINT, _POLYGON = 1, 3
_PARTS = {4: _POINT, 5: 2, 6: _POLYGON}
"""Types of well-known binary: of several points, lines or polygons, and of what these are several of."""
_HEAD = 1 << 16  # characters within which the first feature begins
_SCORES = {"prob", "probs", "probability"}
# The place once more, in pixels of the network's input.
_PLACE = {"box", "centroid", "contour", "contours", "coordinates"}
_OF_QUPATH = {"classification", "objectType", "object_type"}


def fits(tables: Mapping[str, set[str]]) -> bool:
    """Tell whether the tables are those of an annotation store; columns by table, in lower case."""
    return tables.get("annotations", set()) >= _NEEDED


def read_store(database: Database) -> Candidates:
    """Read the annotations of a store in its order; px from the corner of the whole slide.

    A point has no geometry, only `cx` and `cy`, which stores of before 2023 hold without decimals. The class
    is the property `type`. Raises UnreadableCandidates.
    """
    marks: list[Mark] = []
    path = database.path
    query = "SELECT id, key, cx, cy, geometry, properties FROM annotations ORDER BY id"
    for number, key, cx, cy, blob, text in database.rows(query):
        source = f"annotation {number}"
        where = f"{path}: {source}"
        try:
            properties = json.loads(text or "{}")
        except (TypeError, ValueError, RecursionError) as error:
            raise refusal(where, f"its properties are no JSON: {reprlib.repr(text)}") from error
        geometry = {"type": "Point", "coordinates": [cx, cy]} if blob is None else _geometry(blob, where)
        marks.extend(_marks(geometry, properties, source, where, key=key))
    return candidates_of(marks, path=path, format="tiatoolbox", frame="level0")


def looks_like_export(text: str) -> bool:
    """Tell whether GeoJSON is of a store: its first feature has a probability, and any `type` is a class.

    Features of QuPath have a classification, and a `type` there is the kind of object.
    """
    begin = re.search(r'"features"\s*:\s*\[\s*', text[:_HEAD])
    try:
        feature = json.JSONDecoder().raw_decode(text, begin.end())[0] if begin else None
    except (ValueError, RecursionError):  # cut off, or not JSON: the reader of GeoJSON says so
        return False
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(feature, dict) or not isinstance(properties, dict):
        return False
    if _OF_QUPATH & (feature.keys() | properties.keys()):
        return False
    kind = str(properties.get("type", "detection"))
    return bool(properties.keys() & _SCORES) and not is_object_type(kind)


def parse_export(document: object, *, path: Path) -> Candidates:
    """Read the features of a store's GeoJSON in its order, as `read_store`. Raises UnreadableCandidates."""
    features = document.get("features") if isinstance(document, Mapping) else None
    if not isinstance(features, list):
        raise refusal(path, "no list of features, as TIAToolbox writes it")
    marks: list[Mark] = []
    for number, feature in enumerate(features, start=1):
        source = f"feature {number}"
        where = f"{path}: {source}"
        if not isinstance(feature, Mapping):
            raise refusal(where, f"expected a GeoJSON Feature, found {reprlib.repr(feature)}")
        properties = feature.get("properties") or {}
        marks.extend(_marks(feature.get("geometry"), properties, source, where, key=feature.get("id")))
    return candidates_of(marks, path=path, format="tiatoolbox", frame="level0")


def _marks(geometry: object, properties: object, source: str, where: str, *, key: object) -> Iterator[Mark]:
    if not isinstance(properties, Mapping):
        raise refusal(where, f"its properties are {reprlib.repr(properties)}, not a JSON object")
    usable = usable_geometry(geometry, where)
    class_name = properties.get("type")
    mark = Mark(
        source=source,
        id=None if key is None else str(key),
        class_name=None if class_name is None else str(class_name),
        stated={k: v for k, v in properties.items() if k != "type" and k not in _PLACE},
    )
    if usable["type"] in POINT_TYPES:
        return at_points(mark, read_points(usable, where).tolist())
    return iter([replace(mark, outline=usable)])


def _geometry(blob: object, where: str) -> object:
    """Return a GeoJSON geometry of well-known binary, which a store packs by zlib unless told otherwise."""
    if not isinstance(blob, bytes):
        raise refusal(where, f"its geometry is {reprlib.repr(blob)}, not well-known binary")
    try:
        unpack = zlib.decompressobj()
        # WKB begins with the byte order.
        wkb = blob if blob.startswith((b"\0", b"\1")) else unpack.decompress(blob, _LARGEST)
        is_whole, is_flat = wkb is blob or unpack.eof, _is_flat(wkb)
        geometry = shapely.to_geojson(shapely.from_wkb(wkb)) if is_whole and is_flat else ""
    except (zlib.error, struct.error, shapely.errors.GEOSException, ValueError) as error:
        raise refusal(
            where, f"its geometry is no well-known binary ({' '.join(str(error).split())})"
        ) from error
    if not is_whole:
        raise refusal(where, "its geometry is cut off, or larger than 64 MiB")
    if not is_flat:
        raise refusal(
            where, "its geometry has the type of a collection; points, lines and polygons can be read"
        )
    return json.loads(geometry)


def _is_flat(wkb: bytes) -> bool:
    """Tell whether well-known binary is a point, line or polygon, or several of one of these.

    Collections can be nested, for each level of which GEOS calls itself until the process dies. Raises
    struct.error for what is cut off.
    """
    kind, _, order = _header(wkb, 0)
    if kind not in _PARTS:
        return kind in _PARTS.values()
    (count,) = struct.unpack_from(f"{order}I", wkb, 5)
    at = 9
    for _ in range(count):
        part, numbers, order = _header(wkb, at)
        if part != _PARTS[kind]:
            return False
        at = _end(wkb, at + 5, part, 8 * numbers, order)
    return True


def _header(wkb: bytes, at: int) -> tuple[int, int, str]:
    """Return type, numbers of a vertex, and byte order of the geometry that begins at this byte."""
    order = "<" if wkb[at : at + 1] == b"\1" else ">"
    (code,) = struct.unpack_from(f"{order}I", wkb, at + 1)
    # A z and an m are stated by a bit each, as in PostGIS, or by thousands, as in ISO's standard.
    kind = code & 0x0FFFFFFF
    more = max((code >> 31) + (code >> 30 & 1), (0, 1, 1, 2)[min(kind // 1000, 3)])
    return kind % 1000, 2 + more, order


def _end(wkb: bytes, at: int, kind: int, vertex: int, order: str) -> int:
    """Return the byte behind a point, line or polygon; `vertex` is the size of one."""
    if kind == _POINT:
        return at + vertex
    rings = 1
    if kind == _POLYGON:
        (rings,) = struct.unpack_from(f"{order}I", wkb, at)
        at += 4
    for _ in range(rings):
        (vertices,) = struct.unpack_from(f"{order}I", wkb, at)
        at += 4 + vertices * vertex
    return at
