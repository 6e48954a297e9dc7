from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.ids import object_ids
from tests.candidates.checks import feature_of

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidate, Candidates

PATH = Path("a.geojson")
SQUARE = {"type": "Polygon", "coordinates": [[[10, 10], [60, 10], [60, 60], [10, 60], [10, 10]]]}
POINT = {"type": "Point", "coordinates": [3, 4]}
UUID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"


def feature(geometry: object = None, properties: object = None, **keys: object) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry or POINT, "properties": properties or {}, **keys}


def parse(document: object) -> Candidates:
    return parse_geojson(json.dumps(document), path=PATH)


def parse_one(document: object) -> Candidate:
    (one,) = parse(document)
    return one


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def square(x: float, y: float, size: float) -> list[list[float]]:
    return [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]


@pytest.mark.parametrize(
    "document",
    [
        {"type": "FeatureCollection", "features": [feature()]},
        [feature()],
        feature(),
        POINT,
        [POINT],
        {"type": "FeatureCollection", "features": [POINT]},
    ],
)
def test_every_container_gives_the_same_candidate(document: object) -> None:
    one = parse_one(document)
    assert (one.x, one.y, one.source) == (3, 4, "feature 1")
    assert feature_of(one)["geometry"] == POINT


@pytest.mark.parametrize("document", [{"type": "FeatureCollection", "features": []}, []])
def test_an_empty_collection_is_valid(document: object) -> None:
    assert len(parse(document)) == 0


def test_qupath_03_export() -> None:
    one = parse_one(
        [
            feature(
                SQUARE,
                {
                    "object_type": "detection",
                    "classification": {"name": "Tumor: Mitosis", "colorRGB": -3670016},
                    "isLocked": False,
                    "measurements": [{"name": "Area", "value": float("nan")}],
                },
            )
        ]
    )
    assert (one.id, one.x, one.y, one.class_name) == (None, 35, 35, "Tumor: Mitosis")


def test_qupath_07_export_with_metadata_standing_twice() -> None:
    text = (
        f'{{"type":"FeatureCollection","features":[{{"type":"Feature","id":"{UUID}","geometry":{json.dumps(SQUARE)},'
        '"properties":{"objectType":"detection","name":"m","classification":{"names":["Mitosis","Atypical"],'
        '"color":[200,0,0]},"measurements":{"P":0.93,"NaN here":"NaN"},'
        '"metadata":{"a":"1"},"metadata":{"a":"1"}}'
        "}]}"
    )
    (one,) = parse_geojson(text, path=PATH)
    assert (one.id, one.x, one.class_name) == (UUID, 35, "Mitosis: Atypical")


def test_bare_nan_tokens_in_measurements_are_accepted() -> None:
    assert "NaN" in json.dumps(feature(properties={"measurements": {"a": float("nan")}}))
    assert len(parse(feature(properties={"measurements": {"a": float("nan"), "b": float("inf")}}))) == 1


@pytest.mark.parametrize(
    ("classification", "name"),
    [
        ({"name": "Mitosis"}, "Mitosis"),
        ({"name": "Mitosis", "color": [1, 2, 3]}, "Mitosis"),
        ({"names": ["Tumor", "Mitosis"], "color": None}, "Tumor: Mitosis"),
        ({"name": "Tumor:Mitosis"}, "Tumor: Mitosis"),
        ("Mitosis", "Mitosis"),
        ("  ", None),
        ("Unclassified", None),
        ({"name": None}, None),
        ({"names": []}, None),
        ({}, None),
        (None, None),
    ],
)
def test_class_names_are_spelt_as_qupath_does(classification: object, name: str | None) -> None:
    assert parse_one(feature(properties={"classification": classification})).class_name == name
    assert parse_one(feature(classification=classification)).class_name == name


@pytest.mark.parametrize(
    ("stated", "kept"),
    [(UUID, UUID), ("detection_0", "detection_0"), (12, "12"), (1.5, "1.5"), (None, None), ("", None)],
)
def test_ids_are_kept_as_text(stated: object, kept: str | None) -> None:
    assert parse_one(feature(id=stated)).id == kept


@pytest.mark.parametrize("name", ["PathDetectionObject", "PathAnnotationObject", "PathCellObject"])
def test_the_type_that_old_exports_have_for_an_id_is_none(name: str) -> None:
    assert parse_one(feature(id=name)).id is None


@pytest.mark.parametrize("properties", [None, {"objectType": None}])
def test_properties_may_be_missing(properties: object) -> None:
    plain = {"type": "Feature", "geometry": POINT}
    assert len(parse(plain)) == len(parse({**plain, "properties": properties})) == 1


@pytest.mark.parametrize(
    "container",
    [
        feature(SQUARE, {"objectType": "root"}),
        feature(SQUARE, {"object_type": "tma_core"}),
        feature(SQUARE, {"objectType": "TMA core"}),
        feature(SQUARE, objectType="tma_core"),
        feature(SQUARE, id="TMACoreObject"),
        {"type": "Feature", "geometry": None, "properties": {"objectType": "root"}},
    ],
)
def test_the_image_and_tissue_cores_are_no_candidates(container: object) -> None:
    assert [c.source for c in parse([container, feature()])] == ["feature 2"]


def test_each_point_of_a_multipoint_is_a_candidate_with_its_own_feature() -> None:
    plane = {"c": -1, "z": 2, "t": 1}
    many = {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4], [5.5, 6]], "plane": plane}
    found = list(parse(feature(many, {"name": "by hand"}, id="m")))
    assert [(c.id, c.x, c.y) for c in found] == [("m#1", 1, 2), ("m#2", 3, 4), ("m#3", 5.5, 6)]
    assert [c.source for c in found] == [f"feature 1, point {k}" for k in (1, 2, 3)]
    assert found[2].feature == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [5.5, 6], "plane": plane},
        "properties": {"name": "by hand"},
        "id": "m#3",
    }


def test_a_multipoint_of_one_point_keeps_its_id() -> None:
    one = parse_one(feature({"type": "MultiPoint", "coordinates": [[1, 2]]}, id="m"))
    assert one.id == "m"
    assert (feature_of(one)["id"], feature_of(one)["geometry"]["type"]) == ("m", "Point")


def test_points_without_an_id_get_none() -> None:
    found = parse(feature({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}))
    assert [c.id for c in found] == [None, None]


def test_a_multipoint_before_its_first_click_holds_no_candidate() -> None:
    assert len(parse(feature({"type": "MultiPoint", "coordinates": []}))) == 0


def test_a_third_coordinate_is_left_out() -> None:
    one = parse_one({"type": "Point", "coordinates": [1, 2, 9]})
    assert (one.x, one.y) == (1, 2)
    lifted = polygon([[0, 0, 5], [4, 0], [4, 4, 5], [0, 4]])
    assert (parse_one(lifted).x, parse_one(lifted).y) == (2, 2)


def test_the_centre_of_a_cell_is_that_of_its_nucleus() -> None:
    cell = feature(
        polygon(square(0, 0, 100)), {"objectType": "cell"}, nucleusGeometry=polygon(square(10, 60, 20))
    )
    assert (parse_one(cell).x, parse_one(cell).y) == (20, 70)
    cell["nucleusGeometry"] = None
    assert (parse_one(cell).x, parse_one(cell).y) == (50, 50)
    cell["nucleusGeometry"] = {"type": "Point", "coordinates": [7, 8]}
    assert (parse_one(cell).x, parse_one(cell).y) == (7, 8)


@pytest.mark.parametrize(
    "outline",
    [
        polygon(square(0, 0, 100), square(20, 20, 60)),
        polygon([[0, 0], [100, 0], [100, 10], [10, 10], [10, 90], [100, 90], [100, 100], [0, 100], [0, 0]]),
        {"type": "MultiPolygon", "coordinates": [[square(0, 0, 10)], [square(100, 0, 10)]]},
    ],
    ids=["in a hole", "beside a crescent", "between two parts"],
)
def test_a_centre_that_is_outside_moves_inside(outline: dict[str, Any]) -> None:
    one = parse_one(outline)
    assert shapely.geometry.shape(outline).contains(shapely.Point(one.x, one.y))


def test_a_ring_that_crosses_itself_has_a_centre_on_the_area_it_covers() -> None:
    # Signed areas would nearly cancel, and put the centroid far off.
    bow_tie = polygon([[0, 0], [100, 100], [100, 0], [0, 99], [0, 0]])
    one = parse_one(bow_tie)
    covered = shapely.make_valid(shapely.geometry.shape(bow_tie))
    assert covered.intersects(shapely.Point(one.x, one.y).buffer(1e-6))
    assert feature_of(one)["geometry"] == bow_tie


def test_a_polygon_without_area_has_its_centre_on_its_line() -> None:
    one = parse_one(polygon([[0, 0], [10, 0], [20, 0], [0, 0]]))
    assert 0 <= one.x <= 20
    assert one.y == 0


@pytest.mark.parametrize(
    ("ring", "centre", "extent"),
    [
        ([[7, 8]], (7, 8), 0),
        ([[7, 8]] * 4, (7, 8), 0),
        ([[7, 8], [9, 8]], (8, 8), 2),
        ([[7, 8], [9, 8], [7, 8], [9, 8], [7, 8]], (8, 8), 2),
    ],
)
def test_an_outline_of_a_pixel_or_two_is_where_these_are(
    ring: list[list[float]], centre: tuple[float, float], extent: float
) -> None:
    """As tools that trace masks write the smallest objects; one of them is no reason to refuse the others."""
    for document in (
        feature(polygon(ring)),
        feature(polygon(square(0, 0, 50)), nucleusGeometry=polygon(ring)),
    ):
        one = parse_one(document)
        assert ((one.x, one.y), one.extent) == (centre, extent)


def test_a_ring_left_open_is_closed_for_its_centre_and_kept_as_read() -> None:
    triangle = polygon([[0, 0], [30, 0], [0, 30]])
    one = parse_one(feature(triangle))
    assert (one.x, one.y) == (10, 10)
    assert feature_of(one)["geometry"] == triangle


@pytest.mark.parametrize(
    "line",
    [
        {"type": "LineString", "coordinates": [[0, 0], [10, 20]]},
        {"type": "MultiLineString", "coordinates": [[[0, 0], [10, 20]]]},
    ],
)
def test_the_centre_of_a_line_is_its_middle(line: object) -> None:
    assert (parse_one(line).x, parse_one(line).y) == (5, 10)


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"class": "Mitosis"}, "Mitosis"),
        ({"class_name": "hard negative", "label": "Mitosis"}, "hard negative"),
        ({"label": "Tumor:Mitosis", "type": "nucleus"}, "Tumor: Mitosis"),
        ({"type": "Mitosis"}, "Mitosis"),
        ({"type": "detection"}, None),
        ({"type": "PathCellObject", "label": ""}, None),
        (
            {"type": "polyline", "label": {"value": "a"}, "group": "b"},
            None,
        ),  # as HistomicsUI says how it was drawn
        ({"type": "rectangle", "label": "Mitosis"}, "Mitosis"),
        ({"type": "Multi-Polygon"}, None),
        ({"type": "Circle of cells"}, "Circle of cells"),
        ({"label": 3, "class": {"a": 1}, "type": None}, None),
        ({"class": "Mitosis", "classification": None}, None),
        ({"class": "Mitosis", "classification": {"name": "Other"}}, "Other"),
    ],
)
@pytest.mark.parametrize("geometry", [POINT, {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}])
def test_the_class_that_other_tools_state_is_not_lost(
    properties: dict[str, Any], name: str | None, geometry: object
) -> None:
    """Without it hard negatives would be candidates like all that is unclassified."""
    assert parse_one(feature(geometry, properties)).class_name == name


def test_unknown_keys_and_flags_survive() -> None:
    ellipse = {**SQUARE, "isEllipse": True, "plane": {"c": -1, "z": 0, "t": 0}}
    original = feature(ellipse, {"probability": 0.4, "mine": {"a": [1]}}, id=7, bbox=[1, 2, 3, 4], other=None)
    before = copy.deepcopy(original)
    assert parse_one(original).feature == before


def test_points_and_shapes_stay_in_file_order() -> None:
    found = parse([SQUARE, POINT, {"type": "MultiPoint", "coordinates": [[1, 1], [2, 2]]}, SQUARE])
    assert [(c.x, c.y) for c in found] == [(35, 35), (3, 4), (1, 1), (2, 2), (35, 35)]


numbers = st.floats(-1e6, 1e6).map(lambda v: round(v, 2))


@given(st.lists(st.tuples(numbers, numbers), max_size=8))
def test_points_are_read_back_exactly(places: list[tuple[float, float]]) -> None:
    found = parse([{"type": "Point", "coordinates": [x, y]} for x, y in places])
    assert [(c.x, c.y) for c in found] == places


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=9, unique=True))
def test_every_ring_has_a_centre_within_its_bounds(ring: list[tuple[float, float]]) -> None:
    one = parse_one(polygon([list(place) for place in ring]))
    low, high = np.min(ring, axis=0) - 1e-3, np.max(ring, axis=0) + 1e-3
    assert (low <= (one.x, one.y)).all()
    assert ((one.x, one.y) <= high).all()


@given(numbers, numbers)
def test_moving_a_polygon_moves_its_centre_alike(dx: float, dy: float) -> None:
    outline = [(0.0, 0.0), (40.0, 0.0), (55.0, 30.0), (20.0, 60.0), (-5.0, 30.0)]
    still = parse_one(polygon([[x, y] for x, y in outline]))
    one = parse_one(polygon([[x + dx, y + dy] for x, y in outline]))
    assert (one.x, one.y) == pytest.approx((still.x + dx, still.y + dy), abs=1e-3)


ONE, TWO = "7b283483-36cd-5086-8247-a8ace7f2871a", "E1D24127-FB2D-5CE9-92D5-03B7CBA89C67"


@pytest.mark.parametrize(
    ("stated", "properties", "id_"),
    [
        ({}, {"id": ONE}, ONE),
        ({"id": "0"}, {"id": ONE}, ONE),
        ({"id": 0}, {"id": ONE}, ONE),
        ({"id": "PathDetectionObject"}, {"ID": ONE}, ONE),
        ({}, {"Object ID": TWO}, TWO),
        ({}, {"object_id": ONE, "uuid": TWO}, TWO),
        ({"id": TWO}, {"id": ONE}, TWO),
        # A number may be that of a class or of a row, and be that of others, too.
        ({}, {"id": 3}, None),
        ({}, {"id": "3"}, None),
        ({"id": "tool-7"}, {"id": "3"}, "tool-7"),
        ({}, {"name": ONE, "parent": ONE}, None),
        ({}, {"id": {"id": ONE}}, None),
    ],
)
@pytest.mark.parametrize("slow", [False, True])
def test_an_id_that_another_tool_moved_into_the_properties_is_found(
    stated: dict[str, Any], properties: dict[str, Any], id_: str | None, slow: bool
) -> None:
    more: dict[str, Any] = {"childObjects": []} if slow else {}
    one = parse_one(feature({"type": "Point", "coordinates": [1, 2]}, {**properties, **more}, **stated))
    assert one.id == id_
    assert object_ids([one], "a.svs") == [id_] or id_ in (None, "tool-7")


def test_parts_that_another_tool_left_the_id_of_the_whole_are_figures_each() -> None:
    """As `explode` of geopandas does; candidates with one id would be counted once."""
    apart = [feature({"type": "Point", "coordinates": [100 * i, 0]}, {"id": ONE}) for i in range(3)]
    other = feature({"type": "Point", "coordinates": [9, 9]}, {"id": TWO})
    assert [c.id for c in parse([*apart, other])] == [f"{ONE}#1", f"{ONE}#2", f"{ONE}#3", TWO]
    own = [feature({"type": "Point", "coordinates": [100 * i, 0]}, {"id": ONE}, id=ONE) for i in range(2)]
    assert [c.id for c in parse(own)] == [ONE, ONE]
