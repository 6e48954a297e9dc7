"""The rate of each region that a user names, such as a tumour's nodules or a microarray's cores; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from slidemitosis.candidates.formats.shapes import made_valid, read_shape
from slidemitosis.candidates.ids import object_ids
from slidemitosis.rates.area import slide_outline
from slidemitosis.rates.counts import SlideRate, slide_rate
from slidemitosis.rates.expected import Expected, expected_fraction

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.candidates import Candidate
    from slidemitosis.geometry import Bounds, PixelSize
    from slidemitosis.models.decision import SpreadPart
    from slidemitosis.prediction import CandidateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRate:
    """The figures of one region. One that lies in several regions counts in each of them."""

    region: Candidate
    """The annotation or TMA core as it was read."""
    core: bool
    """It is a core of a tissue microarray."""
    object_id: str
    """UUID of its object in `objects.geojson`: its own id where that is a UUID."""
    mm2: float
    """Area of what lies on the slide, or within its bounds; 0 where nothing does."""
    rate: SlideRate
    """Of the figures whose centre the region covers; duplicates and what could not be seen are left out."""
    expected: Expected

    @property
    def name(self) -> str | None:
        """Name of the object in QuPath; None where it has none."""
        stated = ((self.region.feature or {}).get("properties") or {}).get("name")
        return str(stated) if isinstance(stated, str | int | float) and stated != "" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFrame:
    """What turns the coordinates of the points file into um on one slide."""

    name: str
    """File name of the slide, of which ids are made."""
    area: Bounds
    """The slide or its bounds, level-0 px."""
    mpp: PixelSize
    offset: tuple[int, int]
    """What is added to coordinates of the points file to get level-0 px."""


def rate_regions(
    regions: Sequence[Candidate],
    figures: Sequence[CandidateResult],
    xy_um: NDArray[np.float64],
    *,
    frame: SlideFrame,
    cores: Collection[Candidate],
    taken: Collection[str],
    spread: SpreadPart | None,
    cutoff: float | None,
) -> tuple[RegionRate, ...]:
    """Count the figures of each region, whose outlines are polygons.

    figures: the classified and the uncertain ones; xy_um: their centres, (N, 2), um from the corner of level
    0. A centre on the outline is in the region. cores: those of the regions that are TMA cores. taken: ids of
    other objects, in lower case. spread, cutoff: as in `expected_fraction`.
    """
    slide = slide_outline(frame.area, frame.mpp)
    rated = []
    for region, object_id in zip(regions, object_ids(regions, frame.name, taken=taken), strict=True):
        outline = _outline_um(region, frame)
        held = shapely.intersects_xy(outline, xy_um[:, 0], xy_um[:, 1])
        rate = slide_rate(f for f, inside in zip(figures, held, strict=True) if inside)
        rated.append(
            RegionRate(
                region=region,
                core=any(region is core for core in cores),
                object_id=object_id,
                mm2=float(shapely.area(shapely.intersection(outline, slide))) / 1e6,
                rate=rate,
                expected=expected_fraction(rate.probabilities, spread, cutoff=cutoff),
            )
        )
    return tuple(rated)


def _outline_um(region: Candidate, frame: SlideFrame) -> shapely.Geometry:
    assert region.feature is not None  # regions are polygons
    shape = made_valid(read_shape(region.feature["geometry"], region.source))
    um = shapely.transform(shape, lambda xy: (xy + frame.offset) * (frame.mpp.x, frame.mpp.y))
    shapely.prepare(um)
    return um
