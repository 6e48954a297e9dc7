"""Annotations of ASAP, the viewer of Radboud's pathology group, in XML."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.polygons import line, polygon
from slidemitosis.candidates.formats.xml_files import vertices
from slidemitosis.candidates.marks import Mark, at_points, candidates_of
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from slidemitosis.candidates.candidate import Candidates

LOOKED_FOR = "ASAP_Annotations"

_POINTS = {"Dot", "PointSet"}
# What is drawn as a spline is stored as its vertices; the curve between them is not.
_OUTLINES = {"Polygon", "Spline", "Rectangle"}
_LINES = {"Measurement"}


def fits(root: Element) -> bool:
    """Tell whether the XML is ASAP's."""
    return root.tag == "ASAP_Annotations" or root.find("Annotation/Coordinates") is not None


def parse_asap(root: Element, *, path: Path) -> Candidates:
    """Read the annotations in the file's order, a set point by point; px from the corner of the whole slide.

    The class is the group, after the groups that hold it: "tumor: mitosis". Raises UnreadableCandidates.
    """
    listed = root if root.tag == "Annotations" else root.find("Annotations")
    if listed is None:
        raise refusal(path, "no Annotations in its ASAP_Annotations")
    parents = {g.get("Name", ""): g.get("PartOfGroup", "None") for g in root.iter("Group")}
    marks: list[Mark] = []
    for number, annotation in enumerate(listed.findall("Annotation"), start=1):
        marks.extend(_marks(annotation, f"annotation {number}", parents, path))
    return candidates_of(marks, path=path, format="asap", frame="level0")


def _marks(annotation: Element, source: str, parents: Mapping[str, str], path: Path) -> list[Mark]:
    where = f"{path}: {source}"
    kind = annotation.get("Type", "")
    coordinates = annotation.findall("Coordinates/Coordinate")
    orders = [c.get("Order", "") for c in coordinates]
    if all(order.isdecimal() for order in orders):
        coordinates = [
            c for _, c in sorted(zip(map(int, orders), coordinates, strict=True), key=lambda p: p[0])
        ]
    points = vertices(coordinates, where)
    if not points:
        raise refusal(where, "it has no coordinates")
    class_name = _class_name(annotation.get("PartOfGroup", "None"), parents)
    mark = Mark(source=source, class_name=class_name, name=annotation.get("Name", "").strip() or None)
    if kind in _POINTS:
        return list(at_points(mark, points))
    if kind in _OUTLINES:
        return [replace(mark, outline=polygon(points))]
    if kind in _LINES:
        return [replace(mark, outline=line(points))]
    known = ", ".join(sorted(_POINTS | _OUTLINES | _LINES))
    raise refusal(where, f"its Type {kind!r} is none of ASAP's: {known}")


def _class_name(group: str, parents: Mapping[str, str]) -> str | None:
    names: list[str] = []
    while group not in {"None", ""} and group not in names:
        names.insert(0, group)
        group = parents.get(group, "None")
    return ": ".join(names) or None
