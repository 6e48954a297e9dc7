"""What is stored, when, and what is taken back: objects, metadata and summary are of one run, or of none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.qupath.figures import SIZE, classified, given, run_id, succeeded, table, uuid
from tests.qupath.standin_qupath import class_of, classes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qupath.standin_qupath import QuPath

MARK = ", objects not saved"


def untouched(report: dict[str, Any], project: QuPath) -> bool:
    return classes(report) == {i: class_of(f) for i, f in given(project).items()}


@pytest.mark.slow
def test_metadata_says_that_the_objects_are_not_saved_until_they_are(project: QuPath) -> None:
    project.run("classify_image").run("classify_image", save_after=True).run("classify_image", batch=2)
    waiting, saved, batch = map(succeeded, project.reports())
    assert waiting["metadata"]["AMF run"] == waiting["run"] + MARK
    assert saved["metadata"]["AMF run"] == saved["run"]
    assert batch["metadata"]["AMF run"] == batch["run"]


def test_after_a_run_that_nobody_saved_the_metadata_say_that_no_object_has_it(project: QuPath) -> None:
    project.run("classify_image", save_after=True)
    project.run("classify_image", forget=[uuid(2)])
    project.run("export_corrections", reload=True)
    first, unsaved, reloaded = map(succeeded, project.reports())
    assert first["run"] == reloaded["run"] != unsaved["run"]
    assert reloaded["metadata"]["AMF run"] == unsaved["run"] + MARK
    assert f"are of run {unsaved['run']}, and its objects are not" in reloaded["log"][0]


def test_a_failure_in_the_middle_leaves_objects_metadata_summary_and_results_as_they_were(
    project: QuPath,
) -> None:
    project.run("classify_image", batch=2)
    project.run("classify_image", batch=2, reclassify={uuid(0): "Mitosis"}, failing="events")
    first, failed = project.reports()
    assert "a failure in the middle" in failed["error"]
    # The failing run would have given it its call again.
    assert classes(failed) == classes(first) | {uuid(0): "Mitosis"}
    others = [[o for o in r["objects"] if o["id"] != uuid(0)] for r in (first, failed)]
    assert others[0] == others[1]
    assert (failed["metadata"], failed["run"]) == (first["metadata"], first["run"])
    for summary in ("results/1/summary.json", "summaries/1.json"):
        assert run_id(project.written / summary) == first["run"]
    (row,) = table(project, "status.csv")
    assert row["outcome"] == "failed"


def test_objects_that_cannot_all_be_added_leave_the_points_object_where_it_was(project: QuPath) -> None:
    project.run("classify_image", batch=2, within={uuid(7): uuid(8)}, failing="adding")
    (report,) = project.reports()
    assert "no room for another object" in report["error"]
    assert classes(report) == {i: class_of(f) for i, f in given(project).items()}
    assert report["parents"][uuid(7)] == uuid(8)
    assert (report["metadata"], report["run"]) == ({}, None)
    assert not (project.written / "summaries" / "1.json").exists()
    assert not (project.written / "results" / "1").exists()


def test_without_saving_nothing_is_stored_and_the_remedy_is_told(project: QuPath, found: Path) -> None:
    project.run("classify_image", gui=False, save=False)
    project.run("import_results", args=[str(found)], batch=2, save=False)
    for report in project.reports():
        assert report["error"].startswith("QuPath would not save what is found: add -s to the command")
        assert untouched(report, project)
        assert (report["metadata"], report["run"], report["synced"]) == ({}, None, 0)
    assert {r["outcome"] for r in table(project, "status.csv")} == {"failed"}
    assert not (project.written / "results").exists()


@pytest.mark.parametrize(
    ("text", "reason"), [("another file", "StreamCorruptedException"), ('{"type":', "it was cut off")]
)
def test_a_data_file_that_qupath_cannot_read_is_refused_and_a_copy_is_kept(
    text: str, reason: str, qupath: QuPath, slide: Path, tmp_path: Path
) -> None:
    """QuPath shows such an image without objects, and "Run for project" saves that over the file."""
    qupath.project = tmp_path / "p"
    qupath.project.mkdir()
    qupath.add_image(slide, SIZE, broken=text)
    file = qupath.project / "data" / "1" / "data.qpdata"
    for script in ("classify_image", "export_candidates", "import_results"):
        (report,) = qupath.run(script, batch=2).reports()
        assert report["error"].startswith(
            f"the objects of this image cannot be read from {file} ({reason}); do not save the image"
        )
        qupath.steps.clear()
    assert file.with_name("data.qpdata.before-slidemitosis").read_text() == text


def test_the_data_file_from_before_the_first_run_is_kept(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    assert project.project is not None
    found = classified(isolated_python, slide, tmp_path / "figures.geojson", tmp_path / "found")
    project.run("import_results", args=[str(found)], batch=2)
    project.run("import_results", args=[str(found)], batch=2)
    project.reports()
    folder = project.project / "data" / "1"
    kept = (folder / "data.qpdata.before-slidemitosis").read_text()
    assert "P(atypical)" not in kept
    assert "P(atypical)" in (folder / "data.qpdata").read_text()
