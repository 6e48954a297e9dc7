"""Features as detectors write them by the hundred thousand, read many at once.

A point, or a sound polygon, with text where text is expected. Whatever else stands in a file, and whatever
is wrong with it, is left to the readers that look at one feature after the other and say what they find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from slidemitosis.candidates.candidate import Candidate
from slidemitosis.candidates.formats.json_text import finite
from slidemitosis.candidates.formats.qupath_keys import (
    SOURCE_ID,
    full_class_name,
    is_container,
    other_class,
    own_id,
)
from slidemitosis.candidates.formats.shapes import measure_polygons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.formats.json_text import JsonText
    from slidemitosis.candidates.formats.shapes import Polygon


class _Geometry(Struct, gc=False):
    type: str
    coordinates: msgspec.Raw


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
    child_objects: msgspec.Raw | UnsetType = field(default=UNSET, name="childObjects")
    children: msgspec.Raw | UnsetType = UNSET


class _Feature(Struct, gc=False):
    type: Literal["Feature"]
    geometry: _Geometry
    id: str | None = None
    nucleus: _Geometry | None = field(default=None, name="nucleusGeometry")
    properties: _Properties | None = None
    object_type: str | None = field(default=None, name="objectType")
    older_object_type: str | None = field(default=None, name="object_type")
    classification: _Classification | str | UnsetType | None = UNSET


_Place: TypeAlias = tuple[float, float] | int
"""A point, or the number of a polygon among those that are measured together."""

_FEATURE = msgspec.json.Decoder(_Feature)
_POINT = msgspec.json.Decoder(tuple[float, float])
_POLYGON = msgspec.json.Decoder(list[list[tuple[float, float]]])


def read_quickly(texts: Sequence[JsonText], *, first: int) -> list[Candidate | None]:
    """The candidate of each feature text, None where it has to be read with more care.

    `first` is the number of the first feature in its file.
    """
    polygons: list[Polygon] = []
    read = [_read(text, polygons) for text in texts]
    sound, centres, extents = (values.tolist() for values in measure_polygons(polygons))
    found: list[Candidate | None] = []
    for number, one in enumerate(read, start=first):
        if one is None or not all(sound[place] for place in one[1] if isinstance(place, int)):
            found.append(None)
            continue
        feature, places, text = one
        # A cell's figure is its nucleus, which may lie well off the middle of the cell.
        place = places[-1]
        (x, y), extent = (centres[place], extents[place]) if isinstance(place, int) else (place, 0.0)
        found.append(
            Candidate(_id(feature), x, y, _class_name(feature), f"feature {number}", extent, text, sound=True)
        )
    return found


def _read(text: JsonText, polygons: list[Polygon]) -> tuple[_Feature, Sequence[_Place], JsonText] | None:
    """A feature, where it and its nucleus lie, and its text; adds its polygons to those to be measured."""
    try:
        feature, text = _decoded(text)
        if _holds_others(feature):
            return None
        if feature.geometry.type == "Point" and feature.nucleus is None:
            return feature, [_POINT.decode(feature.geometry.coordinates)], text
        outlines = [feature.geometry] if feature.nucleus is None else [feature.geometry, feature.nucleus]
        if any(outline.type != "Polygon" for outline in outlines):
            return None
        read = [_POLYGON.decode(outline.coordinates) for outline in outlines]
    except (msgspec.DecodeError, RecursionError):
        return None
    polygons.extend(read)
    return feature, list(range(len(polygons) - len(read), len(polygons))), text


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


def _id(feature: _Feature) -> str | None:
    metadata = feature.properties.metadata if feature.properties else None
    # Where our output had to give an object another id, it says which one it had.
    if metadata and metadata.source_id is not None:
        return metadata.source_id
    return own_id(feature.id)


def _class_name(feature: _Feature) -> str | None:
    stated = feature.properties.classification if feature.properties else UNSET
    if stated is UNSET:
        stated = feature.classification
    if stated is UNSET:
        return _other_class(feature.properties)
    if isinstance(stated, _Classification):
        return full_class_name(tuple(stated.names or ([stated.name] if stated.name else [])))
    return full_class_name((stated,)) if isinstance(stated, str) else None


def _other_class(stated: _Properties | None) -> str | None:
    if stated is None:
        return None
    # In the order of CLASS_KEYS.
    found = other_class((stated.other_class, stated.class_name, stated.label, stated.type))
    return None if found is None else full_class_name((found,))
