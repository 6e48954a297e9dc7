"""The scenario of an import, by the Groovy importer on stand-ins of QuPath."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_features
from tests.qupath.scenario import (
    CASES,
    NEEDS_METADATA,
    SIZE,
    assert_same,
    feature,
    of_review,
    record,
    summary,
    told,
    told_answers,
    told_review,
    write_result,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qupath.standin_qupath import QuPath


def played(case: dict[str, Any], qupath: QuPath, folder: Path) -> dict[str, Any]:
    """Import a case's results into an image with its objects, and return the report."""
    slide = folder / "a.svs"
    slide.write_bytes(b"x" * 1000)
    qupath.project = folder / "project"
    (qupath.written / "summaries").mkdir(parents=True)
    if case["threshold"] is not None:
        before = summary(case, slide, "/data/found.csv", case["threshold"])
        (qupath.written / "summaries" / "1.json").write_text(json.dumps(before))
    objects = write_features(folder / "before.geojson", [feature(r) for r in case["before"]])
    within = {r["id"]: r["parent"] for r in case["before"] if r["parent"]}
    qupath.add_image(slide, SIZE, objects=objects)
    result = write_result(folder / "result", case, slide)
    qupath.run("import_results", args=[str(result)], gui=False, within=within)
    (report,) = qupath.reports()
    return report


def records(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [record(o, report["parents"][o["id"]]) for o in report["objects"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_import_changes_what_the_rules_say_and_nothing_else(
    case: dict[str, Any], qupath: QuPath, tmp_path: Path
) -> None:
    report = played(case, qupath, tmp_path)
    if case["refused"]:
        assert case["refused"] in report["error"]
        assert_same(records(report), case["before"])
        assert (report["metadata"], report["run"], report["events"]) == ({}, None, [])
        return
    assert report["error"] is None, report["log"]
    assert_same(records(report), case["after"])
    assert report["log"][-2].endswith(f"; {told(case['told'])}")
    assert told_answers(case) in report["log"][-2]
    assert of_review(report["metadata"]) == told_review(case)
    assert report["metadata"]["AMF run"] == report["run"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_versions_that_cannot_change_metadata_get_the_same_but_for_metadata(
    version: str, qupath: QuPath, tmp_path: Path
) -> None:
    qupath.version = version
    # What only metadata tell of a former run is not known to 0.4.
    skipped = NEEDS_METADATA if version == "0.4" else None
    for i, case in enumerate(c for c in CASES if c["after"] and c is not skipped):
        (tmp_path / str(i)).mkdir()
        qupath.images, qupath.steps = [], []
        report = played(case, qupath, tmp_path / str(i))
        assert report["error"] is None, report["log"]
        no_metadata = [[{**r, "metadata": {}} for r in rs] for rs in (records(report), case["after"])]
        assert_same(*no_metadata)
        # For each detection with metadata that it reads, 0.5 logs a stack trace.
        assert [line for line in report["logged"] if line["level"] == "warning"] == []
