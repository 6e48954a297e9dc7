"""One slide from files to files: places, frames, statuses, outputs, and the same bytes again."""

from __future__ import annotations

import gzip
import json
import logging
import math
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis import (
    Candidates,
    ComputeOptions,
    SlideClassifier,
    classify_candidates,
    classify_slide,
    load_model,
    read_candidates,
)
from slidemitosis.cli import main
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import (
    CandidatesOffSlide,
    InvalidOption,
    MissingResolution,
    OutputError,
    ReadingFailed,
    UnreadableCandidates,
    UnreadableSlide,
    UnsettledClasses,
    UnsettledOrigin,
    UnsuitableResolution,
)
from slidemitosis.geometry import PixelSize
from slidemitosis.labels import AMF_SUBTYPES, SUBTYPES
from slidemitosis.models.card import write_card
from slidemitosis.models.decision import HardnessPart
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ReadOptions
from slidemitosis.outputs.folder import result_folder
from slidemitosis.reading.prepare import prepare
from tests.classify.written import classify, objects_of, rows_of
from tests.command import run
from tests.conftest import needs_shared, position_colours, write_aperio, write_points, write_scn, write_tiff
from tests.slides.jpeg_slides import spoil_tiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("drawn")
    phantom = draw_phantom(width=1200, height=900, figures=14, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    return folder / "drawn.svs", folder / "drawn.geojson"


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "painted.svs", [position_colours(700, 500)])


def without_times(path: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(path.read_text())
    assert summary.pop("seconds")["total"] > 0
    return summary


def test_probabilities_are_those_of_the_patches_around_the_centres(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    """The whole way, checked against the model on patches cut from the decoded slide by hand."""
    import openslide
    import torch

    slide, points = drawn
    result = classify(slide, points, out=tmp_path / "direct", model="lite0", workers=0)
    model = load_model("lite0")
    decision = model.card.decision_for(views=1, point="counting")
    whole = np.asarray(openslide.OpenSlide(slide).read_region((0, 0), 0, (1200, 900)).convert("RGB"))
    padded = np.pad(whole, ((64, 64), (64, 64), (0, 0)), constant_values=255)
    for p in result.candidates:
        ring = np.array(p.placed.candidate.feature["geometry"]["coordinates"][0][:-1])  # type: ignore[index]
        x, y = np.floor(ring.mean(axis=0) - 64 + 0.5).astype(int) + 64
        patch = np.ascontiguousarray(padded[y : y + 128, x : x + 128])
        with torch.inference_mode():
            logit = model(torch.from_numpy(patch)[None])[:, 0].numpy()
        assert p.probability == pytest.approx(float(decision.probability(logit)[0]), abs=2e-5)
        assert p.call is not None
        assert p.call.atypical == (p.call.probability >= decision.threshold)


def test_counts_rate_table_and_objects_agree(drawn: tuple[Path, Path]) -> None:
    result = classify(*drawn)
    points = drawn[1]
    assert result.files.objects.parent == points.parent / "drawn.slidemitosis"
    rows, objects = rows_of(result), objects_of(result)
    calls = [r["call"] for r in rows]
    assert len(rows) == len(objects) == 14
    assert result.rate.atypical == calls.count("AMF") == result.summary["counts"]["atypical"]
    assert result.rate.normal == calls.count("NMF")
    assert [r["object_id"] for r in rows] == [o["id"] for o in objects]
    for row, o in zip(rows, objects, strict=True):
        kind = {"AMF": "Atypical", "NMF": "Normal"}[row["call"]]
        assert o["properties"]["classification"]["names"] == ["Mitosis", kind]
        assert o["properties"]["measurements"]["P(atypical)"] == float(row["p_atypical"])
    originals = json.loads(points.read_text())["features"]
    assert [o["geometry"] for o in objects] == [f["geometry"] for f in originals]
    assert [o["id"] for o in objects] == [f["id"] for f in originals]


def many_tasks(folder: Path) -> Path:
    """A model with every head there is, of random weights."""
    import torch

    from slidemitosis.models.classifier import empty_network
    from slidemitosis.train.export import network_part, new_card, write_network
    from slidemitosis.train.recipe.recipe import load_recipe

    overrides = ["backbone=smoke-cnn", "input.crops=[64]", "input.resize=32"]
    recipe = load_recipe("lite0", overrides=[*overrides, 'network.outputs=["multi-task"]'])
    part = network_part(recipe, "multi-task")
    folder.mkdir()
    torch.manual_seed(3)
    part = write_network(empty_network(part, dropout=0), part, folder)
    card = new_card(
        folder, name="many", recipe=recipe, networks=[part], data=(), citation=(), training_prior=0.5
    )
    hardness = HardnessPart(slope=0.8, type_slope=0.1, intercept=-0.7)
    write_card(replace(card, hardness=hardness))
    return folder


def test_subtypes_and_doubt_are_told_alike_in_table_objects_summary_and_report(
    drawn: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, points = drawn
    model = many_tasks(tmp_path / "many")
    result = classify(slide, points, model=model, out=tmp_path / "out")
    rows = rows_of(result)
    for row, o, p in zip(rows, objects_of(result), result.candidates, strict=True):
        measured = o["properties"]["measurements"]
        assert p.prediction is not None
        of_type = {k: v for k, v in p.prediction.subtypes.items() if k.startswith(row["call"])}
        assert row["subtype"] == max(of_type, key=lambda k: of_type[k])
        assert o["properties"]["metadata"]["slidemitosis.subtype"] == row["subtype"]
        assert float(row["p_subtype"]) == measured[f"P({row['subtype']})"]
        assert float(row["p_hard"]) == measured["P(experts disagree)"]
        amf = sum(measured[f"P({s})"] for s in AMF_SUBTYPES)
        assert amf == pytest.approx(float(row["p_atypical"]), abs=4e-6)
    s = result.summary
    expected = {k: sum(p.prediction.subtypes[k] for p in result.candidates if p.prediction) for k in SUBTYPES}
    assert s["expected_subtypes"] == pytest.approx(expected, abs=0.006)
    assert s["expected_hard"] == pytest.approx(sum(float(r["p_hard"]) for r in rows), abs=0.006)
    words = ["classify", *map(str, (slide, "--points", points, "--model", model))]
    assert main([*words, "--out", str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert f"experts would disagree on about {s['expected_hard']:.0f} of 14" in said
    for name, n in s["expected_subtypes"].items():
        assert f"{name.partition(' ')[2]} {n:.0f}" in said


def test_doubt_that_is_not_calibrated_is_not_shown(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    model = many_tasks(tmp_path / "many")
    write_card(replace(find_model(model), hardness=None))
    result = classify(*drawn, model=model, out=tmp_path / "out")
    assert result.summary["expected_hard"] is None
    assert {r["p_hard"] for r in rows_of(result)} == {""}
    assert not any("P(experts disagree)" in o["properties"]["measurements"] for o in objects_of(result))


def test_a_model_that_tells_subtypes_tells_none_of_bare_glass(tmp_path: Path) -> None:
    glass = write_aperio(tmp_path / "glass.svs", [np.full((300, 300, 3), 240, np.uint8)])
    points = write_points(tmp_path / "p.geojson", [(150, 150)])
    summary = classify(glass, points, model=many_tasks(tmp_path / "many")).summary
    assert summary["expected_subtypes"] == dict.fromkeys(SUBTYPES, 0.0)
    assert summary["expected_hard"] == 0.0


def test_the_result_is_the_same_bytes_for_every_number_of_workers(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    found = []
    for workers in (0, 1, 2, 4):
        result = classify(*drawn, out=tmp_path / f"w{workers}", workers=workers, batch_size=4)
        summary = without_times(result.files.summary)
        assert summary["options"].pop("workers") == workers
        found.append((result.files.objects.read_bytes(), result.files.candidates.read_bytes(), summary))
    assert all(f == found[0] for f in found)


def test_a_rerun_gives_the_same_bytes_but_for_times(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    first = classify(*drawn, out=tmp_path / "again")
    before = [first.files.objects.read_bytes(), first.files.candidates.read_bytes()]
    summary = without_times(first.files.summary)
    second = classify(*drawn, out=tmp_path / "again")
    assert [second.files.objects.read_bytes(), second.files.candidates.read_bytes()] == before
    assert without_times(second.files.summary) == summary
    names = sorted(p.name for p in (tmp_path / "again").iterdir())
    assert names == ["candidates.csv", "objects.geojson", "summary.json"]


def test_its_own_objects_are_candidates_again(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    first = classify(*drawn, out=tmp_path / "one")
    again = classify(drawn[0], first.files.objects, out=tmp_path / "two")
    assert again.files.objects.read_bytes() == first.files.objects.read_bytes()


def test_figures_inside_other_objects_are_classified_once(painted: Path, tmp_path: Path) -> None:
    """As QuPath writes a hierarchy: a region, in it a figure, in that another object and a second figure."""

    def nested(name: str, x: int, *children: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [x, 200]},
            "properties": {"classification": {"name": name, "color": None}, "childObjects": [*children]},
        }

    points = tmp_path / "nested.geojson"
    figure = nested("Mitosis", 200, nested("Spot", 210), nested("Mitosis", 300))
    points.write_text(json.dumps([nested("Region", 100, figure)]))
    result = classify(painted, points, workers=0)
    assert [r["source"] for r in rows_of(result)] == [
        "feature 1, child 1",
        "feature 1, child 1, child 2",
    ]
    first, second = objects_of(result)
    (inside,) = first["properties"]["childObjects"]
    assert inside["properties"]["classification"]["names"] == ["Spot"]
    assert second["properties"]["childObjects"] == []
    again = classify(painted, result.files.objects, out=tmp_path / "again", workers=0)
    assert again.files.objects.read_bytes() == result.files.objects.read_bytes()


def test_eight_views_are_another_and_a_recorded_answer(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    one = classify(*drawn, out=tmp_path / "v1")
    eight = classify(*drawn, out=tmp_path / "v8", views=8)
    assert eight.summary["options"]["views"] == 8
    pairs = zip(one.candidates, eight.candidates, strict=True)
    assert 0 < max(abs((a.probability or 0) - (b.probability or 0)) for a, b in pairs) < 0.8


def test_no_candidates_are_a_result_whose_rate_is_null(painted: Path, tmp_path: Path) -> None:
    result = classify(painted, write_points(tmp_path / "none.geojson", []))
    summary = json.loads(result.files.summary.read_text())
    assert summary["fraction_amf_of_all"] is None
    assert summary["fraction_amf_of_all_wilson_95"] is None
    assert summary["ratio_amf_to_nmf"] is None
    assert summary["counts"]["candidates"] == 0
    assert objects_of(result) == []
    assert rows_of(result) == []


def test_every_candidate_has_a_row_and_an_object_whatever_became_of_it(painted: Path, tmp_path: Path) -> None:
    centres = [(100, 100), (103, 104), (5000, 100), (400, 300), (0, 0)]  # the second 5 px = 1.25 um off
    points = write_points(tmp_path / "p.geojson", centres)
    result = classify(painted, points)
    rows = rows_of(result)
    assert [r["status"] for r in rows] == ["classified", "duplicate", "outside", "classified", "classified"]
    assert rows[1]["reason"] == "1.2 um from feature 1"
    assert rows[2]["reason"] == "centre at x 5000, y 100; the slide is 700 x 500 px"
    assert rows[4]["padding"] == "0.75"
    assert result.rate.classified == 3
    assert [n["status"] for n in result.summary["not_classified"]] == ["duplicate", "outside"]
    names = [o["properties"]["classification"]["names"] for o in objects_of(result)]
    assert names[1] == names[2] == ["Mitosis"]
    assert all(len(n) == 2 for n in (names[0], names[3], names[4]))
    kept = classify(painted, points, keep_duplicates=True, out=tmp_path / "kept")
    assert kept.rate.classified == 4


def test_the_same_id_twice_is_counted_once_and_loses_no_object(painted: Path, tmp_path: Path) -> None:
    points = tmp_path / "p.csv"
    points.write_text("id,x,y\na,100,100\na,400,300\nb,200,200\n")
    result = classify(painted, points)
    assert [r["status"] for r in rows_of(result)] == ["classified", "duplicate", "classified"]
    assert rows_of(result)[1]["reason"] == "same id as line 2, 90.1 um away"
    assert len({o["id"] for o in objects_of(result)}) == 3


def test_micrometres_of_a_table_become_pixels(painted: Path, tmp_path: Path) -> None:
    points = tmp_path / "p.csv"
    points.write_text("x_um,y_um\n25,50\n")
    (row,) = rows_of(classify(painted, points))
    assert (row["x"], row["y"], row["level0_x"], row["level0_y"]) == ("100", "200", "100", "200")
    points.write_text("x,y\n25,50\n")
    (row,) = rows_of(classify(painted, points, unit="um", mpp=(0.5, 0.25), out=tmp_path / "o"))
    assert (row["level0_x"], row["level0_y"]) == ("50", "200")


def windows_read(slide: Path, points: Path, **options: Any) -> np.ndarray[Any, Any]:
    """The patches that would be classified, read as the loader reads them."""
    from slidemitosis.reading.worker import read_patch

    prepared = prepare(slide, points, ReadOptions(**options), find_model("lite0").patch)
    with prepared.open_slide() as opened:
        return np.stack([read_patch(opened, w, 128) for w in prepared.windows])


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
def test_bounds_shift_candidates_and_not_the_objects(tmp_path: Path, reader: str) -> None:
    region = position_colours(400, 300)
    slide = write_scn(tmp_path / "a.scn", region, at=(128, 64), collection=(1000, 800))
    from_bounds = write_points(tmp_path / "b.geojson", [(200, 150)])
    from_corner = write_points(tmp_path / "c.geojson", [(328, 214)])
    want = region[150 - 64 : 150 + 64, 200 - 64 : 200 + 64]
    for points, origin in ((from_bounds, "bounds"), (from_corner, "level0")):
        (patch,) = windows_read(slide, points, origin=origin, reader=reader)
        np.testing.assert_array_equal(patch, want)
    with pytest.raises(UnsettledOrigin):
        classify(slide, from_bounds, reader=reader)
    result = classify(slide, from_bounds, origin="bounds", reader=reader)
    (row,) = rows_of(result)
    assert (row["x"], row["y"], row["level0_x"], row["level0_y"]) == ("200", "150", "328", "214")
    assert objects_of(result)[0]["geometry"]["coordinates"] == [200, 150]
    assert result.summary["reading"]["offset_px"] == [128, 64]
    assert result.summary["slide"]["reader"] == reader


def test_candidates_of_a_wrong_origin_are_an_error_with_both_sizes(tmp_path: Path) -> None:
    slide = write_scn(tmp_path / "a.scn", position_colours(400, 300), at=(128, 64), collection=(1000, 800))
    points = write_points(tmp_path / "p.geojson", [(950, 700), (900, 760)])
    with pytest.raises(
        CandidatesOffSlide, match=r"1000 x 800 px, with pixels in 400 x 300 px at x 128, y 64"
    ) as e:
        classify(slide, points, origin="bounds")
    assert "x 1028 to 1078" in str(e.value)
    assert not (tmp_path / "a.slidemitosis").exists()


def test_a_coarse_slide_is_refused_or_flagged_in_every_output(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500) * np.uint8(13)], mpp=1.0)
    points = write_points(tmp_path / "p.geojson", [(300, 200)])
    with pytest.raises(UnsuitableResolution, match="--allow-upsampling"):
        classify(slide, points)
    assert not (tmp_path / "a.slidemitosis").exists()
    result = classify(slide, points, allow_upsampling=True)
    assert rows_of(result)[0]["upsampled"] == "true"
    (o,) = objects_of(result)
    assert o["properties"]["measurements"]["Upsampled"] == 1.0
    assert o["properties"]["metadata"]["slidemitosis.upsampled"] == "true"
    assert result.summary["reading"] == {
        "model_mpp": 0.25,
        "patch_px": 128,
        "level": 0,
        "direct": False,
        "not_direct": "its compression is LZW, not JPEG",
        "resampling": "upsampled",
        "upsampled": True,
        "offset_px": [0, 0],
        "offset_by": "the slide has no bounds",
        "objects_frame": "level0",
        "objects_offset_px": [0, 0],
        "objects_offset_by": "as the candidates",
    }


def test_the_pixel_size_given_is_the_one_used_and_said_so(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "plain.tif", position_colours(700, 500))
    points = write_points(tmp_path / "p.geojson", [(300, 200)])
    with pytest.raises(MissingResolution):
        classify(slide, points)
    (patch,) = windows_read(slide, points, mpp=PixelSize(0.25, 0.25))
    np.testing.assert_array_equal(patch, position_colours(128, 128, x0=300 - 64, y0=200 - 64))
    result = classify(slide, points, mpp=0.25)
    assert result.summary["slide"]["mpp_source"] == "given"


def test_only_mitoses_are_classified_where_classes_say_which_they_are(painted: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(100, 100), (200, 200), (300, 300), (400, 400)])
    data = json.loads(points.read_text())
    for feature, name in zip(
        data["features"], ("Mitosis", "Non-mitotic figure", "Tumor: Mitosis", "Stroma"), strict=True
    ):
        feature["properties"]["classification"] = {"name": name, "color": [0, 0, 0]}
    points.write_text(json.dumps(data))
    result = classify(painted, points)
    assert [r["class"] for r in rows_of(result)] == ["Mitosis", "Tumor: Mitosis"]
    assert result.summary["points"]["left_out"] == [
        {"class": "Non-mitotic figure", "count": 1},
        {"class": "Stroma", "count": 1},
    ]
    asked = classify(painted, points, candidate_classes=["stroma"], out=tmp_path / "s")
    assert [r["class"] for r in rows_of(asked)] == ["Stroma"]
    with pytest.raises(UnsettledClasses, match="Stroma"):
        classify(painted, points, candidate_classes=["nothing"])


def test_a_slide_of_which_nothing_can_be_read_is_an_error(painted: Path, tmp_path: Path) -> None:
    """The tail holds the directory, as in many files, so that a slide without its middle still opens."""
    spoil_tiles(painted)
    points = write_points(tmp_path / "p.geojson", [(300, 200), (100, 400)])
    with pytest.raises(ReadingFailed, match=r"painted\.svs: not one of 2 candidates could be read"):
        classify(painted, points)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.geojson", "painted.svs"]


def test_one_bad_tile_costs_only_the_candidates_on_it(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(1024, 512)])
    spoil_tiles(slide, 16 * 3 + 2)
    centres = [(160, 224), (600, 200), (900, 400), (130, 200)]
    result = classify(slide, write_points(tmp_path / "p.geojson", centres), workers=2, batch_size=1)
    assert [r["status"] for r in rows_of(result)] == ["unreadable", "classified", "classified", "unreadable"]
    assert "a.svs: level 0" in rows_of(result)[0]["reason"]
    assert result.rate.classified == 2
    assert [n["status"] for n in result.summary["not_classified"]] == ["unreadable"] * 2


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_is_known_at_once(painted: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    points = write_points(tmp_path / "p.geojson", [(300, 200)])
    with pytest.raises(OutputError, match="--out"):
        classify(painted, points, out=tmp_path / where)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "p.geojson", "painted.svs"]


def test_points_and_tables_arrive_packed_or_not(painted: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(300, 200), (100, 400)])
    packed = tmp_path / "p.geojson.gz"
    packed.write_bytes(gzip.compress(points.read_bytes()))
    plain = classify(painted, points, out=tmp_path / "a")
    same = classify(painted, packed, out=tmp_path / "b")
    assert plain.files.objects.read_bytes() == same.files.objects.read_bytes()


def test_real_exports_of_qupath_go_through_a_real_slide(tmp_path: Path) -> None:
    """A real Aperio region (20x) and what QuPath 0.5.1 wrote for it: eleven objects of every kind."""
    slide = needs_shared("data", "CMU-1-Small-Region.svs")
    exported = json.loads(needs_shared("data", "qupath", "export-0.5.1.geojson").read_text())
    points = tmp_path / "p.geojson"
    points.write_text(json.dumps(exported))
    with pytest.raises(UnreadableCandidates, match="1 of 9 candidates lie on another plane"):
        classify(slide, points, out=tmp_path / "o", candidate_classes=["Mitosis"])
    for one in exported["features"]:
        one["geometry"].get("plane", {}).update(z=0, t=0)
    points.write_text(json.dumps(exported))
    result = classify(slide, points, out=tmp_path / "o", candidate_classes=["Mitosis"])
    originals = {f["id"]: f for f in json.loads(points.read_text())["features"]}
    kept = [o for o in objects_of(result) if o["id"] in originals]
    assert len(kept) >= 3
    for o in kept:
        assert o["geometry"] == originals[o["id"]]["geometry"]
        assert o.get("nucleusGeometry") == originals[o["id"]].get("nucleusGeometry")
        assert o["properties"].get("name") == originals[o["id"]]["properties"].get("name")
    assert result.summary["reading"]["upsampled"] is True


def test_a_region_among_the_candidates_is_warned_of(
    painted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200)], name=None)
    data = json.loads(points.read_text())
    ring = [[50, 50], [600, 50], [600, 400], [50, 400], [50, 50]]
    data["features"][0]["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    points.write_text(json.dumps(data))
    classify(painted, points)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("1 of 2 candidates are wider than 100 um")
    assert "feature 1;" in warning


def test_bare_glass_is_no_figure_and_not_in_the_rate(tmp_path: Path) -> None:
    pixels = position_colours(700, 500)
    pixels[:, :300] = 243
    pixels[:, :300] += np.random.default_rng(0).integers(
        0, 5, (500, 300, 1), dtype=np.uint8
    )  # a scanner's noise
    slide = write_aperio(tmp_path / "a.svs", [pixels])
    result = classify(slide, write_points(tmp_path / "p.geojson", [(150, 250), (500, 250)]))
    assert [r["status"] for r in rows_of(result)] == ["blank", "classified"]
    assert rows_of(result)[0]["p_atypical"] == ""
    assert (result.rate.classified, result.rate.blank) == (1, 1)
    assert result.summary["counts"]["blank"] == 1
    assert objects_of(result)[0]["properties"]["classification"]["names"] == ["Mitosis"]


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
def test_what_lies_outside_the_bounds_is_off_the_slide(tmp_path: Path, reader: Any) -> None:
    slide = write_scn(tmp_path / "a.scn", position_colours(400, 300), at=(128, 64), collection=(1000, 800))
    points = write_points(tmp_path / "p.geojson", [(60, 30), (140, 200), (528, 100), (527, 363)])
    result = classify(slide, points, origin="level0", reader=reader)
    rows = rows_of(result)
    assert [r["status"] for r in rows] == ["outside", "classified", "outside", "classified"]
    assert "with pixels in 400 x 300 px at x 128, y 64" in rows[0]["reason"]
    assert float(rows[1]["padding"]) == pytest.approx(52 / 128, abs=1e-4)


def test_one_id_for_many_figures_is_warned_of(
    painted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = tmp_path / "p.csv"
    points.write_text("id,x,y\n" + "".join(f"case 7,{100 + 50 * i},100\n" for i in range(8)))
    result = classify(painted, points)
    assert result.rate.duplicates == 7
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("7 candidates have another one's id and lie up to 88 um from it")
    assert "--keep-duplicates" in warning


def test_a_rerun_on_objects_finds_the_same_duplicates_and_unclassified_ones(tmp_path: Path) -> None:
    pixels = position_colours(700, 500)
    pixels[:, :200] = 240
    slide = write_aperio(tmp_path / "a.svs", [pixels])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200), (500, 200), (501, 201)], name=None)
    data = json.loads(points.read_text())
    data["features"][2]["id"] = data["features"][1]["id"]
    points.write_text(json.dumps(data))
    first = classify(slide, points)
    assert [r["status"] for r in rows_of(first)] == ["blank", "classified", "duplicate", "classified"]
    again = classify(slide, first.files.objects, out=tmp_path / "again")
    assert again.files.objects.read_bytes() == first.files.objects.read_bytes()


def test_results_of_a_slide_that_was_renamed_are_replaced_and_those_of_another_are_not(
    painted: Path, tmp_path: Path
) -> None:
    points = write_points(tmp_path / "points.geojson", [(300, 200)])
    out = tmp_path / "out"
    classify(painted, points, out=out)
    slide = painted.rename(painted.with_name("renamed.svs"))
    os.utime(slide, (1, 1))
    assert classify(slide, points, out=out).summary["slide"]["name"] == "renamed.svs"
    (tmp_path / "elsewhere").mkdir()
    other = write_aperio(tmp_path / "elsewhere/renamed.svs", [position_colours(500, 500)])
    with pytest.raises(OutputError, match="results of other inputs"):
        result_folder(out, other, points)


def test_inputs_and_results_of_other_inputs_are_never_replaced(painted: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "objects.geojson", [(300, 200)])
    before = points.read_bytes()
    with pytest.raises(OutputError, match="is an input"):
        classify(painted, points, out=tmp_path)
    assert points.read_bytes() == before
    out = tmp_path / "out"
    classify(painted, points, out=out)
    classify(painted, points, out=out)  # the same again is fine
    other = write_points(tmp_path / "other.geojson", [(100, 200)])
    results = [p.read_bytes() for p in sorted(out.iterdir())]
    with pytest.raises(OutputError, match=r"results of other inputs \(painted\.svs with objects\.geojson\)"):
        classify(painted, other, out=out)
    assert [p.read_bytes() for p in sorted(out.iterdir())] == results
    namesake = tmp_path / "elsewhere"
    namesake.mkdir()
    twin = write_points(namesake / "objects.geojson", [(200, 200), (400, 300)])
    with pytest.raises(OutputError, match="results of other inputs"):
        classify(painted, twin, out=out)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "candidates.csv").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        classify(painted, points, out=foreign)
    assert (foreign / "candidates.csv").read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [
        {"mpp": "0.25"},
        {"mpp": (0.25, 0.25, 0.25)},
        {"workers": "2"},
        {"workers": 300},
        {"batch_size": 2.5},
        {"candidate_classes": "Mitosis"},
        {"views": 2},
        {"reader": "bioformats"},
        {"origin": "top"},
        {"device": "tpu"},
    ],
)
def test_options_that_cannot_be_meant_are_named(
    painted: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    points = write_points(tmp_path / "p.geojson", [(300, 200)])
    with pytest.raises(InvalidOption):
        classify(painted, points, **options)
    assert not (tmp_path / "painted.slidemitosis").exists()


def test_both_axes_of_the_pixel_size_are_compared_with_the_metadata(
    painted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classify(painted, write_points(tmp_path / "p.geojson", [(300, 200)]), mpp=(0.25, 0.2))
    assert "the metadata say 0.25 um/px, --mpp says 0.25 x 0.2" in caplog.text


def test_one_classifier_does_slide_after_slide_even_after_one_that_fails(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    """What it writes is what `classify_slide` writes, and readers and model are those of the first slide."""

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    slide, points = drawn
    alone = classify(slide, points, model="lite0", out=tmp_path / "alone", workers=1)
    with SlideClassifier("lite0", compute=ComputeOptions(workers=1)) as classifier:
        first = classify(slide, points, out=tmp_path / "first", classifier=classifier)
        engine, processes = classifier.engine, [w.process.pid for w in classifier._pool._workers]
        with pytest.raises(UnreadableSlide, match="no such file"):
            classify(tmp_path / "gone.svs", points, out=tmp_path / "none", classifier=classifier)
        with pytest.raises(KeyboardInterrupt):
            classify(slide, points, out=tmp_path / "none", progress=interrupt, classifier=classifier)
        second = classify(slide, points, out=tmp_path / "second", classifier=classifier)
        assert classifier.engine is engine
        assert [w.process.pid for w in classifier._pool._workers] == processes
    assert not (tmp_path / "none").exists()
    for result in (first, second):
        assert result.files.objects.read_bytes() == alone.files.objects.read_bytes()
        assert result.files.candidates.read_bytes() == alone.files.candidates.read_bytes()


def test_slow_reading_is_told_once_with_its_reason_where_it_costs_seconds(
    painted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = write_points(tmp_path / "p.geojson", [(300, 200), (400, 300)])
    for worth, reader, times in ((2, "auto", 1), (2, "openslide", 0), (3, "auto", 0)):
        caplog.clear()
        monkeypatch.setattr("slidemitosis.reading.prepare.WORTH_TELLING", worth)
        with caplog.at_level("INFO"):
            result = classify(painted, points, reader=reader)
        told = [r.getMessage() for r in caplog.records if "which is slower" in r.getMessage()]
        assert len(told) == times
        assert all(
            t.endswith("read by openslide, which is slower: its compression is LZW, not JPEG") for t in told
        )
        assert result.summary["reading"]["direct"] is False


@pytest.mark.slow
def test_a_slide_of_jpeg_tiles_is_read_directly_with_the_same_results(tmp_path: Path) -> None:
    from slidemitosis.demo.files import write_demo

    slide, points = write_demo(tmp_path)
    windows = windows_read(slide, points)
    assert len(windows) == 40
    results = [
        classify(slide, points, reader=reader, out=tmp_path / reader) for reader in ("auto", "openslide")
    ]
    assert [r.summary["reading"]["direct"] for r in results] == [True, False]
    assert [r.summary["reading"]["not_direct"] for r in results] == [None, "the library was asked for"]
    assert results[0].files.candidates.read_text() == results[1].files.candidates.read_text()
    for ours, theirs in zip(windows, windows_read(slide, points, reader="openslide"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_nothing_is_written_that_was_not_asked_for_and_write_gives_what_the_command_gives(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = (shutil.copy(path, tmp_path) for path in drawn)
    result = classify_slide(slide, points, model="lite0", compute=ComputeOptions(workers=0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drawn.geojson", "drawn.svs"]
    files = result.write(tmp_path / "out")
    words = ("--model", "lite0", "--workers", "0", "--out", tmp_path / "by-command")
    assert run("classify", slide, "--points", points, *words).returncode == 0
    for path in files.all[:2]:
        assert path.read_bytes() == (tmp_path / "by-command" / path.name).read_bytes()
    assert without_times(files.summary) == without_times(tmp_path / "by-command" / "summary.json")


def test_candidates_in_memory_are_classified_as_those_of_a_file(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = drawn
    of_file = read_candidates(points)
    in_memory = Candidates.from_xy([(c.x, c.y) for c in of_file])
    compute = ComputeOptions(workers=0)
    result = classify_candidates(slide, in_memory, model="lite0", compute=compute)
    expected = classify_slide(slide, points, model="lite0", compute=compute)
    assert [r.prediction for r in result.candidates] == [r.prediction for r in expected.candidates]
    assert result.rate == expected.rate
    files = result.write(tmp_path / "out")
    assert json.loads(files.summary.read_text())["points"]["path"] is None
    assert result.write(tmp_path / "out") == files  # of the same slide: replaced


@pytest.mark.parametrize("xy", [[(1.0,)], [("a", 2)], [(1.0, math.nan)]])
def test_places_in_memory_that_are_no_places_are_refused(xy: Any) -> None:
    with pytest.raises(UnreadableCandidates, match="position 1"):
        Candidates.from_xy(xy)


def test_the_counts_are_said_wherever_the_rule_chose_among_names(
    painted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where it took all: two names may be the same figures to nobody but the rule."""
    told = {}
    for names in (["Mitosis", "mitotic figure"], ["Mitosis", "Mitosis: Rejected"], ["Mitosis", "Mitosis"]):
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [100 + 100 * i, 100]},
                "properties": {"classification": name},
            }
            for i, name in enumerate(names)
        ]
        points = tmp_path / "a.geojson"
        points.write_text(json.dumps(features))
        caplog.clear()
        with (
            caplog.at_level(logging.INFO),
            SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as classifier,
        ):
            classifier.begin(painted, points)
        told[names[1]] = [r.getMessage() for r in caplog.records]
    assert told == {
        "mitotic figure": ["candidates: Mitosis (1), mitotic figure (1); left out: none"],
        "Mitosis: Rejected": ["candidates: Mitosis (1); left out: Mitosis: Rejected (1)"],
        "Mitosis": [],
    }
