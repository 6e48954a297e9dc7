"""QuPath objects: what every version from 0.4 to 0.8 reads, and what must survive our round trip."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import shapely
import shapely.geometry
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import Candidate, read_candidates
from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.table import parse_table
from slidemitosis.candidates.ids import object_ids
from slidemitosis.outputs import objects
from slidemitosis.outputs.objects import feature_collection, qupath_feature
from slidemitosis.prediction import CandidateResult, PlacedCandidate, Prediction
from tests.qupath_rules import qupath_features

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slidemitosis.candidates import Candidates

EXPORTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "qupath"
PATH = Path("a.geojson")
ID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"
OTHER_ID = "781772d5-57cc-42a5-aa56-38426dee5228"
POINT = {"type": "Point", "coordinates": [3, 4]}
LINE = [[20, 40], [30, 40], [40, 40], [20, 40]]  # three points, and no area
RING = [[10, 10], [60, 10], [60, 60], [10, 60], [10, 10]]

CALLED = {"P(atypical)": 0.93, "Call threshold": 0.5}
"""Measurements of an object that was called atypical."""


def feature(properties: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    geometry = keys.pop("geometry", {"type": "Polygon", "coordinates": [RING]})
    return {"type": "Feature", "id": ID, "geometry": geometry, "properties": properties or {}} | keys


def parse(*features: dict[str, Any]) -> Candidates:
    return parse_geojson(json.dumps({"type": "FeatureCollection", "features": features}), path=PATH)


def predict(
    candidates: Iterable[Candidate], calls: Iterable[bool | None] | None = None, *, slide: str = "a.svs"
) -> list[CandidateResult]:
    """A prediction for each candidate: atypical, normal, or, where the call is None, unreadable."""
    candidates = list(candidates)
    calls = [True] * len(candidates) if calls is None else list(calls)
    return [
        CandidateResult(
            PlacedCandidate(c, object_id, frame_x=c.x, frame_y=c.y, x=c.x, y=c.y, padding=0.0),
            status="unreadable" if call is None else "classified",
            reason="the tile is damaged" if call is None else None,
            prediction=None if call is None else Prediction(0.93 if call else 0.07, call),
        )
        for c, call, object_id in zip(candidates, calls, object_ids(candidates, slide), strict=True)
    ]


def written(
    predictions: Iterable[CandidateResult],
    *,
    model: str = "lite0 1",
    upsampled: bool = False,
    shift: tuple[int, int] = (0, 0),
) -> str:
    features = (
        qupath_feature(
            p, model=model, threshold=0.5, upsampled=upsampled, pixels_per_um=(4.0, 2.0), shift=shift
        )
        for p in predictions
    )
    return b"".join(feature_collection(features)).decode()


def one(source: dict[str, Any], call: bool | None = True, **options: Any) -> dict[str, Any]:
    """The object that comes out for one feature."""
    (found,) = qupath_features(written(predict(parse(source), [call]), **options))
    assert set(found) >= {"type", "id", "geometry", "properties"}
    return found


def classification(name: str | None = None, /, **keys: Any) -> dict[str, Any]:
    return {"classification": keys if name is None else {"name": name, "color": [1, 2, 3]} | keys}


# Classes


@pytest.mark.parametrize(
    ("stated", "names"),
    [
        (classification("Mitosis"), ["Mitosis"]),
        (classification("Tumor: Mitosis"), ["Tumor", "Mitosis"]),
        (classification("Tumor:Mitosis"), ["Tumor", "Mitosis"]),
        (classification(names=["Tumor", "Mitosis"], color=None), ["Tumor", "Mitosis"]),
        (classification(name="Mitosis", colorRGB=-1), ["Mitosis"]),
        ({"classification": "Mitosis"}, ["Mitosis"]),
        ({}, ["Mitosis"]),
        ({"classification": None}, ["Mitosis"]),
        (classification("Unclassified"), ["Mitosis"]),
        (classification("Mitosis: Normal"), ["Mitosis"]),
        (classification(names=["Tumor", "Mitosis", "Atypical"], color=[4, 5, 6]), ["Tumor", "Mitosis"]),
    ],
)
@pytest.mark.parametrize("call", [True, False])
def test_a_classified_figure_has_its_class_and_ours_behind_it(
    stated: dict[str, Any], names: list[str], call: bool
) -> None:
    kind = "Atypical" if call else "Normal"
    found = one(feature(stated), call)["properties"]["classification"]
    assert found == {"names": [*names, kind], "color": objects.COLOURS[kind]}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (classification("Tumor: Mitosis"), {"names": ["Tumor", "Mitosis"], "color": [1, 2, 3]}),
        (classification(name="Mitosis"), {"names": ["Mitosis"], "color": None}),
        (classification(name="Mitosis", color=None), {"names": ["Mitosis"], "color": None}),
        ({"classification": "Mitosis"}, {"names": ["Mitosis"], "color": None}),
        # QuPath 0.3 packs opaque red as a signed integer: 0xFFC80000 - 2 ** 32.
        (classification(name="Mitosis", colorRGB=-3670016), {"names": ["Mitosis"], "color": [200, 0, 0]}),
        (classification(name="Mitosis", colorRGB=0x010203), {"names": ["Mitosis"], "color": [1, 2, 3]}),
        # Without a class of its own it gets one: a second run must see the candidates that the first saw.
        ({}, {"names": ["Mitosis"], "color": None}),
        ({"classification": None}, {"names": ["Mitosis"], "color": None}),
    ],
)
def test_a_figure_that_was_not_classified_keeps_its_class_and_colour(
    stated: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert one(feature(stated), None)["properties"]["classification"] == expected


def test_the_colours_of_the_two_classes_differ() -> None:
    assert objects.COLOURS["Atypical"] != objects.COLOURS["Normal"]


# Measurements and metadata


def test_a_probability_is_a_measurement_beside_those_there_were() -> None:
    found = one(feature({"measurements": {"Area": 12.5, "n": 3}}))["properties"]["measurements"]
    assert found == {"Area": 12.5, "n": 3, **CALLED}


def test_the_score_of_a_detector_is_a_measurement_where_qupath_shows_it() -> None:
    scored = {
        "probability": 0.75,
        "score": "high",
        "prob": None,
        "confidence": 1,
        "measurements": {"confidence": 2},
    }
    properties = one(feature(scored))["properties"]
    measurements = properties["measurements"]
    assert {name: measurements.get(name) for name in ("probability", "score", "prob", "confidence")} == {
        "probability": 0.75,
        "score": None,
        "prob": None,
        "confidence": 2,
    }
    assert properties["probability"] == 0.75


def test_the_list_of_measurements_of_qupath_03_becomes_a_map() -> None:
    old = [{"name": "Area", "value": 12.5}, {"name": "Odd", "value": "NaN"}, {"name": "None"}]
    assert one(feature({"measurements": old}))["properties"]["measurements"] == {
        "Area": 12.5,
        **CALLED,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "NaN", None, True, [1]])
def test_a_measurement_that_is_no_finite_number_is_left_out(value: object) -> None:
    for old in ({"odd": value, "Area": 1}, [{"name": "odd", "value": value}, {"name": "Area", "value": 1}]):
        assert one(feature({"measurements": old}), None)["properties"]["measurements"] == {"Area": 1}


def test_subtypes_and_doubt_are_measurements_and_the_likeliest_subtype_is_named() -> None:
    (plain,) = predict(parse(feature()))
    subtypes = {"NMF metaphase": 0.07, "AMF multipolar": 0.6, "AMF other": 0.33}
    told = replace(plain, prediction=Prediction(0.93, atypical=True, subtypes=subtypes, p_hard=0.25))
    (found,) = qupath_features(written([told]))
    assert found["properties"]["measurements"] == {
        **CALLED,
        "P(NMF metaphase)": 0.07,
        "P(AMF multipolar)": 0.6,
        "P(AMF other)": 0.33,
        "P(experts disagree)": 0.25,
    }
    assert found["properties"]["metadata"]["slidemitosis.subtype"] == "AMF multipolar"
    # A later run with a model of the type alone leaves nothing of it.
    later = written(predict(parse_geojson(written([told]), path=PATH)))
    assert later == written([plain])


def test_an_object_without_measurements_gets_no_empty_map() -> None:
    assert "measurements" not in one(feature({"measurements": {"odd": math.nan}}), None)["properties"]


def test_upsampling_is_said_of_each_object() -> None:
    found = one(feature(), upsampled=True)["properties"]
    assert found["measurements"]["Upsampled"] == 1
    assert found["metadata"]["slidemitosis.upsampled"] == "true"
    assert "Upsampled" not in one(feature())["properties"]["measurements"]


def test_metadata_say_the_model_and_why_a_figure_was_not_classified() -> None:
    old = {"ANNOTATOR": "me", "n": 3, "empty": None, "slidemitosis.reason": "an older one"}
    assert one(feature({"metadata": old}))["properties"]["metadata"] == {
        "ANNOTATOR": "me",
        "n": "3",
        "slidemitosis.model": "lite0 1",
        "slidemitosis.status": "classified",
    }
    assert one(feature(), None)["properties"]["metadata"] == {
        "slidemitosis.model": "lite0 1",
        "slidemitosis.status": "unreadable",
        "slidemitosis.reason": "the tile is damaged",
    }


# What is kept, and what QuPath could not read


@pytest.mark.parametrize("key", ["objectType", "object_type", "type"])
@pytest.mark.parametrize("kind", ["detection", "annotation", "cell"])
def test_the_type_of_an_object_is_kept_under_the_key_that_qupath_writes(key: str, kind: str) -> None:
    found = one(feature({key: kind}))
    assert found["properties"]["objectType"] == kind
    assert found["type"] == "Feature"


@pytest.mark.parametrize("key", ["objectType", "object_type"])
def test_the_type_of_an_object_is_also_found_beside_the_properties(key: str) -> None:
    found = one(feature() | {key: "detection"})
    assert found["properties"]["objectType"] == "detection"
    assert key not in found


def typed_metadata(of: dict[str, Any]) -> str | None:
    """What a `type` has become in an object that is written, and in it again."""
    written = one(of)
    assert one(written)["properties"]["metadata"] == written["properties"]["metadata"]
    text: str | None = written["properties"]["metadata"].get("type")
    return text


def test_a_type_that_is_a_class_is_not_taken_for_that_of_the_object() -> None:
    typed = feature({"type": "mitosis", "classification": {"name": "Mitosis"}}, objectType="annotation")
    assert one(typed)["properties"]["objectType"] == "annotation"
    assert typed_metadata(typed) == "mitosis"
    assert typed_metadata(feature({"type": {"id": 7}, "metadata": {"a": "b"}})) == '{"id":7}'
    assert typed_metadata(feature({"type": "cell"})) is None
    assert "objectType" not in one(feature({"type": "mitosis"}))["properties"]
    assert one(feature({"type": "mitosis"}))["properties"]["classification"]["names"] == [
        "mitosis",
        "Atypical",
    ]


def test_an_object_without_a_type_gets_none() -> None:
    assert "objectType" not in one(feature({"objectType": None, "object_type": None}))["properties"]


def test_unknown_properties_and_keys_are_kept() -> None:
    extra = {"probability": 0.4, "nested": {"a": [1, {"b": "µ"}]}, "isLocked": True, "name": "one"}
    found = one(feature(extra, bbox=[1, 2, 3, 4], tool={"name": "detector"}))
    assert {k: found["properties"][k] for k in extra} == extra
    assert found["bbox"] == [1, 2, 3, 4]
    assert found["tool"] == {"name": "detector"}


def test_nulls_are_left_out_where_qupath_throws_on_them() -> None:
    found = one(feature({"name": None, "color": None}, nucleusGeometry=None, id=None))
    assert "name" not in found["properties"]
    assert "nucleusGeometry" not in found
    assert one(feature(properties=None) | {"properties": None})["properties"]


def test_bare_nan_of_other_tools_does_not_come_out_again() -> None:
    odd = {"score": math.nan, "nested": {"a": math.inf, "b": 1}, "name": "one"}
    geometry = {"type": "Polygon", "coordinates": [RING], "width": math.nan}
    found = one(feature(odd, geometry=geometry, tool={"threshold": -math.inf}))
    assert {"name", "nested"} < set(found["properties"])
    assert found["properties"]["nested"] == {"b": 1}
    assert "score" not in found["properties"]
    assert found["tool"] == {}
    assert found["geometry"] == {"type": "Polygon", "coordinates": [RING]}


def test_a_cell_keeps_its_nucleus() -> None:
    nucleus = {"type": "Polygon", "coordinates": [[[20, 20], [40, 20], [40, 40], [20, 20]]]}
    found = one(feature({"objectType": "cell"}, nucleusGeometry=nucleus))
    assert found["nucleusGeometry"] == nucleus
    assert found["properties"]["objectType"] == "cell"


def test_ellipses_and_planes_are_kept_without_keys_that_break_the_file() -> None:
    plane = {"c": -1, "z": 2, "t": 1, "name": "second"}
    geometry = {"type": "Polygon", "coordinates": [RING], "isEllipse": True, "plane": plane}
    nucleus = {"type": "Polygon", "coordinates": [RING[:-1]], "plane": plane}
    found = one(feature(geometry=geometry, nucleusGeometry=nucleus))
    clean = {"c": -1, "z": 2, "t": 1}
    assert found["geometry"] == geometry | {"plane": clean}
    assert found["nucleusGeometry"] == {"type": "Polygon", "coordinates": [RING], "plane": clean}


@pytest.mark.parametrize("plane", [None, 3, "0", []])
def test_a_plane_that_is_none_is_left_out(plane: object) -> None:
    found = one(feature(geometry={"type": "Polygon", "coordinates": [RING], "plane": plane}))
    assert "plane" not in found["geometry"]


def test_open_rings_are_closed_and_closed_ones_left_as_they_are() -> None:
    hole = [[20, 20], [30, 20], [30, 30], [20, 30]]
    closed_hole = [*hole, hole[0]]
    polygon = {"type": "Polygon", "coordinates": [RING[:-1], hole]}
    assert one(feature(geometry=polygon))["geometry"]["coordinates"] == [RING, closed_hole]
    assert one(feature(geometry={"type": "Polygon", "coordinates": [RING]}))["geometry"]["coordinates"] == [
        RING
    ]
    parts = {
        "type": "MultiPolygon",
        "coordinates": [[RING[:-1], hole], [[[p + 100 for p in xy] for xy in RING]]],
    }
    found = one(feature(geometry=parts))["geometry"]["coordinates"]
    assert found[0] == [RING, closed_hole]
    assert found[1] == parts["coordinates"][1]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [3.25, 4]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
        {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
    ],
)
def test_points_and_lines_are_kept(geometry: dict[str, Any]) -> None:
    assert one(feature(geometry=geometry))["geometry"] == geometry


def test_the_input_is_not_written_into() -> None:
    source = feature(
        {"measurements": {"P(atypical)": 0.1}, "metadata": {"a": "b"}, **classification("Mitosis: Normal")},
        geometry={"type": "Polygon", "coordinates": [RING[:-1]], "plane": {"z": 1, "q": 2}},
    )
    candidates = parse(source)
    before = copy.deepcopy(candidates.items[0].feature)
    written(predict(candidates))
    assert candidates.items[0].feature == before


# Ids


def ids(*stated: str | None, slide: str = "a.svs") -> list[str]:
    candidates = [Candidate(s, float(i), 0.0, None, f"line {i}") for i, s in enumerate(stated)]
    return object_ids(candidates, slide)


def test_a_uuid_is_kept_as_it_stands() -> None:
    assert ids(ID, OTHER_ID.upper()) == [ID, OTHER_ID.upper()]
    assert "slidemitosis.source_id" not in one(feature())["properties"]["metadata"]


@pytest.mark.parametrize(
    "stated", ["detection_0", "7", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}#2", "µ"]
)
def test_an_id_that_qupath_would_drop_becomes_a_uuid_and_is_remembered(stated: str) -> None:
    first, again = (one(feature(id=stated)) for _ in "12")
    assert first["id"] == again["id"] != stated
    assert UUID(first["id"]).version == 5
    assert first["properties"]["metadata"]["slidemitosis.source_id"] == stated


def test_an_id_that_has_no_bytes_in_utf8_becomes_a_uuid_all_the_same() -> None:
    half = '"\\ud800"'  # of a surrogate pair, as JSON may hold it
    text = f'{{"type": "Feature", "id": {half}, "geometry": {json.dumps(POINT)}, "properties": {{}}}}'
    (made,) = object_ids(parse_geojson(text, path=PATH).items, "a.svs")
    assert str(UUID(made)) == made


def test_missing_ids_are_made_of_the_slide_and_the_place() -> None:
    made = ids(None, None, "a", "b")
    assert made == ids(None, None, "a", "b")
    assert len(set(made)) == 4
    assert {UUID(i).version for i in made} == {5}
    assert not set(made) & set(ids(None, None, "a", "b", slide="b.svs"))
    assert made[0] == "2eb1d99d-b88d-514e-8183-14f514e46b54"  # on every machine, in every version


def test_the_order_of_other_candidates_does_not_change_a_made_id() -> None:
    assert ids("a", "b", ID)[:2] == ids("b", "a")[::-1]


@given(
    st.lists(
        st.sampled_from([None, "a", "b", "", ID, ID.upper(), OTHER_ID, *ids(ID, ID, ID)[1:]]), max_size=12
    )
)
def test_no_two_objects_share_an_id(stated: list[str | None]) -> None:
    """Not even where a file was merged with an earlier result, which holds ids that we have made."""
    made = ids(*stated)
    assert len({UUID(i) for i in made}) == len(stated)
    assert ids(*stated) == made
    assert ids(*made) == made


def test_candidates_without_id_at_one_place_get_two_ids() -> None:
    candidates = [Candidate(None, 5.0, 6.0, None, f"line {i}") for i in (2, 3)]
    assert len(set(object_ids(candidates, "a.svs"))) == 2


def test_the_first_of_two_with_one_id_keeps_it() -> None:
    first, second = qupath_features(written(predict(parse(feature(), feature()))))
    assert first["id"] == ID != second["id"]
    assert second["properties"]["metadata"]["slidemitosis.source_id"] == ID


def test_an_object_that_a_run_has_made_keeps_its_id_though_the_slide_has_another_name() -> None:
    made = feature({"metadata": {"slidemitosis.source_id": f"{OTHER_ID}#2"}}, id=ID)
    assert [object_ids(parse(made).items, name) for name in ("a.svs", "renamed.svs")] == [[ID], [ID]]


def test_the_points_of_one_object_become_objects_of_their_own() -> None:
    geometry = {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]], "plane": {"c": 0, "z": 1, "t": 0}}
    found = qupath_features(
        written(predict(parse(feature({"name": "both"}, geometry=geometry)), [True, None]))
    )
    assert [f["geometry"]["coordinates"] for f in found] == [[1, 2], [3, 4]]
    assert len({f["id"] for f in found}) == 2
    for f in found:
        assert f["geometry"]["plane"] == {"c": 0, "z": 1, "t": 0}
        assert f["properties"]["name"] == "both"


# Tables


def test_a_candidate_of_a_table_gets_a_circle_around_its_place_in_the_file() -> None:
    table = "id,x,y,class\nfirst,100.5,200,Mitosis\n,300,400.25,\n"
    candidates = parse_table(table, path=Path("a.csv"))
    found = qupath_features(written(predict(candidates, [True, None])))
    for f, c in zip(found, candidates, strict=True):
        circle = shapely.geometry.shape(f["geometry"])
        assert (circle.centroid.x, circle.centroid.y) == pytest.approx((c.x, c.y), abs=0.01)
        x0, y0, x1, y1 = circle.bounds
        assert (x1 - x0, y1 - y0) == pytest.approx((12.5 * 4, 12.5 * 2), abs=0.02)  # 12.5 um in x and in y
        assert f["properties"]["objectType"] == "detection"
    assert found[0]["properties"]["classification"]["names"] == ["Mitosis", "Atypical"]
    assert found[0]["properties"]["metadata"]["slidemitosis.source_id"] == "first"
    assert found[1]["properties"]["classification"]["names"] == ["Mitosis"]


def test_the_circle_lies_in_the_frame_of_the_file_and_not_of_the_slide() -> None:
    (c,) = parse_table("x,y\n100,200\n", path=Path("a.csv"))
    placed = PlacedCandidate(c, ID, frame_x=50, frame_y=60, x=1050, y=2060)
    (found,) = qupath_features(written([CandidateResult(placed, "outside", "off", None)]))
    centre = shapely.geometry.shape(found["geometry"]).centroid
    assert (centre.x, centre.y) == pytest.approx((50, 60), abs=0.01)


# Objects that count from elsewhere than the points file

shifts = st.tuples(st.integers(-200_000, 200_000), st.integers(-200_000, 200_000))
hundredths = st.integers(0, 20_000_000).map(lambda n: n / 100)  # as QuPath writes coordinates


def positions(value: Any) -> list[list[float]]:
    if isinstance(value, dict):
        parts = (positions(value[k]) for k in ("geometry", "nucleusGeometry", "coordinates") if k in value)
        return [p for part in parts for p in part]
    return [value] if not isinstance(value[0], list) else [p for inner in value for p in positions(inner)]


@given(hundredths, hundredths, shifts)
def test_moving_there_and_back_changes_no_digit(x: float, y: float, shift: tuple[int, int]) -> None:
    source = feature(geometry={"type": "Point", "coordinates": [x, y, 3]}, bbox=[x, y, x, y])
    away = one(source, shift=shift)
    assert away["geometry"]["coordinates"] == [
        pytest.approx(x + shift[0], abs=1e-6),
        pytest.approx(y + shift[1], abs=1e-6),
        3,
    ]
    assert away["bbox"] == [*away["geometry"]["coordinates"][:2], *away["geometry"]["coordinates"][:2]]
    back = one(away, shift=(-shift[0], -shift[1]))
    assert back["geometry"]["coordinates"] == [x, y, 3]
    assert back["bbox"] == [x, y, x, y]


@pytest.mark.parametrize("name", ["export-0.4.4.geojson", "export-0.5.1.geojson", "export-0.6.geojson"])
def test_every_kind_of_object_is_moved_whole(name: str) -> None:
    path = EXPORTS / name
    if not path.exists():
        pytest.skip(f"{name} of the shared data is not here")
    predictions = predict(read_candidates(path))
    stay, away = (
        qupath_features(written(predictions)),
        qupath_features(written(predictions, shift=(549, -277))),
    )
    assert stay
    for a, b in zip(stay, away, strict=True):
        for p, q in zip(positions(a), positions(b), strict=True):
            assert q == [pytest.approx(p[0] + 549, abs=1e-6), pytest.approx(p[1] - 277, abs=1e-6), *p[2:]]
            assert max(len(repr(v).split(".")[-1]) for v in q[:2]) <= 6
        assert {k: v for k, v in a.items() if "eometry" not in k} == {
            k: v for k, v in b.items() if "eometry" not in k
        }
        assert {k: v for k, v in a["geometry"].items() if k != "coordinates"} == {
            k: v for k, v in b["geometry"].items() if k != "coordinates"
        }


@given(st.floats(0, 1e5, allow_subnormal=False), st.floats(0, 1e5, allow_subnormal=False))
def test_coordinates_that_stay_are_written_as_they_were_read(x: float, y: float) -> None:
    """A detector's many decimals too: rounding is for what is moved."""
    assert one(feature(geometry={"type": "Point", "coordinates": [x, y]}))["geometry"]["coordinates"] == [
        x,
        y,
    ]


def test_whole_numbers_stay_whole_and_a_box_that_cannot_be_moved_is_dropped() -> None:
    away = one(feature(bbox=[1, 2, 3]), shift=(100, 200))
    assert away["geometry"]["coordinates"][0][0] == [110, 210]
    assert isinstance(away["geometry"]["coordinates"][0][0][0], int)
    assert "bbox" not in away
    assert one(feature(bbox=[1, 2, 3]))["bbox"] == [1, 2, 3]
    boxed = feature(geometry={"type": "Polygon", "coordinates": [RING], "bbox": [10, 10, 0, 60, 60, 5]})
    assert one(boxed, shift=(1, 2))["geometry"]["bbox"] == [11, 12, 0, 61, 62, 5]


# The text, and runs on our own output


def test_each_object_stands_on_a_line_of_its_own() -> None:
    predictions = predict(parse(feature({"name": "a\nb"}), feature(id=OTHER_ID)))
    lines = written(predictions).splitlines()
    assert lines[0] == '{"type":"FeatureCollection","features":['
    assert lines[-1] == "]}"
    assert [json.loads(line.removesuffix(","))["id"] for line in lines[1:-1]] == [ID, OTHER_ID]


def test_no_objects_are_an_empty_collection() -> None:
    assert qupath_features(written([])) == []


def test_a_probability_that_is_no_number_is_never_written() -> None:
    (prediction,) = predict(parse(feature()))
    object.__setattr__(prediction.prediction, "probability", math.nan)
    with pytest.raises(ValueError, match="JSON compliant"):
        written([prediction])


ALL_KINDS = [
    feature({"measurements": {"Area": 1.5, "odd": math.nan}, **classification("Tumor: Mitosis")}),
    feature(
        {"classification": {"name": "Mitosis", "colorRGB": -3670016}, "type": "detection"}, id="detection_0"
    ),
    feature(
        {"measurements": [{"name": "a", "value": 2}], "metadata": {"k": "v"}}, id=None, bbox=[1, 2, 3, 4]
    ),
    feature(
        {"name": "points"}, geometry={"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, id=OTHER_ID
    ),
    feature(
        classification("Mitosis: Atypical"),
        geometry={
            "type": "Polygon",
            "coordinates": [RING[:-1]],
            "plane": {"z": 1, "n": 2},
            "isEllipse": True,
        },
        nucleusGeometry={"type": "Polygon", "coordinates": [RING[:-1]]},
    ),
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [7, 8]}, "objectType": "annotation"},
]


@pytest.mark.parametrize("upsampled", [True, False])
def test_a_run_on_our_own_output_gives_the_same_bytes(upsampled: bool) -> None:
    calls = [True, False, None, True, None, False, True]
    first = written(predict(parse(*ALL_KINDS), calls), upsampled=upsampled)
    again = written(predict(parse_geojson(first, path=PATH), calls), upsampled=upsampled)
    assert again == first


def test_a_run_on_our_own_output_for_a_table_gives_the_same_bytes() -> None:
    table = parse_table("id,x,y,class\nfirst,100.5,200,Mitosis\n,300,400.25,\n", path=Path("a.csv"))
    first = written(predict(table, [True, False]))
    assert written(predict(parse_geojson(first, path=PATH), [True, False])) == first


@given(
    first=st.lists(st.sampled_from([True, False, None]), min_size=7, max_size=7),
    second=st.lists(st.sampled_from([True, False, None]), min_size=7, max_size=7),
)
def test_what_an_earlier_run_said_does_not_show_in_a_later_one(
    first: list[bool | None], second: list[bool | None]
) -> None:
    """But for the colour that a class had before, which is lost."""

    def told(text: str) -> list[dict[str, Any]]:
        features = qupath_features(text)
        for f, call in zip(features, second, strict=True):
            if call is None:
                del f["properties"]["classification"]["color"]
        return features

    direct = written(predict(parse(*ALL_KINDS), second), upsampled=False)
    earlier = written(predict(parse(*ALL_KINDS), first), model="older 0", upsampled=True)
    later = written(predict(parse_geojson(earlier, path=PATH), second), upsampled=False)
    assert told(later) == told(direct)


def test_a_figure_that_is_no_longer_readable_loses_what_was_said_of_it() -> None:
    earlier = written(predict(parse(feature(classification("Mitosis")))), upsampled=True)
    (found,) = qupath_features(written(predict(parse_geojson(earlier, path=PATH), [None])))
    assert found["properties"]["classification"] == {"names": ["Mitosis"], "color": None}
    assert "measurements" not in found["properties"]
    assert found["properties"]["metadata"]["slidemitosis.status"] == "unreadable"
    assert "slidemitosis.upsampled" not in found["properties"]["metadata"]


# Files that QuPath itself has written


@pytest.mark.parametrize(
    "name",
    [
        "export-0.4.4.geojson",
        "export-0.5.1.geojson",
        "export-0.5.1-bare-array.geojson",
        "export-0.5.1-no-measurements.geojson.gz",
        "export-0.5.1-one-feature.geojson",
        "export-0.6.geojson",
    ],
)
@pytest.mark.parametrize("call", [True, False, None])
def test_what_qupath_has_written_survives(name: str, call: bool | None) -> None:
    path = EXPORTS / name
    if not path.exists():
        pytest.skip(f"no QuPath export at {path}")
    candidates = read_candidates(path)
    text = written(predict(candidates, [call] * len(candidates)))
    found = qupath_features(text)
    assert len(found) == len(candidates) > 0
    for f, c in zip(found, candidates, strict=True):
        assert c.feature is not None
        assert f["geometry"] == c.feature["geometry"]
        assert f.get("nucleusGeometry") == c.feature.get("nucleusGeometry")
        assert f["id"] == c.id or "#" in str(c.id)
        was, now = c.feature["properties"], f["properties"]
        for key in ("objectType", "name", "color", "isLocked"):
            assert now.get(key) == was.get(key)
        numbers = {
            k: v
            for k, v in was.get("measurements", {}).items()
            if isinstance(v, int | float) and math.isfinite(v)
        }
        probability = {} if call is None else {**CALLED, "P(atypical)": 0.93 if call else 0.07}
        assert now.get("measurements", {}) == numbers | probability
        if call is None and "classification" in was:
            assert now["classification"]["color"] == was["classification"]["color"]
            assert ": ".join(now["classification"]["names"]) == c.class_name
    again = written(predict(parse_geojson(text, path=PATH), [call] * len(candidates)))
    assert again == text


BOW_TIE = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]


@pytest.mark.parametrize(
    ("geometry", "area"),
    [
        ({"type": "Polygon", "coordinates": [BOW_TIE]}, 50),
        # A hole that lies outside, a part that covers another, and a bow-tie beside a sound part.
        ({"type": "Polygon", "coordinates": [RING, [[900, 900], [910, 900], [910, 910], [900, 900]]]}, None),
        (
            {
                "type": "MultiPolygon",
                "coordinates": [
                    [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]],
                    [[[5, 0], [15, 0], [15, 10], [5, 10], [5, 0]]],
                ],
            },
            150,
        ),
    ],
)
def test_an_outline_that_would_end_the_import_is_repaired_and_said_so(
    geometry: dict[str, Any], area: float | None
) -> None:
    found = one(feature(geometry=geometry))
    outline = shapely.geometry.shape(found["geometry"])
    assert outline.is_valid
    assert area is None or outline.area == pytest.approx(area)
    assert found["properties"]["metadata"]["slidemitosis.geometry"] == "repaired"
    assert one(found) == found


@pytest.mark.parametrize("ring", [[[30, 40]], [[30, 40]] * 4, [[25, 40], [35, 40], [25, 40]]])
def test_an_outline_of_a_pixel_or_two_becomes_a_circle(ring: list[list[float]]) -> None:
    written_as = one(feature(geometry={"type": "Polygon", "coordinates": [ring]}))
    assert (
        written_as["geometry"]
        == one(feature(geometry={"type": "Polygon", "coordinates": [LINE]}))["geometry"]
    )
    cell = one(feature(nucleusGeometry={"type": "Polygon", "coordinates": [ring]}))
    assert "nucleusGeometry" not in cell
    assert cell["geometry"]["coordinates"] == [RING]


def test_an_outline_without_an_area_becomes_a_circle_around_its_centre() -> None:
    found = one(feature(geometry={"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [20, 0], [0, 0]]]}))
    outline = shapely.geometry.shape(found["geometry"])
    assert outline.is_valid
    assert (outline.centroid.x, outline.centroid.y) == pytest.approx((10, 0), abs=0.01)


def test_a_sound_outline_is_not_said_to_be_repaired() -> None:
    assert "slidemitosis.geometry" not in one(feature())["properties"]["metadata"]
