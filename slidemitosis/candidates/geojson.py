"""GeoJSON as QuPath 0.3 to 0.8 writes it, and as other tools write it for QuPath."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from slidemitosis.candidates.classes import normal_name
from slidemitosis.candidates.model import Candidate, Candidates
from slidemitosis.candidates.shapes import (
    POINT_TYPES,
    SHAPE_TYPES,
    centres,
    extents,
    geometry_type,
    read_points,
    read_shape,
)
from slidemitosis.errors import UnreadableCandidates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import shapely

_Feature = Mapping[str, Any]

_GEOMETRY_TYPES = POINT_TYPES | SHAPE_TYPES | {"GeometryCollection"}
# The whole image and the cores of a tissue microarray hold figures; they are none.
_CONTAINERS = {"root", "rootobject", "pathrootobject", "tmacore", "tmacoreobject"}
SOURCE_ID = "slidemitosis.source_id"
"""Metadata of our own objects: the id in the file that they were made from."""
# QuPath before 0.3, and tools that copy it, wrote an object's type as its id, so that all share one:
# taken for an id it would make every object but the first a duplicate.
_TYPE_AS_ID = re.compile(r"Path[A-Za-z]*Object|TMACoreObject")


@dataclass(slots=True)
class _Draft:
    """A candidate whose centre may still have to be computed."""

    id: str | None
    class_name: str | None
    source: str
    feature: _Feature
    shape: shapely.Geometry | None = None
    centre: tuple[float, float] = (math.nan, math.nan)
    extent: float = 0.0


def parse_geojson(text: str, *, path: Path) -> Candidates:
    """The candidates in a GeoJSON text, in its order; `path` is for messages and is not opened.

    Every point of a MultiPoint is one candidate; any other object is one, at its centre, and a cell
    is one at the centre of its nucleus. Centres are in px of the frame of the file. Raises
    `UnreadableCandidates`.
    """
    drafts: list[_Draft] = []
    for number, feature in enumerate(_features(_load(text, path), path), start=1):
        drafts.extend(_drafts(feature, f"feature {number}", path))
    shaped = [draft for draft in drafts if draft.shape is not None]
    shapes = [draft.shape for draft in shaped]
    found = zip(shaped, centres(shapes).tolist(), extents(shapes).tolist(), strict=True)
    for draft, (x, y), extent in found:
        if not all(map(math.isfinite, (x, y, extent))):
            _fail(f"{path}: {draft.source}", "its centre cannot be computed; are its coordinates in pixels?")
        draft.centre, draft.extent = (x, y), extent
    items = tuple(Candidate(d.id, *d.centre, d.class_name, d.source, d.extent, d.feature) for d in drafts)
    return Candidates(path=path, format="geojson", unit="px", items=items)


def _load(text: str, path: Path) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}: line {error.lineno}, column {error.colno}"
        if error.msg == "Extra data":
            _fail(where, "the JSON ends here, yet more follows; put all Features into one FeatureCollection")
        _fail(where, f"not valid JSON ({error.msg}); the file may be cut off: export it again")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or endless nesting
        message = f"{path}: not usable as JSON ({' '.join(str(error).split())})"
        raise UnreadableCandidates(message) from error


def _features(document: object, path: Path) -> Iterator[_Feature]:
    """Every Feature of a document, a bare geometry wrapped into one of its own."""
    elements: list[object]
    if isinstance(document, list):
        elements = document
    elif isinstance(document, dict) and document.get("type") == "FeatureCollection":
        listed = document.get("features")
        if not isinstance(listed, list):
            _fail(f"{path}", f"its FeatureCollection has no list of features, found {reprlib.repr(listed)}")
        elements = listed
    elif _type(document) == "Feature" or _type(document) in _GEOMETRY_TYPES:
        elements = [document]
    else:
        _fail(f"{path}", f"JSON but no GeoJSON: expected a FeatureCollection, found {_found(document)}")
    for number, element in enumerate(elements, start=1):
        if isinstance(element, dict) and _type(element) == "Feature":
            yield element
        elif _type(element) in _GEOMETRY_TYPES:
            yield {"type": "Feature", "geometry": element, "properties": {}}
        else:
            _fail(f"{path}: feature {number}", f"expected a GeoJSON Feature, found {_found(element)}")


def _drafts(feature: _Feature, source: str, path: Path) -> list[_Draft]:
    where = f"{path}: {source}"
    properties = feature.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, Mapping):
        _fail(where, f"its properties are {reprlib.repr(properties)}, not a JSON object")
    if _is_container(feature, properties):
        return []
    geometry = feature.get("geometry")
    kind = geometry_type(geometry, where)
    assert isinstance(geometry, Mapping)
    draft = _Draft(_id(feature, properties), _class_name(feature, properties, where), source, feature)
    if kind == "MultiPoint":
        return _point_drafts(draft, geometry, where)
    if kind == "Point":
        ((x, y),) = read_points(geometry, where).tolist()
        draft.centre = (x, y)
    else:
        draft.shape = read_shape(geometry, where)
    _move_to_nucleus(draft, where)
    return [draft]


def _move_to_nucleus(draft: _Draft, where: str) -> None:
    """A cell's figure is its nucleus, which may lie well off the middle of the cell."""
    nucleus = draft.feature.get("nucleusGeometry")
    if nucleus is None:
        return
    where = f"{where}, nucleusGeometry"
    if geometry_type(nucleus, where) in POINT_TYPES:
        points = read_points(nucleus, where)
        if len(points):
            x, y = points.mean(axis=0).tolist()
            draft.centre, draft.shape = (x, y), None
    else:
        draft.shape = read_shape(nucleus, where)


def _point_drafts(draft: _Draft, geometry: _Feature, where: str) -> list[_Draft]:
    """One draft, with a Feature of its own, for each point that a pathologist has clicked into one object.

    There may be none: QuPath's counting tool makes the object before its first point.
    """
    points = read_points(geometry, where).tolist()
    drafts = []
    for number, (x, y) in enumerate(points, start=1):
        point = {**geometry, "type": "Point", "coordinates": geometry["coordinates"][number - 1]}
        feature = {**draft.feature, "geometry": point}
        name = draft.id
        if len(points) > 1 and name is not None:
            name = feature["id"] = f"{name}#{number}"
        source = f"{draft.source}, point {number}"
        drafts.append(_Draft(name, draft.class_name, source, feature, centre=(x, y)))
    return drafts


def _is_container(feature: _Feature, properties: _Feature) -> bool:
    stated = [
        properties.get("objectType"),
        properties.get("object_type"),
        properties.get("type"),
        feature.get("objectType"),
        feature.get("object_type"),
    ]
    kind = next((value for value in stated if value is not None), feature.get("id"))
    return isinstance(kind, str) and re.sub(r"[\s_-]", "", kind).casefold() in _CONTAINERS


def _id(feature: _Feature, properties: _Feature) -> str | None:
    metadata = properties.get("metadata")
    # Where our output had to give an object another id, it says which one it had.
    if isinstance(metadata, Mapping) and isinstance(source := metadata.get(SOURCE_ID), str):
        return source
    stated = feature.get("id")
    if stated is None or stated == "":
        return None
    name = stated if isinstance(stated, str) else json.dumps(stated)
    return None if _TYPE_AS_ID.fullmatch(name) else name


def _class_name(feature: _Feature, properties: _Feature, where: str) -> str | None:
    stated = properties.get("classification", feature.get("classification"))
    name = stated
    if isinstance(stated, Mapping):
        name = stated.get("names") or stated.get("name")
    if isinstance(name, list) and all(isinstance(part, str) for part in name):
        name = ": ".join(name)
    if name is not None and not isinstance(name, str):
        _fail(where, f"its classification is {reprlib.repr(stated)}; expected a name, names or null")
    return normal_name(name)


def _type(element: object) -> str | None:
    kind = element.get("type") if isinstance(element, dict) else None
    return kind if isinstance(kind, str) else None


def _found(element: object) -> str:
    if isinstance(element, dict):
        return f"the type {reprlib.repr(element['type'])}" if "type" in element else reprlib.repr(element)
    return reprlib.repr(element)


def _fail(where: str, what: str) -> NoReturn:
    message = f"{where}: {what}"
    raise UnreadableCandidates(message)
