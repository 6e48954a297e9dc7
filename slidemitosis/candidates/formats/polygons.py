"""GeoJSON geometries of outlines that formats describe by two corners, or by vertices."""

from __future__ import annotations

import math
from typing import Any

_CORNERS = 32  # of an ellipse: of one of 20 um the sides are 0.05 um off


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """Return the rectangle between two opposite corners."""
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    return {"type": "Polygon", "coordinates": [ring]}


def ellipse(x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    """Return the ellipse within the rectangle between two opposite corners, as a polygon about its centre."""
    cx, cy, rx, ry = (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1) / 2, abs(y2 - y1) / 2
    angles = [2 * math.pi * i / _CORNERS for i in range(_CORNERS)]
    ring = [[cx + rx * math.cos(a), cy + ry * math.sin(a)] for a in angles]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def line(vertices: list[list[float]]) -> dict[str, Any]:
    """Return the open line through these vertices."""
    return {"type": "LineString", "coordinates": vertices}


def polygon(vertices: list[list[float]]) -> dict[str, Any]:
    """Return the polygon of these vertices, closed."""
    closed = vertices if vertices[0] == vertices[-1] else [*vertices, vertices[0]]
    return {"type": "Polygon", "coordinates": [closed]}
