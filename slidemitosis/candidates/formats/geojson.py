"""GeoJSON as QuPath 0.3 to 0.8 writes it, and as other tools write it for QuPath."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from slidemitosis.candidates.candidate import Candidate, Candidates
from slidemitosis.candidates.class_text import class_of_value
from slidemitosis.candidates.formats.geojson_fast import read_quickly
from slidemitosis.candidates.formats.json_text import (
    collection,
    elements,
    finite,
    joined,
    kind,
    members,
    string,
)
from slidemitosis.candidates.formats.qupath_keys import (
    CLASS_KEYS,
    MOVED_IDS,
    SOURCE_ID,
    full_class_name,
    id_of,
    is_container,
    is_core,
    other_class,
)
from slidemitosis.candidates.formats.shapes import (
    POINT_TYPES,
    SHAPE_TYPES,
    centres,
    extents,
    read_points,
    read_shape,
    usable_geometry,
)
from slidemitosis.candidates.planes import plane_text
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import shapely
    from numpy.typing import NDArray

    from slidemitosis.candidates.formats.json_text import JsonText

_Feature = Mapping[str, Any]
_Taken = TypeVar("_Taken")

_GEOMETRY_TYPES = POINT_TYPES | SHAPE_TYPES | {"GeometryCollection"}
_NUCLEUS_OF_HOVER_NEXT = re.compile(r"Nuc \d+")
_OF_ITS_NETWORK = "an outline of HoVer-NeXt, in pixels of its network; give its pred_mitosis.tsv instead"
_CHUNK = 512
"""Features read together: enough for numpy, and few enough that the garbage collector does not go through
them again and again, which takes a third of the time with 4,096."""


def parse_geojson(text: str | bytes, *, path: Path) -> Candidates:
    """Read the candidates in a GeoJSON text, in its order; `path` is for messages and is not opened.

    Every point of a MultiPoint is a candidate; so is any other object, at its centre, and a cell at the
    centre of its nucleus. Objects inside others are read like those beside them. Centres are in px of the
    frame of the file. `text` as bytes is UTF-8, and stays in memory as long as any of its candidates. Raises
    `UnreadableCandidates`.
    """
    features = _features(text.encode() if isinstance(text, str) else text, path)
    items: list[Candidate] = []
    cores: list[Candidate] = []
    for start in range(0, len(features), _CHUNK):
        chunk = features[start : start + _CHUNK]
        quick = read_quickly(chunk, first=start + 1)
        for number, (feature, candidate) in enumerate(zip(chunk, quick, strict=True), start=start + 1):
            if candidate is not None:
                items.append(candidate)
            else:
                items.extend(_candidates(feature, f"feature {number}", path, cores))
    _number_moved_ids(items)
    return Candidates(path=path, format="geojson", unit="px", items=tuple(items), cores=tuple(cores))


def _number_moved_ids(items: list[Candidate]) -> None:
    """Number candidates with the same id among their properties, so that each keeps to itself.

    A tool that takes objects apart leaves the id of the whole to each part.
    """
    counts = Counter(c.id for c in items)
    if len(counts) == len(items):
        return
    seen: Counter[str] = Counter()
    for place, c in enumerate(items):
        if c.id is None or counts[c.id] == 1 or c.text is None:
            continue
        feature = json.loads(bytes(c.text))
        moved = [v for v in map((feature.get("properties") or {}).get, MOVED_IDS) if v == c.id]
        if moved and feature.get("id") != c.id:
            seen[c.id] += 1
            items[place] = replace(c, id=f"{c.id}#{seen[c.id]}")


def _features(data: bytes, path: Path) -> Sequence[JsonText]:
    """Return the text of every Feature of a document, and of every bare geometry in place of one."""
    if kind(data) in ("[", "{"):
        outer, features = _json(collection, data, f"{path}")
        name = _json(json.loads, bytes(outer.get("type", b"null")), f"{path}")
        if features is not None and (kind(data) == "[" or name == "FeatureCollection"):
            return features
        if name == "FeatureCollection":
            listed = reprlib.repr(json.loads(bytes(outer.get("features", b"null"))))
            raise refusal(path, f"its FeatureCollection has no list of features, found {listed}")
        if name == "Feature" or (isinstance(name, str) and name in _GEOMETRY_TYPES):
            return [data]
    document = _json(json.loads, data, f"{path}")
    raise refusal(path, f"JSON but no GeoJSON: expected a FeatureCollection, found {_found(document)}")


def _json(take: Callable[[bytes], _Taken], text: bytes, where: str) -> _Taken:
    """Return what `take` finds in a JSON text, or refuse the text with the place of its fault."""
    try:
        return take(text)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg}); the file may be cut off: export it again"
        if error.msg == "Extra data":
            what = "the JSON ends here, yet more follows; put all Features into one FeatureCollection"
        raise refusal(f"{where}: line {error.lineno}, column {error.colno}", what) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or endless nesting
        raise refusal(where, f"not usable as JSON ({' '.join(str(error).split())})") from error


def _candidates(text: JsonText, source: str, path: Path, cores: list[Candidate]) -> list[Candidate]:
    """Return the candidates of any object and of those inside it; add TMA cores to `cores`."""
    where = f"{path}: {source}"
    feature = _json(json.loads, bytes(text), where)
    text = finite(text)
    if _type(feature) in _GEOMETRY_TYPES:
        text = b'{"type":"Feature","geometry":%b,"properties":{}}' % bytes(text)
        feature = {"type": "Feature", "geometry": feature, "properties": {}}
    if not isinstance(feature, dict) or _type(feature) != "Feature":
        raise refusal(where, f"expected a GeoJSON Feature, found {_found(feature)}")
    found = _own_candidates(feature, text, source, where, cores)
    for number, child in enumerate(child_objects(text), start=1):
        found.extend(_candidates(child, f"{source}, child {number}", path, cores))
    return found


def _own_candidates(
    feature: _Feature, text: JsonText, source: str, where: str, cores: list[Candidate]
) -> list[Candidate]:
    properties = feature.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, Mapping):
        raise refusal(where, f"its properties are {reprlib.repr(properties)}, not a JSON object")
    kind_of_object = _kind_of_object(feature, properties)
    if is_container(kind_of_object):
        geometry = feature.get("geometry")
        # Any other core holds no place, and was never refused.
        if is_core(kind_of_object) and properties.get("isMissing") is not True and _is_area(geometry):
            x, y, extent = _place(usable_geometry(geometry, where), None, where)
            class_name = _class_name(feature, properties, where)
            cores.append(Candidate(_id(feature, properties), x, y, class_name, source, extent, text))
        return []
    geometry = usable_geometry(feature.get("geometry"), where)
    if geometry["type"] == "LineString" and _NUCLEUS_OF_HOVER_NEXT.fullmatch(str(properties.get("Name"))):
        raise refusal(where, _OF_ITS_NETWORK)
    name, class_name = _id(feature, properties), _class_name(feature, properties, where)
    plane = _plane(geometry, feature, properties)
    if geometry["type"] == "MultiPoint":
        points = _of_points(name, class_name, source, text, read_points(geometry, where).tolist())
        return [replace(point, plane=plane) for point in points]
    x, y, extent = _place(geometry, feature.get("nucleusGeometry"), where)
    return [Candidate(name, x, y, class_name, source, extent, text, plane=plane)]


def _plane(geometry: _Feature, feature: _Feature, properties: _Feature) -> str | None:
    """Return which plane but the first the geometry states, where QuPath writes it, or the object itself."""
    for holder in (geometry, feature, properties):
        if isinstance(stated := holder.get("plane"), Mapping):
            return plane_text(stated)
    return None


def _place(geometry: _Feature, nucleus: object, where: str) -> tuple[float, float, float]:
    """Return centre and extent; of a cell those of the nucleus, which may lie well off the cell's middle."""
    shape = _points_or_shape(geometry, where)
    if nucleus is not None:
        inside = f"{where}, nucleusGeometry"
        found = _points_or_shape(usable_geometry(nucleus, inside), inside)
        if not isinstance(found, np.ndarray):
            shape = found
        elif len(found):
            shape = found.mean(axis=0, keepdims=True)
    if isinstance(shape, np.ndarray):
        ((x, y),) = shape.tolist()
        return x, y, 0.0
    ((x, y),), (extent,) = centres([shape]).tolist(), extents([shape]).tolist()
    if not all(map(math.isfinite, (x, y, extent))):
        raise refusal(where, "its centre cannot be computed; are its coordinates in pixels?")
    return x, y, extent


def _points_or_shape(geometry: _Feature, where: str) -> NDArray[np.float64] | shapely.Geometry:
    return (read_points if geometry["type"] in POINT_TYPES else read_shape)(geometry, where)


def _of_points(
    name: str | None, class_name: str | None, source: str, text: JsonText, points: list[list[float]]
) -> list[Candidate]:
    """Return a candidate, with a Feature of its own, for each point that was clicked into one object.

    There may be none: QuPath's counting tool makes the object before its first point.
    """
    whole = members(text)
    shape = members(whole["geometry"])
    found = []
    places = zip(points, elements(shape["coordinates"]), strict=True)
    for number, ((x, y), place) in enumerate(places, start=1):
        feature = {**whole, "geometry": joined({**shape, "type": b'"Point"', "coordinates": place})}
        own = name
        if len(points) > 1 and name is not None:
            own = f"{name}#{number}"
            feature["id"] = string(own)
        found.append(Candidate(own, x, y, class_name, f"{source}, point {number}", text=joined(feature)))
    return found


def child_objects(text: JsonText) -> Sequence[JsonText]:
    """Return the Features inside an object, which QuPath writes when asked for the hierarchy."""
    feature = members(text)
    properties = members(feature["properties"]) if kind(feature.get("properties", b"")) == "{" else {}
    listed = properties.get("childObjects" if "childObjects" in properties else "children", b"")
    children = elements(listed) if kind(listed) == "[" else []
    return [child for child in children if is_child_object(child)]


def is_child_object(text: JsonText) -> bool:
    """Tell whether an element of such a list is an object: other tools list other things by the same name."""
    return kind(text) == "{" and "geometry" in members(text)


def class_of(text: JsonText) -> str | None:
    """Return the full class name of a Feature that has been read."""
    feature = json.loads(bytes(text))
    return _class_name(feature, feature.get("properties") or {}, "an object")


def _kind_of_object(feature: _Feature, properties: _Feature) -> str:
    """Return what an object says of its type, which other tools take for something else; empty if nothing."""
    stated = [properties.get(key) for key in ("objectType", "object_type", "type")]
    stated += [feature.get(key) for key in ("objectType", "object_type", "id")]
    name = next((value for value in stated if value is not None), None)
    return name if isinstance(name, str) else ""


def _is_area(geometry: object) -> bool:
    return isinstance(geometry, Mapping) and geometry.get("type") in ("Polygon", "MultiPolygon")


def _id(feature: _Feature, properties: _Feature) -> str | None:
    metadata = properties.get("metadata")
    # An object to which a run gave another id holds the one that it had.
    if isinstance(metadata, Mapping) and isinstance(source := metadata.get(SOURCE_ID), str):
        return source
    stated = feature.get("id")
    own = stated if stated is None or isinstance(stated, str) else json.dumps(stated)
    return id_of(own, map(properties.get, MOVED_IDS))


def _class_name(feature: _Feature, properties: _Feature, where: str) -> str | None:
    if "classification" in properties or "classification" in feature:
        stated = properties.get("classification", feature.get("classification"))
    else:
        stated = other_class(map(properties.get, CLASS_KEYS))
    try:
        return full_class_name((class_of_value(stated) or "",))
    except ValueError as error:
        told = f"its classification is {reprlib.repr(stated)}; {error}"
        raise refusal(where, told) from None


def _type(element: object) -> str | None:
    kind = element.get("type") if isinstance(element, dict) else None
    return kind if isinstance(kind, str) else None


def _found(element: object) -> str:
    if isinstance(element, dict):
        return f"the type {reprlib.repr(element['type'])}" if "type" in element else reprlib.repr(element)
    return reprlib.repr(element)
