"""Objects on another plane than the first: never read from the first, and counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis import read_candidates
from slidemitosis.candidates import parse_geojson
from slidemitosis.cli import main
from tests.conftest import position_colours, write_aperio

if TYPE_CHECKING:
    from pathlib import Path

SQUARE = [[[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]]
SHAPES = {
    "Point": [20, 20],
    "MultiPoint": [[20, 20], [40, 40]],
    "Polygon": SQUARE,
    "MultiPolygon": [SQUARE],
    "LineString": SQUARE[0],
}


def feature(kind: str, plane: object, *, holder: str = "geometry", class_name: str = "Mitosis") -> Any:
    one: dict[str, Any] = {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": SHAPES[kind]},
        "properties": {"classification": class_name},
    }
    (one if holder == "feature" else one[holder])["plane"] = plane
    return one


@pytest.mark.parametrize("holder", ["geometry", "properties", "feature"])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(
    ("plane", "told"),
    [
        ({"c": -1, "z": 0, "t": 0}, None),
        ({"c": 0, "z": 0, "t": 0}, None),
        ({"z": 0.0}, None),
        ({}, None),
        (None, None),
        ({"c": -1, "z": 1, "t": 0}, "z 1"),
        ({"c": -1, "z": 0, "t": 3}, "t 3"),
        ({"c": 2, "z": 0, "t": 0}, "c 2"),
        ({"c": -1, "z": 4, "t": 5}, "z 4, t 5"),
        ({"z": "2"}, "z 2"),
        ({"z": 1.0}, "z 1"),
    ],
)
def test_the_plane_that_an_object_states_is_known(
    tmp_path: Path, holder: str, kind: str, plane: object, told: str | None
) -> None:
    found = parse_geojson(json.dumps([feature(kind, plane, holder=holder)]), path=tmp_path)
    assert {c.plane for c in found} == {told}


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("x,y,z", "20,20,0", None),
        ("x,y,z", "20,20,", None),
        ("x,y,z", "20,20,2", "z 2"),
        ("x,y,Z_index,Timepoint", "20,20,1,3", "z 1, t 3"),
        ("x,y,z-slice", "20,20,1", "z 1"),
        ("x\ty\tc\tz\tt\tclass\tname\tcolor", "20\t20\t-1\t3\t0\tMitosis\t\t", "z 3"),
        ("x\ty\tc\tclass\tname\tcolor", "20\t20\t1\tMitosis\t\t", "c 1"),
        ("x,y,c", "20,20,7", None),
        ("Centroid X px,Centroid Y px,Z-slice index", "20,20,1", "z 1"),
    ],
)
def test_a_table_says_the_plane_too(tmp_path: Path, header: str, row: str, told: str | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{row}\n")
    assert [c.plane for c in read_candidates(path)] == [told]


@pytest.mark.parametrize("command", ["inspect", "classify"])
def test_candidates_of_another_plane_are_refused_with_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    slide, points = write_aperio(tmp_path / "a.svs", [position_colours(600, 400)]), tmp_path / "a.geojson"
    there = [feature("Point", {"z": 0})] + [feature("Polygon", {"z": z}) for z in (1, 1, 2)]
    points.write_text(json.dumps([*there, feature("Polygon", {"z": 7}, class_name="Tumor")]))
    asked = [command, str(slide), "--points", str(points), "--model", "lite0"]
    assert main(asked) == 2
    assert "3 of 4 candidates lie on another plane than the first" in (told := capsys.readouterr().err)
    assert "(z 1: 2; z 2: 1)" in told


def test_objects_that_are_no_candidates_may_lie_anywhere(tmp_path: Path) -> None:
    slide, points = write_aperio(tmp_path / "a.svs", [position_colours(600, 400)]), tmp_path / "a.geojson"
    other = feature("Polygon", {"z": 7}, class_name="Tumor")
    points.write_text(json.dumps([feature("Point", {"z": 0}), other]))
    assert main(["inspect", str(slide), "--points", str(points), "--model", "lite0"]) == 0


@pytest.mark.parametrize("target", ["b.geojson", "b.csv"])
def test_a_conversion_never_forgets_the_plane(tmp_path: Path, target: str) -> None:
    points = tmp_path / "a.geojson"
    planes = [{"c": -1, "z": 1, "t": 0}, {"c": 2, "z": 0, "t": 0}, {"c": -1, "z": 0, "t": 0}]
    points.write_text(json.dumps([feature("Polygon", plane) for plane in planes]))
    assert main(["convert", str(points), str(tmp_path / target)]) == 0
    found = read_candidates(tmp_path / target)
    assert [c.plane for c in found] == ["z 1", "c 2", None]
    assert not any("plane_z" in json.dumps(c.feature) for c in found)


def test_a_table_that_says_planes_is_no_geojson_that_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n20,20,2\n")
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.geojson")]) == 2
    assert "z 2: 1" in capsys.readouterr().err
