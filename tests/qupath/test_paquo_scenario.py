"""The scenario of an import, which import_results.groovy runs too: by the real command, on objects of QuPath."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from shapely.geometry import shape

from slidemitosis.slides.identity import slide_identity
from tests.conftest import position_colours, write_aperio
from tests.qupath.test_project import entry, server, write_project

if TYPE_CHECKING:
    from tests.qupath.paquo_qupath import Installation

SCENARIO = json.loads(Path(__file__).with_name("scenario_import.json").read_text())
CASES: list[dict[str, Any]] = SCENARIO["cases"]


def summary_of(slide: Path, points: Path) -> dict[str, Any]:
    """Return as much of a summary as an import asks for."""
    return {
        "slide": {
            "path": str(slide),
            "name": slide.name,
            **slide_identity(slide),
            "width_px": 700,
            "height_px": 500,
            "bounds_px": None,
        },
        "reading": {"objects_offset_px": [0, 0]},
        "points": {"path": str(points)},
        "counts": {"candidates": 0, "classified": 0, "atypical": 0, "normal": 0, "unreadable": 0, "blank": 0},
        "model": {"name": "m", "version": "1", "threshold": 0.5},
    }


def write_results(folder: Path, summary: dict[str, Any], collection: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "objects.geojson").write_text(json.dumps(collection))


def compared(records: list[dict[str, Any]], *, metadata: bool) -> list[dict[str, Any]]:
    """Return records as they are compared: in one order, measurements rounded, metadata where it counts."""
    found = []
    for record in records:
        measurements = {name: pytest.approx(value, abs=1e-6) for name, value in record["measurements"].items()}
        has = metadata or record["type"] == "annotation"
        found.append(
            {
                **record,
                # QuPath turns rings round.
                "geometry": shape(record["geometry"]).normalize().wkt,
                "measurements": measurements,
                "metadata": record["metadata"] if has else {},
            }
        )
    return sorted(found, key=lambda r: (r["id"], r["geometry"]))


def needs_metadata(case: dict[str, Any]) -> bool:
    """Whether an object says what it was called by its metadata alone."""
    return any(
        "slidemitosis.subtype" in o["metadata"] and "Call threshold" not in o["measurements"]
        for o in case["before"]
    )


def test_objects_are_as_the_scenario_says_and_as_the_scripts_leave_them(
    qupath_installation: Installation, tmp_path: Path
) -> None:
    folder, before, entries = tmp_path / "p", {}, []
    for number, case in enumerate(CASES, start=1):
        # Each entry has a slide of its own, since results that name no entry are found by the slide.
        slide = write_aperio(tmp_path / f"{number}.svs", [position_colours(700, 500, x0=number)])
        entries.append(entry(server(slide.as_uri()), number))
        before[str(number)] = case["before"]
        points = Path("elsewhere") / (f"candidates/{number}.geojson" if case["names_entry"] else "figures.csv")
        write_results(tmp_path / f"R/slides/{number}", summary_of(slide, points), case["result"])
        if case["threshold"] is not None:
            (folder / "slidemitosis/summaries").mkdir(parents=True, exist_ok=True)
            earlier = {"model": {"threshold": case["threshold"]}}
            (folder / f"slidemitosis/summaries/{number}.json").write_text(json.dumps(earlier))
    project = write_project(folder, *entries)
    # As a later version wrote it, whose metadata of detections 0.5 shows and cannot change.
    qupath_installation.newest.write(project, before)
    stored = qupath_installation.read(project)
    done = qupath_installation.command("import-results", project, "--results", tmp_path / "R", "--force")
    assert done.returncode == 3, done.stderr
    after = qupath_installation.read(project)
    for number, case in enumerate(CASES, start=1):
        name, told = str(number), f"slidemitosis: slide {number}: "
        if needs_metadata(case) and not qupath_installation.newest.keeps_metadata:
            continue  # which no GeoJSON gives a detection in 0.5
        if case["refused"]:
            assert f"slidemitosis: warning: slide {number}: {case['refused']}" in done.stderr
            assert after[name] == stored[name]
            continue
        expected = compared(case["after"], metadata=qupath_installation.keeps_metadata)
        assert compared(after[name], metadata=qupath_installation.keeps_metadata) == expected, case["name"]
        assert told + words(case["told"]) + "\n" in done.stderr, case["name"]


def words(told: dict[str, int]) -> str:
    """Return what an importer says of what it has done."""
    said = {
        "updated": "objects updated",
        "added": "added",
        "split": "points objects replaced by one object for each point",
        "kept": "classes set by hand were kept",
        "gone": "objects of the results are not in the image any more and were not added",
        "left": "points objects have other points by now and stay as they are",
    }
    return ", ".join(f"{told[key]} {text}" for key, text in said.items() if told[key] or key == "updated")
