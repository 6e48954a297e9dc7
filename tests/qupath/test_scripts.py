"""Classify images in QuPath from end to end: real Groovys, stand-ins of QuPath, and the real command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.qupath.figures import (
    OTHER,
    POINTS,
    SIZE,
    by_id,
    given,
    is_call,
    succeeded,
    table,
    uuid,
    write_figures,
)
from tests.qupath.standin_qupath import SCRIPTS, QuPath, class_of, classes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
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
    ((name, told, script),) = first["workflow"]
    assert (name, told["objects"]) == ("slidemitosis: classify mitoses", "class Mitosis")
    kept = f"script: '{SCRIPTS / 'classify_image.groovy'}', base: 'Mitosis', model: ''"
    assert script == f"slidemitosis = [{kept}]\nevaluate(new File(slidemitosis.script))"
    assert first["listed"][0] is None
    assert {"Mitosis: Atypical", "Non-mitosis"} <= set(first["listed"]) - {None}
    assert len(first["listed"]) == len(set(first["listed"]))
    # One step for Undo.
    assert first["events"] == ["hierarchy"]
    # A second run finds its own objects.
    assert again["objects"] == first["objects"]
    assert again["events"] == ["hierarchy"]
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
    assert row["what"] == report["log"][-1].removeprefix("slidemitosis: ")
    ((title, *shown),) = report["windows"]
    assert title == f"slidemitosis: result of {project.images[0]['name']}"
    assert shown[1:] == ["[Show figures]", "[Show table]", "[Open report]", "[Open folder]"]
    assert shown[0].startswith("Model: atypical fraction ")
    assert "\nReview: nobody has answered yet\n" in shown[0]
    assert "\nObjects: 3 objects updated, " in shown[0]
    assert report["dialogs"] == []
    assert " of 6 figures; " in row["what"]
    assert (
        "3 objects updated, 3 objects added, 1 points object replaced by one object for each point"
        in row["what"]
    )


@pytest.mark.slow
def test_the_script_of_qupaths_workflow_repeats_what_was_chosen(
    project: QuPath, isolated_python: str, tmp_path: Path
) -> None:
    project.settings.clear()
    project.preferences = {"slidemitosis.python": isolated_python, "slidemitosis.base": "Stroma"}
    project.run("classify_image", answer={"model": 1})
    (first,) = map(succeeded, project.reports())
    script = first["workflow"][0][2]
    (tmp_path / "again.groovy").write_text(script)
    project.steps.clear()
    project.preferences.clear()
    project.run(str(tmp_path / "again"), gui=False)
    (again,) = map(succeeded, project.reports())
    assert first["metadata"]["AMF objects"] == "class Stroma"
    assert again["objects"] == first["objects"]
    assert {k: again["metadata"][k] for k in ("AMF objects", "AMF model")} == {
        k: first["metadata"][k] for k in ("AMF objects", "AMF model")
    }
    assert [step[2] for step in again["workflow"]] == [script]


def test_a_result_stays_and_can_be_seen_again(project: QuPath) -> None:
    project.run("show_result")
    project.run("classify_image", presses=["Show figures", "Show table", "Open report", "Open folder"])
    project.run("show_result").run("show_result", gui=False)
    none, first, again, headless = project.reports()
    assert "slidemitosis has not run on this image" in none["dialogs"][0]["message"]
    folder = project.written / "results" / "1"
    assert first["events"][-4:] == [
        "grid of 6",
        "table of detections",
        "browse report.html",
        f"browse {folder}",
    ]
    assert (folder / "report.html").is_file()
    assert f"\nFiles: {folder}" in first["windows"][0][1]
    without = [line for line in first["windows"][0][1].splitlines() if not line.startswith("Objects: ")]
    assert again["windows"][0][1].splitlines() == without
    assert "a result is shown in a window" in headless["error"]


def test_settings_are_what_the_next_dialog_proposes(project: QuPath) -> None:
    project.run("settings", answer={"base": "Stroma", "model": 1})
    project.run("classify_image", answer=None)
    settings, classify = map(succeeded, project.reports())
    assert list(settings["asked"][0]) == ["base", "model", "python"]
    assert classify["asked"][0]["objects"]["value"] == "all 1 of class Stroma"
    assert classify["asked"][0]["model"]["value"] == "lite0"


@pytest.mark.slow
def test_what_a_person_has_said_counts_and_an_image_without_answers_has_no_such_rate(project: QuPath) -> None:
    figures = [uuid(0), uuid(1)]
    project.run("classify_image")
    project.run("classify_image", reclassify=dict.fromkeys(figures, "Non-mitosis"))
    project.run("classify_image", reclassify=dict.fromkeys(figures, "Mitosis"), unmeasure=["Reviewed"])
    before, answered, taken_back = map(succeeded, project.reports())
    assert "2 answers of persons counted: " in answered["log"][-1]
    assert "; not unbiased" not in answered["log"][-1].split("2 answers")[0]
    names = {name for name in answered["metadata"] if name.startswith(("AMF rev", "AMF com"))}
    assert names == {
        "AMF review",
        "AMF reviewed fraction",
        "AMF combined fraction",
        "AMF combined fraction, 95 % from",
        "AMF combined fraction, 95 % to",
    }
    assert answered["metadata"]["AMF review"].startswith("not unbiased: 2 of 6 figures were reviewed")
    assert (answered["metadata"]["AMF reviewed fraction"], classes(answered)[uuid(0)]) == (
        "NA",
        "Non-mitosis",
    )
    assert by_id(answered)[uuid(0)]["properties"]["measurements"]["Reviewed"] == 4
    assert 0 <= float(answered["metadata"]["AMF combined fraction"]) <= 1
    for report in (before, taken_back):
        assert not names.intersection(report["metadata"])
        assert "answer" not in report["log"][-1]


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
    assert (report["dialogs"], len(report["windows"])) == ([], 1)


def test_a_region_that_is_selected_means_the_figures_in_it(project: QuPath) -> None:
    """QuPath selects what was drawn last: the tumour would be called normal, and its mitoses left out."""
    project.run("classify_image", select=[uuid(8)])
    project.run("classify_image", select=[uuid(8), uuid(1)], answer=None)
    inside, both = map(succeeded, project.reports())
    (asked,) = inside["asked"]
    assert (
        asked["objects"]["value"]
        == asked["objects"]["choices"][0]
        == ("6 of class Mitosis in the selected annotation")
    )
    assert "slidemitosis: 6 figures (selected), model default" in inside["log"][0]
    assert class_of(by_id(inside)[uuid(8)]) == class_of(given(project)[uuid(8)])
    assert inside["metadata"] == {}
    assert both["asked"][0]["objects"]["choices"][:2] == ["1 selected", asked["objects"]["value"]]


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
    assert succeeded(report)["dialogs"][0]["message"].replace("\n", " ") == (
        "no object of class Mitoses, and so no rate; the classes here: "
        "Mitosis (4), Stroma (1), Unclassified (1)"
    )
    assert (report["metadata"]["AMF candidates"], report["metadata"]["AMF fraction"]) == ("0", "NA")


def test_without_the_path_of_a_python_the_remedy_is_told(project: QuPath) -> None:
    project.settings.clear()
    (report,) = project.run("classify_image").reports()
    assert 'run "slidemitosis qupath install"' in report["dialogs"][0]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "ends_by"), [(1, None), (2, "InterruptedException")])
def test_a_cancelled_run_changes_nothing_and_says_so(
    project: QuPath, batch: int, ends_by: str | None
) -> None:
    """A batch must end as a whole; the person who cancels one run needs no stack trace."""
    points = project.written / "work" / "1" / "points.geojson"
    (report,) = project.run("classify_image", interrupt_when=str(points), batch=batch).reports()
    assert report["error_class"] == ends_by
    assert report["log"][-1] == "slidemitosis: cancelled; nothing was changed"
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
        # The command itself has told it from a call, and counts it.
        (kept,) = (project.written / "summaries").glob("*.json")
        review = json.loads(kept.read_text(encoding="utf-8"))["review"]
        assert review["answered"] == 1
        assert review["reasons"]["found"] == 1


@pytest.mark.slow
def test_without_a_project_results_lie_beside_the_slide(qupath: QuPath, slide: Path, tmp_path: Path) -> None:
    qupath.add_image(slide, SIZE, objects=write_figures(tmp_path / "f.geojson"), mpp=None)
    report = succeeded(qupath.run("classify_image").reports()[0])
    assert is_call(classes(report)[uuid(0)])
    summary = json.loads((slide.parent / f"{slide.name}.slidemitosis" / "summary.json").read_text())
    assert summary["slide"]["mpp_source"] == "metadata"  # QuPath knew none, so none was sent
