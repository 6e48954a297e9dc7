"""Lossless: what is no business of ours comes out as it went in, digit for digit, and QuPath reads it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import read_candidates, select_candidates
from slidemitosis.candidates.formats import geojson
from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.table import parse_table
from slidemitosis.outputs.objects import feature_collection, qupath_feature
from tests.conftest import needs_shared
from tests.outputs.test_objects import predict
from tests.qupath_rules import check_object, qupath_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates import Candidates
    from slidemitosis.prediction import CandidateResult

PATH = Path("a.geojson")
ID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"
SQUARE = {"type": "Polygon", "coordinates": [[[10, 10], [60, 10], [60, 60], [10, 60], [10, 10]]]}
INSIDE = {"type": "Polygon", "coordinates": [[[20, 20], [40, 20], [40, 40], [20, 20]]]}
OURS = ("P(atypical)", "Call threshold", "slidemitosis.")


class Digits(str):
    """A number as it is written."""

    __slots__ = ()


def exact(text: str | bytes) -> Any:
    """What a JSON text says, its numbers as they are written."""
    return json.loads(text, parse_float=Digits, parse_int=Digits, parse_constant=Digits)


def rendered(value: Any, style: str = "compact") -> str:
    """JSON in which a `Digits` is a number; pairs may stand for an object, so that a key can stand twice."""
    between, colon, opening, closing = {
        "compact": (",", ":", "", ""),
        "spaced": (", ", ": ", "", ""),
        "pretty": (",\n  ", ": ", "\n  ", "\n"),
    }[style]
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, list):
        inner = between.join(rendered(part, style) for part in value)
        return f"[{opening}{inner}{closing}]" if value else "[]"
    if isinstance(value, dict | tuple):
        pairs = value.items() if isinstance(value, dict) else value
        inner = between.join(
            f"{json.dumps(k, ensure_ascii=False)}{colon}{rendered(v, style)}" for k, v in pairs
        )
        return f"{{{opening}{inner}{closing}}}"
    return json.dumps(value, ensure_ascii=False)


def collection(*features: Any, style: str = "compact") -> str:
    return rendered({"type": "FeatureCollection", "features": list(features)}, style)


def feature(properties: Any = None, **keys: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": ID, "geometry": SQUARE, "properties": properties or {}} | keys


def parse(*features: Any, style: str = "compact") -> Candidates:
    return parse_geojson(collection(*features, style=style), path=PATH)


def written(
    predictions: Sequence[CandidateResult],
    *,
    taken: Sequence[str | None] = (),
    shift: tuple[int, int] = (0, 0),
) -> bytes:
    """The text of the objects, one a line, which QuPath can read."""
    features = (
        qupath_feature(
            p,
            model="m 1",
            threshold=0.5,
            upsampled=False,
            pixels_per_um=(4.0, 4.0),
            taken=taken,
            shift=shift,
        )
        for p in predictions
    )
    text = b"".join(feature_collection(features))
    assert len(qupath_features(text)) == len(predictions)
    assert text.count(b"\n") == max(len(predictions), 1) + 2
    return text


def run(candidates: Candidates, calls: Sequence[bool | None] | None = None) -> bytes:
    """What comes out of a run on these candidates, whichever their classes are."""
    return written(predict(candidates, calls))


def again(text: bytes, calls: Sequence[bool | None] | None = None) -> bytes:
    return run(parse_geojson(text, path=PATH), calls)


def one(source: Any, call: bool | None = True, *, style: str = "compact") -> dict[str, Any]:
    """The exact object that comes out for one feature, in a run and in a run on that."""
    text = run(parse(source, style=style), [call])
    assert again(text, [call]) == text
    (found,) = exact(text)["features"]
    assert isinstance(found, dict)
    return found


def assert_survives(out: dict[str, Any], source: dict[str, Any]) -> None:
    """But for class, metadata and measurements of ours, and what ends QuPath's import."""
    was, now = source.get("properties") or {}, out["properties"]
    assert out["geometry"] == source["geometry"]
    assert out.get("nucleusGeometry") == source.get("nucleusGeometry")
    moved = {"id", "geometry", "nucleusGeometry", "properties", "objectType", "object_type"}
    foreign = {k: v for k, v in source.items() if k not in moved and v is not None}
    assert {k: v for k, v in out.items() if k not in moved} == foreign
    replaced = {"type", "object_type", "objectType", "classification", "measurements", "metadata"}
    kept = {k: v for k, v in was.items() if k not in replaced and v is not None}
    assert {k: v for k, v in now.items() if k not in replaced} == kept
    # A detector's score is seen in QuPath as a measurement.
    scores = {k: was[k] for k in ("probability",) if k in was}
    expected = dict(finite(scores)) | dict(finite(was.get("measurements")))
    assert finite(now.get("measurements")) == list(expected.items())
    assert theirs(now["metadata"]) == theirs(was.get("metadata") or {})


def theirs(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata without ours."""
    return {k: v for k, v in metadata.items() if not k.startswith(OURS)}


def finite(measurements: Any) -> list[tuple[str, str]]:
    """Name and digits of the measurements that are numbers, but ours, in their order."""
    if isinstance(measurements, list):
        measurements = {m["name"]: m.get("value") for m in measurements}
    return [
        (k, v)
        for k, v in (measurements or {}).items()
        if isinstance(v, Digits) and math.isfinite(float(v)) and not k.startswith(OURS)
    ]


# Files that QuPath has written, and files as its versions write them

EXPORTS = [
    "export-0.4.4.geojson",
    "export-0.5.1.geojson",
    "export-0.5.1-bare-array.geojson",
    "export-0.5.1-one-feature.geojson",
    "export-0.6.geojson",
]


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("call", [True, False, None])
def test_every_digit_that_qupath_has_written_comes_out(name: str, call: bool | None) -> None:
    path = needs_shared("data", "qupath", name)
    document = exact(path.read_bytes())
    listed = document.get("features", [document]) if isinstance(document, dict) else document
    candidates = read_candidates(path)
    text = run(candidates, [call] * len(candidates))
    assert again(text, [call] * len(candidates)) == text
    for out, candidate in zip(exact(text)["features"], candidates, strict=True):
        number, *point = re.findall(r"\d+", candidate.source)
        source = listed[int(number) - 1]
        if point:
            geometry = source["geometry"]
            place = geometry["coordinates"][int(point[0]) - 1]
            source = source | {"geometry": geometry | {"type": "Point", "coordinates": place}}
        assert_survives(out, source)
        assert out["properties"]["objectType"] == source["properties"]["objectType"]
        assert point or out["id"] == source["id"]


WRITTEN_BY = {
    "0.3": feature(
        {
            "object_type": "detection",
            "name": "figure µ",
            "color": [Digits("1"), Digits("2"), Digits("3")],
            "classification": {"name": "Tumor: Mitosis", "colorRGB": Digits("-3670016")},
            "isLocked": True,
            "measurements": [
                {"name": "Area µm^2", "value": Digits("12.50")},
                {"name": "not known", "value": Digits("NaN")},
                {"name": "Tiny", "value": Digits("1.0E-7")},
            ],
        },
        id="PathDetectionObject",
    ),
    "0.4": feature(
        {
            "objectType": "cell",
            "classification": {"name": "Mitosis", "color": [Digits("200"), Digits("0"), Digits("0")]},
            "measurements": {"Area": Digits("12.50"), "not known": Digits("NaN"), "Zero": Digits("-0.0")},
        },
        geometry=SQUARE | {"plane": {"c": -1, "z": 2, "t": 1}},
        nucleusGeometry=INSIDE | {"plane": {"c": -1, "z": 2, "t": 1}},
    ),
    "0.5": feature(
        {
            "objectType": "detection",
            "classification": {"names": ["Tumor", "Mitosis"], "color": [1, 2, 3, 128]},
            "measurements": {"Area": Digits("12.5"), "not known": "NaN"},
        },
        geometry=SQUARE | {"isEllipse": True},
    ),
    "0.7": feature(
        (
            ("objectType", "annotation"),
            ("name", "m"),
            ("color", [Digits("200"), Digits("0"), Digits("0")]),
            ("classification", {"names": ["Tumor", "Mitosis"], "color": [200, 0, 0]}),
            ("isLocked", True),
            ("measurements", {"P": Digits("0.930"), "not known": "NaN"}),
            ("metadata", {"ANNOTATION_DESCRIPTION": "seen", "b": "2"}),
            ("metadata", {"ANNOTATION_DESCRIPTION": "seen", "b": "2"}),
        )
    ),
}


@pytest.mark.parametrize("version", WRITTEN_BY)
@pytest.mark.parametrize("style", ["compact", "spaced", "pretty"])
@pytest.mark.parametrize("call", [True, None])
def test_files_as_each_version_writes_them_come_out_whole(
    version: str, style: str, call: bool | None
) -> None:
    source = WRITTEN_BY[version]
    out = one(source, call, style=style)
    assert_survives(out, exact(rendered(source)))
    assert out["properties"]["objectType"] == {"0.4": "cell", "0.7": "annotation"}.get(version, "detection")
    classification = out["properties"]["classification"]
    base = ["Mitosis"] if version == "0.4" else ["Tumor", "Mitosis"]
    assert classification["names"] == [*base, "Atypical"] if call else base
    if call is None:
        colours = {"0.3": "200 0 0", "0.4": "200 0 0", "0.5": "1 2 3 128", "0.7": "200 0 0"}
        assert " ".join(classification["color"]) == colours[version]


@pytest.mark.parametrize("unknown", ["NaN", "Infinity", '"NaN"', "null", "1e999"])
def test_a_measurement_that_is_not_known_is_absent_which_every_version_reads_as_nan(unknown: str) -> None:
    """QuPath 0.4 fails at a map that holds NaN, and at text in one; 0.5 and later write the text."""
    measurements = {"Area": Digits("1.50"), "odd": Digits(unknown), "n": Digits("2")}
    out = one(feature({"measurements": measurements}), None)
    assert out["properties"]["measurements"] == {"Area": "1.50", "n": "2"}


def test_metadata_that_stand_twice_come_out_once_as_qupath_reads_them() -> None:
    """QuPath writes the same map twice, of a core; where two differ, it reads the last, as json does."""
    source = feature((("metadata", {"a": "1", "b": "2"}), ("metadata", {"b": "3"})))
    assert theirs(one(source)["properties"]["metadata"]) == {"b": "3"}


# Whatever a feature holds

DIGITS = st.one_of(
    st.sampled_from(["10.10", "-0.0", "1e-7", "1E+5", "100.000", "123456789012345678901234567890", "0"]),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
).map(Digits)
RESERVED = {
    *("type", "id", "geometry", "nucleusGeometry", "properties", "objectType", "object_type", "bbox"),
    *("name", "color", "classification", "measurements", "metadata", "childObjects", "children", "plane"),
    *("isEllipse", "coordinates"),
}
NAMES = st.text(max_size=8) | st.sampled_from(["µ", 'a"b', "a:b", "NaN", "probability", " ", "\\"])
UNKNOWN_NAMES = NAMES.filter(lambda name: name not in RESERVED)
VALUES = st.recursive(
    st.booleans() | NAMES | DIGITS,
    lambda inner: (
        st.lists(inner | st.none(), max_size=3) | st.dictionaries(NAMES, inner | st.none(), max_size=3)
    ),
    max_leaves=8,
)
UNKNOWN: st.SearchStrategy[dict[str, Any]] = st.dictionaries(UNKNOWN_NAMES, VALUES, max_size=3)
PLANES = st.fixed_dictionaries(
    {"z": st.integers(0, 30).map(lambda z: Digits(str(z)))},
    optional={"c": st.just(Digits("-1")), "t": st.just(Digits("0"))},
)


@st.composite
def decimals(draw: st.DrawFn, value: float) -> Digits:
    """A number near `value` as one program or another writes it."""
    form = draw(st.sampled_from(["{:.2f}", "{:.0f}", "{:.10f}", "{!r}", "{:.8e}"]))
    return Digits(form.format(value))


@st.composite
def rings(draw: st.DrawFn, x: float, y: float, radius: float) -> list[list[Digits]]:
    """A star around a place, closed by the text of its first corner: valid whatever its decimals are."""
    corners = draw(st.integers(3, 9))
    lifted = draw(st.booleans())
    ring = []
    for corner in range(corners):
        angle, away = 2 * math.pi * corner / corners, radius * draw(st.floats(0.8, 1.2))
        place = [draw(decimals(x + away * math.cos(angle))), draw(decimals(y + away * math.sin(angle)))]
        ring.append([*place, Digits("5.50")] if lifted else place)
    return [*ring, ring[0]]


@st.composite
def polygons(draw: st.DrawFn, x: float, y: float) -> list[Any]:
    hole = [draw(rings(x, y, 12.0))] if draw(st.booleans()) else []
    return [draw(rings(x, y, 100.0)), *hole]


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    x, y = draw(st.floats(-1e5, 1e5)), draw(st.floats(0, 1e5))
    point = st.builds(lambda a, b: [a, b], decimals(x), decimals(y))
    lines = st.builds(lambda a, b: [[Digits("0"), Digits("0")], [a, b]], decimals(x + 9), decimals(y + 9))
    coordinates = {
        "Point": point,
        "MultiPoint": st.lists(point, min_size=1, max_size=3),
        "LineString": lines,
        "MultiLineString": st.lists(lines, min_size=1, max_size=2),
        "Polygon": polygons(x, y),
        "MultiPolygon": st.builds(lambda a, b: [a, b], polygons(x, y), polygons(x + 900, y)),
    }
    kind = draw(st.sampled_from(sorted(coordinates)))
    more = draw(st.fixed_dictionaries({}, optional={"plane": PLANES, "isEllipse": st.booleans()}))
    return {"type": kind, "coordinates": draw(coordinates[kind]), **more, **draw(UNKNOWN)}


NUMBERS_BY_NAME = st.dictionaries(NAMES.filter(lambda name: not name.startswith(OURS)), DIGITS, max_size=4)


@st.composite
def features(draw: st.DrawFn) -> dict[str, Any]:
    """Any Feature that needs no repair."""
    listed = NUMBERS_BY_NAME.map(lambda m: [{"name": k, "value": v} for k, v in m.items()])
    colour = st.lists(st.integers(0, 255).map(lambda c: Digits(str(c))), min_size=3, max_size=3)
    properties: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "objectType": st.sampled_from(["detection", "annotation", "cell", "tile"]),
                "name": NAMES,
                "color": colour | st.just(Digits("-3670016")),
                "isLocked": st.booleans(),
                "classification": st.sampled_from(
                    [None, "Mitosis", {"name": "Mitosis"}, {"names": ["a", "MF"], "color": [1, 2, 3]}]
                ),
                "measurements": NUMBERS_BY_NAME | listed,
                "metadata": st.dictionaries(NAMES, NAMES, max_size=3),
            },
        )
    )
    properties |= draw(UNKNOWN)
    found: dict[str, Any] = {"type": "Feature", "geometry": draw(geometries()), "properties": properties}
    found |= draw(UNKNOWN)
    if draw(st.booleans()):
        found["id"] = draw(st.uuids().map(str) | NAMES)
    if found["geometry"]["type"] == "Polygon" and draw(st.booleans()):
        found["nucleusGeometry"] = draw(geometries())
    keys = draw(st.permutations(list(found)))
    return {key: found[key] for key in keys}


STYLES = st.sampled_from(["compact", "spaced", "pretty"])
CALLS = st.sampled_from([True, False, None])


@given(features(), STYLES, CALLS)
def test_any_feature_survives_digit_for_digit_and_twice(
    source: dict[str, Any], style: str, call: bool | None
) -> None:
    candidates = parse(source, style=style)
    text = run(candidates, [call] * len(candidates))
    assert again(text, [call] * len(candidates)) == text
    found = exact(text)["features"]
    places = [source["geometry"]]
    if source["geometry"]["type"] == "MultiPoint":
        points = source["geometry"]["coordinates"]
        places = [source["geometry"] | {"type": "Point", "coordinates": point} for point in points]
    for out, place in zip(found, places, strict=True):
        assert_survives(out, exact(rendered(source | {"geometry": place})))
        stated = source["properties"].get("objectType")
        assert out["properties"].get("objectType") == stated


@given(st.lists(features(), max_size=6), STYLES, st.booleans())
def test_the_quick_and_the_careful_reader_agree(sources: list[dict[str, Any]], style: str, nan: bool) -> None:
    """To the last bit of a centre, of which ids are made."""
    if nan:
        sources = [s | {"later": Digits("NaN")} for s in sources]
    found = parse(*sources, style=style)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geojson, "read_quickly", lambda texts, *, first: [None] * len(texts))
        careful = parse(*sources, style=style)
    for a, b in zip(found, careful, strict=True):
        said = [(c.id, c.x, c.y, c.class_name, c.source, c.extent, bytes(c.text or b"")) for c in (a, b)]
        assert said[0] == said[1]
        if a.sound:
            assert written(predict([a])) == written(predict([b]))


def test_the_usual_features_are_read_quickly() -> None:
    usual = [feature(WRITTEN_BY[v]["properties"], geometry=SQUARE) for v in ("0.3", "0.4", "0.5", "0.7")]
    assert all(c.sound for c in parse(*usual, WRITTEN_BY["0.4"]))


# What QuPath would fail at

OPEN = [[10, 10], [60, 10], [60, 60], [10, 60]]


@pytest.mark.parametrize("number_text", ["10.10", "1e1", "10.000", "1.0E1"])
def test_a_ring_that_has_to_be_closed_keeps_its_digits(number_text: str) -> None:
    ring = [[Digits(number_text), Digits("10.0")], *OPEN[1:]]
    out = one(feature(geometry={"type": "Polygon", "coordinates": [ring]}))
    closed = exact(rendered([*ring, ring[0]]))
    assert out["geometry"]["coordinates"] == [closed]
    assert "slidemitosis.geometry" not in out["properties"]["metadata"]


def test_a_repaired_outline_has_no_heights() -> None:
    """At the corners that a repair makes there would be none, which is NaN."""
    crossing = [[0, 0, 1], [10, 10, 3], [10, 0], [0, 10, 4], [0, 0, 1]]
    out = one(feature(geometry={"type": "Polygon", "coordinates": [crossing], "isEllipse": True}))
    assert out["properties"]["metadata"]["slidemitosis.geometry"] == "repaired"
    assert set(out["geometry"]) == {"type", "coordinates"}
    corners = [point for part in out["geometry"]["coordinates"] for ring in part for point in ring]
    assert {len(point) for point in corners} == {2}


@pytest.mark.parametrize(
    ("plane", "kept"),
    [
        ({"c": -1, "z": 2, "t": 1, "name": "second"}, {"c": "-1", "z": "2", "t": "1"}),
        ({"z": None, "t": 1}, {"t": "1"}),
        ({"z": "1", "c": Digits("2.5"), "t": Digits("1.0")}, {"t": "1.0"}),
        ({"z": True, "t": Digits("1e20")}, {}),
    ],
)
def test_a_plane_keeps_what_qupath_reads_of_it(plane: dict[str, Any], kept: dict[str, str]) -> None:
    out = one(feature(geometry=SQUARE | {"plane": plane}, nucleusGeometry=INSIDE | {"plane": plane}))
    assert out["geometry"]["plane"] == out["nucleusGeometry"]["plane"] == kept


@pytest.mark.parametrize("value", [None, 1, "true", []])
def test_an_ellipse_that_is_neither_true_nor_false_is_no_ellipse(value: object) -> None:
    assert "isEllipse" not in one(feature(geometry=SQUARE | {"isEllipse": value}))["geometry"]


@pytest.mark.parametrize("colour", ["red", "#ff0000", True, ["1", "2", "3"], [1, 2, None], [math.nan, 1, 2]])
def test_a_colour_at_which_qupath_fails_is_left_out(colour: object) -> None:
    source = json.loads(json.dumps(feature({"color": colour, "name": "one"})))
    assert set(one(source)["properties"]) == {"name", "classification", "measurements", "metadata"}


@pytest.mark.parametrize("colour", [[1, 2, 3], [Digits("1.5"), 2, 3], [1, 2, 3, 4], [], {"r": 1}, -3670016])
def test_a_colour_that_qupath_reads_or_passes_over_is_kept(colour: object) -> None:
    assert one(feature({"color": colour}))["properties"]["color"] == exact(rendered(colour))


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ([1, 2, 3], ["1", "2", "3"]),
        ([1, 2, 3, 4], ["1", "2", "3", "4"]),
        ([200.0, 0.0, 0.0], ["200", "0", "0"]),
        *((odd, None) for odd in ([1, 2], ["a", 1, 2], "red", 5, [math.nan, 1, 2], [])),
    ],
)
def test_a_class_keeps_a_colour_that_qupath_reads(stated: object, kept: list[str] | None) -> None:
    source = json.loads(json.dumps(feature({"classification": {"name": "Mitosis", "color": stated}})))
    assert one(source, None)["properties"]["classification"]["color"] == kept


def test_a_name_that_is_no_text_becomes_text() -> None:
    assert one(feature({"name": {"a": [1, "b"]}}))["properties"]["name"] == '{"a":[1,"b"]}'
    assert one(feature({"name": Digits("7.50")}))["properties"]["name"] == "7.50"


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        (
            {"t": "x", "n": Digits("3.50"), "b": True, "l": [1, {"a": "b"}], "none": None},
            {"t": "x", "n": "3.50", "b": "true", "l": '[1,{"a":"b"}]'},
        ),
        ("free text", {"metadata": "free text"}),
        (["a", Digits("1.50")], {"metadata": '["a",1.50]'}),
    ],
)
def test_metadata_become_the_text_as_which_qupath_reads_them(stated: object, kept: dict[str, str]) -> None:
    out = one(feature({"metadata": stated}))
    assert theirs(out["properties"]["metadata"]) == kept


def test_half_a_surrogate_pair_comes_out_as_it_went_in() -> None:
    text = collection(feature({"name": "X", "X": ["X"], "measurements": {"X": 1}})).replace("X", r"\ud800")
    out = run(parse_geojson(text, path=PATH))
    assert out.count(rb"\ud800") == 4
    assert again(out) == out


def test_a_box_of_features_stays_and_is_moved_with_them() -> None:
    source = feature(bbox=[1, 2, Digits("3.50"), 4], geometry=SQUARE | {"bbox": [10, 10, 60, 60]})
    out = one(source)
    assert (out["bbox"], out["geometry"]["bbox"]) == (["1", "2", "3.50", "4"], ["10", "10", "60", "60"])
    (moved,) = exact(written(predict(parse(source)), shift=(100, -5)))["features"]
    assert (moved["bbox"], moved["geometry"]["bbox"]) == (
        ["101", "-3", "103.5", "-1"],
        ["110", "5", "160", "55"],
    )
    for odd in ([1, 2, 3], ["a", 1, 2, 3], [math.nan, 1, 2, 3], 5):
        candidates = parse_geojson(json.dumps([feature(bbox=odd)]), path=PATH)
        (moved,) = exact(written(predict(candidates), shift=(100, -5)))["features"]
        assert "bbox" not in moved


@given(features(), st.tuples(st.integers(-(10**5), 10**5), st.integers(-(10**5), 10**5)))
def test_a_shift_moves_every_place_and_nothing_else(source: dict[str, Any], shift: tuple[int, int]) -> None:
    predictions = predict(parse(source))
    stay, away = (qupath_features(written(predictions, shift=s)) for s in ((0, 0), shift))
    for a, b in zip(stay, away, strict=True):
        for name in ("geometry", "nucleusGeometry"):
            before, after = (positions(f[name]["coordinates"]) if name in f else [] for f in (a, b))
            assert len(before) == len(after)
            for p, q in zip(before, after, strict=True):
                moved = [p[0] + shift[0], p[1] + shift[1], *p[2:]]
                assert q == pytest.approx(moved, abs=1e-5)
        for f in (a, b):
            for name in ("geometry", "nucleusGeometry"):
                f.get(name, {}).pop("coordinates", None)
        assert a == b


def test_a_shift_moves_circles_and_the_objects_inside_others() -> None:
    inside = parse(child("Mitosis", 20, childObjects=[child("Spot", 21)]))
    table = parse_table("x,y\n100,200\n", path=Path("a.csv"))
    for predictions in (predict(inside)[:1], predict(table)):
        stay, away = (qupath_features(written(predictions, shift=s)) for s in ((0, 0), (1000, -2000)))
        for f, g in zip(every_object(stay[0]), every_object(away[0]), strict=True):
            before, after = (positions(h["geometry"]["coordinates"]) for h in (f, g))
            assert after == [pytest.approx([x + 1000, y - 2000], abs=1e-6) for x, y in before]


def every_object(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [one, *one["properties"].get("childObjects", [])]


def positions(coordinates: Any) -> list[list[float]]:
    if not isinstance(coordinates[0], list):
        return [coordinates]
    return [place for inner in coordinates for place in positions(inner)]


# Objects inside others

CHILD_ID = "781772d5-57cc-42a5-aa56-38426dee5228"


def child(class_name: str | None, x: float, **keys: Any) -> dict[str, Any]:
    ring = [[x, 10], [x + 8, 10], [x + 8, 18], [x, 10]]
    properties: dict[str, Any] = {"objectType": "detection", **keys}
    if class_name:
        properties["classification"] = {"name": class_name, "color": [1, 2, 3]}
    return {
        "type": "Feature",
        "id": CHILD_ID.replace("7817", f"{int(x):04d}"),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
    }


def nested(key: str = "childObjects") -> dict[str, Any]:
    """A core with a region, with two mitoses and another cell, one of them with a spot inside."""
    spotted = child("Mitosis", 20, **{key: [child("Spot", 21, measurements={"a": Digits("1.50")})]})
    region = child("Region", 10, **{key: [spotted, child("Tumor", 40), child("Mitosis", 60)]})
    return feature({"objectType": "tmaCore", key: [region]})


@pytest.mark.parametrize("key", ["childObjects", "children"])
def test_figures_inside_other_objects_are_found(key: str) -> None:
    candidates = parse(nested(key), child("Mitosis", 80))
    assert [(c.source, c.class_name) for c in candidates] == [
        ("feature 1, child 1", "Region"),
        ("feature 1, child 1, child 1", "Mitosis"),
        ("feature 1, child 1, child 1, child 1", "Spot"),
        ("feature 1, child 1, child 2", "Tumor"),
        ("feature 1, child 1, child 3", "Mitosis"),
        ("feature 2", "Mitosis"),
    ]
    assert [round(c.x) for c in candidates] == [15, 25, 26, 45, 65, 85]
    inside = parse(child("Mitosis", 10, **{key: [child("Mitosis", 20)]}), child("Mitosis", 80))
    assert [c.source for c in inside] == ["feature 1", "feature 1, child 1", "feature 2"]


@pytest.mark.parametrize("key", ["childObjects", "children"])
def test_what_is_inside_a_candidate_stays_there_unless_it_is_one(key: str) -> None:
    selection = select_candidates(parse(nested(key), child("Mitosis", 80)))
    text = written(predict(selection.candidates), taken=list(selection.taken))
    found = exact(text)["features"]
    assert [f["geometry"]["coordinates"][0][0][0] for f in found] == ["20", "60", "80"]
    (spot,) = found[0]["properties"][key]
    assert spot["properties"]["classification"] == {"names": ["Spot"], "color": ["1", "2", "3"]}
    assert spot["properties"]["measurements"] == {"a": "1.50"}
    second = select_candidates(parse_geojson(text, path=PATH))
    assert written(predict(second.candidates), taken=list(second.taken)) == text


def test_a_figure_inside_a_figure_stands_for_itself_alone() -> None:
    selection = select_candidates(parse(child("Mitosis", 20, childObjects=[child("Mitosis", 21)])))
    found = qupath_features(written(predict(selection.candidates), taken=list(selection.taken)))
    assert len(found) == 2
    assert not any("childObjects" in f["properties"] for f in found)


def test_an_object_inside_a_candidate_is_made_importable_too() -> None:
    odd = child("a: b", 20) | {"id": "no uuid", "bbox": None, "tool": Digits("1.10")}
    odd["properties"] |= {"name": None, "type": "detection", "metadata": {"n": 1}, "color": "red", "x": None}
    odd["properties"]["measurements"] = [
        {"name": "m", "value": Digits("2.50")},
        {"name": "n", "value": "NaN"},
    ]
    odd["geometry"]["coordinates"][0].pop()
    flat = child("Spot", 30)
    flat["geometry"]["coordinates"] = [[[0, 0], [1, 0], [2, 0], [0, 0]]]
    source = feature({"childObjects": [odd, flat]})
    (out,) = exact(written(predict([parse(source).items[0]])))["features"]
    (inside,) = out["properties"]["childObjects"]
    check_object(json.loads(rendered(inside)), child=True)
    assert inside["tool"] == "1.10"
    assert inside["properties"]["classification"]["names"] == ["a", "b"]
    assert inside["properties"]["measurements"] == {"m": "2.50"}
    assert inside["properties"]["metadata"] == {"n": "1"}


def test_a_list_of_children_that_are_no_objects_is_left_out_where_qupath_would_fail_at_it() -> None:
    assert "children" not in one(feature({"children": ["a", "b"], "n": "m"}))["properties"]
    assert one(feature({"children": [], "n": "m"}))["properties"]["children"] == []
    assert one(feature({"children": "two"}))["properties"]["children"] == "two"
    both = one(feature({"children": ["a"], "childObjects": []}))["properties"]
    assert (both["children"], both["childObjects"]) == (["a"], [])


# Large files


def test_features_are_numbered_through_whatever_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson, "_CHUNK", 3)
    sources = [child("Mitosis", x) for x in range(10)]
    sources[4]["geometry"]["coordinates"][0].pop()  # left open: to be read with more care
    candidates = parse(*sources)
    assert [c.source for c in candidates] == [f"feature {n}" for n in range(1, 11)]
    assert [c.sound for c in candidates] == [n != 4 for n in range(10)]
    assert [c.x for c in candidates] == pytest.approx([x + 16 / 3 for x in range(10)])


def test_the_text_of_a_sound_outline_is_copied_and_never_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from slidemitosis.outputs import outlines

    monkeypatch.setattr(outlines, "_repaired", lambda *_: pytest.fail("the outline was looked at again"))
    assert one(child("Mitosis", 20))
