"""The scenario of an import, which both importers run: `scenario_import.json` beside this file.

Each case states the objects of an image before, an objects.geojson, and the objects after; or why it is
refused; and may state the `review` of the summary. A RECORD is an object: id, type, geometry, class (its
parts), measurements, metadata, color (of its own), name, locked, parent (an id). `threshold` is that of the
run before. `names_entry`: whether the candidates were exported from the image. docs/qupath.md states the
rules.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slidemitosis.slides.identity import slide_identity

SCENARIO: dict[str, Any] = json.loads(Path(__file__).with_name("scenario_import.json").read_text("utf-8"))
CASES: list[dict[str, Any]] = SCENARIO["cases"]
NEEDS_METADATA = CASES[1]
"""The case with a call that only the metadata of a detection tell."""
SIZE: tuple[int, int] = (SCENARIO["slide"]["width"], SCENARIO["slide"]["height"])


def feature(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as a GeoJSON Feature; of its parent GeoJSON says nothing."""
    properties: dict[str, Any] = {"objectType": record["type"], "isLocked": record["locked"]}
    if record["class"] is not None:
        properties["classification"] = {"names": record["class"], "color": [200, 0, 0]}
    for key in ("measurements", "metadata", "color", "name"):
        if record[key]:
            properties[key] = record[key]
    geometry = record["geometry"]
    return {"type": "Feature", "id": record["id"], "geometry": geometry, "properties": properties}


def record(feature: dict[str, Any], parent: str | None) -> dict[str, Any]:
    """Return a Feature, as QuPath writes it, as a record."""
    properties = feature["properties"]
    classified = properties.get("classification")
    return {
        "id": feature["id"],
        "type": properties["objectType"],
        "geometry": feature["geometry"],
        "class": classified and (classified.get("names") or [classified["name"]]),
        "measurements": properties.get("measurements", {}),
        "metadata": properties.get("metadata", {}),
        "color": properties.get("color"),
        "name": properties.get("name"),
        "locked": properties.get("isLocked", False),
        "parent": parent,
    }


def write_result(folder: Path, case: dict[str, Any], slide: Path, entry: str = "1") -> Path:
    """Write a folder of results as `slidemitosis classify` does, as far as an importer reads it."""
    folder.mkdir(parents=True)
    (folder / "objects.geojson").write_text(json.dumps(case["result"]), encoding="utf-8")
    points = f"/cluster/p/candidates/{entry}.geojson" if case["names_entry"] else "/data/found.csv"
    (folder / "summary.json").write_text(json.dumps(summary(case, slide, points)), encoding="utf-8")
    return folder


def summary(case: dict[str, Any], slide: Path, points: str, threshold: float = 0.5) -> dict[str, Any]:
    """Return a summary.json of these results."""
    figures = len(case["result"]["features"])
    return {
        "slide": {
            "path": f"/cluster/{slide.name}",
            "name": slide.name,
            **slide_identity(slide),
            "quickhash": None,
            "width_px": SIZE[0],
            "height_px": SIZE[1],
            "bounds_px": None,
        },
        "reading": {"offset_px": [0, 0], "objects_offset_px": [0, 0]},
        "points": {"path": points, "bytes": 1},
        "model": {"name": "m", "version": "1", "threshold": threshold, "operating_point": "balanced"},
        "counts": {"candidates": figures, "classified": figures, "atypical": figures, "normal": 0},
        "fraction_amf_of_all": 1.0 if figures else None,
        "fraction_amf_of_all_wilson_95": [0.5, 1.0] if figures else None,
        "expected_fraction_amf_of_all": 1.0 if figures else None,
        "expected_fraction_amf_of_all_figures_95": [0.5, 1.0] if figures else None,
        "review": case.get("review"),
    }


def of_review(metadata: dict[str, str]) -> dict[str, str]:
    """Return those metadata of an image that say what persons' answers come to."""
    words = ("reviewed", "combined", "review")
    return {key: value for key, value in metadata.items() if key.split()[1] in words}


def told_review(case: dict[str, Any]) -> dict[str, str]:
    """Return what these metadata should be after a case."""
    if "review" not in case:
        return {}
    return {
        "AMF reviewed fraction": "0.5000",
        "AMF combined fraction": "0.2500",
        "AMF combined fraction, 95 % from": "0.1250",
        "AMF combined fraction, 95 % to": "0.5000",
        "AMF review": case["review"]["because"],
    }


def told_answers(case: dict[str, Any]) -> str:
    """Return what an importer says of them."""
    if "review" not in case:
        return ""
    return (
        "6 answers of persons counted: 50 % by the answers alone, 25 % by answers and model together, "
        f"{case['review']['because']}"
    )


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare two lists of records; order does not count, and measurements may be floats."""
    assert len(found) == len(expected)
    pairs = zip(sorted(found, key=_place), sorted(expected, key=_place), strict=True)
    for mine, theirs in pairs:
        assert mine["measurements"] == pytest.approx(theirs["measurements"], abs=1e-6), mine["id"]
        assert {**mine, "measurements": 0} == {**theirs, "measurements": 0}


def _place(record: dict[str, Any]) -> str:
    return f"{record['id']} {record['geometry']} {record['color']}"


def told(counts: dict[str, int]) -> str:
    """Return what an importer says it did to the objects."""
    words = {
        "added": ("object", "objects", "added"),
        "split": ("points object", "points objects", "replaced by one object for each point"),
        "kept": ("class", "classes", "set by hand kept"),
        "gone": ("object", "objects", "of the results not in the image any more, and so not added"),
        "left": ("points object", "points objects", "with other points by now left alone"),
    }
    parts = [f"{counts['updated']} object{'s' * (counts['updated'] != 1)} updated"]
    for key, (one, many, text) in words.items():
        if counts[key]:
            parts.append(f"{counts[key]} {one if counts[key] == 1 else many} {text}")
    return ", ".join(parts)
