"""Figures on a small slide, and what a report of a script says of them."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import write_features
from tests.qupath.standin_qupath import polygon

if TYPE_CHECKING:
    from tests.qupath.standin_qupath import QuPath

SIZE = (700, 500)
CENTRES = [(100.0, 100.0), (300.0, 200.0), (500.0, 300.0)]
OTHER = {"Mitosis: Atypical": "Mitosis: Normal", "Mitosis: Normal": "Mitosis: Atypical"}
POINTS = [(200.0, 400.0), (250.0, 150.0), (600.0, 420.0)]


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def feature(
    n: int, geometry: dict[str, Any], kind: str = "detection", of: str | None = "Mitosis", **more: Any
) -> dict[str, Any]:
    classification = {"classification": {"name": of, "color": [200, 0, 0]}} if of else {}
    properties = {"objectType": kind, **classification, **more}
    return {"type": "Feature", "id": uuid(n), "geometry": geometry, "properties": properties}


def write_figures(path: Path) -> Path:
    """Write three outlines and a points object of three figures, a region, and an object of another class."""
    named: dict[str, Any] = {"name": "my favourite", "measurements": {"Area": 31.5, "Upsampled": 1.0}}
    figures = [feature(i, polygon(*at), **(named if i == 0 else {})) for i, at in enumerate(CENTRES)]
    points = {"type": "MultiPoint", "coordinates": [list(at) for at in POINTS]}
    region = {"type": "Polygon", "coordinates": [[[0, 0], [699, 0], [699, 499], [0, 499], [0, 0]]]}
    others = [
        feature(7, points, "annotation"),
        feature(8, region, "annotation", None),
        feature(9, polygon(400, 400), "detection", "Stroma"),
    ]
    return write_features(path, figures + others)


def table(qupath: QuPath, name: str) -> list[dict[str, str]]:
    with (qupath.written / name).open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, strict=True))


def by_id(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {o["id"]: o for o in report["objects"]}
    assert len(found) == len(report["objects"])
    return found


def given(qupath: QuPath) -> dict[str, dict[str, Any]]:
    features = json.loads(Path(qupath.images[0]["objects"]).read_text())["features"]
    return {f["id"]: f for f in features}


def succeeded(report: dict[str, Any]) -> dict[str, Any]:
    assert report["error"] is None, report
    assert [d["kind"] for d in report["dialogs"]] in ([], ["info"]), report["log"]
    return report


def is_call(name: str) -> bool:
    return name in ("Mitosis: Atypical", "Mitosis: Normal")


def run_id(summary: Path) -> str:
    """Return the id of the run that wrote a summary.json, as image and metadata state it."""
    return hashlib.sha256(summary.read_bytes()).hexdigest()[:12]


def classified(python: str, slide: Path, points: Path, out: Path, *options: str) -> Path:
    command = [python, "-I", "-m", "slidemitosis", "classify", str(slide), "--points", str(points)]
    command += ["--out", str(out), "--progress", "none", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out
