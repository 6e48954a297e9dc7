"""The hot spot as a QuPath annotation, as GeoJSON that QuPath 0.4 to 0.8 reads; see `objects`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import HOT_SPOT

if TYPE_CHECKING:
    from slidemitosis.geometry import PixelSize
    from slidemitosis.rates.expected import Expected
    from slidemitosis.rates.slide import HotSpotRate

COLOUR = [0, 158, 115]
"""Bluish green of Okabe and Ito, which is no colour of figures, nor QuPath's yellow of what is selected."""
_FROM_TO = ("Expected atypical fraction, 95 % from", "Expected atypical fraction, 95 % to")
FRACTION_MEASUREMENTS = ("Expected atypical fraction", *_FROM_TO)
"""What `rate_measurements` may give an object."""
_CORNERS = 72  # a multiple of four, so that the circle's outermost points are among them


def hot_spot_features(
    hot: HotSpotRate | None, *, mpp: PixelSize, offset: tuple[int, int], model: str
) -> list[dict[str, Any]]:
    """The GeoJSON Feature of the hot spot, px of the objects' frame, two decimals; none if it has no id.

    `offset` is what is added to that frame's coordinates to get level-0 px.
    """
    return [_feature(hot, mpp, offset, model)] if hot is not None and hot.object_id is not None else []


def _feature(hot: HotSpotRate, mpp: PixelSize, offset: tuple[int, int], model: str) -> dict[str, Any]:
    rate, spot = hot.rate, hot.found.spot
    measurements: dict[str, float] = {
        "Mitoses": rate.mitoses,
        "Atypical": rate.atypical,
        "Normal": rate.normal,
    }
    measurements |= {"Uncertain": rate.uncertain} if rate.uncertain else {}
    measurements |= rate_measurements(hot.expected)
    return {
        "type": "Feature",
        "id": hot.object_id,
        "geometry": _outline(hot, mpp, offset),
        "properties": {
            "objectType": "annotation",
            "name": f"{HOT_SPOT}, {spot.mm2:g} mm2",
            "isLocked": True,  # a click into it would else drag it away
            "classification": {"names": [HOT_SPOT], "color": COLOUR},
            "measurements": measurements | {"Spot mm2": spot.mm2},
            "metadata": {"slidemitosis.model": model},
        },
    }


def rate_measurements(expected: Expected) -> dict[str, float]:
    """The expected fraction and its interval, as measurements of the object that the figures lie in."""
    if expected.fraction is None:
        return {}
    told = {FRACTION_MEASUREMENTS[0]: expected.fraction}
    told |= dict(zip(_FROM_TO, expected.figures or (), strict=False))
    return {name: round(value, 6) for name, value in told.items()}


def _outline(hot: HotSpotRate, mpp: PixelSize, offset: tuple[int, int]) -> dict[str, Any]:
    half_x, half_y = hot.found.spot.half_um
    if hot.found.spot.shape == "circle":
        angles = [2 * math.pi * i / _CORNERS for i in range(_CORNERS)]
        around = [(math.cos(a), math.sin(a)) for a in angles]
    else:
        around = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    ring = [
        [
            round((hot.found.x_um + half_x * u) / mpp.x - offset[0], 2) + 0.0,
            round((hot.found.y_um + half_y * v) / mpp.y - offset[1], 2) + 0.0,
        ]
        for u, v in around
    ]
    # QuPath makes a true ellipse of the box around the corners.
    ellipse = {"isEllipse": True} if hot.found.spot.shape == "circle" else {}
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]], **ellipse}
