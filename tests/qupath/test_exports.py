"""Export candidates and corrections from QuPath: real Groovys, stand-ins of QuPath, and the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from slidemitosis.cohort import read_cohort
from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.options import ReadOptions
from slidemitosis.train.calibrate import settle_reviewed
from tests.command import run
from tests.conftest import position_colours, write_features, write_scn
from tests.qupath.figures import (
    CENTRES,
    OTHER,
    SIZE,
    feature,
    succeeded,
    table,
    uuid,
    write_figures,
)
from tests.qupath.standin_qupath import QuPath, classes, polygon


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
    # A calibration must not be made of them.
    assert {r["reason"] for r in rows} == {"found"}
    with pytest.raises(InvalidOption, match=r"every label differs from the model's call"):
        settle_reviewed([project.written / "corrections.csv"], "all")
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
