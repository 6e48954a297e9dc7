"""What QuPath 0.4 to 0.8 can import, as a check of any text that we write for it.

Read from QuPath's source (its type adapters for objects, regions, planes and classes): each rule is one that
ends the import of the whole file, or loses or misreads an object without a word.
"""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import Any, NoReturn
from uuid import UUID

import geojson
import shapely

GEOMETRIES = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
PRIMITIVE = (str, int, float)


def qupath_features(text: str | bytes) -> list[dict[str, Any]]:
    """The features of a FeatureCollection, each of which QuPath reads as it is meant. Fails on any other."""
    document = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    assert document["type"] == "FeatureCollection"
    read = geojson.loads(text)
    assert read.is_valid, read.errors()
    features: list[dict[str, Any]] = document["features"]
    for feature in features:
        check_object(feature)
    ids = [UUID(feature["id"]) for feature in features]
    assert len(set(ids)) == len(ids), "two objects share an id: QuPath finds neither by it"
    return features


def check_object(feature: dict[str, Any], *, child: bool = False) -> None:
    """Fail unless QuPath reads a Feature, and the objects inside it, as it is meant."""
    assert feature["type"] == "Feature"
    if not child:
        assert str(UUID(feature["id"])) == feature["id"].lower(), "an id that is no UUID is replaced"
    assert None not in feature.values(), "null of id, geometry, properties or nucleusGeometry ends the import"
    check_geometry(feature["geometry"])
    if "nucleusGeometry" in feature:
        check_geometry(feature["nucleusGeometry"])
    check_properties(feature["properties"])


def check_properties(properties: dict[str, Any]) -> None:
    assert not {"type", "object_type"} & set(properties), "read as the type of the object"
    assert None not in properties.values(), "a name, type or colour of null ends the import"
    assert isinstance(properties.get("objectType", ""), str)
    assert isinstance(properties.get("name", ""), PRIMITIVE)
    if "classification" in properties:
        check_class(properties["classification"])
    colour = properties.get("color", 0)
    if isinstance(colour, list) and len(colour) == 3:
        assert all(map(_is_number, colour))
    else:
        assert isinstance(colour, list | dict) or _is_number(colour)
    measurements = properties.get("measurements", {})
    assert isinstance(measurements, dict), "QuPath 0.3's list; a map is read by every later version"
    assert all(map(_is_number, measurements.values())), "NaN and text in a map end the import in 0.4"
    metadata = properties.get("metadata", {})
    assert isinstance(metadata, dict)
    assert all(isinstance(value, str) for value in metadata.values())
    children = properties.get("childObjects", properties.get("children", []))
    for child in children if isinstance(children, list) else []:
        check_object(child, child=True)


def check_class(classification: dict[str, Any]) -> None:
    assert set(classification) == {"names", "color"}, "without the key `color` the import ends"
    assert classification["names"]
    for name in classification["names"]:
        assert name.strip() == name != ""
        assert ":" not in name, "a colon parts a derived class from its base"
        assert "\n" not in name
    colour = classification["color"]
    assert colour is None or (len(colour) in (1, 3, 4) and all(type(c) is int for c in colour))


def check_geometry(geometry: dict[str, Any]) -> None:
    assert geometry["type"] in GEOMETRIES, "a GeometryCollection cannot be used"
    positions = list(_positions(geometry["coordinates"]))
    assert positions
    assert all(len(position) in (2, 3) for position in positions) or geometry["type"] != "Point"
    assert all(map(_is_number, chain.from_iterable(positions)))
    if "plane" in geometry:
        assert set(geometry["plane"]) <= {"c", "z", "t"}, "an unknown key breaks the file"
        assert all(float(v).is_integer() and abs(v) <= 2**31 for v in geometry["plane"].values())
    assert isinstance(geometry.get("isEllipse", False), bool)
    for ring in _rings(geometry):
        assert len(ring) >= 4
        assert ring[0][:2] == ring[-1][:2], "a ring left open ends the import"
    flat = {"type": geometry["type"], "coordinates": _flat(geometry["coordinates"])}
    shape = shapely.from_geojson(json.dumps(flat))
    assert shape.is_valid, shapely.is_valid_reason(shape)


def _rings(geometry: dict[str, Any]) -> list[list[list[float]]]:
    if geometry["type"] == "Polygon":
        return list(geometry["coordinates"])
    return list(chain.from_iterable(geometry["coordinates"])) if geometry["type"] == "MultiPolygon" else []


def _positions(coordinates: Any) -> Any:
    if coordinates and not isinstance(coordinates[0], list):
        return [coordinates]
    return chain.from_iterable(map(_positions, coordinates))


def _flat(coordinates: Any) -> Any:
    if isinstance(coordinates[0], list):
        return [_flat(inner) for inner in coordinates]
    return coordinates[:2]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(token: str) -> NoReturn:
    raise AssertionError(f"{token} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"a key stands twice: {[key for key, _ in pairs]}"
    return found
