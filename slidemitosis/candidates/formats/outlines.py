"""Outlines that formats describe by two corners, as GeoJSON polygons."""

from __future__ import annotations

import math
from typing import Any

_CORNERS = 32  # of an ellipse: on one of 20 um they leave it by 0.05 um


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """The rectangle between two opposite corners."""
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    return {"type": "Polygon", "coordinates": [ring]}


def ellipse(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """The ellipse in the rectangle between two opposite corners, as a polygon with the same centre."""
    cx, cy, rx, ry = (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1) / 2, abs(y2 - y1) / 2
    angles = [2 * math.pi * i / _CORNERS for i in range(_CORNERS)]
    ring = [[cx + rx * math.cos(a), cy + ry * math.sin(a)] for a in angles]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def polygon(vertices: list[list[float]]) -> dict[str, Any]:
    """The polygon of these vertices, closed."""
    closed = vertices if vertices[0] == vertices[-1] else [*vertices, vertices[0]]
    return {"type": "Polygon", "coordinates": [closed]}
