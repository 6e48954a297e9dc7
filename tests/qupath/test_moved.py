"""Projects that were copied, moved or renamed, slides that were relocated, and results from a cluster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import write_features
from tests.qupath.figures import CENTRES, SIZE, by_id, classified, feature, is_call, succeeded, uuid
from tests.qupath.standin_qupath import classes, polygon

if TYPE_CHECKING:
    from tests.qupath.standin_qupath import QuPath


@pytest.mark.slow
def test_a_moved_project_with_a_renamed_slide_is_classified_again(
    project: QuPath, slide: Path, tmp_path: Path
) -> None:
    (first,) = map(succeeded, project.run("classify_image").reports())
    assert project.project is not None
    project.project = project.project.rename(tmp_path / "moved")
    slide = slide.rename(tmp_path / "renamed.svs")
    project.images[0] |= {"uris": [slide.as_uri()]}
    project.run("export_corrections")
    again, _ = map(succeeded, project.reports())
    outlines = [uuid(i) for i in range(3)]
    assert [classes(again)[i] for i in outlines] == [classes(first)[i] for i in outlines]
    summary = json.loads((project.written / "results" / "1" / "summary.json").read_text())
    assert summary["slide"]["name"] == "renamed.svs"


@pytest.mark.slow
def test_a_cohort_makes_the_round_trip_with_several_images_of_one_slide(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    """As documented: the folder of the cohort is the argument, and each image takes its own results."""
    others = [feature(30 + i, polygon(x, y)) for i, (x, y) in enumerate(CENTRES)]
    project.add_image(slide, SIZE, objects=write_features(tmp_path / "others.geojson", others), name="again")
    for i in (0, 1):
        project.run("export_candidates", image=i, open=0, batch=2, index=i)
    project.reports()
    cluster = Path(shutil.copytree(project.written, tmp_path / "cluster" / "of another name"))
    for entry in ("1", "2"):
        points = cluster / "candidates" / f"{entry}.geojson"
        classified(isolated_python, slide, points, tmp_path / "R" / "slides" / f"slide-{entry}")
    project.steps.clear()
    for i in (0, 1):
        project.run("import_results", image=i, open=0, batch=2, index=i, args=[str(tmp_path / "R")])
    one, two = map(succeeded, project.reports())
    assert is_call(classes(one)[uuid(0)])
    assert is_call(classes(two)[uuid(30)])
    assert set(by_id(two)) == {o["id"] for o in others}


@pytest.mark.slow
def test_two_objects_with_one_id_are_never_added_to(project: QuPath, tmp_path: Path) -> None:
    """A GeoJSON that was imported twice: each run added one more object."""
    twice = [feature(i, polygon(*CENTRES[i])) for i in (1, 1, 2)]
    project.images[0]["objects"] = str(write_features(tmp_path / "twice.geojson", twice))
    for _ in range(3):
        project.run("classify_image", gui=False)
    reports = [succeeded(r) for r in project.reports()]
    assert [sorted(o["id"] for o in r["objects"]) for r in reports] == [[uuid(1), uuid(1), uuid(2)]] * 3


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(project: QuPath) -> None:
    project.written.write_text("a file")
    (report,) = project.run("classify_image", batch=2).reports()
    assert report["error"].startswith(str(project.written))
    assert report["error"].endswith(": a file stands where a folder must be; rename it")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full is here")
def test_a_full_disk_is_told_with_the_remedy_and_everything_is_as_it_was(project: QuPath) -> None:
    assert project.project is not None
    (project.project / "project.qpproj").symlink_to("/dev/full")
    (report,) = project.run("classify_image", batch=2).reports()
    assert "the disk is full; make room there and run the script again" in report["error"]
    assert (report["metadata"], report["run"], report["events"]) == ({}, None, [])
    assert not (project.written / "results" / "1").exists()


def test_what_the_command_says_of_its_folder_is_told_in_words_of_qupath(qupath: QuPath) -> None:
    said = "/p/slidemitosis/work/1: cannot be written: No space left on device; choose another --out"
    qupath.call("classify_image", "failureText", said, 2, "/usr/bin/python3")
    (report,) = qupath.reports()
    assert report["result"] == said.replace(
        "choose another --out",
        "make room there and allow writing, or copy the project to where you may write",
    )
