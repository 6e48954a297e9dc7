from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.errors import UnreadableCandidates
from tests.candidates.checks import refused

PATH = Path("folder/a.geojson")
POINT = {"type": "Point", "coordinates": [3, 4]}
NAN, INF = float("nan"), float("inf")


def refusal(text: str) -> str:
    message = refused(PATH, parse_geojson, text, path=PATH)
    assert len(message) < 300
    return message


def refusal_of_second(geometry: object, **keys: object) -> str:
    second = {"type": "Feature", "geometry": geometry, "properties": {}, **keys}
    message = refusal(json.dumps({"type": "FeatureCollection", "features": [POINT, second]}))
    assert message.startswith(f"{PATH}: feature 2")
    return message


@pytest.mark.parametrize(
    "bad", [NAN, INF, -INF, "3", "NaN", True, None, [1], {"a": 1}, 10**400], ids=lambda bad: repr(bad)[:9]
)
def test_a_coordinate_that_is_no_finite_number_is_named(bad: object) -> None:
    ring: list[list[Any]] = [[0, 0], [10, 0], [10, bad], [0, 10], [0, 0]]
    hole: list[list[Any]] = [[2, 2], [3, 2.5], [bad, 3], [2, 2]]
    sound = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    for geometry in (
        {"type": "Point", "coordinates": [1.5, bad]},
        {"type": "Point", "coordinates": [1.5, 2, bad]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [bad, 2]]},
        {"type": "LineString", "coordinates": [[1, 2], [bad, 2]]},
        {"type": "MultiLineString", "coordinates": [[[1, 2], [bad, 2]]]},
        {"type": "Polygon", "coordinates": [ring]},
        {"type": "Polygon", "coordinates": [sound, hole]},
        {"type": "MultiPolygon", "coordinates": [[sound], [ring]]},
    ):
        message = refusal_of_second(geometry)
        assert "is not a finite number" in message
        shown = "1000000000" if bad == 10**400 else repr(bad)
        assert f"the coordinate {shown}" in message


def test_a_bad_nucleus_is_refused_where_it_stands() -> None:
    message = refusal_of_second(POINT, nucleusGeometry={"type": "Point", "coordinates": ["1", 2]})
    assert message == f"{PATH}: feature 2, nucleusGeometry: the coordinate '1' is not a finite number"


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (None, "no geometry"),
        ("POINT (1 2)", "not a GeoJSON geometry"),
        ({}, "type None"),
        ({"type": ["Point"], "coordinates": [1, 2]}, "the type ['Point']"),
        ({"type": "Circle", "coordinates": [1, 2]}, "'Circle'"),
        ({"type": "GeometryCollection", "geometries": [POINT]}, "'GeometryCollection'"),
        ({"type": "Point"}, "found [None]"),
        ({"type": "Point", "coordinates": []}, "found []"),
        ({"type": "Point", "coordinates": [1]}, "found [1]"),
        ({"type": "Point", "coordinates": "1,2"}, "found ['1,2']"),
        ({"type": "MultiPoint", "coordinates": [1, 2]}, "found [1, 2]"),
        ({"type": "LineString", "coordinates": [[1, 2]]}, "2 points or more, found 1"),
        ({"type": "MultiLineString", "coordinates": []}, "no parts"),
        ({"type": "Polygon", "coordinates": []}, "no rings"),
        ({"type": "Polygon"}, "no rings"),
        ({"type": "Polygon", "coordinates": [[]]}, "1 points or more, found 0"),
        ({"type": "Polygon", "coordinates": [[[0, 0]] * 5, [[0, 0]] * 5]}, "fewer than 3 different points"),
        ({"type": "Polygon", "coordinates": [[0, 0], [1, 0], [1, 1]]}, "found [0, 0]"),
        ({"type": "MultiPolygon", "coordinates": []}, "no parts"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "no rings"),
        ({"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0]]]]}, "found 2"),
    ],
)
def test_a_geometry_without_a_place_is_refused(geometry: object, said: str) -> None:
    assert said in refusal_of_second(geometry)


def test_numbers_too_large_to_compute_with_are_refused() -> None:
    huge = [[0, 0], [1e308, 0], [1e308, 1e308], [-1e308, 1e308], [0, -1e308]]
    square = [[-1e308, -1e308], [1e308, -1e308], [1e308, 1e308], [-1e308, 1e308], [-1e308, -1e308]]
    for ring in (huge, square):
        message = refusal_of_second({"type": "Polygon", "coordinates": [ring]})
        assert "centre cannot be computed" in message


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"foo": 1}, "no GeoJSON: expected a FeatureCollection, found {'foo': 1}"),
        ({"type": "Topology"}, "'Topology'"),
        ({"type": "FeatureCollection"}, "no list of features, found None"),
        ({"type": "FeatureCollection", "features": {"a": 1}}, "no list of features"),
        ([1], "feature 1: expected a GeoJSON Feature, found 1"),
        ([POINT, None], "feature 2: expected a GeoJSON Feature, found None"),
        ([POINT, {"geometry": POINT}], "feature 2: expected a GeoJSON Feature"),
        ([{"type": "FeatureCollection", "features": []}], "found the type 'FeatureCollection'"),
        ([{"type": "Feature", "geometry": POINT, "properties": [1]}], "feature 1: its properties are [1]"),
    ],
)
def test_json_that_is_no_geojson_is_refused(document: object, said: str) -> None:
    assert said in refusal(json.dumps(document))


@pytest.mark.parametrize("classification", [3, True, [1], {"name": True}, {"names": ["a", 1]}, {"name": {}}])
def test_a_classification_that_is_no_name_is_refused(classification: object) -> None:
    message = refusal_of_second(POINT, properties={"classification": classification})
    assert "its classification is" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type": "FeatureCollection",\n"features": [{', "line 2, column 15"),
        ('[{"type": "Feature"},]', "line 1"),
        ("[" * 100_000, "not usable as JSON"),
        ('{"type": "Point", "coordinates": [1, ' + "9" * 5000 + "]}", "not usable as JSON"),
    ],
)
def test_malformed_json_is_refused_with_its_place(text: str, said: str) -> None:
    assert said in refusal(text)


def test_one_feature_per_line_is_refused_with_the_remedy() -> None:
    one = json.dumps({"type": "Feature", "geometry": POINT, "properties": {}})
    message = refusal(f"{one}\n{one}\n")
    assert "line 2" in message
    assert "FeatureCollection" in message


VALID = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": "m",
                "geometry": {"type": "MultiPoint", "coordinates": [[1, 2], [3.25, 4e2]], "plane": {"z": 1}},
                "properties": {
                    "classification": {"names": ["Tumor", "Mitosis"]},
                    "measurements": {"µm": NAN},
                },
            },
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]},
                "nucleusGeometry": POINT,
                "properties": {"objectType": "cell"},
            },
        ],
    },
    ensure_ascii=False,
)


@given(st.integers(0, len(VALID) - 1))
def test_a_text_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(UnreadableCandidates):
        parse_geojson(VALID[:length], path=PATH)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_a_value_replaced_by_anything_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(VALID)
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = data.draw(json_values)
    message = f"{PATH}: "
    try:
        parse_geojson(json.dumps(document), path=PATH)
    except UnreadableCandidates as error:
        message = str(error)
    assert message.startswith(f"{PATH}: ")
    assert "\n" not in message
