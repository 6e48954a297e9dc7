"""The analysed area: what annotations cover, in which frame, and what is none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely

from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.table import parse_table
from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import Bounds, PixelSize
from slidemitosis.options import Spot
from slidemitosis.rates.area import AnalysedArea, annotated_area, given_area, spot_outline
from slidemitosis.rates.tissue import Tissue

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidates
    from slidemitosis.options.rate import Shape

PATH = Path("a.geojson")
SLIDE, HALF = Bounds(0, 0, 4000, 4000), PixelSize(0.5, 0.5)


def box(x0: float, y0: float, x1: float, y1: float, *holes: list[list[float]]) -> dict[str, Any]:
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    return {"type": "Polygon", "coordinates": [ring, *holes]}


def regions(*geometries: dict[str, Any], name: str = "Tumor") -> Candidates:
    features = [
        {"type": "Feature", "geometry": g, "properties": {"classification": {"name": name, "color": None}}}
        for g in geometries
    ]
    return parse_geojson(json.dumps({"type": "FeatureCollection", "features": features}), path=PATH)


def area_of(
    *geometries: dict[str, Any], mpp: PixelSize = HALF, offset: tuple[int, int] = (0, 0)
) -> AnalysedArea:
    return annotated_area(regions(*geometries), ["Tumor"], mpp=mpp, offset=offset, slide=SLIDE)


def test_the_area_is_that_of_the_outlines_in_um() -> None:
    assert area_of(box(0, 0, 2000, 1000)).mm2 == pytest.approx(0.5)
    assert area_of(box(0, 0, 2000, 1000), mpp=PixelSize(0.5, 0.25)).mm2 == pytest.approx(0.25)


@pytest.mark.parametrize("ring", [[[7, 8]], [[7, 8]] * 4, [[7, 8], [9, 8]], [[7, 8], [9, 8], [7, 8]]])
def test_an_outline_of_a_pixel_or_two_adds_nothing_to_an_area(ring: list[list[float]]) -> None:
    dot = {"type": "Polygon", "coordinates": [ring]}
    found = area_of(dot, box(0, 0, 2000, 1000))
    assert found.mm2 == pytest.approx(0.5)
    assert found.annotations == 2
    assert found.outline is not None
    assert found.outline.geom_type == "Polygon"
    with pytest.raises(InvalidOption, match="no part of the area class Tumor lies on the slide"):
        area_of(dot)


def test_overlapping_outlines_are_counted_once_and_holes_not_at_all() -> None:
    assert area_of(box(0, 0, 2000, 2000), box(1000, 0, 3000, 2000)).mm2 == pytest.approx(1.5)
    hole: list[list[float]] = [[500, 500], [1500, 500], [1500, 1500], [500, 1500], [500, 500]]
    with_hole = area_of(box(0, 0, 2000, 2000, hole))
    assert with_hole.mm2 == pytest.approx(0.75)
    assert with_hole.holds(np.array([(100.0, 100.0), (500.0, 500.0)])).tolist() == [True, False]


def test_what_lies_beyond_the_slide_is_no_area() -> None:
    assert area_of(box(3000, 3000, 5000, 5000)).mm2 == pytest.approx(0.25)
    with pytest.raises(InvalidOption, match="no part of the area class Tumor lies on the slide"):
        area_of(box(5000, 0, 6000, 1000))


def test_outlines_count_from_where_the_figures_of_their_file_do() -> None:
    found = area_of(box(0, 0, 100, 100), offset=(1000, 2000))
    um = np.array([(525.0, 1025.0), (25.0, 25.0)])
    assert found.holds(um).tolist() == [True, False]


def test_an_outline_that_crosses_itself_covers_what_it_covers() -> None:
    bow_tie = {"type": "Polygon", "coordinates": [[[0, 0], [2000, 2000], [2000, 0], [0, 2000], [0, 0]]]}
    assert area_of(bow_tie).mm2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [5, 5]},
        {"type": "LineString", "coordinates": [[0, 0], [5, 5]]},
        {"type": "MultiPoint", "coordinates": [[0, 0], [5, 5]]},
    ],
)
def test_objects_without_an_area_are_refused(geometry: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidOption, match=r"a.geojson: feature 2.* has the area class Tumor, but is no polygon"
    ):
        area_of(box(0, 0, 9, 9), geometry)


def test_rows_of_a_table_are_no_area() -> None:
    table = parse_table("x,y,class\n1,2,Tumor\n", path=Path("a.csv"))
    with pytest.raises(InvalidOption, match=r"a\.csv: line 2 has the area class Tumor, but is no polygon"):
        annotated_area(table, ["Tumor"], mpp=PixelSize(1, 1), offset=(0, 0), slide=SLIDE)


def test_a_number_is_an_area_if_the_slide_has_as_much() -> None:
    assert given_area(100, 120).mm2 == 100
    assert given_area(120, 120).holds(np.zeros((2, 2))).all()
    for mm2 in (0, -1, 121, math.nan):
        with pytest.raises(InvalidOption, match="at most the slide's 120 mm2"):
            given_area(mm2, 120)


@pytest.mark.parametrize("shape", ["circle", "square", "4:3"])
def test_the_outline_of_a_spot_has_its_area(shape: Shape) -> None:
    assert shapely.area(spot_outline(Spot(shape=shape), 50, 70)) == pytest.approx(2.37e6, rel=1e-4)


def test_tissue_within_a_spot_is_counted_in_its_place() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[50:, :] = True  # from y 500 + 50 * 10 um on
    tissue = Tissue(mask, x_um=200, y_um=500, pixel_um=(10, 10), level=0, threshold=9)
    area = AnalysedArea(source="tissue", mm2=tissue.mm2, tissue=tissue)
    assert area.mm2 == pytest.approx(0.5)
    assert area.mm2_within(shapely.box(200, 900, 1200, 1100)) == pytest.approx(0.1)
    assert area.mm2_within(shapely.box(5000, 5000, 6000, 6000)) == 0
