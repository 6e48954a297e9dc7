"""A review in QuPath: keys, what becomes of the objects, and the rate by the rule of slidemitosis.rates."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, get_args

import pytest

from slidemitosis.candidates.answered import REASONS
from slidemitosis.cli.rates import short_interval
from slidemitosis.labels import Reason, Word
from slidemitosis.rates.reviewed import ReviewedFigure, review_rate
from tests.conftest import write_features
from tests.qupath.figures import by_id, feature, succeeded, uuid
from tests.qupath.standin_qupath import classes, polygon, results

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qupath.standin_qupath import QuPath

NUMBER = {reason: number for number, reason in REASONS.items()}


def drawn_figures(seed: int) -> list[ReviewedFigure]:
    """Draw figures of a slide, of which none, some, a sample or all are answered."""
    rng = random.Random(seed)
    share = rng.choice([0, 0.1, 0.5, 1])
    mixed: list[list[Reason]] = [["doubt"], ["random"], ["random", "found"]]
    reasons = rng.choice(mixed)
    words = rng.choice([get_args(Word), ("none", "unsure"), ("AMF", "NMF")])
    figures = []
    for _ in range(rng.choice([1, 5, 40, 200])):
        answered = rng.random() < share
        p = None if answered and rng.random() < 0.1 else round(rng.random(), 6)
        said = (rng.choice(words), rng.choice(reasons)) if answered else (None, None)
        figures.append(ReviewedFigure(p, *said))
    return figures


def test_the_rate_is_that_of_the_command(qupath: QuPath) -> None:
    cases = [drawn_figures(seed) for seed in range(60)]
    for case in cases:
        told = [
            {
                "p": "NaN" if f.probability is None else f.probability,
                "answer": f.answer,
                "reason": NUMBER[f.reason] if f.reason else 0,
            }
            for f in case
        ]
        qupath.call("review_figures", "reviewRate", told)
    chosen = set()
    found_rates = results(qupath)
    qupath.steps.clear()
    stated = []
    for case, found in zip(cases, found_rates, strict=True):
        expected = review_rate(case)
        if expected is None:
            assert found is None
            continue
        chosen.add(expected.chosen)
        assert found["chosen"] == expected.chosen
        assert found["reviewed"] == pytest.approx(expected.reviewed.value)
        assert found["combined"] == pytest.approx(expected.combined.value)
        for key, interval in (("interval", expected.reviewed), ("combinedInterval", expected.combined)):
            assert found[key] == (interval.figures and pytest.approx(interval.figures))
            if interval.value is not None:
                stated.append(short_interval(interval.value, interval.figures).replace(" %", " % so", 1))
                fraction = found["reviewed" if key == "interval" else "combined"]
                qupath.call("review_figures", "rateText", fraction, "so", found[key])
    assert results(qupath) == stated
    assert chosen == {"all", "random", "chosen"}


@pytest.fixture
def reviewed(qupath: QuPath, slide: Path, tmp_path: Path) -> QuPath:
    """QuPath with six figures that a run has called; the surer P(atypical), the smaller the doubt."""
    features = []
    for i in range(6):
        numbers = {"P(atypical)": 0.9 - i / 10, "Call threshold": 0.55, "P(experts disagree)": 0.1 + i / 10}
        name = "Mitosis: Atypical" if i < 4 else "Mitosis: Normal"
        features.append(feature(i, polygon(60 + 100 * i, 100), of=name, measurements=numbers))
    qupath.project = tmp_path / "a project"
    qupath.project.mkdir()
    return qupath.add_image(slide, (700, 500), objects=write_features(tmp_path / "f.geojson", features))


def reason_of(report: dict[str, Any], i: int) -> float | None:
    found: float | None = by_id(report)[uuid(i)]["properties"]["measurements"].get("Reviewed")
    return found


def test_one_key_answers_a_figure_and_shows_the_next(reviewed: QuPath) -> None:
    (report,) = map(succeeded, reviewed.run("review_figures", keys=["A", "N", "X", "U"]).reports())
    assert [classes(report)[uuid(i)] for i in (5, 4, 3, 2, 1)] == [
        "Mitosis: Atypical",
        "Mitosis: Normal",
        "Non-mitosis",
        "Mitosis",
        "Mitosis: Atypical",
    ]
    assert [reason_of(report, i) for i in (5, 4, 3, 2, 1)] == [3, 3, 3, 3, None]
    # The viewer goes to each; each answer is one step for QuPath's Undo.
    places = [f"at {60 + 100 * i}, 100" for i in (5, 4, 3, 2, 1)]
    assert report["events"] == [places[0], *(e for at in places[1:] for e in ("hierarchy", at))]
    lines = [window[2:4] for window in report["windows"]]
    assert lines[0] == ["reviewed 0 of 6: 0 atypical", " \n "]
    assert lines[1][1].startswith("100 % atypical by the answers\n")
    assert lines[4][0] == "reviewed 4 of 6: 1 atypical, 1 normal, 1 no mitosis, 1 unsure"
    assert lines[4][1].startswith("50 % atypical by the answers\n")
    assert lines[4][1].endswith("(not unbiased: neither all nor a random sample)")
    assert report["windows"][4][1].startswith("figure 5 of 6: Mitosis: Atypical, P(atypical) 0.8")


def test_an_answer_is_taken_back_with_all_that_it_changed(reviewed: QuPath) -> None:
    reviewed.run("review_figures", answer=None)
    reviewed.run("review_figures", keys=["X", "A", "Z", "BACK_SPACE", "Z", "SPACE", "N"])
    before, after = map(succeeded, reviewed.reports())
    assert before["windows"] == []
    others = [[o for o in r["objects"] if o["id"] != uuid(4)] for r in (before, after)]
    assert others[0] == others[1]
    assert (classes(after)[uuid(4)], reason_of(after, 4)) == ("Mitosis: Normal", 3)


def test_after_qupaths_own_undo_the_review_shows_what_is_there_and_goes_back(reviewed: QuPath) -> None:
    keys = ["X", "N", "undo", "Z", "SPACE", "A"]
    (report,) = map(succeeded, reviewed.run("review_figures", keys=keys).reports())
    undone = report["windows"][3]
    assert undone[1].startswith("figure 1 of 6: Mitosis: Normal")
    assert undone[2:4] == ["reviewed 0 of 6: 0 atypical", " \n "]
    assert report["windows"][4][1].startswith("the objects are others since Edit > Undo")
    answered = {i: classes(report)[uuid(i)] for i in range(6) if reason_of(report, i) is not None}
    assert answered == {4: "Mitosis: Atypical"}
    assert report["windows"][-1][2] == "reviewed 1 of 6: 1 atypical"


def test_a_random_sample_stays_one_and_gives_a_rate(reviewed: QuPath) -> None:
    order = {"order": 2, "sample": 3}
    reviewed.run("review_figures", answer=order, keys=["A", "N", "N"])
    reviewed.run("review_figures", answer={"order": 1}, keys=["A"] * 3)
    reviewed.run("review_figures", answer=order | {"sample": 4}, keys=["N"])
    sample, rest, larger = map(succeeded, reviewed.reports())
    assert sample["windows"][-1][3].endswith("(from a random sample)")
    shown = {i for i in range(6) if reason_of(sample, i) == 2}
    assert len(shown) == 3
    # Those that are answered already are not asked again, and the sample is not spoilt by the others.
    assert rest["windows"][-1][3].endswith("(all were reviewed)")
    assert {i for i in range(6) if reason_of(rest, i) == 2} == shown
    # A larger sample begins with the smaller one.
    assert {i for i in range(6) if reason_of(larger, i) == 2} > shown
    assert larger["windows"][-1][1].startswith("every figure of this review has an answer")


def test_figures_that_are_selected_are_found_and_several_are_answered_at_once(reviewed: QuPath) -> None:
    reviewed.run("review_figures", select=[uuid(0), uuid(1)], answer={"order": 3}, keys=["N"])
    reviewed.run("review_figures", keys=[[uuid(1), uuid(2)], "X"])
    one, two = map(succeeded, reviewed.reports())
    assert one["asked"][0]["order"]["choices"][3] == "those selected"
    assert [reason_of(one, i) for i in range(3)] == [4, None, None]
    assert [classes(two)[uuid(i)] for i in range(3)] == ["Mitosis: Normal", "Non-mitosis", "Non-mitosis"]
    assert [reason_of(two, i) for i in range(3)] == [4, 3, 3]


def test_without_figures_or_a_window_the_remedy_is_told(reviewed: QuPath) -> None:
    reviewed.run("review_figures", gui=False)
    reviewed.run("review_figures", forget=[uuid(i) for i in range(6)])
    headless, none = reviewed.reports()
    assert "no figure of this image is classified" in none["dialogs"][0]["message"]
    assert "figures are reviewed in a window" in headless["error"]
