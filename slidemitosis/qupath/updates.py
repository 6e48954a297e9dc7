"""Bring results into the objects of an image: what belongs to what, and what changes.

Objects are QuPath's Java objects, of which only methods are called that every version from 0.4 on has.
docs/qupath.md says the rules, which the scripts follow too. Everything is settled by `planned` before
`Plan.carry_out` changes the first object.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import HOT_SPOT, REGION, SOURCE_ID, base_class, normal_name
from slidemitosis.candidates.formats.qupath_keys import REVIEWED
from slidemitosis.outputs.objects import MEASUREMENTS, PREFIX, PROBABILITY, THRESHOLD
from slidemitosis.outputs.regions import MEASUREMENTS as OF_REGIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_SPOT = "Spot mm2"
_POINT = re.compile(r"([0-9a-fA-F-]{36})#(\d+)")
_SAME_PLACE = 0.01  # px: QuPath writes coordinates with two decimals
_CALLS = ("Atypical", "Normal")


class NothingThere(Exception):
    """None of the objects of some results is in the image; the message says how many there should be."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many objects were changed, and how many were left alone."""

    updated: int = 0
    added: int = 0
    split: int = 0
    """Points objects that were replaced by one object for each point."""
    kept: int = 0
    """Objects whose class was set by hand, and is not that of the results."""
    gone: int = 0
    """Objects of the results that were deleted from the image since the export."""
    left: int = 0
    """Points objects that have other points now."""

    def __str__(self) -> str:
        """The same words as those of the scripts."""
        told = [
            (self.added, "object", "added"),
            (self.split, "points object", "replaced by one object for each point"),
            (self.kept, "class", "set by hand kept"),
            (self.gone, "object", "of the results not in the image any more, and so not added"),
            (self.left, "points object", "with other points by now left alone"),
        ]
        further = [f"{_plural(count, noun)} {words}" for count, noun, words in told if count]
        return ", ".join([f"{_plural(self.updated, 'object')} updated", *further])


def _plural(count: int, noun: str) -> str:
    many = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count} {noun if count == 1 else many}"


class Fresh:
    """One object of the results: as QuPath has read it, and as the file has it, which is quicker to ask."""

    def __init__(self, o: Any, feature: Mapping[str, Any]) -> None:
        properties = feature["properties"]
        classification = properties.get("classification") or {}
        names = classification.get("names") or [classification.get("name")]
        measurements = properties.get("measurements") or {}
        self.object = o
        self.class_name = normal_name(": ".join(n for n in names if n))
        self.measurements = {n: float(v) for n, v in measurements.items() if isinstance(v, int | float)}
        self.metadata: Mapping[str, str] = properties.get("metadata") or {}
        """Not every version of QuPath reads it."""
        self.is_core = properties.get("objectType") == "tma_core"

    @property
    def id(self) -> str:
        """The id of the object."""
        return _id(self.object)

    @property
    def source(self) -> str | None:
        """The id that the object had in the points file, where it has another one now."""
        return self.metadata.get(SOURCE_ID)

    @property
    def ours(self) -> frozenset[str]:
        """The measurements of a figure that the results decide.

        `Reviewed` is one where they have it; where they have not, an object may be reviewed since.
        """
        return MEASUREMENTS | {REVIEWED}.intersection(self.measurements)

    @property
    def is_hot_spot(self) -> bool:
        """Whether it is the hot spot of the run."""
        return self.class_name == HOT_SPOT and _SPOT in self.measurements

    @property
    def has_rate(self) -> bool:
        """Whether it is a region with a rate of its own."""
        return REGION in self.measurements


@dataclass(slots=True)
class Plan:
    """What is to change in one image."""

    updates: list[tuple[Any, Fresh, bool]] = field(default_factory=list)
    """Objects that are there, what the results say of each, and whether it keeps its class."""
    rates: list[tuple[Any, Fresh]] = field(default_factory=list)
    """Regions that are there, and the objects that have their rates."""
    points: list[tuple[Any, Fresh, bool]] = field(default_factory=list)
    """Points objects, the object of one of their points, and whether that takes their class."""
    added: list[Fresh] = field(default_factory=list)
    removed: list[Any] = field(default_factory=list)
    forgotten: list[Any] = field(default_factory=list)
    """Regions that lose the rates of an earlier run."""
    changes: Changes = field(default_factory=Changes)

    def carry_out(self, hierarchy: Any) -> None:
        """Change the objects."""
        for old, new, keeps_class in self.updates:
            if not keeps_class:
                _set_class(old, new.object.getPathClass())
            _take_measurements(old, new.measurements, new.ours)
            _take_metadata(old, new.metadata)
        for old, new in self.rates:
            _take_measurements(old, new.measurements, MEASUREMENTS | OF_REGIONS)
            _take_metadata(old, new.metadata)
        for old in self.forgotten:
            _take_measurements(old, {}, OF_REGIONS)
        for old, new, keeps_class in self.points:
            _inherit(old, new, keeps_class=keeps_class)
            hierarchy.addObjectBelowParent(old.getParent(), new.object, False)
        for old in self.removed:
            hierarchy.removeObject(old, True)
        if self.added:
            hierarchy.addObjects([new.object for new in self.added])
        hierarchy.fireHierarchyChangedEvent(hierarchy.getRootObject())


def planned(hierarchy: Any, results: Sequence[Fresh], *, threshold: float | None, exported: bool) -> Plan:
    """Settle what results change in an image.

    threshold: of the run that the objects in the image are from, for objects that do not say it. exported:
    whether the objects of the results were exported from the image. Raises NothingThere where they were, and
    none of them is there any more.
    """
    return _Planning(hierarchy, threshold).plan(results, exported=exported)


class _Planning:
    def __init__(self, hierarchy: Any, threshold: float | None) -> None:
        everything = list(hierarchy.getAllObjects(False))
        self._spots = [o for o in everything if _is_hot_spot(o)]
        self._there: dict[str, list[Any]] = {}
        for o in everything:
            if not _is_hot_spot(o):
                self._there.setdefault(_id(o), []).append(o)
        self._threshold = threshold
        self._plan = Plan()

    def plan(self, results: Sequence[Fresh], *, exported: bool) -> Plan:
        spots = [new for new in results if new.is_hot_spot]
        regions = [new for new in results if new.has_rate and not new.is_hot_spot]
        figures = [new for new in results if not (new.has_rate or new.is_hot_spot or new.is_core)]
        found, points, missing = self._matched(figures)
        missing += [n for s, of in points.items() if s not in self._there for n in of if not self._has(n)]
        some = bool(found) or any(source in self._there for source in points)
        if missing and exported and not some:
            raise NothingThere(
                f"none of the {len(figures)} objects of these results is in this image (was it restored, or "
                "its data file replaced?); export and classify again"
            )
        self._pair(found)
        split, left = self._split(points)
        if not some:
            self._plan.added += missing
        self._rate(regions, added=not some and not exported)
        plan = self._plan
        plan.changes = Changes(
            updated=len(plan.updates) + len(plan.rates),
            added=len(plan.points) + len(plan.added),
            split=split,
            kept=sum(
                keeps and _class_name(old) != new.class_name
                for old, new, keeps in (*plan.updates, *plan.points)
            ),
            gone=len(missing) if some else 0,
            left=left,
        )
        plan.removed += self._spots
        plan.added += spots
        return plan

    def _has(self, new: Fresh) -> bool:
        return new.id in self._there

    def _matched(
        self, figures: Iterable[Fresh]
    ) -> tuple[dict[str, list[Fresh]], dict[str, list[Fresh]], list[Fresh]]:
        """Return the figures of each id that is there, those of each points object, and those of no id."""
        found: dict[str, list[Fresh]] = {}
        points: dict[str, list[Fresh]] = {}
        missing = []
        for new in figures:
            source = new.source or ""
            point = _POINT.fullmatch(source)
            if point:
                points.setdefault(point[1], []).append(new)
            if self._has(new):
                found.setdefault(new.id, []).append(new)
            elif source in self._there:
                found.setdefault(source, []).append(new)
            elif not point:
                missing.append(new)
        return found, points, missing

    def _pair(self, found: Mapping[str, Sequence[Fresh]]) -> None:
        """Give each object that is there the results of its id; of several those that are nearest."""
        for key, news in found.items():
            free = list(news)
            for old in self._there[key]:
                new = _nearest(free or news, old)
                if new in free:
                    free.remove(new)
                self._plan.updates.append((old, new, self._keeps_class(old, new)))

    def _split(self, points: Mapping[str, Sequence[Fresh]]) -> tuple[int, int]:
        """Settle what becomes of the points objects; return how many go, and how many have other points."""
        split = left = 0
        for source, news in points.items():
            olds = self._there.get(source, [])
            if not all(_has_points(old, news) for old in olds):
                left += len(olds)
            elif olds:
                of_new = [(olds[0], new) for new in news if not self._has(new)]
                self._plan.points += [(old, new, self._keeps_class(old, new)) for old, new in of_new]
                self._plan.removed += olds
                split += len(olds)
        return split, left

    def _rate(self, regions: Sequence[Fresh], *, added: bool) -> None:
        """Settle which regions get a rate, and which lose that of an earlier run."""
        stated = {new.id for new in regions}
        for new in regions:
            self._plan.rates += [(old, new) for old in self._there.get(new.id, [])]
            if added and not self._has(new) and not new.is_core:
                self._plan.added.append(new)
        others = (old for key, olds in self._there.items() if key not in stated for old in olds)
        self._plan.forgotten += [old for old in others if _has_rate(old)]

    def _keeps_class(self, old: Any, new: Fresh) -> bool:
        """Whether the class of an object was set by a person, since the last run or since the export.

        A class of the results that is a person's answer may be of another kind than the object's, such as
        Non-mitosis.
        """
        name, p = _class_name(old), _measured(old, PROBABILITY)
        stated = _call(name)
        if _measured(old, REVIEWED) is not None:
            return True
        if stated is not None and (p is None or self._recorded_call(old, p) not in (None, stated)):
            return True
        if name is None and p is None:
            return False
        if REVIEWED in new.measurements and (stated is not None or p is None):
            return False
        return base_class(name) != base_class(new.class_name)

    def _recorded_call(self, old: Any, p: float) -> str | None:
        """Return what the last run called an object; None where nothing says it."""
        threshold = _measured(old, THRESHOLD)
        if threshold is None:
            subtype = str(_metadata(old).get(f"{PREFIX}subtype") or "")
            if subtype.startswith(("AMF ", "NMF ")):
                return "Atypical" if subtype.startswith("AMF") else "Normal"
            threshold = self._threshold
        if threshold is None:
            return None
        return "Atypical" if _as_float(p) >= _as_float(threshold) else "Normal"


def _id(o: Any) -> str:
    return str(o.getID())


def _class_name(o: Any) -> str | None:
    path_class = o.getPathClass()
    return None if path_class is None else normal_name(str(path_class.toString()))


def _call(name: str | None) -> str | None:
    """Return the call that a derived class states."""
    parts = (name or "").split(": ")
    return parts[-1] if len(parts) > 1 and parts[-1] in _CALLS else None


def _is_hot_spot(o: Any) -> bool:
    return _class_name(o) == HOT_SPOT and _measured(o, _SPOT) is not None


def _has_rate(o: Any) -> bool:
    return _measured(o, REGION) is not None


def _measured(o: Any, name: str) -> float | None:
    value = float(o.getMeasurementList().get(name))
    return None if math.isnan(value) else value


def _metadata(o: Any) -> Any:
    """Return an object's metadata; none before QuPath 0.5, where objects have none."""
    return o.getMetadata() if hasattr(o, "getMetadata") else {}


def _as_float(value: float) -> float:
    """Round to 32 bits, with which QuPath keeps the measurements of detections."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _centre(o: Any) -> tuple[float, float]:
    """Return an object's centre, or that of its nucleus; px."""
    roi = o.getROI()
    if o.isCell() and o.getNucleusROI() is not None:
        roi = o.getNucleusROI()
    return float(roi.getCentroidX()), float(roi.getCentroidY())


def _nearest(among: Sequence[Fresh], old: Any) -> Fresh:
    """Return the one whose centre is nearest to that of an object."""
    if len(among) == 1:
        return among[0]
    centre = _centre(old)
    return min(among, key=lambda new: math.dist(_centre(new.object), centre))


def _has_points(old: Any, news: Sequence[Fresh]) -> bool:
    """Whether a points object has the points that the results have, in their order."""
    roi = old.getROI()
    if roi is None or not roi.isPoint() or roi.getNumPoints() != len(news):
        return False
    there = [(float(p.getX()), float(p.getY())) for p in roi.getAllPoints()]
    return all(math.dist(at, _centre(n.object)) <= _SAME_PLACE for at, n in zip(there, news, strict=True))


def _set_class(o: Any, path_class: Any) -> None:
    """Change an object's class, and not its own colour, which QuPath resets."""
    if o.getPathClass() == path_class:
        return
    colour = o.getColor()
    o.setPathClass(path_class)
    if colour is not None:
        o.setColor(colour)


def _take_measurements(o: Any, stated: Mapping[str, float], ours: Collection[str]) -> None:
    """Give an object those of some measurements that are ours, and no others of ours."""
    measurements = o.getMeasurementList()
    for name, value in stated.items():
        if name in ours:
            measurements.put(name, value)
    for name in ours:
        if name not in stated and measurements.containsKey(name):
            measurements.remove(name)
    measurements.close()


def _take_metadata(old: Any, new: Mapping[str, str], *, ours: bool = True) -> None:
    """Give an object the metadata that is ours, or that is not; and no other that is so."""
    from jpype import JClass

    metadata = _metadata(old)
    if not hasattr(old, "getMetadata"):
        return
    try:
        for key in [str(k) for k in metadata.keySet()]:
            if key.startswith(PREFIX) is ours and key not in new:
                metadata.remove(key)
        for key, value in new.items():
            if key.startswith(PREFIX) is ours:
                metadata.put(key, value)
    except JClass("java.lang.UnsupportedOperationException"):
        pass  # that of a detection in QuPath 0.5


def _inherit(old: Any, new: Fresh, *, keeps_class: bool) -> None:
    """Give the object of one point what its points object has now, but for what the run says."""
    o = new.object
    o.setPathClass(old.getPathClass() if keeps_class else o.getPathClass())
    o.setName(old.getName())
    o.setColor(old.getColor())
    o.setLocked(old.isLocked())
    entries = old.getMeasurements().entrySet()
    theirs = {str(e.getKey()): float(e.getValue().doubleValue()) for e in entries}
    names = {*theirs, *new.measurements} - new.ours
    _take_measurements(o, theirs, names)
    _take_metadata(o, {str(k): str(_metadata(old).get(k)) for k in _metadata(old)}, ours=False)
