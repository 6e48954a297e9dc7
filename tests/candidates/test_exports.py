"""Exports that QuPath itself has written, against centres worked out by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from slidemitosis.candidates import Candidates, parse_geojson, read_candidates, select_candidates
from slidemitosis.errors import UnreadableCandidates
from tests.candidates.checks import feature_of
from tests.conftest import needs_shared

# Source, class and centre of the eleven objects, three of them the points of one.
ELEVEN = [
    ("feature 1", "Mitosis", 120.25, 222.5),  # an ellipse of 40 x 44 at (100.25, 200.5)
    ("feature 2", "Tumor: Mitosis", 325, 335),
    ("feature 3", "Non-mitotic figure", 522.8249, 525.2825),  # shoelace formula, below
    ("feature 4", "Mitosis", 730, 730),  # the nucleus; the middle of the cell is (730, 730.14)
    ("feature 5", "Mitosis", 900, 910),
    ("feature 6, point 1", "Mitosis", 1000, 1000),
    ("feature 6, point 2", "Mitosis", 1100.5, 1200.25),
    ("feature 6, point 3", "Mitosis", 1300, 900),
    ("feature 7", None, 1515, 1515),
    ("feature 8", "Mitosis", 1615, 1515),
    ("feature 9", "Region*", 2000, 2000),
    # (200 x 200 x 2100 - 50 x 50 x 2075) / (200 x 200 - 50 x 50): the hole pushes the centre away
    ("feature 10", "Mitosis", 2101.6667, 2101.6667),
    ("feature 11", "Mitosis", 2520, 2520),  # two squares: the centre of one, not of the gap
]


def export(name: str) -> Path:
    return needs_shared("data", "qupath", name)


def assert_eleven(candidates: Candidates) -> None:
    assert [(c.source, c.class_name) for c in candidates] == [row[:2] for row in ELEVEN]
    assert [(c.x, c.y) for c in candidates] == [pytest.approx(row[2:], abs=1e-4) for row in ELEVEN]


@pytest.mark.parametrize(
    "name",
    [
        "export-0.4.4.geojson",
        "export-0.5.1.geojson",
        "export-0.5.1-bare-array.geojson",
        "export-0.5.1-no-measurements.geojson.gz",
    ],
)
def test_all_eleven_objects_have_their_centre_and_class(name: str) -> None:
    candidates = read_candidates(export(name))
    assert_eleven(candidates)
    assert (candidates.format, candidates.unit, candidates.path) == ("geojson", "px", export(name))


def test_the_hand_worked_pentagon_is_right() -> None:
    ring = [(540, 495), (500, 500), (490, 540), (520, 560), (560, 530), (540, 495)]
    cross = [x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring)]
    sides = list(zip(pairwise(ring), cross, strict=True))
    x = sum((a[0] + b[0]) * c for (a, b), c in sides) / (3 * sum(cross))
    y = sum((a[1] + b[1]) * c for (a, b), c in sides) / (3 * sum(cross))
    assert (x, y) == pytest.approx(ELEVEN[2][2:], abs=1e-4)


def test_one_bare_feature_is_read() -> None:
    (one,) = read_candidates(export("export-0.5.1-one-feature.geojson"))
    assert (one.id, one.x, one.y) == ("781772d5-57cc-42a5-aa56-38426dee5228", 325, 335)


def test_features_are_kept_as_qupath_wrote_them() -> None:
    path = export("export-0.5.1.geojson")
    written = {f["id"]: f for f in json.loads(path.read_text("utf-8"))["features"]}
    for candidate in read_candidates(path):
        if "point" not in candidate.source:
            assert feature_of(candidate) == written[str(candidate.id)]
        elif candidate.id is not None:
            whole = written[candidate.id.partition("#")[0]]
            assert feature_of(candidate)["properties"] == whole["properties"]


def test_of_the_eleven_only_the_mitoses_are_chosen() -> None:
    selection = select_candidates(read_candidates(export("export-0.4.4.geojson")))
    assert selection.rule == "reads as mitosis"
    assert selection.taken == {"Mitosis": 9, "Tumor: Mitosis": 1}
    assert selection.left == {"Non-mitotic figure": 1, None: 1, "Region*": 1}


def test_qupath_06_writes_nothing_that_is_refused() -> None:
    candidates = read_candidates(export("export-0.6.geojson"))
    assert candidates.class_counts() == {"class_1": 3, "class_2": 3, None: 3}


def test_a_real_export_cut_off_anywhere_is_refused() -> None:
    text = export("export-0.5.1.geojson").read_text("utf-8").rstrip()
    for length in range(1, len(text), 97):
        with pytest.raises(UnreadableCandidates, match=r"export\.geojson: line \d+.* cut off"):
            parse_geojson(text[:length], path=Path("export.geojson"))
