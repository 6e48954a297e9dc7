"""From predictions to QuPath objects, as GeoJSON that QuPath 0.4 to 0.8 reads.

What those versions accept decides the details: a class is `names` and `color`, and the key
`color` must be there; a measurement that is NaN stops the import in 0.4, and one that is absent
reads as NaN in all of them, so NaN is left out; null values of id, name and properties stop the
import; a property called `type` would be read as the type of the object.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from slidemitosis.candidates import SOURCE_ID, base_class
from slidemitosis.candidates.shapes import made_valid
from slidemitosis.cards import SUBTYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slidemitosis.candidates import Candidate
    from slidemitosis.predictions import Prediction

NO_CLASS = "Mitosis"
"""Class of candidates that had none."""
# Vermilion and blue of Okabe and Ito, which colour-blind people tell apart.
COLOURS = {"Atypical": [213, 94, 0], "Normal": [0, 114, 178]}
PROBABILITY = "P(atypical)"
HARDNESS = "P(experts disagree)"
UPSAMPLED = "Upsampled"
MEASUREMENTS = (PROBABILITY, UPSAMPLED, HARDNESS, *(f"P({name})" for name in SUBTYPES))
"""Every measurement that a run of ours may give an object."""
PREFIX = "slidemitosis."
"""Of every key of metadata that a run of ours gives an object."""
_REPAIRED = f"{PREFIX}geometry"
_NAMESPACE = UUID("6f1b0c0e-7d0f-5a57-9a0c-6d1f6b1f3a52")
# Candidates of a table have no outline; they get a circle as wide as the boxes of the MIDOG data sets.
_CIRCLE_UM = 12.5
_CIRCLE_CORNERS = 16


def object_ids(candidates: Sequence[Candidate], slide_name: str) -> list[str]:
    """A UUID for each candidate, no two alike: its own where it has one, else a UUIDv5.

    The UUIDv5 is of the slide's name and the candidate's id, or its centre where it has no id, so
    that a rerun gives the same one. Where an id stands twice, in whatever case, the later ones get a
    UUIDv5 as well.
    """
    again: Counter[str] = Counter()
    used: set[str] = set()
    ids = []
    for c in candidates:
        first = _as_uuid(c.id) or str(uuid5(_NAMESPACE, f"{slide_name}\n{c.id or f'{c.x!r},{c.y!r}'}"))
        text = first
        # A file merged with an earlier result of ours may hold the next one already, hence no `if`.
        while text.lower() in used:
            again[first] += 1
            text = str(uuid5(_NAMESPACE, f"{first}#{again[first] + 1}"))
        used.add(text.lower())
        ids.append(text)
    return ids


def _as_uuid(text: str | None) -> str | None:
    """`text` if it is a UUID as QuPath writes and reads them."""
    try:
        return text if text is not None and str(UUID(text)) == text.lower() else None
    except ValueError:
        return None


def qupath_feature(
    prediction: Prediction,
    *,
    model: str,
    upsampled: bool,
    pixels_per_um: tuple[float, float],
    shift: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """The GeoJSON Feature of one prediction.

    Geometry, id, name, cell nucleus and unknown properties are those of the candidate. A classified
    candidate gets the class "<its class>: Atypical" or ": Normal" and a measurement; any other keeps
    its class, or "Mitosis", without an earlier run's addition. An outline that QuPath could not import
    is repaired. `pixels_per_um` sizes the outline of candidates that have none. `shift`, px, is added to
    all coordinates, where objects are to count from elsewhere than the points file; (0, 0) changes none.
    """
    circle = _circle(prediction, pixels_per_um, shift)
    original: Mapping[str, Any] = {"geometry": circle, "properties": {"objectType": "detection"}}
    if prediction.candidate.feature is not None:
        original = _moved(prediction.candidate.feature, shift)
    outline = original.get("geometry")  # of other formats than GeoJSON there may be none
    geometry, sound = _importable(_clean(outline)) if outline else (None, True)
    feature: dict[str, Any] = {"type": "Feature", "id": prediction.object_id}
    feature["geometry"] = geometry or circle
    feature |= _foreign_members(original)
    if isinstance(original.get("nucleusGeometry"), dict):
        nucleus, nucleus_sound = _importable(_clean(original["nucleusGeometry"]))
        feature |= {"nucleusGeometry": nucleus} if nucleus else {}
        sound = sound and nucleus_sound
    feature["properties"] = _properties(prediction, original, model=model, upsampled=upsampled)
    if not sound:
        feature["properties"]["metadata"][_REPAIRED] = "repaired"
    return feature


def _moved(feature: Mapping[str, Any], shift: tuple[int, int]) -> Mapping[str, Any]:
    """The feature with `shift` px added to all of its coordinates, those of bounding boxes too."""
    if shift == (0, 0):
        return feature
    moved: dict[str, Any] = {}
    for key, value in feature.items():
        if key in ("geometry", "nucleusGeometry") and isinstance(value, dict):
            moved[key] = _moved(value, shift)
        elif key == "coordinates":
            moved[key] = _moved_positions(value, shift)
        elif key == "bbox" and isinstance(value, list) and len(value) in (4, 6):
            half = len(value) // 2
            moved[key] = [*_moved_positions(value[:half], shift), *_moved_positions(value[half:], shift)]
        elif key != "bbox":  # one of another form cannot be moved, and would be wrong as it is
            moved[key] = value
    return moved


def _moved_positions(value: list[Any], shift: tuple[int, int]) -> list[Any]:
    """A position [x, y], with or without more numbers, or a list of such at any depth."""
    if not value or isinstance(value[0], list):
        return [_moved_positions(inner, shift) for inner in value]
    # Adding a whole number must not turn 0.1 into 100.10000000000001; whole numbers stay whole.
    return [*(round(v + d, 6) for v, d in zip(value, shift, strict=False)), *value[2:]]


def _clean(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The geometry with its rings closed and its plane without keys that QuPath does not know."""
    clean = {k: v if k == "coordinates" else _finite(v) for k, v in geometry.items() if not _is_not_finite(v)}
    if clean["type"] == "Polygon":
        clean["coordinates"] = [_closed(r) for r in clean["coordinates"]]
    elif clean["type"] == "MultiPolygon":
        clean["coordinates"] = [[_closed(r) for r in rings] for rings in clean["coordinates"]]
    plane = clean.pop("plane", None)
    if isinstance(plane, dict):
        clean["plane"] = {k: plane[k] for k in ("c", "z", "t") if k in plane}
    return clean


def _importable(geometry: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The geometry, and whether it is as it was: one invalid outline ends QuPath's whole import.

    Of an outline that crosses itself the area it covers is left, and None of one without any.
    """
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return geometry, True
    import shapely.geometry  # noqa: PLC0415

    outline = shapely.geometry.shape(geometry)
    if outline.is_valid:
        return geometry, True
    area = made_valid(outline)
    if area.is_empty or shapely.get_dimensions(area) < 2:
        return None, False
    plane = {"plane": geometry["plane"]} if "plane" in geometry else {}
    return {**shapely.geometry.mapping(area), **plane}, False


def _finite(value: Any) -> Any:
    """`value` without the NaN and infinities of Python's JSON, which no strict reader takes."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items() if not _is_not_finite(v)}
    if isinstance(value, list):
        return [None if _is_not_finite(v) else _finite(v) for v in value]
    return value


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _closed(ring: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    return [*ring] if list(ring[0]) == list(ring[-1]) else [*ring, ring[0]]


def _properties(
    prediction: Prediction, original: Mapping[str, Any], *, model: str, upsampled: bool
) -> dict[str, Any]:
    old: Mapping[str, Any] = original.get("properties") or {}
    properties = _stated_properties(original, old)
    properties["classification"] = _classification(prediction, old.get("classification"))
    measurements = _measurements(old.get("measurements"))
    for ours_before in MEASUREMENTS:
        measurements.pop(ours_before, None)
    if prediction.probability is not None:
        measurements[PROBABILITY] = prediction.probability
        measurements |= {f"P({name})": p for name, p in prediction.subtypes.items()}
        if prediction.p_hard is not None:
            measurements[HARDNESS] = prediction.p_hard
        if upsampled:
            measurements[UPSAMPLED] = 1.0
    if measurements:
        properties["measurements"] = measurements
    properties["metadata"] = _metadata(prediction, old.get("metadata"), model, upsampled=upsampled)
    return properties


def _foreign_members(original: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a Feature beside the members that are written anew."""
    ours = ("type", "id", "geometry", "nucleusGeometry", "properties", "objectType", "object_type")
    kept = {k: v for k, v in original.items() if k not in ours and v is not None}
    return {k: _finite(v) for k, v in kept.items() if not _is_not_finite(v)}


def _stated_properties(original: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The type of the object, and the properties that are not written anew."""
    ours = ("type", "object_type", "objectType", "classification", "measurements", "metadata")
    # The `type` of a Feature itself says that it is one.
    stated = [old.get(k) for k in ("objectType", "object_type", "type")]
    stated += [original.get(k) for k in ("objectType", "object_type")]
    kind = next((s for s in stated if isinstance(s, str)), None)
    properties: dict[str, Any] = {"objectType": kind} if kind is not None else {}
    kept = {k: v for k, v in old.items() if k not in ours and v is not None}
    return properties | {k: _finite(v) for k, v in kept.items() if not _is_not_finite(v)}


def _classification(prediction: Prediction, old: object) -> dict[str, Any]:
    """`names` and `color`, which may be null.

    A candidate without a class gets one even where it was not classified: else a second run, on this
    run's output, would take only the others for candidates.
    """
    name = base_class(prediction.candidate.class_name) or NO_CLASS
    if prediction.atypical is not None:
        kind = "Atypical" if prediction.atypical else "Normal"
        return {"names": [*_names(name), kind], "color": COLOURS[kind]}
    # The colour of "Mitosis: Atypical" is an earlier run's, and not that of "Mitosis".
    colour = _colour(old) if name == prediction.candidate.class_name else None
    return {"names": _names(name), "color": colour}


def _names(name: str) -> list[str]:
    """The parts of a derived class: a colon may not stand inside one."""
    return [part for part in (p.strip() for p in name.split(":")) if part]


def _colour(classification: object) -> list[int] | None:
    """The colour that a class had, from `color`, or from the signed integer of QuPath 0.3."""
    if isinstance(classification, dict):
        colour, packed = classification.get("color"), classification.get("colorRGB")
        if isinstance(colour, list):
            return colour
        if isinstance(packed, int):
            return [packed >> shift & 255 for shift in (16, 8, 0)]
    return None


def _measurements(old: object) -> dict[str, float]:
    """A map of the finite measurements, from a map or from the list of QuPath 0.3."""
    if isinstance(old, list):
        old = {m["name"]: m.get("value") for m in old if isinstance(m, dict) and "name" in m}
    if not isinstance(old, dict):
        return {}
    return {
        str(k): v
        for k, v in old.items()
        if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= sys.float_info.max
    }


def _metadata(prediction: Prediction, old: object, model: str, *, upsampled: bool) -> dict[str, str]:
    """Text by key; QuPath 0.6 and later shows it, earlier versions drop it."""
    metadata = {k: str(v) for k, v in old.items() if v is not None} if isinstance(old, dict) else {}
    metadata = {k: v for k, v in metadata.items() if not k.startswith(PREFIX) or k == _REPAIRED}
    metadata[f"{PREFIX}model"] = model
    metadata[f"{PREFIX}status"] = prediction.status
    if prediction.subtype:
        metadata[f"{PREFIX}subtype"] = prediction.subtype
    if prediction.reason:
        metadata[f"{PREFIX}reason"] = prediction.reason
    if prediction.candidate.id is not None and prediction.candidate.id != prediction.object_id:
        metadata[SOURCE_ID] = prediction.candidate.id
    if upsampled:
        metadata[f"{PREFIX}upsampled"] = "true"
    return metadata


def _circle(
    prediction: Prediction, pixels_per_um: tuple[float, float], shift: tuple[int, int]
) -> dict[str, Any]:
    """A closed polygon around the centre, in px from where the objects count, two decimals."""
    x, y = prediction.frame_x + shift[0], prediction.frame_y + shift[1]
    rx, ry = (_CIRCLE_UM / 2 * s for s in pixels_per_um)
    angles = [2 * math.pi * i / _CIRCLE_CORNERS for i in range(_CIRCLE_CORNERS)]
    ring = [[round(x + rx * math.cos(a), 2), round(y + ry * math.sin(a), 2)] for a in angles]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def plain_feature(
    candidate: Candidate,
    *,
    object_id: str | None,
    centre: tuple[float, float],
    shift: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """The GeoJSON Feature of a candidate as it was read, which QuPath can import: for `convert`.

    An outline is moved by `shift`; a candidate without one becomes a point at `centre`. Both are px of the
    frame that is written. Without an `object_id` QuPath makes one.
    """
    original = _moved(candidate.feature or {"properties": {"objectType": "detection"}}, shift)
    outlines = {
        key: _importable(_clean(original[key]))[0]
        for key in ("geometry", "nucleusGeometry")
        if isinstance(original.get(key), dict)
    }
    point = {"type": "Point", "coordinates": list(centre)}
    feature = {"type": "Feature", "id": object_id, "geometry": None} | outlines
    feature["geometry"] = feature["geometry"] or point
    feature = {k: v for k, v in feature.items() if v is not None} | _foreign_members(original)
    old: Mapping[str, Any] = original.get("properties") or {}
    properties = _stated_properties(original, old)
    if candidate.class_name:
        colour = _colour(old.get("classification"))
        properties["classification"] = {"names": _names(candidate.class_name), "color": colour}
    stated = old.get("metadata")
    metadata = {k: str(v) for k, v in stated.items() if v is not None} if isinstance(stated, dict) else {}
    metadata.pop(SOURCE_ID, None)
    if candidate.id is not None and candidate.id != object_id:
        metadata[SOURCE_ID] = candidate.id
    told = {"measurements": _measurements(old.get("measurements")), "metadata": metadata}
    return feature | {"properties": properties | {k: v for k, v in told.items() if v}}


def feature_collection_text(features: Iterable[Mapping[str, Any]]) -> str:
    """A FeatureCollection, one feature a line, so that two runs can be compared line by line."""
    import geojson  # noqa: PLC0415

    lines = [geojson.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in features]
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n"
