"""A batch says at its end what became of each image, to people and to a scheduler."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.qupath.figures import SIZE, table, write_figures
from tests.qupath.standin_qupath import Groovy

if TYPE_CHECKING:
    from tests.qupath.standin_qupath import QuPath


def in_one_line(dialog: dict[str, str]) -> str:
    return dialog["message"].replace("\n", " ")


@pytest.fixture
def three(project: QuPath, slide: Path, tmp_path: Path) -> QuPath:
    """A project of three images: with figures, with a slide that is cut off, without objects."""
    broken = Path(shutil.copy(slide, tmp_path / "broken.svs"))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    project.add_image(broken, SIZE, objects=write_figures(tmp_path / "more.geojson"), name="broken.svs")
    project.add_image(Path(shutil.copy(slide, tmp_path / "empty.svs")), SIZE, name="empty.svs")
    return project


def test_the_last_image_of_a_batch_says_what_became_of_all(three: QuPath) -> None:
    for i in range(3):
        three.run("classify_image", image=i, open=0, batch=3, index=i)
    *_, last = three.reports()
    (dialog,) = last["dialogs"]
    assert dialog["kind"] == "error notification"
    told = in_one_line(dialog)
    assert told.startswith("2 done, 1 failed: broken.svs (")
    (logged,) = last["logged"]
    assert logged == {"level": "error", "message": f"classify_image: {told}"}
    rows = {r["image"]: r for r in table(three, "status.csv")}
    assert [rows[name]["outcome"] for name in ("broken.svs", "empty.svs")] == ["failed", "done"]
    # An image without candidates is done, and has no rate.
    assert last["metadata"]["AMF candidates"] == "0"
    assert last["metadata"]["AMF fraction"] == last["metadata"]["AMF expected fraction"] == "NA"
    assert rows["empty.svs"]["what"].startswith("no object of class Mitosis, and so no rate")


def test_images_whose_file_is_missing_have_a_row_and_are_told_at_the_last_one_that_runs(
    three: QuPath, tmp_path: Path
) -> None:
    """QuPath starts no script for them; an earlier "done" must not stand."""
    three.run("export_candidates", image=2, open=0, batch=3, index=2)
    three.reports()
    three.steps.clear()
    for name in ("broken.svs", "empty.svs"):
        (tmp_path / name).unlink()
    three.run("export_candidates", image=0, batch=3, index=0, gui=False)
    (report,) = three.reports()
    (logged,) = report["logged"]
    end = logged["message"]
    assert end.startswith("export_candidates: 1 done, 2 failed: broken.svs (")
    assert f"; empty.svs ({tmp_path / 'empty.svs'}: no such file; tell the project where it is now" in end
    rows = {r["image"]: r for r in table(three, "status.csv")}
    assert rows["empty.svs"]["outcome"] == "failed"
    assert rows["empty.svs"]["what"].startswith(f"{tmp_path / 'empty.svs'}: no such file")


def test_where_a_script_is_started_for_a_missing_file_the_end_says_the_same(
    three: QuPath, tmp_path: Path
) -> None:
    """QuPath 0.7 starts it."""
    (tmp_path / "empty.svs").unlink()
    for i in (0, 1, 2):
        three.run("export_candidates", image=i, open=0, batch=3, index=i, gui=False)
    *_, early, last = three.reports()
    ends = [report["logged"][-1]["message"] for report in (early, last)]
    assert ends[0] == ends[1]
    assert ends[1].startswith("export_candidates: 2 done, 1 failed: empty.svs (")


def test_an_image_on_which_a_script_runs_twice_is_one_image(three: QuPath) -> None:
    """A script that QuPath's Workflow has made of two runs does so."""
    for i in (0, 1, 1, 2, 2):
        three.run("export_candidates", image=i, open=0, batch=3, index=i)
    *_, last = three.reports()
    assert last["dialogs"][-1]["message"] == "3 done, 0 failed"


@pytest.fixture
def damaged(project: QuPath, slide: Path, tmp_path: Path) -> QuPath:
    """A project of three images, of which QuPath cannot open the second."""
    project.add_image(tmp_path / "broken.svs", SIZE, name="broken.svs", damaged=True)
    (tmp_path / "broken.svs").write_bytes(slide.read_bytes()[:1000])
    return project.add_image(Path(shutil.copy(slide, tmp_path / "last.svs")), SIZE, name="last.svs")


def test_a_slide_that_qupath_cannot_open_is_named_with_the_remedy(damaged: QuPath, tmp_path: Path) -> None:
    """From 0.6 QuPath starts the script, and fails when it is asked for the pixels."""
    for i in range(3):
        damaged.run("export_candidates", image=i, open=0, batch=3, index=i)
    *_, last = damaged.reports()
    told = in_one_line(last["dialogs"][0])
    reason = f"{tmp_path / 'broken.svs'}: QuPath cannot open it: it is damaged or cut off"
    assert told.startswith(f"2 done, 1 failed: broken.svs ({reason}")
    assert told.endswith("copy it here again)")
    # QuPath's notifications do not wrap their text.
    words = max(len(word) for word in told.split())
    assert max(len(line) for line in last["dialogs"][0]["message"].splitlines()) <= max(90, words)


def test_a_slide_for_which_qupath_starts_no_script_is_not_passed_over(damaged: QuPath) -> None:
    """0.5 starts none for one that it cannot open; of a part of a project nobody knows which one that is."""
    for i in (0, 2):
        damaged.run("export_candidates", image=i, open=0, batch=3, index=i)
    damaged.run("export_candidates", image=2, open=0, batch=2, index=1)
    _, whole, part = damaged.reports()
    assert in_one_line(whole["dialogs"][0]).startswith("2 done, 1 failed: broken.svs (")
    assert {r["image"]: r["outcome"] for r in table(damaged, "status.csv")}["broken.svs"] == "failed"
    told = "1 done, 1 failed: 1 image that QuPath could not open; see View > Show log"
    assert in_one_line(part["dialogs"][0]) == told


@pytest.mark.slow
@pytest.mark.parametrize(("images", "code"), [((0,), 0), ((0, 1), 1)])
def test_a_scheduler_sees_by_the_exit_code_that_an_image_has_failed(
    images: tuple[int, ...], code: int, three: QuPath, tmp_path: Path
) -> None:
    (tmp_path / "classes").mkdir()
    three.groovy = Groovy(tmp_path / "classes")
    try:
        for index, image in enumerate(images):
            three.run("classify_image", image=image, batch=len(images), index=index, gui=False)
        three.reports()
        assert three.groovy.end() == code
    finally:
        three.groovy.close()
