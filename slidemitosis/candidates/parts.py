"""Figures that a file holds as the parts of one object, as CellViT writes one MultiPolygon for each class."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import shapely

from slidemitosis.candidates.candidate import Candidate
from slidemitosis.candidates.formats.json_text import elements, joined, members, string
from slidemitosis.candidates.formats.shapes import centres, extents, made_valid, read_shape
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.candidates.formats.json_text import JsonText

log = logging.getLogger(__name__)

FIGURE_UM = 25.0
"""Parts within so much are one figure: the two plates of an anaphase or telophase, or a mask in pieces."""

NUCLEUS_UM = (1.0, 40.0)
"""Least and most width of a part that is a figure of its own: from a speck of a mask to a giant nucleus."""

_MULTI = b'"Multi'
_PART_OF = {"MultiPolygon": b'"Polygon"', "MultiLineString": b'"LineString"'}


def each_part(
    candidates: Sequence[Candidate], where: Path | str, *, um: float | None
) -> list[list[Candidate]]:
    """Return for each candidate those that it is made of: its parts if it is several figures, or itself.

    um: um in the unit of the candidates; None if that is not known, and objects of several parts are
    refused. Raises UnreadableCandidates, with both counts, for an object of
    several parts that lie too far apart for one figure, and are not each the size of a nucleus.
    """
    found = [_parts(c, where, um) for c in candidates]
    several = [parts for parts in found if len(parts) > 1]
    if several:
        log.warning(
            "%s: objects of several separate parts, each the size of a nucleus: %d, read as "
            "%d candidates, a part each",
            where,
            len(several),
            sum(map(len, several)),
        )
    return found


def _parts(candidate: Candidate, where: Path | str, um: float | None) -> list[Candidate]:
    text = candidate.text
    if text is None or not candidate.extent or _MULTI not in bytes(text):
        return [candidate]
    if um is not None and candidate.extent * um <= FIGURE_UM:
        return [candidate]
    whole = members(text)
    outline = members(whole["geometry"])
    kind = json.loads(bytes(outline["type"]))
    # A cell is one, and its nucleus may be in pieces.
    if kind not in _PART_OF or json.loads(bytes(whole.get("nucleusGeometry", b"null"))) is not None:
        return [candidate]
    pieces, written = _separate(kind, outline["coordinates"], f"{where}: {candidate.source}")
    if len(pieces) == 1:
        return [candidate]
    if um is None:
        what = f"one object of {len(pieces)} separate parts: one figure or {len(pieces)}, by their size"
        raise refusal(f"{where}: {candidate.source}", f"{what}; pass --slide, which states the pixel size")
    sides = extents(pieces) * um
    if sides.min() < NUCLEUS_UM[0] or sides.max() > NUCLEUS_UM[1]:
        raise refusal(
            f"{where}: {candidate.source}",
            f"one object of {len(pieces)} separate parts, {sides.min():.1f} to {sides.max():.1f} um wide: it "
            f"is not one figure, nor {len(pieces)}; give each figure an object of its own, or leave it out "
            "by --candidate-class",
        )
    return [
        _part(
            candidate, whole, number, place, side / um, {**outline, "type": _PART_OF[kind], "coordinates": at}
        )
        for number, (place, side, at) in enumerate(
            zip(centres(pieces).tolist(), sides.tolist(), written, strict=True), start=1
        )
    ]


def _separate(
    kind: str, coordinates: JsonText, where: str
) -> tuple[Sequence[shapely.Geometry], list[JsonText]]:
    """Return the parts that do not touch one another, as shapes and as the coordinates of each.

    Parts that touch, such as those of a cell that was cut at the edge of a tile, are one.
    """
    shape = read_shape({"type": kind, "coordinates": json.loads(bytes(coordinates))}, where)
    parts: NDArray[np.object_] = shapely.get_parts(shape)
    if kind == "MultiLineString":
        return list(parts), list(elements(coordinates))
    invalid = ~shapely.is_valid(parts)
    valid = parts.copy()
    valid[invalid] = [made_valid(part) for part in parts[invalid]]
    joint = shapely.get_parts(shapely.union_all(valid))
    joint = joint[shapely.get_dimensions(joint) == 2]
    if len(joint) >= len(parts):
        return list(parts), list(elements(coordinates))
    return list(joint), [members(shapely.to_geojson(one).encode())["coordinates"] for one in joint]


def _part(
    whole: Candidate,
    feature: Mapping[str, JsonText],
    number: int,
    place: tuple[float, float],
    extent: float,
    outline: Mapping[str, JsonText],
) -> Candidate:
    own = None if whole.id is None else f"{whole.id}#{number}"
    text: dict[str, JsonText] = {**feature, "geometry": joined(outline)}
    if own is not None:
        text["id"] = string(own)
    x, y = place
    source = f"{whole.source}, part {number}"
    return Candidate(own, x, y, whole.class_name, source, extent, joined(text), plane=whole.plane)
