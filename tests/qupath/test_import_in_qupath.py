"""The scenario of an import in QuPath itself, where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import position_colours, write_aperio, write_features
from tests.qupath.scenario import (
    CASES,
    NEEDS_METADATA,
    SIZE,
    assert_same,
    feature,
    record,
    summary,
    write_result,
)
from tests.qupath.standin_qupath import SCRIPTS

QUPATH = "SLIDEMITOSIS_QUPATH"
"""Environment variable: QuPath's program, such as /opt/QuPath/bin/QuPath."""
_IN_QUPATH = Path(__file__).with_name("groovy") / "in_qupath.groovy"


def qupath(*words: str | Path) -> str:
    """Run a script in QuPath without its windows, and return what it said; skips the test without QuPath."""
    if QUPATH not in os.environ:
        pytest.skip(f"no QuPath is here: set {QUPATH} to its program")
    command = [os.environ[QUPATH], "script", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.stdout + done.stderr


def in_qupath(mode: str, *paths: Path) -> str:
    """Let `in_qupath.groovy` make or dump a project, and return QuPath's version."""
    words = [w for word in (mode, *paths) for w in ("-a", str(word))]
    said = qupath(_IN_QUPATH, *words)
    assert "ERROR" not in said, said
    version = re.search(r"this is QuPath (\S+)", said)
    assert version is not None, said
    return version[1]


def placed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records with the box around each outline for the outline, whose corners QuPath orders anew."""
    return [{**r, "geometry": _box(r["geometry"]["coordinates"])} for r in records]


def _box(coordinates: Any) -> list[float]:
    places = _places(coordinates)
    return [edge(p[axis] for p in places) for axis in (0, 1) for edge in (min, max)]


def _places(coordinates: Any) -> list[list[float]]:
    if isinstance(coordinates[0], int | float):
        return [[round(c, 2) for c in coordinates]]
    return [place for part in coordinates for place in _places(part)]


@pytest.mark.slow
def test_an_import_changes_in_qupath_what_the_rules_say_and_nothing_else(tmp_path: Path) -> None:
    first = write_aperio(tmp_path / "0.svs", [position_colours(*SIZE)])
    project = tmp_path / "project"
    written = project / "slidemitosis"
    images = []
    for i, case in enumerate(CASES, start=1):
        slide = Path(shutil.copy(first, tmp_path / f"{i}.svs"))
        objects = write_features(tmp_path / f"{i}.geojson", [feature(r) for r in case["before"]])
        parents = {r["id"]: r["parent"] for r in case["before"] if r["parent"]}
        images.append({"slide": str(slide), "objects": str(objects), "parents": parents})
        write_result(tmp_path / "R" / "slides" / str(i), case, slide, entry=str(i))
    listed = tmp_path / "images.json"
    listed.write_text(json.dumps(images))
    in_qupath("make", project, listed)
    (written / "summaries").mkdir(parents=True)
    for i, case in enumerate(CASES, start=1):
        if case["threshold"] is not None:
            before = summary(case, tmp_path / f"{i}.svs", "/data/found.csv", case["threshold"])
            (written / "summaries" / f"{i}.json").write_text(json.dumps(before))
    words = ("-s", "-p", project / "project.qpproj", SCRIPTS / "import_results.groovy", "-a", tmp_path / "R")
    said = qupath(*words)
    refused = sum(case["refused"] is not None for case in CASES)
    assert f"{len(CASES) - refused} done, {refused} failed" in said, said
    # What only metadata tell of a former run is not known to 0.5, which reads none of detections.
    reads_metadata = in_qupath("dump", project, listed) > "0.6"
    for case, dumped in zip(CASES, json.loads(listed.read_text()), strict=True):
        found = [record(o["feature"], o.get("parent")) for o in dumped]
        expected = case["before"] if case["refused"] else case["after"]
        if not reads_metadata and case is NEEDS_METADATA:
            continue
        if not reads_metadata:
            found, expected = ([{**r, "metadata": {}} for r in rs] for rs in (found, expected))
        print(case["name"])
        assert_same(placed(found), placed(expected))
