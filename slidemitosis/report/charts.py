"""The numbers behind the drawings of a report: places on axes in per cent, and paths of SVG; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.outputs.rate_fields import per_cent
from slidemitosis.report.words import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slidemitosis.geometry import Bounds
    from slidemitosis.outputs.read import Row

BINS = 40
"""Of the histogram of P."""
_MAP = 1000
"""Longer side of the map, in its own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One fraction on the common axis."""

    name: str
    note: str
    """What it is, in a few words."""
    kind: str
    """Which mark it gets."""
    fraction: float
    interval: tuple[float, float] | None = None
    wide: tuple[float, float] | None = None
    """A second interval, drawn thin."""

    @property
    def text(self) -> str:
        """The number beside the mark."""
        told = f"{per_cent(self.fraction)} %"
        return f"{told} ({span(self.interval)})" if self.interval else told


def estimates(summary: Mapping[str, Any]) -> list[Estimate]:
    """Put rate, calls and reviewed figures, where there are any, on one axis."""
    counts, found = summary["counts"], []
    if summary["expected_fraction_amf_of_all"] is not None:
        found.append(
            Estimate(
                name="Expected",
                note="the rate: mean of P(atypical)",
                kind="rate",
                fraction=summary["expected_fraction_amf_of_all"],
                interval=_pair(summary["expected_fraction_amf_of_all_figures_95"]),
                wide=_pair(summary["expected_fraction_amf_of_all_tumour_95"]),
            )
        )
    if summary["fraction_amf_of_all"] is not None:
        found.append(
            Estimate(
                name="Called",
                note=f"{counts['atypical']:,} of {counts['classified']:,}, chance alone",
                kind="calls",
                fraction=summary["fraction_amf_of_all"],
                interval=_pair(summary["fraction_amf_of_all_wilson_95"]),
            )
        )
    if summary["corrected_fraction_amf_of_all"] is not None:
        found.append(
            Estimate(
                name="Corrected",
                note="calls, for the classifier's errors",
                kind="corrected",
                fraction=summary["corrected_fraction_amf_of_all"],
                interval=_pair(summary["corrected_fraction_amf_of_all_95"]),
            )
        )
    return [*found, *_reviewed(summary.get("review"))]


def _reviewed(review: Mapping[str, Any] | None) -> Iterator[Estimate]:
    """What answers give, alone and together with the model, each with why its figures were chosen."""
    kinds = {"reviewed": "answers alone", "combined": "answers and model together"}
    for kind, what in kinds.items() if review else ():
        assert review is not None
        fraction = review[f"{kind}_fraction_amf_of_all"]
        if fraction is not None:
            yield Estimate(
                name=kind.capitalize(),
                note=f"{what}; {review['because']}",
                kind=kind,
                fraction=fraction,
                interval=_pair(review[f"{kind}_fraction_amf_of_all_figures_95"]),
                wide=_pair(review[f"{kind}_fraction_amf_of_all_tumour_95"]),
            )


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def axis_end(found: Sequence[Estimate], cutoff: float | None) -> float:
    """The fraction at which the common axis ends: a whole number of tenths, from 0.2 to 1."""
    ends = [e.fraction for e in found] + [b for e in found for b in (*(e.interval or ()), *(e.wide or ()))]
    most = max([*ends, cutoff or 0.0], default=1.0)
    return min(1.0, max(0.2, (int(most * 10) + 1) / 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bar of the histogram of P: the height of its parts, in per cent of the highest bar.

    The height of a bar is by the square root of its number, since most figures are near 0 and would hide the
    others; its parts share it by their numbers.
    """

    low: float
    normal: float
    atypical: float
    figures: int


def histogram(rows: Sequence[Row], threshold: float) -> list[Bin]:
    """Count figures by P, those below the threshold apart from the others."""
    normal, atypical = [0] * BINS, [0] * BINS
    for row in rows:
        if row.probability is not None:
            counts = atypical if row.probability >= threshold else normal
            counts[min(int(row.probability * BINS), BINS - 1)] += 1
    totals = [n + a for n, a in zip(normal, atypical, strict=True)]
    heights = [100 * math.sqrt(t / max(1, *totals)) for t in totals]
    return [
        Bin(low=i / BINS, normal=h * n / max(1, n + a), atypical=h * a / max(1, n + a), figures=n + a)
        for i, (n, a, h) in enumerate(zip(normal, atypical, heights, strict=True))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """The slide with its figures, in units of which the longer side has 1000."""

    width: int
    height: int
    normal: str
    """A path of SVG: a dot for each figure."""
    atypical: str
    """A path: a triangle for each."""
    other: str
    """A path: a cross for each candidate on the slide that has no call."""
    size: float
    """Radius of a dot."""
    spot: Mapping[str, float | str] | None
    """Centre and half width and height of the hot spot, and its shape."""
    bar: float
    bar_mm: float
    """Length of the scale bar, in units and in mm."""


def slide_map(summary: Mapping[str, Any], rows: Sequence[Row], area: Bounds) -> Map:
    """Place the figures and the hot spot on the slide's picture."""
    scale = _MAP / max(area.width, area.height)
    on_it = [
        (round((r.x - area.x) * scale, 1), round((r.y - area.y) * scale, 1), r)
        for r in rows
        if r.status not in ("outside", "duplicate")
    ]
    size = next(s for n, s in ((150, 6.5), (600, 5.0), (3000, 3.5), (10**9, 2.4)) if len(on_it) <= n)
    t, d = round(1.5 * size, 1), 2 * size
    dots, triangles, crosses = [], [], []
    for x, y, row in on_it:
        if row.call == "AMF":
            triangles.append(f"M{x:g} {y - t:g}l{t:g} {1.75 * t:g}h{-2 * t:g}z")
        elif row.call == "NMF":
            dots.append(f"M{x:g} {y:g}h0")
        else:
            crosses.append(f"M{x - size:g} {y - size:g}l{d:g} {d:g}m0 {-d:g}l{-d:g} {d:g}")
    mpp = summary["slide"]["mpp_x"]
    mm = _round_length(area.width * mpp / 1000 / 5)
    return Map(
        width=round(area.width * scale),
        height=round(area.height * scale),
        normal="".join(dots),
        atypical="".join(triangles),
        other="".join(crosses),
        size=size,
        spot=_spot(summary, area, scale),
        bar=round(mm * 1000 / mpp * scale, 1),
        bar_mm=mm,
    )


def _spot(summary: Mapping[str, Any], area: Bounds, scale: float) -> Mapping[str, float | str] | None:
    hot = summary["hot_spot"]
    if hot is None or hot["slide_smaller_than_spot"]:
        return None
    (x, y), slide = hot["centre_level0_px"], summary["slide"]
    return {
        "shape": "circle" if hot["shape"] == "circle" else "box",
        "x": round((x - area.x) * scale, 1),
        "y": round((y - area.y) * scale, 1),
        "rx": round(hot["width_um"] / 2 / slide["mpp_x"] * scale, 1),
        "ry": round(hot["height_um"] / 2 / slide["mpp_y"] * scale, 1),
    }


def _round_length(mm: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that is not above a length."""
    power = 10.0**-4
    while power * 10 <= mm:
        power *= 10
    return float(f"{max((m for m in (1, 2, 5) if m * power <= mm), default=1) * power:.4g}")
