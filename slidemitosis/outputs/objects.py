"""From predictions to QuPath objects, as GeoJSON that QuPath 0.4 to 0.8 reads.

Everything but class, measurements and metadata is copied as it is written in the points file, digit for
digit. What those versions accept decides the exceptions: a class is `names` and `color`, and the key
`color` must be there; a measurement that is NaN stops the import in 0.4, and one that is absent
reads as NaN in all of them, so NaN is left out; null values of id, name and properties stop the
import; a property called `type` would be read as the type of the object.
"""

from __future__ import annotations

import functools
import json
import math
from typing import TYPE_CHECKING

from slidemitosis.candidates import SOURCE_ID, base_class, denies_mitosis
from slidemitosis.candidates.answered import REASONS, stated_call
from slidemitosis.candidates.formats.geojson import class_of, is_child_object
from slidemitosis.candidates.formats.json_text import (
    are_numbers,
    compact,
    elements,
    joined,
    kind,
    members,
    string,
)
from slidemitosis.candidates.formats.qupath_keys import (
    CALL_THRESHOLD,
    P_ATYPICAL,
    REVIEWED,
    is_object_type,
)
from slidemitosis.labels import NEGATIVE, NO_MITOSIS, POSITIVE, SUBTYPES
from slidemitosis.outputs.outlines import circle, importable, is_number, moved_box

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from slidemitosis.candidates import Candidate
    from slidemitosis.candidates.formats.json_text import JsonText
    from slidemitosis.labels import Word
    from slidemitosis.prediction import CandidateResult

NO_CLASS = "Mitosis"
"""Class of candidates that had none."""
NON_MITOSIS = "Non-mitosis"
"""Class of candidates of which a reader says that they are no mitoses."""
# Vermilion and blue of Okabe and Ito, which colour-blind people tell apart, and grey.
COLOURS = {"Atypical": [213, 94, 0], "Normal": [0, 114, 178]}
_GREY = (128, 128, 128)
_ANSWERED = {POSITIVE: "Atypical", NEGATIVE: "Normal"}
PROBABILITY = P_ATYPICAL
HARDNESS = "P(experts disagree)"
UPSAMPLED = "Upsampled"
THRESHOLD = CALL_THRESHOLD
MEASUREMENTS = frozenset((PROBABILITY, THRESHOLD, UPSAMPLED, HARDNESS, *(f"P({name})" for name in SUBTYPES)))
"""Every measurement that a run of ours gives an object for what the model says of it."""
_REASON_NUMBERS = {reason: number for number, reason in REASONS.items()}
PREFIX = "slidemitosis."
"""Of every key of metadata that a run of ours gives an object."""
_REPAIRED = f"{PREFIX}geometry"
_WHERE_THE_TYPE_STANDS = ("objectType", "object_type")
_OF_FEATURE = {"type", "id", "geometry", "nucleusGeometry", "bbox", "properties", *_WHERE_THE_TYPE_STANDS}
_OF_PROPERTIES = {"type", "classification", "measurements", "metadata", *_WHERE_THE_TYPE_STANDS}
_FROM_A_TABLE: Mapping[str, JsonText] = {"properties": b'{"objectType":"detection"}'}
_SCORES = ("probability", "prob", "score", "confidence")
_NOTHING = {b"null", b"NaN", b"Infinity", b"-Infinity"}


def qupath_feature(
    result: CandidateResult,
    *,
    model: str,
    threshold: float,
    upsampled: bool,
    pixels_per_um: tuple[float, float],
    taken: Collection[str | None] = (),
    shift: tuple[int, int] = (0, 0),
) -> bytes:
    """Make the GeoJSON Feature of one candidate, as a line of JSON text in UTF-8.

    Geometry, id, name, cell nucleus and unknown properties are those of the candidate. A classified
    candidate gets the class "<its class>: Atypical" or ": Normal" and a measurement; any other keeps
    its class, or "Mitosis", without an earlier run's addition. Where a person has answered, the class
    is the person's, and the measurement `Reviewed` says why it was asked. An outline that QuPath could not
    import is repaired. `pixels_per_um` sizes the outline of candidates that have none. `taken`: the classes
    that are candidates; an object of these inside another one is left out of that, since it stands for
    itself. `shift`, px, is added to all coordinates, where objects are to count from elsewhere than the
    points file.
    """
    place, candidate = result.placed, result.placed.candidate
    original = _FROM_A_TABLE if candidate.text is None else members(candidate.text)
    placed, sound = _placed(original, shift, sound=candidate.sound)
    if "geometry" not in placed:
        x, y = place.frame_x + shift[0], place.frame_y + shift[1]
        placed["geometry"] = circle(x, y, pixels_per_um)
    old = _members(original.get("properties"))
    properties = _kept_properties(original, old, taken, shift)
    properties["classification"] = _classification(result, old.get("classification"))
    measurements = _scores(old) | _measurements(old.get("measurements"), ours={*MEASUREMENTS, REVIEWED})
    measurements |= _told(result, threshold=threshold, upsampled=upsampled)
    if result.verdict is not None:
        measurements[REVIEWED] = _number(_REASON_NUMBERS[result.verdict.reason], REVIEWED)
    if measurements:
        properties["measurements"] = joined(measurements)
    metadata = _metadata(old)
    repaired = not sound or _REPAIRED in metadata
    metadata = {k: v for k, v in metadata.items() if not k.startswith(PREFIX)}
    metadata |= _own_metadata(result, model, upsampled=upsampled, repaired=repaired)
    properties["metadata"] = joined(metadata)
    return _feature({"id": string(place.object_id)}, placed, original, properties)


def plain_feature(
    candidate: Candidate,
    *,
    object_id: str | None,
    centre: tuple[float, float],
    taken: Collection[str | None],
    shift: tuple[int, int] = (0, 0),
    told: Mapping[str, float] | None = None,
    replaced: Collection[str] = (),
) -> bytes:
    """The GeoJSON Feature of an object as it was read, which QuPath can import, as text.

    An outline is moved by `shift`; a candidate without one becomes a point at `centre`. Both are px of the
    frame that is written. Without an `object_id` QuPath makes one. `taken` is that of `qupath_feature`.
    `told` are further measurements, and those called `replaced` are left out.
    """
    original = _FROM_A_TABLE if candidate.text is None else members(candidate.text)
    placed, _ = _placed(original, shift, sound=candidate.sound)
    if "geometry" not in placed:
        placed["geometry"] = json.dumps({"type": "Point", "coordinates": list(centre)}).encode()
    old = _members(original.get("properties"))
    properties = _kept_properties(original, old, taken, shift)
    if candidate.class_name:
        colour = _colour(old.get("classification"))
        properties["classification"] = _class_text(tuple(_names(candidate.class_name)), colour)
    measurements = _scores(old) | _measurements(old.get("measurements"), ours=replaced)
    if measurements := measurements | {name: _number(value, name) for name, value in (told or {}).items()}:
        properties["measurements"] = joined(measurements)
    metadata = _metadata(old)
    metadata.pop(SOURCE_ID, None)
    if candidate.id is not None and candidate.id != object_id:
        metadata[SOURCE_ID] = string(candidate.id)
    if metadata:
        properties["metadata"] = joined(metadata)
    identity = {} if object_id is None else {"id": string(object_id)}
    return _feature(identity, placed, original, properties)


def _feature(
    identity: Mapping[str, JsonText],
    placed: Mapping[str, JsonText],
    original: Mapping[str, JsonText],
    properties: Mapping[str, JsonText],
) -> bytes:
    kept = {k: compact(v) for k, v in original.items() if k not in _OF_FEATURE and not _is_nothing(v)}
    # First in the text, where people look for it.
    first = {"type": b'"Feature"', **identity, "geometry": placed["geometry"]}
    return joined({**first, **kept, **placed, "properties": joined(properties)})


def _placed(
    original: Mapping[str, JsonText], shift: tuple[int, int], *, sound: bool
) -> tuple[dict[str, JsonText], bool]:
    """The members of an object that say where it is, and whether its outlines are as they were."""
    found: dict[str, JsonText] = {}
    as_they_were = True
    for name in ("geometry", "nucleusGeometry"):
        if kind(original.get(name, b"")) == "{":
            text, as_it_was = importable(original[name], sound=sound, shift=shift)
            found |= {} if text is None else {name: text}
            as_they_were = as_they_were and as_it_was
    if "bbox" in original and not _is_nothing(original["bbox"]):
        found |= moved_box(original["bbox"], shift)
    return found, as_they_were


def _kept_properties(
    feature: Mapping[str, JsonText],
    old: Mapping[str, JsonText],
    taken: Collection[str | None],
    shift: tuple[int, int],
) -> dict[str, JsonText]:
    """The properties that are as they were, the type of the object first and in its own place."""
    # The `type` of a Feature itself says that it is one; that of its properties may be a class.
    stated = [old.get(k) for k in _WHERE_THE_TYPE_STANDS]
    if "type" in old and _is_object_type(old["type"]):
        stated.append(old["type"])
    stated += [feature.get(k) for k in _WHERE_THE_TYPE_STANDS]
    of_type = next((s for s in stated if s is not None and kind(s) == '"'), None)
    kept: dict[str, JsonText] = {} if of_type is None else {"objectType": of_type}
    children = "childObjects" if "childObjects" in old else "children"
    for name, value in old.items():
        if name in _OF_PROPERTIES or _is_nothing(value):
            continue
        if name == children and kind(value) == "[":
            listed = b"[%b]" % b",".join(_children(value, taken, shift))
            kept |= {name: listed} if listed != b"[]" or not elements(value) else {}
        elif name == "name" and kind(value) in "{[":
            kept[name] = string(compact(value).decode())
        elif name != "color" or _is_importable_colour(json.loads(bytes(value))):
            kept[name] = compact(value)
    return kept


def _is_object_type(text: JsonText) -> bool:
    return kind(text) == '"' and is_object_type(json.loads(bytes(text)))


def _children(listed: JsonText, taken: Collection[str | None], shift: tuple[int, int]) -> Iterator[bytes]:
    """The objects inside one that are no candidates, each as QuPath can import it."""
    for text in elements(listed):
        if not is_child_object(text) or class_of(text) in taken:
            continue
        child = members(text)
        old = _members(child.get("properties"))
        placed, _ = _placed(child, shift, sound=False)
        if "geometry" not in placed:
            continue
        properties = _kept_properties(child, old, taken, shift)
        if name := class_of(text):
            colour = _colour(old.get("classification"))
            properties["classification"] = _class_text(tuple(_names(name)), colour)
        if measurements := _measurements(old.get("measurements")):
            properties["measurements"] = joined(measurements)
        if metadata := _metadata(old):
            properties["metadata"] = joined(metadata)
        identity = {"id": child["id"]} if kind(child.get("id", b"")) == '"' else {}
        yield _feature(identity, placed, child, properties)


def _members(text: JsonText | None) -> Mapping[str, JsonText]:
    return {} if text is None or kind(text) != "{" else members(text)


def _is_nothing(text: JsonText) -> bool:
    """Null, or one of the numbers of Python's JSON that no strict reader takes."""
    return len(text) <= 9 and bytes(text) in _NOTHING


def _told(result: CandidateResult, *, threshold: float, upsampled: bool) -> dict[str, JsonText]:
    """The measurements that say what became of a candidate; none of one that was not classified."""
    prediction = result.prediction
    if prediction is None:
        return {}
    told = {PROBABILITY: prediction.probability, THRESHOLD: threshold}
    told |= {f"P({name})": p for name, p in prediction.subtypes.items()}
    if prediction.p_hard is not None:
        told[HARDNESS] = prediction.p_hard
    if upsampled:
        told[UPSAMPLED] = 1.0
    return {name: _number(value, name) for name, value in told.items()}


def _number(value: float, name: str) -> bytes:
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, which is not JSON compliant")
    return repr(float(value)).encode()


def _classification(result: CandidateResult, old: JsonText | None) -> bytes:
    """`names` and `color`, which may be null.

    A candidate without a class gets one even where it was not classified: else a second run, on this
    run's output, would take only the others for candidates.
    """
    class_name, verdict = result.placed.candidate.class_name, result.verdict
    if verdict is not None and verdict.by_hand is not None and verdict.by_hand.class_name is not None:
        return _class_by_hand(verdict.by_hand.class_name, old, changed=class_name)
    if _was_taken_for_none(result):
        class_name = None
    if verdict is not None:
        return answered_class(class_name, verdict.answer)
    name = base_class(class_name) or NO_CLASS
    if result.call is not None:
        called = "Atypical" if result.call.atypical else "Normal"
        return _class_text((*_names(name), called), tuple(COLOURS[called]))
    # The colour of "Mitosis: Atypical" is an earlier run's, and not that of "Mitosis".
    colour = _colour(old) if name == class_name else None
    return _class_text(tuple(_names(name)), colour)


def answered_class(class_name: str | None, answer: Word) -> bytes:
    """Return the class of an object for an answer; `class_name`: that of an earlier run."""
    name = base_class(class_name) or NO_CLASS
    if answer == NO_MITOSIS:
        return _class_text((NON_MITOSIS,), _GREY)
    base = _names(NO_CLASS if denies_mitosis(name) else name)
    called = _ANSWERED.get(answer)
    return _class_text((*base, called), tuple(COLOURS[called])) if called else _class_text(tuple(base), None)


def _class_by_hand(name: str, old: JsonText | None, *, changed: str | None) -> bytes:
    """Return the class that a person has set; `old`: that of the points file, which is called `changed`."""
    names = _names(name)
    call = _ANSWERED.get(stated_call(name) or "")
    if call is not None:
        return _class_text((*names[:-1], call), tuple(COLOURS[call]))
    return _class_text(tuple(names), _colour(old) if name == changed else None)


def _was_taken_for_none(result: CandidateResult) -> bool:
    """Tell whether the class is of an answer that a person has taken back since, such as "Apoptosis"."""
    by_hand = result.placed.by_hand
    return by_hand is not None and by_hand.answer == NO_MITOSIS


@functools.lru_cache(maxsize=256)
def _class_text(names: tuple[str, ...], colour: tuple[int, ...] | None) -> bytes:
    text = json.dumps({"names": names, "color": colour}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _names(name: str) -> list[str]:
    """The parts of a derived class: a colon may not stand inside one."""
    return [part for part in (p.strip() for p in name.split(":")) if part]


def _colour(classification: JsonText | None) -> tuple[int, ...] | None:
    """The colour that a class had, from `color`, or from the signed integer of QuPath 0.3."""
    if classification is not None and kind(classification) == "{":
        old = json.loads(bytes(classification))
        colour, packed = old.get("color"), old.get("colorRGB")
        if isinstance(colour, list) and len(colour) in (1, 3, 4) and all(map(is_number, colour)):
            return tuple(map(int, colour))
        if colour is None and type(packed) is int:
            return tuple(packed >> shift & 255 for shift in (16, 8, 0))
    return None


def _is_importable_colour(colour: object) -> bool:
    """Whether QuPath reads it as an object's own colour, or passes it over; at text the import fails."""
    if isinstance(colour, list):
        return len(colour) != 3 or all(map(is_number, colour))
    return isinstance(colour, dict) or is_number(colour)


def _measurements(old: JsonText | None, *, ours: Collection[str] = MEASUREMENTS) -> dict[str, JsonText]:
    """The finite measurements but `ours`, from a map or from the list of QuPath 0.3."""
    found = _members(old)
    if old is not None and kind(old) == "[":
        listed = [one for one in map(_members, elements(old)) if "name" in one]
        found = {str(json.loads(bytes(one["name"]))): one.get("value", b"null") for one in listed}
    elif old is not None and are_numbers(old):  # as nearly always, and much quicker than one by one
        return {name: value for name, value in found.items() if name not in ours}
    return {name: value for name, value in found.items() if name not in ours and _is_finite(value)}


def _scores(properties: Mapping[str, JsonText]) -> dict[str, JsonText]:
    """A detector's score among the properties, where QuPath passes it over: as a measurement it is seen."""
    found = {name: properties[name] for name in _SCORES if name in properties}
    return {name: value for name, value in found.items() if _is_finite(value)}


def _is_finite(text: JsonText) -> bool:
    data = bytes(text)
    return data[:1] in _NUMBERS and math.isfinite(float(data))


_NUMBERS = {b"-", *(b"%d" % digit for digit in range(10))}


def _metadata(properties: Mapping[str, JsonText]) -> dict[str, JsonText]:
    """The metadata that an object had, as text, as which QuPath reads it.

    With a `type` that is none of QuPath's, which among the properties would be read as one.
    """
    old = properties.get("metadata")
    found = _members(old)
    if old is not None and kind(old) != "{":
        found = {"metadata": old}  # of another tool; QuPath passes it over
    if "type" in properties and not _is_object_type(properties["type"]):
        found = {"type": properties["type"], **found}
    return {
        name: value if kind(value) == '"' else string(compact(value).decode())
        for name, value in found.items()
        if bytes(value) != b"null"
    }


def _own_metadata(
    result: CandidateResult, model: str, *, upsampled: bool, repaired: bool
) -> dict[str, JsonText]:
    """What QuPath 0.6 and later shows of a candidate; earlier versions drop it."""
    place, subtype = result.placed, result.call.subtype if result.call else None
    told = {"model": model, "status": result.status, "subtype": subtype, "reason": result.reason}
    metadata: dict[str, JsonText] = {f"{PREFIX}{k}": string(v) for k, v in told.items() if v}
    if place.candidate.id is not None and place.candidate.id != place.object_id:
        metadata[SOURCE_ID] = string(place.candidate.id)
    if upsampled:
        metadata[f"{PREFIX}upsampled"] = b'"true"'
    if repaired:
        metadata[_REPAIRED] = b'"repaired"'
    return metadata


def feature_collection(features: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a FeatureCollection, piece by piece: one feature a line, so that runs can be compared."""
    yield b'{"type":"FeatureCollection","features":[\n'
    between = b""
    for feature in features:
        yield between + feature
        between = b",\n"
    yield b"\n]}\n"
