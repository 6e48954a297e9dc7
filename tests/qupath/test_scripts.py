"""Run the scripts for QuPath from end to end: a real Groovy, stand-ins of QuPath, and the real command."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cohort import read_cohort
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.models.card import read_card, write_card
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ReadOptions
from tests.command import run
from tests.conftest import position_colours, write_aperio, write_features, write_scn
from tests.qupath.standin_qupath import QuPath, class_of, classes, polygon

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = (700, 500)
CENTRES = [(100.0, 100.0), (300.0, 200.0), (500.0, 300.0)]
OTHER = {"Mitosis: Atypical": "Mitosis: Normal", "Mitosis: Normal": "Mitosis: Atypical"}
POINTS = [(200.0, 400.0), (250.0, 150.0), (600.0, 420.0)]


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def feature(
    n: int, geometry: dict[str, Any], kind: str = "detection", of: str | None = "Mitosis", **more: Any
) -> dict[str, Any]:
    classification = {"classification": {"name": of, "color": [200, 0, 0]}} if of else {}
    properties = {"objectType": kind, **classification, **more}
    return {"type": "Feature", "id": uuid(n), "geometry": geometry, "properties": properties}


def write_figures(path: Path) -> Path:
    """Write three outlines and a points object of three figures, a region, and an object of another class."""
    named: dict[str, Any] = {"name": "my favourite", "measurements": {"Area": 31.5, "Upsampled": 1.0}}
    figures = [feature(i, polygon(*at), **(named if i == 0 else {})) for i, at in enumerate(CENTRES)]
    points = {"type": "MultiPoint", "coordinates": [list(at) for at in POINTS]}
    region = {"type": "Polygon", "coordinates": [[[0, 0], [699, 0], [699, 499], [0, 499], [0, 0]]]}
    others = [
        feature(7, points, "annotation"),
        feature(8, region, "annotation", None),
        feature(9, polygon(400, 400), "detection", "Stroma"),
    ]
    return write_features(path, figures + others)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    folder = tmp_path / "slides of May, 'new'"
    folder.mkdir()
    return write_aperio(
        folder / 'A 1, "x".svs' if os.name != "nt" else folder / "A 1.svs", [position_colours(*SIZE)]
    )


@pytest.fixture
def project(qupath: QuPath, slide: Path, tmp_path: Path) -> QuPath:
    """QuPath with that slide in a project."""
    qupath.project = tmp_path / "a project"
    qupath.project.mkdir()
    return qupath.add_image(slide, SIZE, objects=write_figures(tmp_path / "figures.geojson"))


def table(qupath: QuPath, name: str) -> list[dict[str, str]]:
    with (qupath.written / name).open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, strict=True))


def by_id(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {o["id"]: o for o in report["objects"]}
    assert len(found) == len(report["objects"])
    return found


def given(qupath: QuPath) -> dict[str, dict[str, Any]]:
    features = json.loads(Path(qupath.images[0]["objects"]).read_text())["features"]
    return {f["id"]: f for f in features}


def succeeded(report: dict[str, Any]) -> dict[str, Any]:
    assert report["error"] is None, report
    assert [d["kind"] for d in report["dialogs"] if d["kind"] != "choice"] in ([], ["info"]), report["log"]
    return report


def is_call(name: str) -> bool:
    return name in ("Mitosis: Atypical", "Mitosis: Normal")


def test_candidates_become_calls_and_nothing_else_of_the_image_changes(project: QuPath) -> None:
    first, again = map(succeeded, project.run("classify_image").run("classify_image").reports())
    before, after = given(project), by_id(first)
    # Points become objects of their own, everything else is the same object as before.
    assert set(after) >= {uuid(i) for i in (0, 1, 2, 8, 9)}
    assert uuid(7) not in after
    singles = [o for i, o in after.items() if i not in before]
    assert sorted(o["geometry"]["coordinates"] for o in singles) == sorted(map(list, POINTS))
    figures = [after[uuid(i)] for i in range(3)] + singles
    assert all(is_call(class_of(o)) for o in figures)
    assert all(0 <= o["properties"]["measurements"]["P(atypical)"] <= 1 for o in figures)
    assert {o["properties"]["metadata"]["slidemitosis.status"] for o in figures} == {"classified"}
    for i in (8, 9):
        assert class_of(after[uuid(i)]) == class_of(before[uuid(i)])
        assert "measurements" not in after[uuid(i)]["properties"]
    assert all(after[i]["geometry"] == before[i]["geometry"] for i in after if i in before)
    mine = after[uuid(0)]["properties"]
    assert (mine["name"], mine["measurements"]["Area"]) == ("my favourite", 31.5)
    assert "Upsampled" not in mine["measurements"]  # of an earlier run, on a coarser slide
    assert first["events"] == ["added 3", "removed", "classifications 3", "measurements 3", "hierarchy"]
    # A second run finds its own objects.
    assert again["objects"] == first["objects"]
    assert again["events"] == ["classifications 6", "measurements 6", "hierarchy"]
    # Nothing stands twice, though the points object that the points are from is gone.
    assert again["log"][-1].endswith("; 6 objects updated")


def test_a_project_is_told_what_was_found(project: QuPath) -> None:
    (report,) = project.run("classify_image").reports()
    succeeded(report)
    results = project.written / "results" / "1"
    summary = json.loads((results / "summary.json").read_text())
    assert summary["counts"]["candidates"] == 6
    assert [c["class"] for c in summary["points"]["selected"]] == ["Mitosis"]
    assert summary["slide"]["mpp_source"] == "given"
    metadata = report["metadata"]
    assert float(metadata["AMF fraction"]) == pytest.approx(summary["fraction_amf_of_all"], abs=1e-4)
    expected = summary["expected_fraction_amf_of_all"]
    assert float(metadata["AMF expected fraction"]) == pytest.approx(expected, abs=1e-4)
    assert metadata["AMF count"] == str(summary["counts"]["atypical"])
    assert metadata["AMF objects"] == "class Mitosis"
    assert metadata["AMF model"] == f"{summary['model']['name']} {summary['model']['version']}"
    assert report["synced"] == 1
    assert (project.written / "summaries" / "1.json").read_bytes() == (results / "summary.json").read_bytes()
    (row,) = table(project, "status.csv")
    assert (row["script"], row["entry_id"], row["outcome"]) == ("classify_image", "1", "done")
    assert row["image"] == project.images[0]["name"]
    assert row["what"] == report["dialogs"][0]["message"] == report["log"][-1].removeprefix("slidemitosis: ")
    assert " of 6 figures; " in row["what"]
    assert "3 objects updated, 3 added, 1 points objects replaced by one object for each point" in row["what"]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_versions_that_keep_no_metadata_of_detections_get_the_same_classes(
    project: QuPath, version: str
) -> None:
    project.run("classify_image")
    (latest,) = project.reports()
    project.version = version
    (report,) = project.reports()
    succeeded(report)
    assert classes(report) == classes(latest)
    kept = {o["properties"]["objectType"] for o in report["objects"] if "metadata" in o["properties"]}
    assert kept == ({"annotation"} if version == "0.5" else set())
    assert report["logged"] == []  # 0.5 logs a stack trace for each detection whose metadata it reads
    assert [d["kind"] for d in report["dialogs"]] == ["info"]


def test_a_region_that_is_selected_is_no_figure(project: QuPath) -> None:
    """QuPath selects what was drawn last: the tumour would be called normal, and its mitoses left out."""
    project.run("classify_image", select=[uuid(8), uuid(1)])
    (report,) = project.reports()
    assert report["dialogs"][-1]["message"] == (
        "1 of 2 selected objects are wider than 100 um: regions, no figures; select figures, or nothing for "
        "all of the class Mitosis"
    )
    assert classes(report) == {i: class_of(f) for i, f in given(project).items()}


def test_a_point_takes_the_place_of_its_points_object_in_a_core(project: QuPath) -> None:
    (report,) = project.run("classify_image", within={uuid(7): uuid(8)}).reports()
    succeeded(report)
    singles = set(by_id(report)) - set(given(project))
    assert len(singles) == 3
    assert {i for i, parent in report["parents"].items() if parent == uuid(8)} == singles


def test_where_the_project_cannot_be_written_no_object_is_changed(project: QuPath) -> None:
    """ "Run for project" saves the objects even if the script fails."""
    assert project.project is not None
    (project.project / "project.qpproj").mkdir()
    (report,) = project.run("classify_image", batch=2).reports()
    assert "project.qpproj" in report["error"]
    assert classes(report) == {i: class_of(f) for i, f in given(project).items()}
    assert report["events"] == []
    # By the threshold of a run whose calls never came, a later one would take others for set by hand.
    assert not (project.written / "summaries").exists()


def test_without_qupaths_default_imports_only_the_dialog_is_missing(project: QuPath) -> None:
    for script in ("export_candidates", "export_corrections"):
        project.run(script, imports=False)
    done, refused = project.reports()
    hint = '(turn on "Include default imports" in the script editor to see this as a dialog)'
    assert done["log"][0] == "slidemitosis: 4 objects of class Mitosis exported for the cohort"
    assert refused["log"][0].startswith("slidemitosis: failed: slidemitosis has not run on this image")
    for report in (done, refused):
        assert report["log"][1:] == [f"slidemitosis: {hint}"]
        assert report["error"] is None


def test_an_image_in_the_viewer_is_not_the_one_that_a_batch_is_about(project: QuPath, tmp_path: Path) -> None:
    project.add_image(tmp_path / "none.svs", SIZE, name="second")
    (report,) = project.run("classify_image", image=1, open=0).reports()
    assert [d["kind"] for d in report["dialogs"]] == ["error notification"]
    assert "none.svs: no such file; tell the project where it is now" in report["error"]
    (row,) = table(project, "status.csv")
    assert (row["entry_id"], row["image"], row["outcome"]) == ("2", "second", "failed")
    assert row["what"] == report["error"]


@pytest.mark.slow
def test_a_failure_is_one_line_and_leaves_everything_as_it_was(project: QuPath, slide: Path) -> None:
    slide.write_bytes(slide.read_bytes()[: slide.stat().st_size // 2])
    alone, batch = project.run("classify_image").run("classify_image", batch=3).reports()
    for report in (alone, batch):
        assert classes(report) == {i: class_of(f) for i, f in given(project).items()}
        assert (report["events"], report["metadata"], report["synced"]) == ([], {}, 0)
    (dialog,) = alone["dialogs"]
    assert dialog["kind"] == "error"
    assert "cut off" in dialog["message"]
    assert "\n" not in dialog["message"]
    assert alone["error"] is None
    assert (batch["error"], batch["dialogs"]) == (dialog["message"], [])
    (row,) = table(project, "status.csv")
    assert (row["outcome"], row["what"]) == ("failed", dialog["message"])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "cropped": (
        {"builder": {"builderType": "cropped", "builder": {"builderType": "uri"}}},
        "QuPath shows this image cropped",
    ),
    "of a kind that cannot be written": (
        {"builder": {"builderType": "pyramidize", "scale": float("nan")}},
        "QuPath shows this image StandinBuilder",
    ),
    "without a builder": ({"builder": None}, "does not say which file"),
    "another series of its file": (
        {"args": ["--dims", "XYCZT", "--series", "2"]},
        "QuPath shows this image as series 2 of its file, so that",
    ),
    "another series of its file, with levels that QuPath has made": (
        {"builder": {"builderType": "pyramidize", "builder": {"builderType": "uri", "args": ["--series=1"]}}},
        "QuPath shows this image as series 1 of its file, so that",
    ),
    "not local": (
        {"slide": "https://slides.example/a.svs"},
        "not one file on this computer (https://slides.example/a.svs)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_image_whose_coordinates_are_not_its_files_is_refused(
    what: str, qupath: QuPath, slide: Path
) -> None:
    changes, reason = REFUSED[what]
    image: dict[str, Any] = {"slide": slide, "size": SIZE} | changes
    qupath.add_image(**image)
    for script in ("classify_image", "import_results", "export_candidates", "export_corrections"):
        qupath.run(script)
    for report in qupath.reports():
        assert reason in report["dialogs"][0]["message"]


@pytest.mark.parametrize("args", [[], ["--no-crop"], ["--series", "0", "--dims", "XYCZT"], ["-s", "-1"]])
def test_a_reader_that_is_told_nothing_of_another_image_shows_the_file(
    args: list[str], qupath: QuPath, slide: Path
) -> None:
    qupath.add_image(slide, SIZE, args=args)
    (report,) = qupath.run("classify_image").reports()
    assert succeeded(report)["dialogs"][0]["message"].startswith("no object of class Mitosis, and so no rate")


def test_where_nothing_is_a_candidate_the_classes_that_are_there_are_told(project: QuPath) -> None:
    project.settings["CANDIDATE_CLASS"] = '"Mitoses"'
    (report,) = project.run("classify_image").reports()
    assert succeeded(report)["dialogs"][0]["message"] == (
        "no object of class Mitoses, and so no rate; the classes here: Mitosis (4), Stroma (1), Unclassified (1)"
    )
    assert (report["metadata"]["AMF candidates"], report["metadata"]["AMF fraction"]) == ("0", "NA")


def test_without_the_path_of_a_python_the_remedy_is_told(project: QuPath) -> None:
    project.settings.clear()
    (report,) = project.run("classify_image").reports()
    assert 'run "slidemitosis qupath install"' in report["dialogs"][0]["message"]


@pytest.mark.slow
def test_a_cancelled_run_changes_nothing_and_says_so(project: QuPath) -> None:
    points = project.written / "work" / "1" / "points.geojson"
    (report,) = project.run("classify_image", interrupt_when=str(points)).reports()
    assert report["error_class"] == "InterruptedException"
    assert classes(report) == {i: class_of(f) for i, f in given(project).items()}
    assert not points.parent.exists()
    (row,) = table(project, "status.csv")
    assert (row["outcome"], row["what"]) == ("failed", "cancelled")


@pytest.mark.slow
def test_a_class_that_was_set_by_hand_outlives_another_run(project: QuPath) -> None:
    project.run("classify_image")
    (first,) = project.reports()
    corrected = {uuid(0): OTHER[classes(first)[uuid(0)]]}
    for version in ("0.4", "0.6"):
        project.version = version
        project.steps = project.steps[:1]
        _, again = project.run("classify_image", reclassify=corrected).reports()
        assert classes(again) == classes(first) | corrected
        assert "1 classes set by hand were kept" in again["log"][-1]


@pytest.mark.slow
def test_without_a_project_results_lie_beside_the_slide(qupath: QuPath, slide: Path, tmp_path: Path) -> None:
    qupath.add_image(slide, SIZE, objects=write_figures(tmp_path / "f.geojson"), mpp=None)
    report = succeeded(qupath.run("classify_image").reports()[0])
    assert is_call(classes(report)[uuid(0)])
    summary = json.loads((slide.parent / f"{slide.name}.slidemitosis" / "summary.json").read_text())
    assert summary["slide"]["mpp_source"] == "metadata"  # QuPath knew none, so none was sent


def classified(python: str, slide: Path, points: Path, out: Path, *options: str) -> Path:
    command = [python, "-I", "-m", "slidemitosis", "classify", str(slide), "--points", str(points)]
    command += ["--out", str(out), "--progress", "none", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def found(project: QuPath, isolated_python: str, slide: Path, tmp_path: Path) -> Path:
    """Results of the project's image, from outside QuPath."""
    return classified(isolated_python, slide, Path(project.images[0]["objects"]), tmp_path / "found")


@pytest.mark.slow
def test_results_from_elsewhere_are_brought_in_without_doubling_anything(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    cohort = tmp_path / "cohort results"
    figures = Path(project.images[0]["objects"])
    found = classified(isolated_python, slide, figures, cohort / "first")
    copied = tmp_path / "other.svs"
    shutil.copy(slide, copied)
    other = classified(isolated_python, copied, figures, cohort / "second")
    project.run("import_results", choose=str(found / "objects.geojson"))
    project.run("import_results", choose=str(found / "objects.geojson"), forget=[uuid(2)])
    project.run("import_results", args=[str(cohort)], gui=False)
    project.run("import_results", choose=str(other / "objects.geojson"))
    project.run("import_results", choose=None)
    chosen, deleted, batch, wrong, cancelled = project.reports()
    for report in map(succeeded, (chosen, deleted, batch)):
        assert len(by_id(report)) == (8 if report is chosen else 7)
        assert is_call(classes(report)[uuid(1)])
        assert report["metadata"]["AMF objects"] == "imported"
    # What was deleted by hand does not come back.
    assert uuid(2) not in classes(deleted)
    assert (wrong["dialogs"][0]["kind"], wrong["events"]) == ("error", [])
    assert wrong["dialogs"][0]["message"].startswith("these results are of other.svs (")
    assert (cancelled["log"], cancelled["dialogs"], cancelled["error"]) == ([], [], None)


def test_points_whose_points_object_was_deleted_are_not_added(project: QuPath, found: Path) -> None:
    project.run("import_results", args=[str(found)], gui=False, forget=[uuid(7)])
    (report,) = map(succeeded, project.reports())
    assert "3 objects updated, 3 objects of the results are not in the image any more" in report["log"][-2]


def test_the_hot_spot_moves_and_is_never_doubled(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    figures = Path(project.images[0]["objects"])
    small = classified(isolated_python, slide, figures, tmp_path / "small", "--hot-spot", "0.001")
    large = classified(isolated_python, slide, figures, tmp_path / "large", "--hot-spot", "0.004")
    none = classified(isolated_python, slide, figures, tmp_path / "none")
    for folder in (small, large, large, none):
        project.run("import_results", choose=str(folder / "objects.geojson"))
    spots = [
        [o for o in succeeded(report)["objects"] if class_of(o) == "Hot spot"] for report in project.reports()
    ]
    # The last one's spot would be larger than the slide, and is not drawn.
    assert [len(s) for s in spots] == [1, 1, 1, 0]
    assert [s[0]["properties"]["measurements"]["Spot mm2"] for s in spots[:3]] == [0.001, 0.004, 0.004]
    assert spots[0][0]["geometry"] != spots[1][0]["geometry"] == spots[2][0]["geometry"]


def test_another_operating_point_is_no_correction_by_hand(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    figures = Path(project.images[0]["objects"])
    model = extreme_points(tmp_path / "model")
    for point in ("balanced", "counting"):
        words = ("--model", str(model), "--operating-point", point)
        found = classified(isolated_python, slide, figures, tmp_path / point, *words)
        project.run("import_results", choose=str(found / "objects.geojson"))
    project.run("export_corrections")
    balanced, counting, exported = (succeeded(report) for report in project.reports())
    for report, call in ((balanced, "Mitosis: Atypical"), (counting, "Mitosis: Normal")):
        calls = [name for name in classes(report).values() if name is not None and is_call(name)]
        assert len(calls) == 6
        assert set(calls) == {call}
    assert "set by hand" not in counting["log"][-1]
    assert "0 " in exported["log"][-1]
    assert balanced["metadata"]["AMF operating point"] == "balanced"
    assert counting["metadata"]["AMF operating point"] == "counting"


def extreme_points(folder: Path) -> Path:
    """Copy a model whose point "balanced" calls every figure atypical, and "counting" none."""
    shutil.copytree(find_model("lite0").folder, folder)
    card = read_card(folder)
    points = {"balanced": 1e-9, "counting": 1 - 1e-9}
    edited = []
    for part in card.calibrations:
        at = {name: replace(getattr(part, name), threshold=t) for name, t in points.items()}
        edited.append(replace(part, **at))
    write_card(replace(card, calibrations=tuple(edited)))
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.6"])
def test_regions_are_updated_in_place_and_keep_their_class(
    qupath: QuPath, isolated_python: str, slide: Path, tmp_path: Path, version: str
) -> None:
    """Rates of an earlier run go where this run has none; a region that was deleted stays so."""
    qupath.version = version
    qupath.project = tmp_path / "a project"
    qupath.project.mkdir()
    whole = {"type": "Polygon", "coordinates": [[[0, 0], [699, 0], [699, 499], [0, 499], [0, 0]]]}
    objects = tmp_path / "figures.geojson"
    write_features(
        objects,
        [
            *(feature(i, polygon(*at)) for i, at in enumerate(CENTRES)),
            feature(8, whole, "annotation", "Tumor", measurements={"Area": 5, "Uncertain": 1}),
            feature(9, whole, "annotation", "Stroma", measurements={"Mitoses": 7}),
            feature(10, whole, "tma_core", None, name="A-1"),
        ],
    )
    qupath.add_image(slide, SIZE, objects=objects)
    named = ["--regions", "Tumor", "--regions", "TMA core"]
    rated = classified(isolated_python, slide, objects, tmp_path / "rated", *named)
    plain = classified(isolated_python, slide, objects, tmp_path / "plain")
    qupath.run("import_results", choose=str(rated), reclassify={uuid(8): "Tumor bed"})
    qupath.run("import_results", choose=str(rated))
    qupath.run("import_results", choose=str(plain))
    qupath.run("import_results", choose=str(rated), forget=[uuid(8), uuid(10)])
    first, again, without, forgotten = map(by_id, map(succeeded, qupath.reports()))
    assert first.keys() == again.keys() == given(qupath).keys()
    for after in (first, again):
        assert class_of(after[uuid(8)]) == "Tumor bed"
        for i in (8, 10):
            measured = after[uuid(i)]["properties"]["measurements"]
            assert (measured["Mitoses"], measured["Region mm2"]) == (3, pytest.approx(0.0218, rel=0.01))
            assert "Expected atypical fraction" in measured
        measured = after[uuid(8)]["properties"]["measurements"]
        assert measured["Area"] == 5
        assert "Uncertain" not in measured
        # What is no region of ours keeps what is called alike.
        assert after[uuid(9)]["properties"]["measurements"] == {"Mitoses": 7}
    assert after[uuid(10)]["properties"]["name"] == "A-1"
    assert without[uuid(8)]["properties"]["measurements"] == {"Area": 5}
    assert "measurements" not in without[uuid(10)]["properties"]
    assert without[uuid(9)]["properties"]["measurements"] == {"Mitoses": 7}
    assert forgotten.keys() == first.keys() - {uuid(8), uuid(10)}


@pytest.mark.parametrize(
    ("damage", "reason"), [('{"features": [{', "is not JSON, or cut off"), ("", "is empty")]
)
def test_results_that_are_broken_change_nothing_and_the_file_is_named(
    damage: str, reason: str, project: QuPath, found: Path
) -> None:
    objects = found / "objects.geojson"
    objects.write_text(damage)
    (report,) = project.run("import_results", args=[str(found)], gui=False).reports()
    assert report["error"].startswith(f"{objects}: {reason}")
    assert (report["events"], report["metadata"]) == ([], {})


def test_a_cancel_before_the_objects_are_changed_changes_nothing(project: QuPath, found: Path) -> None:
    (report,) = project.run("import_results", args=[str(found)], gui=False, interrupted=True).reports()
    assert report["log"] == ["slidemitosis: cancelled; nothing was changed"]
    assert report["error_class"] == "InterruptedException"
    assert not report["left_interrupted"]  # or the next image of the project would be cancelled, too
    assert (report["events"], report["metadata"]) == ([], {})


UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a folder without results": (lambda t: t, "0 of the folders in it are results of "),
    "a file of another kind": (lambda t: t / "figures.geojson", "is not an objects.geojson of slidemitosis"),
    "nothing": (lambda t: t / "nothing", "no such file or folder"),
    "objects without a summary": (
        lambda t: Path(shutil.copy(t / "figures.geojson", t / "objects.geojson")),
        "has no summary.json",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_cannot_be_brought_in_is_told_with_the_reason(
    what: str, project: QuPath, tmp_path: Path
) -> None:
    chosen, reason = UNUSABLE[what]
    (report,) = project.run("import_results", choose=str(chosen(tmp_path))).reports()
    assert reason in report["dialogs"][0]["message"]
    assert report["events"] == []


def test_the_manifest_has_a_row_for_each_image_however_often_it_is_exported(
    project: QuPath, slide: Path, tmp_path: Path
) -> None:
    second = shutil.copy(slide, tmp_path / "b.svs")
    project.add_image(Path(second), SIZE, mpp=None, name='second, "new"')
    for image in (0, 1, 0):
        project.run("export_candidates", image=image, open=0, batch=2)
    reports = project.reports()
    assert [succeeded(r)["log"][-1] for r in reports] == [
        "slidemitosis: 4 objects of class Mitosis exported for the cohort",
        "slidemitosis: 0 objects of class Mitosis exported for the cohort; the classes here: none",
        "slidemitosis: 4 objects of class Mitosis exported for the cohort",
    ]
    first, other = table(project, "cohort.csv")
    assert list(first.items()) == [
        ("slide", str(slide)),
        ("points", "candidates/1.geojson"),
        ("image", project.images[0]["name"]),
        ("entry_id", "1"),
        ("viewer_size", "700x500"),
        ("viewer_server", "OpenSlide"),
        ("mpp_x", "0.25"),
        ("mpp_y", "0.25"),
    ]
    assert (other["image"], other["mpp_x"], other["points"]) == ('second, "new"', "", "candidates/2.geojson")
    points = project.written / first["points"]
    features = json.loads(points.read_text())["features"]
    assert [f["id"] for f in features] == [uuid(i) for i in (0, 1, 2, 7)]
    assert sorted(p.name for p in points.parent.iterdir()) == ["1.geojson", "2.geojson"]
    assert [r["entry_id"] for r in table(project, "status.csv")] == ["1", "2"]
    cohort = read_cohort(points.parents[1] / "cohort.csv", read=ReadOptions())
    assert [(s.slide, s.points) for s in cohort.slides] == [
        (slide, points),
        (Path(second), points.with_name("2.geojson")),
    ]
    assert all(s.read.viewer == Viewer(*SIZE, "OpenSlide") and s.problem is None for s in cohort.slides)
    assert [s.read.mpp for s in cohort.slides] == [PixelSize(0.25, 0.25), None]


def test_tables_need_a_project(qupath: QuPath, slide: Path) -> None:
    qupath.add_image(slide, SIZE)
    for report in qupath.run("export_candidates").run("export_corrections").reports():
        assert "not in a project" in report["dialogs"][0]["message"]


def data_check(corrections: Path) -> str:
    """Return what `slidemitosis data check` says of the labels."""
    done = run("data", "check", f"slides={corrections}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_corrections_are_labels_that_training_reads(project: QuPath) -> None:
    (first,) = project.run("classify_image").reports()
    before = classes(first)
    changed = {i: OTHER[before[i]] for i in (uuid(0), uuid(1))}
    changed |= {uuid(2): "Non-mitosis", uuid(9): "Mitosis: Normal"}
    project.run("export_corrections", reclassify=changed)
    _, report = project.reports()
    assert succeeded(report)["log"][-1] == (
        "slidemitosis: 3 figures differ from what the model said, 3 do not; 3 are labels in corrections.csv"
    )
    rows = table(project, "corrections.csv")
    labels = {"Mitosis: Atypical": "AMF", "Mitosis: Normal": "NMF"}
    assert [(r["object_id"], r["label"]) for r in rows] == [
        (i, labels[changed[i]]) for i in (uuid(0), uuid(1), uuid(9))
    ]
    assert [(float(r["x"]), float(r["y"])) for r in rows] == [*CENTRES[:2], (400.0, 400.0)]
    assert [r["model_call"] for r in rows] == [labels[before[uuid(0)]], labels[before[uuid(1)]], ""]
    corrections = project.written / "corrections.csv"
    assert "3 figures" in data_check(corrections)
    # What is filled in by hand stays; what is no correction any more goes.
    corrections.write_text(corrections.read_text().replace(",0.250000,,", ",0.250000,P7,"))
    project.run("export_corrections", reclassify={uuid(0): before[uuid(0)]}).reports()
    rows = table(project, "corrections.csv")
    assert [r["object_id"] for r in rows] == [uuid(1), uuid(9)]
    assert {r["patient"] for r in rows} == {"P7"}
    back = {i: n for i, n in before.items() if i in changed} | {uuid(9): "Stroma"}
    project.run("export_corrections", reclassify=back).reports()
    assert not corrections.exists()


@pytest.mark.slow
def test_labels_count_from_the_corner_of_the_slide_where_qupaths_image_is_its_bounds(
    qupath: QuPath, tmp_path: Path
) -> None:
    at, size = (64, 32), (700, 500)
    slide = write_scn(tmp_path / "b.scn", position_colours(*size), at=at, collection=(900, 800))
    qupath.project = tmp_path / "p"
    qupath.project.mkdir()
    qupath.add_image(slide, size, objects=write_figures(tmp_path / "f.geojson"))
    qupath.run("classify_image").run("export_corrections", reclassify={uuid(9): "Mitosis: Normal"})
    done, report = qupath.reports()
    succeeded(done)
    succeeded(report)
    row = next(r for r in table(qupath, "corrections.csv") if r["object_id"] == uuid(9))
    assert (float(row["x"]), float(row["y"])) == (400 + at[0], 400 + at[1])
    assert data_check(qupath.written / "corrections.csv")


@pytest.mark.slow
def test_one_figure_with_two_labels_is_refused(project: QuPath, tmp_path: Path) -> None:
    twice = [feature(1, polygon(*CENTRES[0])), feature(2, polygon(*CENTRES[0]))]
    project.images[0]["objects"] = str(write_features(tmp_path / "twice.geojson", twice))
    (first,) = project.run("classify_image").reports()
    assert classes(first)[uuid(2)] == "Mitosis"  # as a duplicate, it was not classified
    said = classes(first)[uuid(1)]
    (other,) = {"Mitosis: Atypical", "Mitosis: Normal"} - {said}
    project.run("export_corrections", reclassify={uuid(1): other, uuid(2): said})
    _, report = project.reports()
    assert "stand two objects, one atypical and one normal" in report["dialogs"][0]["message"]
