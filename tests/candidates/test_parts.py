"""Objects of several parts: each nucleus a candidate, no figure lost, and what may be either is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis import SlideClassifier, read_candidates
from slidemitosis.candidates import parse_geojson
from slidemitosis.candidates.parts import each_part
from slidemitosis.cli import main
from slidemitosis.errors import UnreadableCandidates
from slidemitosis.options import ComputeOptions
from tests.conftest import position_colours, write_aperio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.candidates import Candidate

MPP = 0.25


def square(x: float, y: float, side: float = 40, hole: float = 0) -> list[list[list[float]]]:
    def ring(half: float) -> list[list[float]]:
        steps = ((-half, -half), (half, -half), (half, half), (-half, half), (-half, -half))
        return [[x + dx, y + dy] for dx, dy in steps]

    return [ring(side / 2), *([ring(hole / 2)] if hole else [])]


def feature(parts: Sequence[Any], kind: str = "MultiPolygon", **more: Any) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": list(parts), "plane": {"c": -1, "z": 0, "t": 0}}
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": "Mitosis"}, **more}


def read(path: Path, *features: dict[str, Any]) -> tuple[Candidate, ...]:
    return parse_geojson(json.dumps(list(features)), path=path).items


def split(path: Path, *features: dict[str, Any], um: float | None = MPP) -> list[Candidate]:
    found = each_part(read(path, *features), path, um=um)
    return [part for parts in found for part in parts]


@pytest.mark.parametrize("number", [2, 3, 200])
@pytest.mark.parametrize("hole", [0, 20])
def test_each_part_of_the_size_of_a_nucleus_is_a_candidate(tmp_path: Path, number: int, hole: int) -> None:
    places = [(500 + 130 * i, 300 + 7 * i) for i in range(number)]
    parts = [square(x, y, hole=hole) for x, y in places]
    found = split(tmp_path, feature(parts, id="type-1"), feature([square(50, 50)]))
    assert [c.source for c in found] == [f"feature 1, part {i + 1}" for i in range(number)] + ["feature 2"]
    assert [c.id for c in found][:2] == ["type-1#1", "type-1#2"]
    for part, (x, y), coordinates in zip(found, places, parts, strict=False):
        assert part.extent == pytest.approx(40)
        assert abs(part.x - x) <= 20
        assert abs(part.y - y) <= 20
        assert hole or (part.x, part.y) == pytest.approx((x, y))
        told = part.feature
        assert told is not None
        assert told["geometry"] == {
            "type": "Polygon",
            "coordinates": coordinates,
            "plane": {"c": -1, "z": 0, "t": 0},
        }
        assert told["properties"] == {"classification": "Mitosis"}


def test_parts_within_one_figure_are_one(tmp_path: Path) -> None:
    """The plates of a telophase, outlined as two."""
    plates = feature([square(100, 100, 24), square(150, 100, 24)])
    assert len(split(tmp_path, plates)) == 1
    assert len(split(tmp_path, plates, um=1.0)) == 2


def test_neighbours_of_a_collection_are_candidates_each(tmp_path: Path) -> None:
    assert len(split(tmp_path, feature([square(100, 100), square(145, 100), square(900, 100)]))) == 3


def test_parts_that_touch_are_one_cell(tmp_path: Path) -> None:
    """As of a cell at the edge of a detector's tile."""
    found = split(tmp_path, feature([square(100, 100), square(140, 100), square(900, 100)]))
    assert [round(c.x) for c in found] == [120, 900]


@pytest.mark.parametrize("other", [1000, 1])
def test_parts_that_are_no_nuclei_are_refused_with_both_counts(tmp_path: Path, other: float) -> None:
    with pytest.raises(UnreadableCandidates, match=r"feature 1: one object of 3 separate parts, .*nor 3;"):
        split(tmp_path, feature([square(100, 100), square(400, 100), square(2000, 2000, other)]))


def test_lines_apart_are_candidates_each(tmp_path: Path) -> None:
    lines = [[[10, 10], [40, 40]], [[610, 10], [640, 40]]]
    found = split(tmp_path, feature(lines, "MultiLineString"))
    assert [(round(c.x), round(c.y)) for c in found] == [(25, 25), (625, 25)]


def test_a_cell_is_one_whose_outline_is_in_pieces(tmp_path: Path) -> None:
    nucleus = {"type": "Polygon", "coordinates": square(100, 100)}
    cell = feature([square(100, 100), square(400, 100)], nucleusGeometry=nucleus)
    assert [(c.x, c.y) for c in split(tmp_path, cell)] == [(100, 100)]


def test_a_region_of_many_parts_stays_a_region(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only candidates are taken apart; the figures in one object are counted, told, and written each."""
    slide = write_aperio(tmp_path / "a.svs", [position_colours(1200, 900)])
    figures = feature(
        [square(200 + 150 * i, 200) for i in range(4)], id="00000000-0000-4000-8000-000000000001"
    )
    tumour = feature([square(300, 300, 300), square(800, 600, 300)])
    tumour["properties"] = {"classification": "Tumor"}
    points = tmp_path / "a.geojson"
    points.write_text(json.dumps({"type": "FeatureCollection", "features": [figures, tumour]}))
    with SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as classifier:
        result = classifier.classify(slide, points)
    assert result.rate.candidates == 4
    assert result.prepared.selection.taken == {"Mitosis": 4}
    assert result.prepared.selection.left == {"Tumor": 1}
    assert "objects of several separate parts, each the size of a nucleus: 1, read as" in caplog.text
    objects = read_candidates(result.write(tmp_path / "out").objects).items
    assert len({c.id for c in objects}) == len(objects) == 4


def test_a_table_has_a_row_for_each_part_or_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "a.geojson"
    points.write_text(json.dumps([feature([square(200 + 150 * i, 200) for i in range(4)])]))
    assert main(["convert", str(points), str(tmp_path / "a.csv")]) == 2
    assert "one object of 4 separate parts" in capsys.readouterr().err
    slide = write_aperio(tmp_path / "a.svs", [position_colours(1200, 900)])
    assert main(["convert", str(points), str(tmp_path / "a.csv"), "--slide", str(slide)]) == 0
    assert len(read_candidates(tmp_path / "a.csv")) == 4
