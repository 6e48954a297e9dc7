"""Pure: what a person said of objects, in QuPath or by hand, told from what a run has given them.

A run gives an object a class, P(atypical) and the threshold of its call. A class that differs from that call
is a person's, and so is one that a person has confirmed, which the measurement `Reviewed` says.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.candidates.formats.qupath_keys import CALL_THRESHOLD, P_ATYPICAL, REVIEWED, SUBTYPE
from slidemitosis.candidates.select import base_class, denies_mitosis, normal_name, reads_as_mitosis
from slidemitosis.labels import NEGATIVE, NO_MITOSIS, POSITIVE, UNSURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from slidemitosis.candidates.candidate import Candidate
    from slidemitosis.labels import Reason, Word

REASONS: Mapping[int, Reason] = {1: "all", 2: "random", 3: "doubt", 4: "found"}
"""What the measurement `Reviewed` says: why the object was shown to a person."""
_CALLS: Mapping[str, Word] = {"atypical": POSITIVE, "normal": NEGATIVE}
_RECORDED: Mapping[str, Word] = {POSITIVE: POSITIVE, NEGATIVE: NEGATIVE}
_MARKS = tuple(f'"{name}"'.encode() for name in (P_ATYPICAL, REVIEWED))


@dataclass(frozen=True, slots=True)
class SetByHand:
    """An answer that an object's class states."""

    answer: Word
    reason: Reason
    class_name: str | None
    """The class as the person set it."""


def set_by_hand(items: Iterable[Candidate]) -> dict[int, SetByHand]:
    """Return the answers that the classes of a file's objects state, by the place of each object.

    - Atypical or Normal at the end of a class is an answer where the object has no P(atypical), where the
      recorded call is the other one, or where `Reviewed` says so.
    - Any class that is no mitosis is the answer "none" of an object that has P(atypical) or `Reviewed`; so is
      any other class that no call of the file is derived from.
    - An object that a run has called, and whose class was taken away, is "unsure"; so is a mitosis without a
      call that has `Reviewed`.
    """
    items = list(items)
    bases = {base_class(c.class_name) for c in items if stated_call(c.class_name)}
    found = {}
    for place, candidate in enumerate(items):
        if (said := _said(candidate, bases)) is not None:
            found[place] = said
    return found


def was_called(candidate: Candidate) -> bool:
    """Tell whether a run has given the object a P(atypical)."""
    return candidate.text is not None and _MARKS[0] in bytes(candidate.text)


def recorded_call(candidate: Candidate) -> Word | None:
    """Return what the run called that has given the object a P(atypical); None where nothing tells it."""
    feature = candidate.feature or {}
    return _recorded_call(feature, _measurements(feature))


@functools.lru_cache(maxsize=4096)
def stated_call(class_name: str | None) -> Word | None:
    """Return the answer that the last part of a class states; None for a class without a call."""
    return _CALLS.get((normal_name(class_name) or "").split(": ")[-1].casefold())


def _said(candidate: Candidate, bases: set[str | None]) -> SetByHand | None:
    name, call = candidate.class_name, stated_call(candidate.class_name)
    marked = candidate.text is not None and any(mark in bytes(candidate.text) for mark in _MARKS)
    if not (call or marked):  # as nearly all objects of a detector's file, which need not be parsed
        return None
    feature = candidate.feature or {}
    numbers = _measurements(feature)
    reviewed = REASONS.get(int(numbers.get(REVIEWED, 0)))
    reason: Reason = reviewed or "found"
    if call is not None:
        recorded = _recorded_call(feature, numbers)
        changed = P_ATYPICAL not in numbers or (recorded is not None and recorded != call)
        return SetByHand(call, reason, name) if changed or reviewed else None
    if denies_mitosis(name):
        return SetByHand(NO_MITOSIS, reason, name)
    if name is None:
        return SetByHand(UNSURE, reason, name)
    if reads_as_mitosis(name) or name in bases:
        return SetByHand(UNSURE, reason, name) if reviewed else None
    return SetByHand(NO_MITOSIS, reason, name) if bases else None


def _recorded_call(feature: Mapping[str, Any], numbers: Mapping[str, float]) -> Word | None:
    """Return the call of the run that wrote P(atypical); None where nothing tells it."""
    p, threshold = numbers.get(P_ATYPICAL), numbers.get(CALL_THRESHOLD)
    if p is not None and threshold is not None:
        # QuPath keeps measurements of detections in 32 bits.
        return POSITIVE if np.float32(p) >= np.float32(threshold) else NEGATIVE
    metadata = (feature.get("properties") or {}).get("metadata")
    subtype = metadata.get(SUBTYPE) if isinstance(metadata, dict) else None
    words = subtype.split() if isinstance(subtype, str) else []
    return _RECORDED.get(words[0]) if words else None


def _measurements(feature: Mapping[str, Any]) -> dict[str, float]:
    """Return the measurements that are numbers, from a map or from the list of QuPath 0.3."""
    properties = feature.get("properties")
    old = properties.get("measurements") if isinstance(properties, dict) else None
    if isinstance(old, list):
        old = {one.get("name"): one.get("value") for one in old if isinstance(one, dict)}
    if not isinstance(old, dict):
        return {}
    return {k: float(v) for k, v in old.items() if isinstance(v, int | float) and np.isfinite(v)}
