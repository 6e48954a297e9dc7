"""Bring results into QuPath: real Groovys, stand-ins of QuPath, and the real command."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slidemitosis.models.card import read_card, write_card
from slidemitosis.models.shipped import find_model
from tests.conftest import write_features
from tests.qupath.figures import CENTRES, SIZE, by_id, classified, feature, given, is_call, succeeded, uuid
from tests.qupath.standin_qupath import QuPath, class_of, classes, polygon

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.slow
def test_results_from_elsewhere_are_brought_in_without_doubling_anything(
    project: QuPath, isolated_python: str, slide: Path, tmp_path: Path
) -> None:
    cohort = tmp_path / "cohort results"
    figures = Path(project.images[0]["objects"])
    found = classified(isolated_python, slide, figures, cohort / "first")
    copied = tmp_path / "other.svs"
    copied.write_bytes(slide.read_bytes() + b"another")
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
    assert "3 objects updated, 3 objects of the results not in the image any more" in report["log"][-2]


@pytest.mark.slow
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


@pytest.mark.slow
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
