"""A QuPath project as a cohort."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.errors import SlideMitosisError
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.options import ReadOptions
from slidemitosis.qupath.project import COLUMNS, MANIFEST
from tests.cohort.cohort_slides import paint_slides, rows
from tests.cohort.test_lists import problem
from tests.command import run

if TYPE_CHECKING:
    from pathlib import Path


def image(number: int, slide: Path, **changes: Any) -> dict[str, Any]:
    """An entry as QuPath 0.6 writes it."""
    builder = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": slide.as_uri(),
        "args": [],
        "metadata": {"name": slide.name, "width": 400, "height": 300},
    }
    return {
        "serverBuilder": {**builder, **changes},
        "entryID": number,
        "imageName": slide.name,
        "metadata": {"site": f"S{number}"},
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Four images: two exported, one not, one rotated."""
    names = ["a", "b", "c", "d"]
    paint_slides(tmp_path / "slides", names)
    folder = tmp_path / "project"
    (folder / MANIFEST.parent / "candidates").mkdir(parents=True)
    slides = [tmp_path / "slides" / f"{n}.svs" for n in names]
    images = [image(i, s) for i, s in enumerate(slides, 1)]
    images[3]["serverBuilder"] = {"builderType": "rotated", "builder": images[3]["serverBuilder"]}
    (folder / "project.qpproj").write_text(json.dumps({"version": "0.6.0", "images": images}))
    with (folder / MANIFEST).open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for number, slide in enumerate(slides[:2], 1):
            points = folder / MANIFEST.parent / "candidates" / f"{number}.geojson"
            points.write_bytes(slide.with_suffix(".geojson").read_bytes())
            row = {"slide": slide, "points": f"candidates/{number}.geojson", "image": slide.name}
            table.writerow(row | {"entry_id": number, "viewer_size": "400x300", "mpp_x": 0.26, "mpp_y": 0.26})
    return folder / "project.qpproj"


def test_a_projects_images_are_read_with_what_qupath_says_of_them(project: Path) -> None:
    a, b, c, d = read_cohort(project, read=ReadOptions()).slides
    assert (a.slide.name, b.slide.name) == ("a.svs", "b.svs")
    assert a.read.mpp == PixelSize(0.26, 0.26)
    assert a.read.viewer == Viewer(400, 300, "OpenslideServerBuilder")
    assert dict(b.columns) == {"site": "S2"}
    assert (problem(c).status, problem(d).status) == ("skipped", "failed")
    assert "rotated" in (problem(d).cause or "")


def test_a_project_is_run_like_any_cohort(project: Path, tmp_path: Path) -> None:
    done = run("cohort", project, "--out", tmp_path / "r", "--model", "lite0")
    assert done.returncode == 3
    found = rows(tmp_path / "r").values()
    assert [r["status"] for r in found] == ["done", "done", "skipped", "failed"]
    assert [r["site"] for r in found] == ["S1", "S2", "S3", "S4"]


def test_an_image_that_qupath_shows_at_another_size_is_that_images_failure(
    project: Path, tmp_path: Path
) -> None:
    table = project.parent / MANIFEST
    table.write_text(table.read_text().replace("400x300", "399x300", 1))
    assert run("cohort", project, "--out", tmp_path / "r", "--model", "lite0").returncode == 3
    failed = json.loads((tmp_path / "r/slides/a.svs/failed.json").read_text())
    assert failed["step"] == "slide"
    assert "399 x 300" in failed["cause"]


def test_what_is_no_project_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.qpproj").write_text("{}")
    with pytest.raises(SlideMitosisError, match="no QuPath project"):
        read_cohort(tmp_path / "x.qpproj", read=ReadOptions())
