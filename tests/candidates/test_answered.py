"""Classes that a person has set, told from those of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis.candidates import parse_geojson, select_candidates
from slidemitosis.candidates.answered import set_by_hand, stated_call

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidates


def file_of(*objects: tuple[str | None, dict[str, Any]], **more: Any) -> Candidates:
    """Make a file of objects of these classes, with these measurements."""
    features = []
    for number, (name, numbers) in enumerate(objects):
        properties: dict[str, Any] = {"objectType": "detection", "measurements": numbers, **more}
        if name is not None:
            properties["classification"] = {"name": name, "color": None}
        features.append(
            {
                "type": "Feature",
                "id": f"00000000-0000-4000-8000-{number:012d}",
                "geometry": {"type": "Point", "coordinates": [10.0 * number, 5.0]},
                "properties": properties,
            }
        )
    return parse_geojson(
        json.dumps({"type": "FeatureCollection", "features": features}), path=Path("a.geojson")
    )


def told(*objects: tuple[str | None, dict[str, Any]], **more: Any) -> list[tuple[str, str] | None]:
    found = set_by_hand(file_of(*objects, **more))
    answers = [found.get(i) for i in range(len(objects))]
    return [(a.answer, a.reason) if a else None for a in answers]


def called(p: float, threshold: float = 0.5, **more: float) -> dict[str, float]:
    return {"P(atypical)": p, "Call threshold": threshold, **more}


RUN = ("Mitosis: Normal", called(0.1))
"""As a run has left it."""


def test_a_class_other_than_the_recorded_call_is_an_answer_that_was_found() -> None:
    assert told(RUN, ("Mitosis: Atypical", called(0.1)), ("Mitosis: Normal", called(0.9))) == [
        None,
        ("AMF", "found"),
        ("NMF", "found"),
    ]


def test_calls_are_compared_in_the_32_bits_of_qupath() -> None:
    thresholds = [0.1676, 0.1745, 0.3, 0.7, 0.2814]
    rounded = [float(np.float32(t)) for t in thresholds]
    assert any(p < t for p, t in zip(rounded, thresholds, strict=True))  # which 64 bits take for normal
    for p, threshold in zip(rounded, thresholds, strict=True):
        assert told(("Mitosis: Atypical", called(p, threshold))) == [None]
    assert told(("Mitosis: Atypical", called(0.167599, 0.1676))) == [("AMF", "found")]


def test_a_call_without_a_probability_was_given_by_a_person() -> None:
    assert told(("Mitosis: Atypical", {}), ("Mitosis", {})) == [("AMF", "found"), None]


def test_results_without_a_threshold_are_told_by_their_subtype_or_not_at_all() -> None:
    old = {"P(atypical)": 0.9}
    assert told(("Mitosis: Normal", old)) == [None]
    assert told(("Mitosis: Normal", old), metadata={"slidemitosis.subtype": "AMF multipolar"}) == [
        ("NMF", "found")
    ]
    assert told(("Mitosis: Normal", old), metadata={"slidemitosis.subtype": "NMF metaphase"}) == [None]


@pytest.mark.parametrize(("number", "reason"), [(1, "all"), (2, "random"), (3, "doubt"), (4, "found")])
def test_reviewed_says_that_a_call_was_confirmed_and_why(number: int, reason: str) -> None:
    assert told(("Mitosis: Normal", called(0.1, Reviewed=number))) == [("NMF", reason)]


@pytest.mark.parametrize(
    "name", ["Non-mitosis", "No mitosis", "Hard negative", "Apoptosis", "Tumor: Imposter"]
)
def test_a_figure_of_a_class_that_is_no_mitosis_is_none(name: str) -> None:
    assert told(RUN, (name, called(0.1)))[1] == ("none", "found")
    assert told(RUN, (name, {}))[1] is None  # of which no run has ever said a thing


def test_a_figure_in_the_band_of_doubt_is_no_correction() -> None:
    assert told(RUN, ("Mitosis", called(0.45))) == [None, None]
    cells = told(("Cell: Normal", called(0.1)), ("Cell", called(0.45)))
    assert cells == [None, None]


def test_a_class_that_was_taken_away_says_that_a_person_is_not_sure() -> None:
    assert told(RUN, (None, called(0.1))) == [None, ("unsure", "found")]
    assert told(RUN, ("Mitosis", called(0.1, Reviewed=2))) == [None, ("unsure", "random")]


def test_the_list_of_measurements_of_qupath_0_3_is_read() -> None:
    numbers = [{"name": "P(atypical)", "value": 0.1}, {"name": "Call threshold", "value": 0.5}]
    (said,) = set_by_hand(file_of(("Mitosis: Atypical", {}), measurements=numbers)).values()
    assert said.answer == "AMF"


def test_figures_that_a_person_calls_none_stay_candidates() -> None:
    objects = file_of(RUN, ("Non-mitosis", called(0.2)), ("Non-mitosis", {}), ("Stroma", {}))
    answered = {i for i, s in set_by_hand(objects).items() if stated_call(s.class_name) is None}
    selection = select_candidates(objects, answered=answered)
    assert [c.source for c in selection.candidates] == ["feature 1", "feature 2"]
    assert selection.left == {"Non-mitosis": 1, "Stroma": 1}
