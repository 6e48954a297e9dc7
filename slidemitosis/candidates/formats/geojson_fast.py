"""Features as detectors write them by the hundred thousand, read many at once.

These are points or sound polygons, with text where text is expected. All else that a file may hold, and all
that may be wrong with it, is left to `geojson`, which reads feature by feature and says what it finds.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from slidemitosis.candidates.candidate import Candidate
from slidemitosis.candidates.formats.json_text import finite
from slidemitosis.candidates.formats.qupath_keys import (
    SOURCE_ID,
    UUID_TEXT,
    full_class_name,
    id_of,
    is_container,
    other_class,
    own_id,
)
from slidemitosis.candidates.formats.shapes import measure_polygons
from slidemitosis.candidates.planes import plane_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.formats.json_text import JsonText
    from slidemitosis.candidates.formats.shapes import Polygon


class _Plane(Struct, gc=False):
    c: float = -1
    z: float = 0
    t: float = 0


class _Geometry(Struct, gc=False):
    type: str
    coordinates: msgspec.Raw
    plane: _Plane | None = None


class _Classification(Struct, gc=False):
    names: list[str] | None = None
    name: str | None = None


class _Metadata(Struct, gc=False):
    source_id: str | None = field(default=None, name=SOURCE_ID)


class _Properties(Struct, gc=False):
    object_type: str | None = field(default=None, name="objectType")
    older_object_type: str | None = field(default=None, name="object_type")
    type: str | None = None
    other_class: Any = field(default=None, name="class")
    class_name: Any = None
    label: Any = None
    classification: _Classification | str | UnsetType | None = UNSET
    metadata: _Metadata | None = None
    plane: msgspec.Raw | UnsetType = UNSET
    # Those of MOVED_IDS, in its order.
    moved_id: Any = field(default=None, name="id")
    moved_id_upper: Any = field(default=None, name="ID")
    moved_id_title: Any = field(default=None, name="Id")
    uuid: Any = None
    uuid_upper: Any = field(default=None, name="UUID")
    object_id: Any = None
    object_id_camel: Any = field(default=None, name="objectId")
    object_id_spaced: Any = field(default=None, name="Object ID")
    child_objects: msgspec.Raw | UnsetType = field(default=UNSET, name="childObjects")
    children: msgspec.Raw | UnsetType = UNSET


class _Feature(Struct, gc=False):
    type: Literal["Feature"]
    geometry: _Geometry
    id: str | None = None
    nucleus: _Geometry | None = field(default=None, name="nucleusGeometry")
    plane: msgspec.Raw | UnsetType = UNSET
    properties: _Properties | None = None
    object_type: str | None = field(default=None, name="objectType")
    older_object_type: str | None = field(default=None, name="object_type")
    classification: _Classification | str | UnsetType | None = UNSET


class _Read(NamedTuple):
    """A Feature that has been parsed, before its polygons are measured."""

    feature: _Feature
    text: JsonText
    polygons: Sequence[Polygon]
    """Its outline and, of a cell, that of the nucleus; none of a point."""
    point: tuple[float, float] = (math.nan, math.nan)


_FEATURE = msgspec.json.Decoder(_Feature)
_POINT = msgspec.json.Decoder(tuple[float, float])
_POLYGON = msgspec.json.Decoder(list[list[tuple[float, float]]])


def read_quickly(texts: Sequence[JsonText], *, first: int) -> list[Candidate | None]:
    """Return the candidate of each Feature, None where it has to be read with more care.

    `first` is the number of the first Feature in its file.
    """
    read = [_read(text) for text in texts]
    polygons = [polygon for one in read if one for polygon in one.polygons]
    measured = zip(*(values.tolist() for values in measure_polygons(polygons)), strict=True)
    return [
        one and _candidate(one, list(islice(measured, len(one.polygons))), f"feature {number}")
        for number, one in enumerate(read, start=first)
    ]


def _read(text: JsonText) -> _Read | None:
    try:
        feature, text = _decoded(text)
        outlines = [feature.geometry] if feature.nucleus is None else [feature.geometry, feature.nucleus]
        if _holds_others(feature) or _says_plane_elsewhere(feature):
            return None
        if [outline.type for outline in outlines] == ["Point"]:
            return _Read(feature, text, (), _POINT.decode(feature.geometry.coordinates))
        if any(outline.type != "Polygon" for outline in outlines):
            return None
        return _Read(feature, text, [_POLYGON.decode(outline.coordinates) for outline in outlines])
    except (msgspec.DecodeError, RecursionError):
        return None


def _candidate(
    one: _Read, measured: Sequence[tuple[bool, list[float], float]], source: str
) -> Candidate | None:
    """Make the candidate, None if a polygon is not sound; `measured`: whether sound, centre and extent."""
    if not all(sound for sound, _, _ in measured):
        return None
    # Of a cell the nucleus counts, which may lie well off the middle of the cell.
    _, (x, y), extent = measured[-1] if measured else (True, one.point, 0.0)
    try:
        name = _class_name(one.feature)
    except ValueError:  # the text of a value that cannot be read
        return None
    plane = _plane(one.feature.geometry)
    return Candidate(_id(one.feature), x, y, name, source, extent, one.text, sound=True, plane=plane)


def _decoded(text: JsonText) -> tuple[_Feature, JsonText]:
    try:
        return _FEATURE.decode(text), text
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # QuPath 0.4 writes measurements that are not known as bare NaN
        text = finite(text)
        return _FEATURE.decode(text), text


def _holds_others(feature: _Feature) -> bool:
    properties = feature.properties or _Properties()
    if properties.child_objects is not UNSET or properties.children is not UNSET:
        return True
    stated = (
        *(properties.object_type, properties.older_object_type, properties.type),
        *(feature.object_type, feature.older_object_type, feature.id),
    )
    kind = next((value for value in stated if value is not None), None)
    return kind is not None and is_container(kind)


def _says_plane_elsewhere(feature: _Feature) -> bool:
    """Tell whether an object states its plane beside its geometry, where QuPath does not."""
    own = feature.properties
    return feature.plane is not UNSET or (own is not None and own.plane is not UNSET)


def _plane(geometry: _Geometry) -> str | None:
    """Return which plane is stated, where it is another than the first."""
    plane = geometry.plane
    if plane is None or not (plane.z or plane.t or plane.c not in (0, -1)):
        return None
    return plane_text({"z": plane.z, "t": plane.t, "c": plane.c})


def _id(feature: _Feature) -> str | None:
    metadata = feature.properties.metadata if feature.properties else None
    # An object to which a run gave another id holds the one that it had.
    if metadata and metadata.source_id is not None:
        return metadata.source_id
    own = feature.properties
    if own is None or (feature.id is not None and UUID_TEXT.fullmatch(feature.id)):
        return own_id(feature.id)
    moved = (own.moved_id, own.moved_id_upper, own.moved_id_title, own.uuid, own.uuid_upper)
    return id_of(feature.id, (*moved, own.object_id, own.object_id_camel, own.object_id_spaced))


def _class_name(feature: _Feature) -> str | None:
    own = feature.properties or _Properties()
    stated = feature.classification if own.classification is UNSET else own.classification
    if stated is UNSET:
        stated = other_class((own.other_class, own.class_name, own.label, own.type))  # as in CLASS_KEYS
    if isinstance(stated, _Classification):
        return full_class_name(tuple(stated.names or ([stated.name] if stated.name else [])))
    return full_class_name((stated,)) if isinstance(stated, str) else None
