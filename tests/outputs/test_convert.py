"""`slidemitosis convert`: the same objects in the same places, in GeoJSON and in tables."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidemitosis.candidates import Candidate, read_candidates
from slidemitosis.errors import (
    InvalidOption,
    MissingResolution,
    OutputError,
    UnreadableCandidates,
    UnsettledOrigin,
)
from slidemitosis.files import csv_lines
from slidemitosis.geometry import PixelSize
from slidemitosis.outputs.convert import ToOrigin, convert_candidates
from tests.conftest import needs_shared, position_colours, write_aperio, write_points, write_scn, write_tiff

if TYPE_CHECKING:
    from collections.abc import Sequence

UUID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"
AT = (512, 256)  # px, where the bounds of the SCN begin


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [position_colours(640, 512)], mpp=0.5)


@pytest.fixture
def bounded(tmp_path: Path) -> Path:
    return write_scn(tmp_path / "a.scn", position_colours(640, 512), at=AT, collection=(2048, 1536))


def midog(path: Path, *boxes: list[float]) -> Path:
    document = {
        "images": [
            {"id": 1, "file_name": "a.tiff", "width": 2048, "height": 1536},
            {"id": 2, "file_name": "b.tiff", "width": 2048, "height": 1536},
        ],
        "categories": [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1 + i % 2, "bbox": box, "score": 0.5}
            for i, box in enumerate(boxes)
        ],
    }
    path.write_text(json.dumps(document))
    return path


def grand_challenge(path: Path) -> Path:
    points = [{"name": "mitotic figure", "point": [0.05, 0.1, 0], "probability": 0.75}]
    path.write_text(json.dumps({"type": "Multiple points", "points": points}))
    return path


def told(candidates: Sequence[Candidate]) -> list[tuple[Any, ...]]:
    """What a candidate is, wherever it was read from."""
    return [
        (
            c.id,
            c.x,
            c.y,
            c.class_name,
            c.feature["properties"].get("measurements", {}) if c.feature else {},
        )
        for c in candidates
    ]


def features(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["features"]
    return found


def test_boxes_become_objects_that_qupath_can_import(tmp_path: Path, slide: Path) -> None:
    source = midog(tmp_path / "m.json", [1200, 700, 1250, 750], [100, 200, 150, 250])
    found = convert_candidates(source, tmp_path / "m.geojson", slide=slide)
    assert (len(found.candidates), found.unit) == (2, "px")
    first, second = features(tmp_path / "m.geojson")
    ring = [[1200, 700], [1250, 700], [1250, 750], [1200, 750], [1200, 700]]
    assert first["geometry"] == {"type": "Polygon", "coordinates": [ring]}
    assert first["properties"] == {
        "objectType": "detection",
        "classification": {"names": ["mitotic figure"], "color": None},
        "measurements": {"score": 0.5},
        "metadata": {"slidemitosis.source_id": "0"},
    }
    assert second["properties"]["classification"]["names"] == ["hard negative"]
    assert len({first["id"], second["id"]}) == 2
    again = read_candidates(tmp_path / "m.geojson")
    assert told(again.items) == told(found.candidates.items)
    assert [c.extent for c in again] == [50, 50]


def test_points_in_millimetres_need_a_pixel_size_to_become_geojson(tmp_path: Path, slide: Path) -> None:
    source = grand_challenge(tmp_path / "gc.json")
    with pytest.raises(
        MissingResolution, match=r"gc\.json: is in um or mm, and what is written in px; pass --slide"
    ):
        convert_candidates(source, tmp_path / "none.geojson")
    for name, options, place in (
        ("by_slide", {"slide": slide}, [100, 200]),
        ("by_mpp", {"mpp": PixelSize(0.25, 0.2)}, [200, 500]),
        ("by_both", {"slide": slide, "mpp": PixelSize(0.25, 0.25)}, [200, 400]),
    ):
        convert_candidates(source, tmp_path / f"{name}.geojson", **options)
        (one,) = features(tmp_path / f"{name}.geojson")
        assert one["geometry"] == {"type": "Point", "coordinates": place}
        assert "id" not in one  # QuPath makes one
        assert one["properties"]["measurements"] == {"probability": 0.75}


def test_points_in_millimetres_stay_in_um_in_a_table_without_a_pixel_size(
    tmp_path: Path, slide: Path
) -> None:
    source = grand_challenge(tmp_path / "gc.json")
    assert convert_candidates(source, tmp_path / "um.csv").unit == "um"
    assert (tmp_path / "um.csv").read_text().splitlines() == [
        "id,class,x_um,y_um,probability",
        ",mitotic figure,50.0,100.0,0.75",
    ]
    assert convert_candidates(source, tmp_path / "px.csv", slide=slide).unit == "px"
    assert (tmp_path / "px.csv").read_text().splitlines()[1] == ",mitotic figure,100.0,200.0,0.75"


def test_a_slide_without_a_pixel_size_asks_for_it(tmp_path: Path) -> None:
    plain = write_tiff(tmp_path / "plain.tif", position_colours(640, 512))
    source = grand_challenge(tmp_path / "gc.json")
    with pytest.raises(MissingResolution, match=r"plain\.tif: no pixel size in its metadata; pass --mpp"):
        convert_candidates(source, tmp_path / "gc.geojson", slide=plain)
    assert convert_candidates(source, tmp_path / "gc.csv", slide=plain).unit == "um"


def test_a_pixel_size_for_candidates_in_px_is_refused(tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(1, 2)])
    with pytest.raises(InvalidOption, match=r"p\.geojson: is in px; leave --mpp out"):
        convert_candidates(points, tmp_path / "p.csv", mpp=PixelSize(0.25, 0.25))


def test_on_a_slide_with_bounds_it_must_be_said_what_the_target_counts_from(
    tmp_path: Path, bounded: Path
) -> None:
    source = midog(tmp_path / "m.json", [1200, 700, 1250, 750])
    with pytest.raises(UnsettledOrigin) as caught:
        convert_candidates(source, tmp_path / "m.geojson", slide=bounded)
    assert "640 x 512 px at x 512, y 256" in str(caught.value)
    assert "--to-origin bounds for QuPath" in str(caught.value)
    assert "--to-origin level0" in str(caught.value)
    assert not (tmp_path / "m.geojson").exists()
    whole = convert_candidates(source, tmp_path / "whole.geojson", slide=bounded, to_origin="level0")
    moved = convert_candidates(source, tmp_path / "moved.geojson", slide=bounded, to_origin="bounds")
    assert whole.counts_from == "the corner of the whole slide"
    assert moved.counts_from == "the corner of the bounds of a.scn, as QuPath does"
    (box,) = features(tmp_path / "moved.geojson")
    assert box["geometry"]["coordinates"][0][0] == [1200 - AT[0], 700 - AT[1]]
    assert [(c.x, c.y) for c in read_candidates(tmp_path / "whole.geojson")] == [(1225, 725)]
    assert [(c.x, c.y) for c in read_candidates(tmp_path / "moved.geojson")] == [(713, 469)]
    convert_candidates(source, tmp_path / "moved.csv", slide=bounded, to_origin="bounds")
    assert [(c.x, c.y) for c in read_candidates(tmp_path / "moved.csv")] == [(713, 469)]


def test_millimetres_are_counted_from_the_bounds_too(tmp_path: Path, bounded: Path) -> None:
    source = grand_challenge(tmp_path / "gc.json")
    convert_candidates(source, tmp_path / "gc.geojson", slide=bounded, to_origin="bounds")
    assert [(c.x, c.y) for c in read_candidates(tmp_path / "gc.geojson")] == [(200 - AT[0], 400 - AT[1])]


def test_what_may_count_from_either_corner_is_never_moved(tmp_path: Path, bounded: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(10, 20)])
    found = convert_candidates(points, tmp_path / "as.geojson", slide=bounded)
    assert found.counts_from == "where p.geojson counts from, which it does not say"
    assert [(c.x, c.y) for c in read_candidates(tmp_path / "as.geojson")] == [(10, 20)]
    for to_origin in get_args(ToOrigin):
        with pytest.raises(InvalidOption, match="does not say where it counts from"):
            convert_candidates(points, tmp_path / "b.geojson", slide=bounded, to_origin=to_origin)


def test_without_a_slide_it_is_said_that_bounds_matter(tmp_path: Path) -> None:
    source = grand_challenge(tmp_path / "gc.json")
    found = convert_candidates(source, tmp_path / "gc.geojson", mpp=PixelSize(0.25, 0.25))
    assert "a slide with bounds (MIRAX, Leica SCN) must be given by --slide" in found.counts_from


def test_bounds_of_no_slide_are_refused(tmp_path: Path) -> None:
    source = midog(tmp_path / "m.json")
    with pytest.raises(InvalidOption, match="the bounds are the slide's; pass --slide"):
        convert_candidates(source, tmp_path / "m.geojson", to_origin="bounds")


def test_a_slide_without_bounds_needs_no_origin(tmp_path: Path, slide: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(10, 20)])
    for number, to_origin in enumerate((None, *get_args(ToOrigin))):
        target = tmp_path / f"{number}.geojson"
        found = convert_candidates(points, target, slide=slide, to_origin=to_origin)
        assert found.counts_from == "the corner of a.svs, which has no bounds"
        assert [(c.x, c.y) for c in read_candidates(target)] == [(10, 20)]


def test_no_file_is_replaced(tmp_path: Path, slide: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(1, 2)])
    before = points.read_bytes()
    link = tmp_path / "link.geojson"
    link.symlink_to(points)
    for target in (points, link):
        with pytest.raises(OutputError, match="is an input, and would be replaced"):
            convert_candidates(points, target)
    other = write_points(tmp_path / "other.geojson", [])
    with pytest.raises(OutputError, match=r"other\.geojson: is there already"):
        convert_candidates(points, other)
    assert points.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("name", ["m.xml", "m.geojson.gz", "m", "m.tsv"])
def test_other_suffixes_are_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match=r"must be one of \.csv, \.geojson, \.json"):
        convert_candidates(write_points(tmp_path / "p.geojson", []), tmp_path / name)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        convert_candidates(write_points(tmp_path / "p.geojson", []), tmp_path / "no" / "m.csv")


def test_a_table_says_what_it_does_not_hold(tmp_path: Path, slide: Path) -> None:
    source = midog(tmp_path / "m.json", [1200, 700, 1250, 750])
    found = convert_candidates(source, tmp_path / "m.csv", slide=slide)
    assert (found.without_outline, found.without_text) == (1, 0)  # the id is in a column
    document = json.loads(source.read_text())
    document["annotations"][0]["labels"] = [1, 2]
    source.write_text(json.dumps(document))
    assert convert_candidates(source, tmp_path / "labels.csv", slide=slide).without_text == 1
    found = convert_candidates(source, tmp_path / "m.geojson", slide=slide)
    assert (found.without_outline, found.without_text) == (0, 0)


@pytest.mark.parametrize("name", ["x", "width", "id", "Class", "image", "color", "x_um", "  "])
def test_a_measurement_that_a_table_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    points = write_points(tmp_path / "p.geojson", [(1, 2)])
    document = json.loads(points.read_text())
    document["features"][0]["properties"]["measurements"] = {"score": 1, name: 2}
    points.write_text(json.dumps(document))
    with pytest.raises(InvalidOption, match=r"p\.csv: cannot be a table: .*; write \.geojson instead"):
        convert_candidates(points, tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    convert_candidates(points, tmp_path / "again.geojson")
    assert features(tmp_path / "again.geojson")[0]["properties"]["measurements"] == {"score": 1, name: 2}


def test_an_object_of_qupath_keeps_all_that_it_had(tmp_path: Path) -> None:
    ring = [[10, 10], [60, 10], [60, 60], [10, 60]]
    cell = {
        "type": "Feature",
        "id": UUID,
        "geometry": {"type": "Polygon", "coordinates": [ring], "plane": {"c": 0, "z": 1, "t": 0}},
        "nucleusGeometry": {"type": "Polygon", "coordinates": [[[20, 20], [30, 20], [30, 30], [20, 30]]]},
        "properties": {
            "objectType": "cell",
            "name": "one",
            "isLocked": True,
            "classification": {"name": "Tumor: Mitosis", "colorRGB": -3670016},
            "measurements": [{"name": "Area", "value": 3.5}, {"name": "Gone", "value": float("nan")}],
            "metadata": {"seen": "twice"},
        },
    }
    source = tmp_path / "q.geojson"
    source.write_text(json.dumps(cell))
    convert_candidates(source, tmp_path / "out.geojson")
    (out,) = features(tmp_path / "out.geojson")
    assert out["id"] == UUID
    assert out["geometry"] == {**cell["geometry"], "coordinates": [[*ring, ring[0]]]}  # type: ignore[dict-item]
    assert out["properties"] == {
        "objectType": "cell",
        "name": "one",
        "isLocked": True,
        "classification": {"names": ["Tumor", "Mitosis"], "color": [200, 0, 0]},
        "measurements": {"Area": 3.5},
        "metadata": {"seen": "twice"},
    }
    assert told(read_candidates(tmp_path / "out.geojson").items)[0][:4] == (UUID, 25, 25, "Tumor: Mitosis")


def test_an_outline_that_crosses_itself_is_repaired_for_qupath(tmp_path: Path) -> None:
    bow = '<Coordinate Order="0" X="0" Y="0"/><Coordinate Order="1" X="10" Y="10"/>'
    bow += '<Coordinate Order="2" X="10" Y="0"/><Coordinate Order="3" X="0" Y="10"/>'
    source = tmp_path / "bow.xml"
    source.write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="" Type="Polygon" PartOfGroup="None">'
        f"<Coordinates>{bow}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    convert_candidates(source, tmp_path / "bow.geojson")
    (out,) = features(tmp_path / "bow.geojson")
    assert out["geometry"]["type"] == "MultiPolygon"
    import shapely.geometry

    assert shapely.geometry.shape(out["geometry"]).is_valid


def test_the_table_of_ami_br_becomes_one_slides_objects(tmp_path: Path) -> None:
    source = needs_shared("data", "ami-br", "AMI-BR.csv")
    with pytest.raises(UnreadableCandidates, match="202 images"):
        convert_candidates(source, tmp_path / "all.geojson")
    slide = write_aperio(tmp_path / "04_stitched1.svs", [position_colours(640, 512)])
    found = convert_candidates(source, tmp_path / "one.geojson", slide=slide)
    assert len(found.candidates) == 319
    assert told(read_candidates(tmp_path / "one.geojson").items) == told(found.candidates.items)


@pytest.mark.parametrize("name", ["export-0.4.4.geojson", "export-0.5.1.geojson", "export-0.6.geojson"])
def test_exports_of_qupath_go_there_and_back(tmp_path: Path, name: str) -> None:
    source = needs_shared("data", "qupath", name)
    before = read_candidates(source).items
    convert_candidates(source, tmp_path / "out.geojson")
    after = read_candidates(tmp_path / "out.geojson").items
    assert [(c.id, c.x, c.y, c.class_name, c.extent) for c in after] == [
        (c.id, c.x, c.y, c.class_name, c.extent) for c in before
    ]
    # One object has two parts, which are one figure on a slide of so small pixels.
    slide = write_aperio(tmp_path / "a.svs", [position_colours(300, 200)], mpp=0.15)
    convert_candidates(source, tmp_path / "out.csv", slide=slide)
    table = read_candidates(tmp_path / "out.csv").items
    assert [(c.id, c.x, c.y, c.class_name) for c in table] == [(c.id, c.x, c.y, c.class_name) for c in before]


numbers = st.floats(-1e9, 1e9).map(lambda value: value + 0.0)  # no -0.0
words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
# What pandas and JSON write for no class is none, and a dictionary's text is its name.
NOTHING = ("unclassified", "none", "nan", "null", "<na>")
classes = st.none() | words.filter(lambda w: not set(':{["') & set(w) and w.casefold() not in NOTHING)


@st.composite
def objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(words.map(lambda w: f"m {w}"), max_size=3, unique_by=str.casefold))
    found = []
    for _ in range(draw(st.integers(0, 4))):
        class_name = draw(classes)
        x, y = draw(numbers), draw(numbers)
        geometry: dict[str, Any] = {"type": "Point", "coordinates": [x, y]}
        if draw(st.booleans()):
            x, y, side = (
                draw(st.integers(-9999, 9999)),
                draw(st.integers(-9999, 9999)),
                draw(st.integers(1, 99)),
            )
            ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
            geometry = {"type": "Polygon", "coordinates": [ring]}
        classification = {"classification": {"name": class_name, "color": None}} if class_name else {}
        measurements = {n: draw(numbers) for n in names if draw(st.booleans())}
        found.append(
            {
                "type": "Feature",
                "geometry": geometry,
                "properties": {"objectType": "detection", "measurements": measurements, **classification},
            }
            | ({"id": name} if (name := draw(st.none() | words | st.uuids().map(str))) else {})
        )
    return found


@settings(max_examples=60)
@given(objects(), st.sampled_from([".geojson", ".json", ".csv"]))
def test_what_is_converted_is_read_again_as_it_was(found: list[dict[str, Any]], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.geojson", Path(folder) / f"out{suffix}"
        source.write_text(json.dumps({"type": "FeatureCollection", "features": found}), "utf-8")
        convert_candidates(source, target)
        assert told(read_candidates(target).items) == told(read_candidates(source).items)
        if suffix != ".csv":
            again = read_candidates(target)
            assert [c.extent for c in again] == [c.extent for c in read_candidates(source)]


@settings(max_examples=60)
@given(st.lists(st.tuples(numbers, numbers, classes, st.none() | words), max_size=5))
def test_a_table_becomes_geojson_and_the_same_table_again(
    rows: list[tuple[float, float, str | None, str | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, middle = Path(folder) / "in.csv", Path(folder) / "middle.geojson"
        cells = [[name or "", cls or "", repr(x), repr(y)] for x, y, cls, name in rows]
        table = csv_lines([["id", "class", "x_px", "y_px"], *cells], newline="\r\n")
        source.write_bytes("".join(table).encode())
        convert_candidates(source, middle)
        convert_candidates(middle, Path(folder) / "out.csv")
        assert (Path(folder) / "out.csv").read_bytes() == source.read_bytes()


def run(*args: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "slidemitosis", *map(str, args)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_command_says_what_it_wrote_and_where_it_counts_from(tmp_path: Path, slide: Path) -> None:
    source = midog(tmp_path / "m.json", [1200, 700, 1250, 750], [100, 200, 150, 250], [1, 2, 51, 52])
    done = run("convert", source, tmp_path / "m.csv", "--slide", slide)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"read        {source}: midog, 3 objects",
        "classes     mitotic figure (2), hard negative (1)",
        f"written     {tmp_path / 'm.csv'}, in px",
        "counts from the corner of a.svs, which has no bounds",
        "left out    outlines of 3: GeoJSON would hold them",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["{source}", "{folder}/out.geojson", "--format", "ndpa"], "the format of candidates is one of"),
        (["{source}", "{folder}/out.geojson", "--unit", "um"], "GeoJSON is in px, yet the unit given is um"),
        (["{source}", "{folder}/out.geojson", "--mpp", "wide"], "is not a number of um/px"),
        (["{source}", "{folder}/out.geojson", "--slide", "{folder}/no.svs"], "no.svs: "),
        (["{folder}/no.json", "{folder}/out.geojson"], "no such file"),
        (["{folder}", "{folder}/out.geojson"], "a folder"),
        (["{source}"], "the following arguments are required: OUT"),
    ],
)
def test_wrong_input_ends_in_one_line_and_writes_nothing(
    tmp_path: Path, words: list[str], expected: str
) -> None:
    source = write_points(tmp_path / "p.geojson", [(1, 2)])
    done = run("convert", *(w.format(source=source, folder=tmp_path) for w in words))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("slidemitosis: error: ")
    assert expected in line
    assert [p.name for p in tmp_path.iterdir()] == ["p.geojson"]


def test_help_names_every_format() -> None:
    from slidemitosis.options.read import FORMATS

    for command in ("convert", "classify", "inspect", "bench"):
        text = " ".join(run(command, "--help").stdout.split()).replace("- ", "-")
        assert all(name in text for name in FORMATS)


def test_a_file_of_many_slides_is_classified_by_the_slides_name(tmp_path: Path, slide: Path) -> None:
    from slidemitosis.models.shipped import find_model
    from slidemitosis.options import ReadOptions
    from slidemitosis.reading.prepare import prepare

    table = tmp_path / "cohort.csv"
    table.write_text("slide,x,y\na.svs,100,200\nb.svs,1,2\n")
    prepared = prepare(slide, table, ReadOptions(), find_model("lite0").patch)
    assert [(p.x, p.y) for p in prepared.candidates] == [(100, 200)]
    forced = ReadOptions(format="geojson")
    with pytest.raises(InvalidOption, match="is a table, which holds no geojson"):
        prepare(slide, table, forced, find_model("lite0").patch)
    assert np.isclose(prepared.mpp.x, 0.5)


def test_scores_of_a_detector_reach_the_objects_for_qupath(tmp_path: Path, slide: Path) -> None:
    from tests.classify.written import classify

    source = grand_challenge(tmp_path / "gc.json")
    result = classify(slide, source, model="lite0", workers=0, format="grand-challenge")
    (one,) = features(result.files.objects)
    assert one["properties"]["measurements"]["probability"] == 0.75
    assert "P(atypical)" in one["properties"]["measurements"]
    assert one["geometry"]["type"] == "Polygon"  # a circle, which is seen better than a point
    xs = [x for x, _ in one["geometry"]["coordinates"][0]]
    assert (max(xs) + min(xs)) / 2 == pytest.approx(100, abs=0.01)
    assert result.summary["points"]["format"] == "grand-challenge"
    assert result.summary["options"]["format"] == "grand-challenge"
