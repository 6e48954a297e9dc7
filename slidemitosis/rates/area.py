"""The area in which figures were looked for, to give their number per mm2; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely
import shapely.geometry

from slidemitosis.candidates.formats.shapes import made_valid, read_shape
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.candidates import Candidates
    from slidemitosis.geometry import Bounds, PixelSize
    from slidemitosis.options import Spot
    from slidemitosis.rates.tissue import Tissue

AreaSource = Literal["given", "annotations", "tissue"]

_CORNERS = 360  # of the polygon in place of a circle; its area is 0.005 % too small


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysedArea:
    """The part of a slide in which figures were looked for."""

    source: AreaSource
    """"given": a number from the user; "annotations": outlines in the points file; "tissue": detected."""
    mm2: float
    classes: tuple[str, ...] = ()
    """Classes of the annotations."""
    annotations: int = 0
    """Number of annotations."""
    outline: shapely.Geometry | None = None
    """Outline of the annotations together, um from the corner of level 0."""
    tissue: Tissue | None = None

    def holds(self, xy_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which places, (N, 2), lie within annotations or on their edge, (N,); for other areas all do.

        A figure beside the detected tissue means that too little tissue was detected, so it is counted.
        """
        if self.outline is None:
            return np.ones(len(xy_um), np.bool_)
        shapely.prepare(self.outline)
        within: NDArray[np.bool_] = shapely.intersects_xy(self.outline, xy_um[:, 0], xy_um[:, 1])
        return within

    def mm2_within(self, outline: shapely.Geometry) -> float | None:
        """Return mm2 of the area within an outline in um; None for a given number, which has no place."""
        if self.outline is not None:
            return float(shapely.area(shapely.intersection(self.outline, outline))) / 1e6
        return tissue_mm2_within(self.tissue, outline) if self.tissue is not None else None


def tissue_mm2_within(tissue: Tissue, outline: shapely.Geometry) -> float:
    """Return mm2 of tissue within an outline in um, counting pixels by their centre."""
    width, height = tissue.pixel_um
    west, south, east, north = outline.bounds
    columns = np.arange(tissue.mask.shape[1])
    rows = np.arange(tissue.mask.shape[0])
    xs, ys = tissue.x_um + (columns + 0.5) * width, tissue.y_um + (rows + 0.5) * height
    some_x, some_y = (xs >= west) & (xs <= east), (ys >= south) & (ys <= north)
    grid_x, grid_y = np.meshgrid(xs[some_x], ys[some_y])
    shapely.prepare(outline)
    within = shapely.intersects_xy(outline, grid_x, grid_y)
    return int((within & tissue.mask[np.ix_(some_y, some_x)]).sum()) * width * height / 1e6


def given_area(mm2: float, slide_mm2: float) -> AnalysedArea:
    """Return an area that the user states. Raises InvalidOption unless it is above 0 and fits the slide."""
    if not 0 < mm2 <= slide_mm2 * 1.001:
        raise InvalidOption(
            f"the area must be above 0 and at most the slide's {slide_mm2:.4g} mm2, not {mm2:g}"
        )
    return AnalysedArea(source="given", mm2=mm2)


def annotated_area(
    candidates: Candidates,
    classes: Sequence[str],
    *,
    mpp: PixelSize,
    offset: tuple[int, int],
    slide: Bounds,
) -> AnalysedArea:
    """Return the area of all outlines of these classes in the points file, overlaps counted once.

    `offset` is added to their coordinates to get level-0 px; parts outside `slide` (level-0 px) are left out.
    `classes` are full names as in the file. Raises InvalidOption if an object of these classes is no polygon,
    or if no part of them lies on the slide.
    """
    regions = [c for c in candidates if c.class_name in classes]
    named = ", ".join(classes)
    # In tables and other formats a candidate may have no feature, or one without an outline.
    types = [((c.feature or {}).get("geometry") or {}).get("type") for c in regions]
    bad = next((c for c, t in zip(regions, types, strict=True) if t not in ("Polygon", "MultiPolygon")), None)
    if bad is not None:
        raise InvalidOption(f"{candidates.where}: {bad.source} has the area class {named}, but is no polygon")
    where = f"{candidates.where}: {named}"
    shapes = [made_valid(read_shape(c.feature["geometry"], where)) for c in regions if c.feature]
    with_area = [shape for shape in shapes if shapely.area(shape) > 0]
    x, y = slide.x - offset[0], slide.y - offset[1]  # in the frame of the points file
    on_slide = shapely.box(x, y, x + slide.width, y + slide.height)
    outline = shapely.intersection(shapely.union_all(with_area), on_slide)
    if shapely.area(outline) == 0:
        raise InvalidOption(f"{candidates.where}: no part of the area class {named} lies on the slide")
    um = shapely.transform(outline, lambda xy: (xy + offset) * (mpp.x, mpp.y))
    return AnalysedArea(
        source="annotations",
        mm2=float(shapely.area(um)) / 1e6,
        classes=tuple(classes),
        annotations=len(regions),
        outline=um,
    )


def slide_outline(slide: Bounds, mpp: PixelSize) -> shapely.Geometry:
    """Return the slide, or its bounds, given in level-0 px, as a box in um from the corner of level 0."""
    return shapely.box(
        slide.x * mpp.x,
        slide.y * mpp.y,
        (slide.x + slide.width) * mpp.x,
        (slide.y + slide.height) * mpp.y,
    )


def spot_outline(spot: Spot, x_um: float, y_um: float) -> shapely.Geometry:
    """Return the outline of a spot around a centre, um."""
    half_x, half_y = spot.half_um
    if spot.shape != "circle":
        return shapely.box(x_um - half_x, y_um - half_y, x_um + half_x, y_um + half_y)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return shapely.polygons(
        np.stack([x_um + half_x * np.cos(angles), y_um + half_y * np.sin(angles)], axis=1)
    )
