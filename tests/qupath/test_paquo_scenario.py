"""The scenario of an import by the command `import-results`, as a process, with paquo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from shapely.geometry import shape

from tests.conftest import position_colours, write_aperio
from tests.qupath.scenario import (
    CASES,
    SIZE,
    assert_same,
    of_review,
    summary,
    told,
    told_answers,
    told_review,
)
from tests.qupath.test_project import entry, server, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qupath.paquo_qupath import Installation


def comparable(records: list[dict[str, Any]], installation: Installation) -> list[dict[str, Any]]:
    """Return records as they are compared: QuPath turns rings, and 0.5 changes no metadata of detections."""
    return [
        {
            **r,
            "geometry": shape(r["geometry"]).normalize().wkt,
            "metadata": r["metadata"] if installation.keeps_metadata or r["type"] == "annotation" else {},
        }
        for r in records
    ]


def needs_metadata(case: dict[str, Any]) -> bool:
    """Whether an object says what it was called by its metadata alone."""
    return any(
        "slidemitosis.subtype" in o["metadata"] and "Call threshold" not in o["measurements"]
        for o in case["before"]
    )


@pytest.mark.slow
def test_an_import_changes_what_the_rules_say_and_nothing_else(
    installation: Installation, tmp_path: Path
) -> None:
    """All cases are images of one project, each with a slide of its own."""
    before, entries = {}, []
    for number, case in enumerate(CASES, start=1):
        slide = write_aperio(tmp_path / f"{number}.svs", [position_colours(*SIZE, x0=number)])
        of_image = entry(server(slide.as_uri()), number)
        entries.append({**of_image, "metadata": {"AMF review": "of an earlier run"}})
        before[str(number)] = case["before"]
        points = f"/cluster/candidates/{number}.geojson" if case["names_entry"] else "/data/found.csv"
        result = tmp_path / f"R/slides/{number}"
        result.mkdir(parents=True)
        (result / "summary.json").write_text(json.dumps(summary(case, slide, points)))
        (result / "objects.geojson").write_text(json.dumps(case["result"]))
        if case["threshold"] is not None:
            earlier = tmp_path / f"p/slidemitosis/summaries/{number}.json"
            earlier.parent.mkdir(parents=True, exist_ok=True)
            earlier.write_text(json.dumps({"model": {"threshold": case["threshold"]}}))
    project = write_project(tmp_path / "p", *entries)
    # As a later version wrote it, whose metadata of detections 0.5 shows and cannot change.
    installation.newest.write(project, before)
    stored = installation.read(project)
    done = installation.command("import-results", project, "--results", tmp_path / "R")
    assert done.returncode == 3, done.stderr
    after, images = installation.read(project), json.loads(project.read_text())["images"]
    for number, case in enumerate(CASES, start=1):
        name = str(number)
        if case["refused"]:
            assert f"slidemitosis: warning: slide {name}: {case['refused']}" in done.stderr
            assert after[name] == stored[name]
        elif not needs_metadata(case) or installation.newest.keeps_metadata:
            assert_same(comparable(after[name], installation), comparable(case["after"], installation))
            assert f"slidemitosis: slide {name}: {told(case['told'])}\n" in done.stderr
            assert told_answers(case) in done.stderr
            (metadata,) = (i["metadata"] for i in images if str(i["entryID"]) == name)
            assert of_review(metadata) == told_review(case)
