"""Annotations of Aperio ImageScope, in XML: layers of regions."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.formats.polygons import box, ellipse, line, polygon
from slidemitosis.candidates.formats.xml_files import vertices
from slidemitosis.candidates.marks import Mark, candidates_of
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from slidemitosis.candidates.candidate import Candidates

log = logging.getLogger(__name__)

LOOKED_FOR = "Annotations of Regions"

_ELLIPSE, _ARROW = "2", "3"


def fits(root: Element) -> bool:
    """Tell whether the XML is ImageScope's."""
    return root.tag == "Annotations" and (
        root.get("MicronsPerPixel") is not None or root.find("Annotation/Regions") is not None
    )


def parse_imagescope(root: Element, *, path: Path) -> Candidates:
    """Read the regions of all layers in the file's order, but negative ones, which exclude tissue.

    The class is the name of the layer, else its description, else the text of the region. Centres are in px
    of the image that ImageScope shows: level 0 on an Aperio slide, and not known on others, so that the frame
    is left open. Raises UnreadableCandidates.
    """
    marks: list[Mark] = []
    negative = 0
    for number, layer in enumerate(root.findall("Annotation"), start=1):
        for order, region in enumerate(layer.findall("Regions/Region"), start=1):
            source = f"layer {number}, region {order}"
            if region.get("NegativeROA", "0") not in {"", "0"}:
                negative += 1
                continue
            marks.extend(_marks(region, _class_name(layer), source, path))
    if negative:
        log.info("%s: %d negative regions, which exclude tissue, are left out", path, negative)
    return candidates_of(marks, path=path, format="imagescope")


def _marks(region: Element, layer: str | None, source: str, path: Path) -> list[Mark]:
    where = f"{path}: {source}"
    kind = region.get("Type", "")
    points = vertices(region.findall("Vertices/Vertex"), where)
    if kind == _ARROW:
        raise refusal(
            where, "an arrow: which of its ends points at the figure is not known; outline the figure"
        )
    if not points:
        raise refusal(where, "it has no vertices")
    text = region.get("Text", "").strip() or None
    mark = Mark(source=source, class_name=layer or text, name=text if layer else None)
    # Scripts that write this format from QuPath say so.
    if region.get("GeoShape") == "Points" or len(points) == 1:
        places = enumerate(points, start=1)
        return [replace(mark, source=f"{source}, point {i}", centre=(x, y)) for i, (x, y) in places]
    return [replace(mark, outline=_outline(kind, points))]


def _outline(kind: str, points: list[list[float]]) -> dict[str, Any]:
    xs, ys = zip(*points, strict=True)
    corners = (min(xs), min(ys), max(xs), max(ys))
    if kind == _ELLIPSE and len(points) in {2, 4}:  # of the box around it
        return ellipse(*corners)
    if kind == "1" and len(points) == 2:
        return box(*corners)
    if len(points) == 2:  # a ruler
        return line(points)
    return polygon(points)


def _class_name(layer: Element) -> str | None:
    attributes = layer.findall("Attributes/Attribute")
    described = [a.get("Value", "") for a in attributes if a.get("Name") == "Description"]
    return next((text.strip() for text in [layer.get("Name", ""), *described] if text.strip()), None)
