"""The rate of each region that a user names: what it holds, what is written, and what is read again."""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest

from slidemitosis import ComputeOptions, SlideClassifier
from slidemitosis.candidates import parse_geojson, regions_named
from slidemitosis.cli import main
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.geometry import Bounds, PixelSize
from slidemitosis.models.decision import CalibrationPart, PointPart, SpreadPart
from slidemitosis.prediction import CandidateResult, PlacedCandidate, Prediction
from slidemitosis.rates.expected import expected_fraction
from slidemitosis.rates.regions import RegionRate, SlideFrame, rate_regions
from tests.classify import written
from tests.classify.written import objects_of
from tests.conftest import position_colours, write_aperio, write_features, write_points, write_scn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slidemitosis.candidates import Candidate, Candidates
    from tests.classify.written import Written

SPREAD = SpreadPart(slide_sd=0.3, domain_sd=0.1, intercept_se=0.05, slope_se=0.02, correlation=0.5)
LEFT = "00000000-0000-4000-8000-00000000aaaa"
FIGURES = [(100.0, 100.0, 0.9), (200.0, 100.0, 0.2), (300.0, 100.0, 0.4), (500.0, 500.0, 0.7)]
"""x, y in px of the points file, and P(atypical)."""


def box(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]}


def region(
    geometry: dict[str, Any], of: str | None = "Tumor", kind: str = "annotation", **more: Any
) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": kind}
    properties |= {"classification": {"name": of, "color": [200, 0, 0]}} if of else {}
    identity = {"id": more.pop("id")} if "id" in more else {}
    return {"type": "Feature", **identity, "geometry": geometry, "properties": properties | more}


def read(tmp_path: Path, *features: dict[str, Any]) -> Candidates:
    path = write_features(tmp_path / "r.geojson", features)
    return parse_geojson(path.read_bytes(), path=path)


def figure(x: float, y: float, p: float) -> CandidateResult:
    from slidemitosis.candidates import Candidate

    placed = PlacedCandidate(Candidate(None, x, y, None, "line 2"), "", x, y, x, y)
    return CandidateResult(placed, "classified", None, Prediction(p, atypical=p >= 0.5))


def rated(
    tmp_path: Path,
    *features: dict[str, Any],
    names: tuple[str, ...] = ("Tumor",),
    offset: tuple[int, int] = (0, 0),
    spread: SpreadPart | None = SPREAD,
) -> tuple[RegionRate, ...]:
    """Rate regions among FIGURES, on a slide of 1000 x 800 px of 0.5 x 0.25 um."""
    candidates = read(tmp_path, *features)
    mpp = PixelSize(0.5, 0.25)
    xy = np.array([((x + offset[0]) * mpp.x, (y + offset[1]) * mpp.y) for x, y, _ in FIGURES])
    return rate_regions(
        regions_named(candidates, names),
        [figure(*f) for f in FIGURES],
        xy,
        frame=SlideFrame(name="a.svs", area=Bounds(0, 0, 1000, 800), mpp=mpp, offset=offset),
        cores=candidates.cores,
        taken=(),
        spread=spread,
        cutoff=None,
    )


def test_a_figure_counts_in_each_region_that_holds_it(tmp_path: Path) -> None:
    one, two = rated(tmp_path, region(box(50, 50, 250, 150)), region(box(150, 50, 350, 150)))
    assert one.rate.probabilities == ((0.2, 0.9),)
    assert two.rate.probabilities == ((0.2, 0.4),)
    assert (one.rate.atypical, one.rate.normal, two.rate.atypical, two.rate.normal) == (1, 1, 0, 2)
    assert one.expected == expected_fraction([[0.2, 0.9]], SPREAD)
    assert one.expected.fraction == pytest.approx(0.55)


@pytest.mark.parametrize("offset", [(0, 0), (31, 17)])
def test_a_figure_on_the_border_counts_once_in_each(tmp_path: Path, offset: tuple[int, int]) -> None:
    """On the side that two regions share, and on a corner."""
    features = [
        region(box(50, 50, 200, 150)),
        region(box(200, 50, 300, 100)),
        region(box(201, 50, 299, 150)),
    ]
    shared, corner, beside = rated(tmp_path, *features, offset=offset)
    assert shared.rate.probabilities == ((0.2, 0.9),)
    assert corner.rate.probabilities == ((0.2, 0.4),)
    assert beside.rate.mitoses == 0


def test_the_area_is_that_on_the_slide_without_holes_and_each_region_has_its_own(tmp_path: Path) -> None:
    with_hole = box(0, 0, 400, 400)
    with_hole["coordinates"].append([[50, 50], [250, 50], [250, 150], [50, 150], [50, 50]])
    features = [region(with_hole), region(box(900, 700, 1100, 900)), region(box(2000, 0, 3000, 100))]
    holed, over_the_edge, beside = rated(tmp_path, *features)
    pixel = 0.5 * 0.25 / 1e6
    assert holed.mm2 == pytest.approx((400 * 400 - 200 * 100) * pixel)
    assert holed.rate.probabilities == ((0.4,),)
    assert over_the_edge.mm2 == pytest.approx(100 * 100 * pixel)
    assert (beside.mm2, beside.rate.mitoses, beside.expected.fraction) == (0, 0, None)


def test_parts_of_one_region_are_one_row_and_an_outline_that_crosses_itself_covers_what_it_covers(
    tmp_path: Path,
) -> None:
    parts = [box(50, 50, 150, 150)["coordinates"], box(450, 450, 550, 550)["coordinates"]]
    bow_tie = {"type": "Polygon", "coordinates": [[[50, 50], [350, 150], [350, 50], [50, 150], [50, 50]]]}
    two, tie = rated(tmp_path, region({"type": "MultiPolygon", "coordinates": parts}), region(bow_tie))
    assert two.rate.probabilities == ((0.7, 0.9),)
    assert tie.rate.mitoses == 3
    assert tie.mm2 == pytest.approx(300 * 100 / 2 * 0.5 * 0.25 / 1e6)


def test_a_model_that_is_not_calibrated_has_a_fraction_and_no_interval(tmp_path: Path) -> None:
    (found,) = rated(tmp_path, region(box(50, 50, 250, 150)), spread=None)
    assert found.expected.fraction == pytest.approx(0.55)
    assert found.expected.figures is found.expected.tumour is None


def named(candidates: Candidates, *classes: str) -> list[str]:
    return [r.source for r in regions_named(candidates, classes)]


def test_cores_are_named_by_class_or_as_cores_where_they_have_none(tmp_path: Path) -> None:
    square = box(0, 0, 9, 9)
    child = region(box(1, 1, 3, 3), "Tumor")
    candidates = read(
        tmp_path,
        region(square, None, "tma_core", name="A-1", childObjects=[child, region(square, None, "tmaCore")]),
        region(square, "Tumor", "tmaCore"),
        region(square, None, "TMA core", isMissing=True),
        region(square, None, "root"),
        region(square, None),
    )
    assert [c.source for c in candidates] == ["feature 1, child 1", "feature 5"]
    assert named(candidates, "tma CORE") == ["feature 1", "feature 1, child 2"]
    assert named(candidates, "Tumor") == ["feature 1, child 1", "feature 2"]
    assert len(named(candidates, "Tumor", "TMA core", "tumor")) == 4
    (found,) = rated(tmp_path, region(square, None, "tma_core"), names=("TMA core",))
    assert found.core
    assert found.name is None


def test_detections_of_the_class_are_no_regions(tmp_path: Path) -> None:
    square = box(0, 0, 9, 9)
    stated = [("detection", "a"), ("cell", "b"), ("annotation", "c"), ("PathAnnotationObject", "d")]
    untold = {"type": "Feature", "geometry": square, "properties": {"classification": {"name": "Tumor"}}}
    candidates = read(tmp_path, *(region(square, kind=kind, name=name) for kind, name in stated), untold)
    assert named(candidates, "Tumor") == ["feature 3", "feature 4", "feature 5"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Stroma",
            r"no annotation has the class 'Stroma'; .* Tumor \(2\), TMA core \(1\); pass one of these to",
        ),
        ("Cell", "no annotation has the class 'Cell'"),
        ("Unclassified", "must have a name"),
        ("Line", "feature 5 has the class Line of --regions, but is no polygon"),
    ],
)
def test_what_is_no_region_is_refused_with_the_classes_that_there_are(
    tmp_path: Path, name: str, message: str
) -> None:
    square = box(0, 0, 9, 9)
    line = {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}
    features = [region(square), region(square), region(square, "Cell", "detection")]
    features += [region(square, None, "tma_core"), region(line, "Line")]
    with pytest.raises(ValueError, match=message):
        regions_named(read(tmp_path, *features), [name])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A slide of 0.25 um/px with 14 figures, and in the points file three regions and a core."""
    folder = tmp_path_factory.mktemp("drawn")
    phantom = draw_phantom(width=1200, height=900, figures=14, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    features = json.loads((folder / "drawn.geojson").read_text())["features"]
    features += [
        region(box(0, 0, 700, 900), id=LEFT, name="left", measurements={"Mitoses": 99, "Area": 5}),
        region(box(300, 0, 1300, 900), id="17", childObjects=[region(box(2, 2, 5, 5), "Stroma")]),
        region(box(0, 0, 4, 4), measurements={"Expected atypical fraction": 0.5, "Uncertain": 3, "Area": 1}),
        region(box(0, 0, 600, 900), None, "tma_core", name="A-1", isMissing=False),
    ]
    write_features(folder / "with_regions.geojson", features)
    return folder / "drawn.svs", folder / "with_regions.geojson"


@pytest.fixture(scope="module")
def classifier() -> Iterator[SlideClassifier]:
    """One whose card has a calibration, without which no rate has an interval."""
    with SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as opened:
        at = PointPart(threshold=0.3, tp=80, fn=20, tn=180, fp=20)
        fitted = CalibrationPart(
            views=1,
            slope=1,
            intercept=-1,
            counting=at,
            balanced=at,
            figures=300,
            slides=30,
            protocol="made up",
            spread=SPREAD,
        )
        opened.card = dataclasses.replace(opened.card, calibrations=(fitted,))
        yield opened


def classify(
    slide: Path, points: Path, out: Path, classifier: SlideClassifier | None = None, **options: Any
) -> Written:
    return written.classify(
        slide, points, out=out, model="lite0", workers=0, classifier=classifier, **options
    )


NAMED = ["tumor", "TMA core"]
BOUNDS = [(0, 700), (300, 1300), (0, 4), (0, 600)]
"""From which to which column, px, each region reaches."""


def table_of(found: Written) -> list[dict[str, str]]:
    assert found.files.regions is not None
    with found.files.regions.open(newline="") as f:
        return list(csv.DictReader(f))


def test_each_region_has_a_row_with_what_lies_in_it(
    drawn: tuple[Path, Path], tmp_path: Path, classifier: SlideClassifier
) -> None:
    result = classify(*drawn, tmp_path / "out", classifier, region_classes=NAMED)
    rows, told = table_of(result), result.summary["regions"]
    assert [(r["id"], r["name"], r["class"], r["object_type"]) for r in rows] == [
        (LEFT, "left", "Tumor", "annotation"),
        ("17", "", "Tumor", "annotation"),
        ("", "", "Tumor", "annotation"),
        ("", "A-1", "", "TMA core"),
    ]
    assert rows[0]["object_id"] == LEFT
    for row, summed, (low, high) in zip(rows, told, BOUNDS, strict=True):
        bottom = 900 if high > 4 else 4
        inside = [c for c in result.candidates if low <= c.placed.x <= high and c.placed.y <= bottom]
        p = [c.probability for c in inside if c.probability is not None]
        mm2 = (min(high, 1200) - low) * bottom * 0.25**2 / 1e6
        atypical = sum(c.call is not None and c.call.atypical for c in inside)
        assert (int(row["mitoses"]), int(row["atypical"])) == (len(p), atypical)
        assert int(row["normal"]) == len(p) - atypical
        assert float(row["mm2"]) == pytest.approx(mm2)
        assert float(row["mitoses_per_mm2"]) == pytest.approx(len(p) / mm2)
        assert float(row["atypical_per_mm2"]) == pytest.approx(atypical / mm2)
        assert float(row["expected_atypical"]) == pytest.approx(sum(p))
        assert row["few_figures"] == str(len(p) < 10).lower()
        if p:
            expected = expected_fraction([p], SPREAD)
            assert float(row["expected_fraction_amf_of_all"]) == pytest.approx(sum(p) / len(p))
            assert expected.figures is not None
            assert expected.tumour is not None
            for of, interval in (("figures", expected.figures), ("tumour", expected.tumour)):
                ends = (float(row[f"expected_{of}_95_{end}"]) for end in ("low", "high"))
                assert tuple(ends) == pytest.approx(interval)
            assert summed["expected_fraction_amf_of_all_tumour_95"] == pytest.approx(expected.tumour)
        assert (summed["mitoses"], summed["object_id"]) == (len(p), row["object_id"])
    # They overlap, and the slide's own rate is as it would be without them.
    assert sum(r["mitoses"] for r in told[:2]) > 14
    assert 0 < told[3]["mitoses"] < 14
    assert result.summary["counts"]["candidates"] == 14


def test_a_region_without_figures_has_an_empty_fraction_and_not_zero(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    result = classify(*drawn, tmp_path / "out", region_classes=NAMED)
    row, told = table_of(result)[2], result.summary["regions"][2]
    assert (row["mitoses"], row["mitoses_per_mm2"], row["few_figures"]) == ("0", "0.0", "true")
    empty = [k for k, v in row.items() if v == ""]
    assert {"expected_fraction_amf_of_all", "expected_figures_95_low", "expected_tumour_95_high"} <= set(
        empty
    )
    assert told["expected_fraction_amf_of_all"] is told["expected_fraction_amf_of_all_figures_95"] is None
    measured = region_objects(result)[2]["properties"]["measurements"]
    assert measured.pop("Area") == 1  # of a run before, all else
    assert measured == {"Mitoses": 0, "Atypical": 0, "Normal": 0, "Mitoses per mm2": 0, "Region mm2": 1e-6}


def region_objects(found: Written) -> list[dict[str, Any]]:
    ids = [r["object_id"] for r in found.summary["regions"]]
    objects = {f["id"]: f for f in objects_of(found)}
    return [objects[i] for i in ids]


def test_the_objects_are_those_of_the_points_file_with_measurements_of_their_own(
    drawn: tuple[Path, Path], tmp_path: Path, classifier: SlideClassifier
) -> None:
    result = classify(*drawn, tmp_path / "out", classifier, region_classes=NAMED)
    given = json.loads(drawn[1].read_text())["features"][14:]
    objects = region_objects(result)
    assert len(objects_of(result)) == 14 + 4  # the slide is smaller than a hot spot
    assert [o["geometry"] for o in objects] == [g["geometry"] for g in given]
    assert [o["properties"]["objectType"] for o in objects] == [*["annotation"] * 3, "tma_core"]
    assert [o["properties"].get("classification") for o in objects] == [
        *[{"names": ["Tumor"], "color": [200, 0, 0]}] * 3,
        None,
    ]
    assert objects[0]["id"] == LEFT
    assert objects[1]["id"] == str(UUID(objects[1]["id"]))
    assert objects[1]["properties"]["metadata"] == {"slidemitosis.source_id": "17"}
    assert not any("childObjects" in o["properties"] for o in objects)
    told, measured = result.summary["regions"][0], objects[0]["properties"]["measurements"]
    assert measured == {
        "Area": 5,
        "Mitoses": told["mitoses"],
        "Atypical": told["atypical"],
        "Normal": told["normal"],
        "Expected atypical fraction": round(told["expected_fraction_amf_of_all"], 6),
        "Expected atypical fraction, 95 % from": round(told["expected_fraction_amf_of_all_figures_95"][0], 6),
        "Expected atypical fraction, 95 % to": round(told["expected_fraction_amf_of_all_figures_95"][1], 6),
        "Mitoses per mm2": round(told["mitoses_per_mm2"], 6),
        "Region mm2": round(told["mm2"], 6),
    }


def test_a_result_with_its_regions_is_input_again_and_gives_the_same_bytes(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = drawn
    first = classify(slide, points, tmp_path / "one", region_classes=NAMED)
    again = classify(slide, first.files.objects, tmp_path / "two", region_classes=NAMED)
    assert again.files.objects.read_bytes() == first.files.objects.read_bytes()
    as_before = [{k: v for k, v in r.items() if k not in ("source", "id")} for r in first.summary["regions"]]
    assert [{k: v for k, v in r.items() if k not in ("source", "id")} for r in again.summary["regions"]] == (
        as_before
    )


@pytest.mark.parametrize("name", ["Tumor", "Mitotic count", "Mitoses, all"])
def test_regions_of_an_earlier_run_are_no_candidates_whatever_their_class(
    drawn: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    """Also without metadata, which QuPath 0.4 and 0.5 lose; and a run without --regions leaves no table."""
    slide, _ = drawn
    features = [region(box(0, 0, 1200, 900), name)]
    points = tmp_path / "p.geojson"
    plain = json.loads((drawn[1].parent / "drawn.geojson").read_text())["features"]
    for f in plain:
        f["properties"].pop("classification", None)  # as they were clicked
    write_features(points, [*plain, *features])
    first = classify(slide, points, tmp_path / "one", region_classes=[name])
    assert first.summary["counts"]["candidates"] == first.summary["regions"][0]["mitoses"] == 14
    document = json.loads(first.files.objects.read_text())
    for f in document["features"]:
        f["properties"].pop("metadata", None)
    stripped = write_features(tmp_path / "stripped.geojson", document["features"])
    again = classify(slide, stripped, tmp_path / "two")
    assert again.summary["counts"]["candidates"] == 14
    assert {"class": name, "count": 1} in again.summary["points"]["left_out"]
    assert again.summary["regions"] is None
    assert again.files.regions is None


def test_a_later_run_without_regions_takes_the_table_away(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    classify(*drawn, tmp_path / "out", region_classes=NAMED)
    assert (tmp_path / "out" / "regions.csv").is_file()
    later = classify(*drawn, tmp_path / "out", candidate_classes=["Mitosis"])
    assert not (tmp_path / "out" / "regions.csv").exists()
    assert later.files.all == (later.files.objects, later.files.candidates, later.files.summary)


def test_regions_count_from_where_the_figures_of_their_file_do(tmp_path: Path) -> None:
    """On a slide with bounds, and with pixels that are not square; the objects stay in their frame."""
    slide = write_scn(tmp_path / "a.scn", position_colours(900, 700), at=(128, 64), collection=(4000, 3000))
    points = write_points(tmp_path / "p.geojson", [(400, 300), (420, 320), (800, 600)])
    features = json.loads(points.read_text())["features"]
    here = region(box(390, 290, 430, 330))
    write_features(points, [*features, here, region(box(850, 650, 950, 750))])
    result = classify(
        slide, points, tmp_path / "out", origin="bounds", mpp=(0.25, 0.5), region_classes=["Tumor"]
    )
    inside, edge = result.summary["regions"]
    assert (inside["mitoses"], edge["mitoses"]) == (2, 0)
    assert inside["mm2"] == pytest.approx(40 * 40 * 0.25 * 0.5 / 1e6)
    assert edge["mm2"] == pytest.approx(50 * 50 * 0.25 * 0.5 / 1e6)  # the bounds are 900 x 700 px
    assert region_objects(result)[0]["geometry"] == here["geometry"]


def test_figures_that_could_not_be_seen_are_in_no_region(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [np.full((500, 700, 3), 240, np.uint8)])
    points = write_points(tmp_path / "p.geojson", [(100, 100)])
    write_features(points, [*json.loads(points.read_text())["features"], region(box(0, 0, 200, 200))])
    (found,) = classify(slide, points, tmp_path / "out", region_classes=["Tumor"]).summary["regions"]
    assert (found["mitoses"], found["expected_fraction_amf_of_all"]) == (0, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--regions", "Nodule"], "the classes of annotations and TMA cores are Tumor (3), "),
        (["--regions", "Mitosis", "--candidate-class", "Mitosis"], "name another --regions"),
        (["--regions", "unclassified"], "must have a name"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    drawn: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    slide, points = drawn
    document = json.loads(points.read_text())["features"]
    both = write_features(tmp_path / "p.geojson", [*document, region(box(0, 0, 9, 9), "Mitosis")])
    for f in document[:14]:
        assert f["properties"]["classification"]["name"] == "Mitosis"
    if "Mitosis" in options:
        both = write_features(tmp_path / "p.geojson", [*document[14:], region(box(0, 0, 9, 9), "Mitosis")])
    words = ["classify", str(slide), "--points", str(both), "--model", "lite0", "--workers", "0"]
    assert main([*words, "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if message in line] == said[-1:]
    assert not (tmp_path / "out").exists()


def test_the_command_names_the_table(
    drawn: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, points = drawn
    words = ["classify", str(slide), "--points", str(points), "--model", "lite0", "--workers", "0"]
    words += ["--out", str(tmp_path / "out"), "--regions", "Tumor", "--regions", "tma core"]
    assert main(words) == 0
    assert str(tmp_path / "out" / "regions.csv") in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["regions"]) == 4
    assert summary["options"]["region_classes"] == ["Tumor", "tma core"]


def core_of(candidates: Candidates) -> Candidate:
    (core,) = candidates.cores
    return core


def test_a_core_keeps_its_class_its_id_and_its_place(tmp_path: Path) -> None:
    core = core_of(read(tmp_path, region(box(0, 0, 10, 20), "Case 3", "tmaCore", id=LEFT, name="B-2")))
    assert (core.id, core.class_name, core.x, core.y) == (LEFT, "Case 3", 5, 10)
