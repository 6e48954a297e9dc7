"""From files to all that is said of a rate: bands, areas, the hot spot in QuPath's file, and refusals."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import geojson
import numpy as np
import pytest
import shapely.geometry

from slidemitosis import ErrorCounts, RateOptions, ReadOptions, Spot
from slidemitosis.cli import main
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import InvalidOption, UnsettledClasses
from slidemitosis.models.looks import LIMIT, SlideLooks
from slidemitosis.models.shipped import find_model
from slidemitosis.rates.correction import corrected_fraction
from slidemitosis.rates.slide import rate_slide, validated_errors
from slidemitosis.reading.prepare import prepare
from tests.classify import written
from tests.conftest import position_colours, write_aperio, write_points, write_scn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.classify.written import Written

SMALL = Spot(mm2=0.01)  # radius 56 um, 226 px at 0.25 um/px


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("drawn")
    phantom = draw_phantom(width=1200, height=900, figures=14, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    return folder / "drawn.svs", folder / "drawn.geojson"


def classify(slide: Path, points: Path, out: Path, **options: Any) -> Written:
    return written.classify(slide, points, out=out, model="lite0", workers=0, **options)


def objects_of(result: Written) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = json.loads(result.files.objects.read_text())["features"]
    return features


def hot_spot_of(result: Written) -> dict[str, Any]:
    (found,) = [f for f in objects_of(result) if f["properties"]["classification"]["names"] == ["Hot spot"]]
    return found


@pytest.mark.parametrize("shape", ["circle", "square", "4:3"])
def test_the_annotation_holds_the_figures_that_the_summary_counts(
    drawn: tuple[Path, Path], tmp_path: Path, shape: Any
) -> None:
    result = classify(*drawn, tmp_path / "out", rates=RateOptions(spot=Spot(shape=shape, mm2=0.01)))
    summary, annotation = result.summary["hot_spot"], hot_spot_of(result)
    outline = shapely.geometry.shape(annotation["geometry"]).buffer(0.02)
    held = [
        p
        for p in result.candidates
        if outline.contains(shapely.geometry.Point(p.placed.frame_x, p.placed.frame_y))
    ]
    assert len(held) == summary["mitoses"] == annotation["properties"]["measurements"]["Mitoses"]
    assert sum(p.call is not None and p.call.atypical for p in held) == summary["atypical"]
    assert summary["no_spot_has_more_than"] == summary["mitoses"]
    assert shapely.area(outline) * 0.25**2 / 1e6 == pytest.approx(0.01, rel=0.01)
    assert summary["mitoses_per_mm2"] == pytest.approx(summary["mitoses"] / summary["mm2_on_slide"])
    assert 0 < summary["mm2_on_slide"] <= 0.0101


def test_the_annotation_is_one_that_qupath_reads(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    result = classify(*drawn, tmp_path / "out", rates=RateOptions(spot=SMALL))
    annotation = hot_spot_of(result)
    assert str(UUID(annotation["id"])) == annotation["id"] == result.summary["hot_spot"]["object_id"]
    assert annotation["id"] not in {p.placed.object_id for p in result.candidates}
    properties = annotation["properties"]
    assert properties["objectType"] == "annotation"
    assert properties["classification"]["color"] == [0, 158, 115]
    ring = annotation["geometry"]["coordinates"][0]
    assert annotation["geometry"]["isEllipse"] is True
    assert ring[0] == ring[-1]
    assert all(round(v, 2) == v for xy in ring for v in xy)
    assert geojson.loads(json.dumps(annotation)).is_valid
    # QuPath makes the ellipse of the box around the corners.
    xs, ys = zip(*ring, strict=True)
    assert max(xs) - min(xs) == pytest.approx(result.summary["hot_spot"]["width_um"] / 0.25, abs=0.02)
    assert max(ys) - min(ys) == pytest.approx(result.summary["hot_spot"]["height_um"] / 0.25, abs=0.02)


def test_a_result_with_its_hot_spot_is_input_again_and_gives_the_same_bytes(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = drawn
    first = classify(slide, points, tmp_path / "one", rates=RateOptions(spot=SMALL))
    again = classify(slide, first.files.objects, tmp_path / "two", rates=RateOptions(spot=SMALL))
    assert again.files.objects.read_bytes() == first.files.objects.read_bytes()
    assert again.summary["points"]["left_out"] == [{"class": "Hot spot", "count": 1}]


def test_the_hot_spot_stands_in_the_frame_of_the_points_and_in_um(tmp_path: Path) -> None:
    """On a slide with bounds, and with pixels that are not square."""
    slide = write_scn(tmp_path / "a.scn", position_colours(900, 700), at=(128, 64), collection=(4000, 3000))
    points = write_points(tmp_path / "p.geojson", [(400, 300), (420, 320), (800, 600)])
    spot = Spot(shape="square", mm2=0.0016)  # 40 um wide
    result = classify(
        slide, points, tmp_path / "out", origin="bounds", mpp=(0.25, 0.5), rates=RateOptions(spot=spot)
    )
    (ring,) = hot_spot_of(result)["geometry"]["coordinates"]
    assert ring == [[330, 270], [490, 270], [490, 350], [330, 350], [330, 270]]
    assert result.summary["hot_spot"]["centre_level0_px"] == [410 + 128, 310 + 64]
    assert result.summary["hot_spot"]["mitoses"] == 2


def test_an_earlier_hot_spot_that_is_a_candidate_keeps_its_id_to_itself(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    """It is what was asked for; two objects of one id would stop QuPath."""
    slide, points = drawn
    first = classify(slide, points, tmp_path / "one", rates=RateOptions(spot=SMALL))
    again = classify(
        slide,
        first.files.objects,
        tmp_path / "two",
        candidate_classes=["Hot spot"],
        rates=RateOptions(spot=SMALL),
    )
    ids = [f["id"] for f in objects_of(again)]
    assert len(ids) == len(set(ids)) == 2
    assert ids[0] == first.summary["hot_spot"]["object_id"]


def test_a_slide_smaller_than_the_spot_says_so_and_is_not_drawn_over(
    drawn: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = classify(*drawn, tmp_path / "out")
    assert result.summary["hot_spot"]["slide_smaller_than_spot"] is True
    assert result.summary["hot_spot"]["object_id"] is None
    assert result.summary["hot_spot"]["mitoses"] == 14
    assert len(objects_of(result)) == 14
    words = ["classify", str(drawn[0]), "--points", str(drawn[1]), "--model", "lite0", "--workers", "0"]
    assert main([*words, "--out", str(tmp_path / "cli")]) == 0
    assert "the slide is smaller than the spot, which is not drawn" in capsys.readouterr().out


def test_no_figures_have_no_hot_spot(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])
    result = classify(slide, write_points(tmp_path / "p.geojson", []), tmp_path / "out")
    assert result.summary["hot_spot"] is None
    assert result.summary["corrected_fraction_amf_of_all"] is None
    assert result.summary["correction"]["missing_because"] == "nothing was classified"


def test_uncertain_figures_are_counted_apart_in_every_output(
    drawn: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = classify(*drawn, tmp_path / "plain")
    p = sorted(x.probability for x in plain.candidates if x.probability is not None)
    threshold = plain.summary["model"]["threshold"]
    low = max((v for v in p if v < threshold), default=0.0)
    high = min((v for v in p if v >= threshold), default=0.99) + 1e-6
    result = classify(*drawn, tmp_path / "out", rates=RateOptions(abstain=(low, high)))
    apart = [x for x in result.candidates if x.status == "uncertain"]
    assert 1 <= len(apart) < 14
    assert all(x.probability is not None and low <= x.probability < high for x in apart)
    counts = result.summary["counts"]
    assert counts["uncertain"] == len(apart)
    assert counts["classified"] == 14 - len(apart) == counts["atypical"] + counts["normal"]
    assert counts["candidates"] == 14
    assert result.summary["options"]["abstain"] == (low, high)
    assert result.summary["mean_p_atypical"] == plain.summary["mean_p_atypical"]
    assert result.summary["expected_subtypes"] == plain.summary["expected_subtypes"]
    assert result.summary["hot_spot"]["mitoses"] == 14
    with result.files.candidates.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["status"] == "uncertain"]
    assert len(rows) == len(apart)
    assert all(r["call"] == "" and r["subtype"] == "" and float(r["p_atypical"]) >= low for r in rows)
    assert all("lies in the band from" in r["reason"] for r in rows)
    named = {f["id"]: f["properties"] for f in objects_of(result)}
    for x in apart:
        assert named[x.placed.object_id]["classification"]["names"] == ["Mitosis"]
        assert named[x.placed.object_id]["measurements"]["P(atypical)"] == x.probability
        assert named[x.placed.object_id]["metadata"]["slidemitosis.status"] == "uncertain"
    assert result.rated.corrected.fraction is None
    assert result.rated.corrected.reason is not None
    assert "set apart as uncertain" in result.rated.corrected.reason
    words = ["classify", str(drawn[0]), "--points", str(drawn[1]), "--model", "lite0", "--workers", "0"]
    words += ["--abstain", repr(low), repr(high), "--out", str(tmp_path / "cli")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"{14 - len(apart)} classified, {len(apart)} uncertain" in said
    assert "corrected   not to be had: the card's sensitivity" in said
    assert f"experts would disagree on about {plain.summary['expected_hard']:.0f} of 14" in said


def test_a_result_with_uncertain_figures_is_input_again(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    slide, points = drawn
    band = RateOptions(abstain=(0.0, 1.0))
    first = classify(slide, points, tmp_path / "one", rates=band)
    assert first.summary["counts"]["uncertain"] == 14
    again = classify(slide, first.files.objects, tmp_path / "two", rates=band)
    assert again.files.objects.read_bytes() == first.files.objects.read_bytes()


def test_the_cards_counts_correct_the_rate_and_given_ones_replace_them(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    card = find_model("lite0")
    ours = classify(*drawn, tmp_path / "card").summary
    k, n = ours["counts"]["atypical"], ours["counts"]["classified"]
    decision = card.decision_for(views=1, point="counting")
    validation = decision.validation
    want = corrected_fraction(k, n, validated_errors(validation))
    assert (ours["corrected_fraction_amf_of_all"], ours["corrected_fraction_amf_of_all_95"]) == (
        want.fraction,
        want.interval,
    )
    assert ours["correction"]["counts_from"] == "model card"
    assert ours["correction"]["protocol"] == validation.protocol
    assert ours["correction"]["specificity_sd_between_slides"] > 0
    narrow = (decision.threshold - 1e-6, decision.threshold + 1e-6)
    given = RateOptions(errors=ErrorCounts(tp=90, fn=10, tn=180, fp=20), abstain=narrow)
    theirs = classify(*drawn, tmp_path / "given", rates=given).summary
    assert theirs["correction"]["counts_from"] == "given"
    assert theirs["correction"]["protocol"] is None
    assert (theirs["correction"]["sensitivity"], theirs["correction"]["specificity"]) == (0.9, 0.9)
    assert theirs["corrected_fraction_amf_of_all"] is not None


def with_regions(points: Path, out: Path, *boxes: tuple[float, float, float, float]) -> Path:
    """The points and, of class Tumor, these boxes (left, top, right, bottom)."""
    document = json.loads(points.read_text())
    for x0, y0, x1, y1 in boxes:
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        document["features"].append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": "Tumor", "color": [200, 0, 0]},
                },
            }
        )
    out.write_text(json.dumps(document))
    return out


def test_annotations_bound_the_density_and_the_hot_spot_and_are_no_candidates(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = drawn
    both = with_regions(points, tmp_path / "p.geojson", (0, 0, 600, 900), (300, 0, 700, 900))
    result = classify(slide, both, tmp_path / "out", area_classes=["tumor"], rates=RateOptions(spot=SMALL))
    area = result.summary["analysed_area"]
    inside = [p for p in result.candidates if p.placed.frame_x <= 700]
    assert 0 < len(inside) < len(result.candidates) == 14
    assert area["source"] == "annotations"
    assert (area["classes"], area["annotations"]) == (["Tumor"], 2)
    assert area["mm2"] == pytest.approx(700 * 900 * 0.25**2 / 1e6)
    assert area["mitoses"] == len(inside)
    assert area["mitoses_per_mm2"] == pytest.approx(len(inside) / area["mm2"])
    assert area["atypical_per_mm2"] == pytest.approx(
        sum(p.call is not None and p.call.atypical for p in inside) / area["mm2"]
    )
    assert result.summary["counts"]["candidates"] == 14
    hot = result.summary["hot_spot"]
    assert hot["among"] == "figures within the annotations"
    assert hot["mitoses"] <= len(inside)
    assert hot["mm2_analysed"] <= hot["mm2_on_slide"] + 1e-9


def test_annotations_without_a_figure_have_a_density_of_zero_and_no_hot_spot(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    slide, points = drawn
    corner = with_regions(points, tmp_path / "p.geojson", (0, 0, 4, 4))
    summary = classify(slide, corner, tmp_path / "out", area_classes=["Tumor"]).summary
    assert summary["analysed_area"]["mitoses_per_mm2"] == 0
    assert summary["hot_spot"] is None
    assert summary["counts"]["classified"] == 14


def test_a_given_area_is_that_of_all_figures(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    area = classify(*drawn, tmp_path / "out", rates=RateOptions(area_mm2=0.05)).summary["analysed_area"]
    assert (area["source"], area["mm2"], area["mitoses"]) == ("given", 0.05, 14)
    assert area["mitoses_per_mm2"] == pytest.approx(280)


def test_the_tissue_of_a_drawn_slide_is_the_area(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    summary = classify(*drawn, tmp_path / "out", rates=RateOptions(tissue=True, spot=SMALL)).summary
    area = summary["analysed_area"]
    assert area["source"] == "tissue"
    assert 0.3 * 0.0675 < area["mm2"] <= 0.0675 * 1.01
    assert area["mitoses"] == 14
    assert area["tissue_um_per_px"][0] <= 16.5
    assert summary["hot_spot"]["mm2_analysed"] <= 0.0105


def test_bare_glass_has_no_density_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    glass = write_aperio(tmp_path / "glass.svs", [np.full((300, 300, 3), 240, np.uint8)])
    points = write_points(tmp_path / "p.geojson", [(150, 150)])
    result = classify(glass, points, tmp_path / "out", rates=RateOptions(tissue=True))
    assert result.summary["analysed_area"] is None
    assert "no tissue is to be seen" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--abstain", "0.5", "0.2"], "abstain needs 0 <= LOW < HIGH <= 1, not 0.5 and 0.2"),
        (["--abstain", "nan", "0.2"], "abstain needs"),
        (["--abstain", "0.5", "0.9"], "does not hold 0.414, from which lite0 calls a figure atypical"),
        (["--sensitivity", "9", "1"], "--sensitivity and --specificity correct the rate together: give both"),
        (["--sensitivity", "9", "-1", "--specificity", "9", "1"], "must be 0 or more"),
        (["--area", "100"], "at most the slide's 0.0675 mm2, not 100"),
        (["--area", "0.01", "--tissue"], "give one of the two"),
        (["--area-class", "Mitosis", "--tissue"], "give one of the three"),
        (["--area-class", "Stroma"], "no object has the class 'Stroma'"),
        (["--area-class", "Unclassified"], "no object has the class 'Unclassified'"),
        (["--hot-spot", "0"], "the hot spot must have 0.001 to 10,000 mm2, not 0"),
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
    both = with_regions(points, tmp_path / "p.geojson", (0, 0, 600, 900))
    if "--area-class" not in options:
        both = points
    elif "--tissue" in options:
        options = ["--area-class", "Tumor", "--tissue"]
    words = ["classify", str(slide), "--points", str(both), "--model", "lite0", "--workers", "0"]
    assert main([*words, "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if message in line] == said[-1:]
    assert not (tmp_path / "out").exists()


def test_a_name_in_place_of_a_list_of_names_is_refused(drawn: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="must be a list of names"):
        classify(*drawn, tmp_path / "out", area_classes="Tumor")
    with pytest.raises(UnsettledClasses):
        classify(*drawn, tmp_path / "out", area_classes=["Tumor"])


@pytest.mark.parametrize(
    ("tumour", "warned"),
    [
        (None, False),
        ("Human breast cancer", False),
        ("breast cancer", False),
        ("canine breast cancer", True),
        ("melanoma", True),
    ],
)
def test_a_rate_of_another_tumour_than_was_validated_on_says_so(
    tumour: str | None, warned: bool, drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    found = classify(*drawn, tmp_path / "out", rates=RateOptions(tumour=tumour))
    assert list(found.rated.warnings) == found.summary["warnings"]
    (told,) = found.rated.warnings or ("",)
    wanted = (
        f"lite0 was validated on human breast cancer, not on {tumour}: fraction and intervals may be wrong"
    )
    assert told.startswith(wanted) is warned


def test_a_cut_off_is_a_fraction_or_a_ratio_and_both_say_the_same(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    ways = (["--cutoff", "0.2125984"], ["--cutoff-ratio", "0.27"])
    above = []
    for i, words in enumerate(ways):
        slide, points = map(str, drawn)
        out = tmp_path / str(i)
        assert (
            main(["classify", slide, "--points", points, "--model", "lite0", "--out", str(out), *words]) == 0
        )
        summary = json.loads((out / "summary.json").read_text())
        above.append(summary["probability_above_cutoff"])
        assert summary["options"]["cutoff"] == pytest.approx(0.27 / 1.27, abs=1e-6)
    assert above[0] == pytest.approx(above[1], abs=1e-6)
    assert 0 < above[0] < 1


@pytest.mark.parametrize("point", ["counting", "balanced"])
def test_calls_follow_the_operating_point_and_every_object_says_which(
    point: str, drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    found = classify(*drawn, tmp_path / "out", operating_point=point)
    (part,) = (c for c in find_model("lite0").calibrations if c.views == 1)
    threshold = getattr(part, point).threshold
    assert (found.summary["model"]["operating_point"], found.summary["model"]["threshold"]) == (
        point,
        threshold,
    )
    assert found.summary["model"]["calibration"]["views"] == 1
    for o, r in zip(objects_of(found), found.candidates, strict=False):
        assert o["properties"]["measurements"]["Call threshold"] == threshold
        assert r.call is not None
        assert r.call.atypical == (r.call.probability >= threshold)
    assert found.summary["schema"] == 2
    expected = found.summary["expected_fraction_amf_of_all"]
    assert expected == pytest.approx(np.mean([r.probability for r in found.candidates]))
    low, high = found.summary["expected_fraction_amf_of_all_figures_95"]
    assert low <= expected <= high


def test_a_slide_that_looks_unlike_those_of_training_says_so(
    drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    card = find_model("lite0")
    assert card.looks is not None
    decision = card.decision_for(views=1, point="counting")
    prepared = prepare(*drawn, ReadOptions(), card.patch)
    for away, warned in ((0.0, False), (2.0, True)):
        looks = SlideLooks()
        looks.add(np.tile(np.array(card.looks.mean) + away, (5, 1)))
        rated = rate_slide(
            [], prepared=prepared, card=card, decision=decision, options=RateOptions(), area=None, looks=looks
        )
        said = "; ".join(rated.warnings)
        assert ("the figures look unlike those that lite0 was trained on" in said) is warned
        assert rated.unlike is not None
        assert (rated.unlike > LIMIT) is warned
    none = rate_slide(
        [],
        prepared=prepared,
        card=card,
        decision=decision,
        options=RateOptions(),
        area=None,
        looks=SlideLooks(),
    )
    assert none.unlike is None
