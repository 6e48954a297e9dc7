"""A person's answers as objects for QuPath."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slidemitosis.review.answers import Answer, Shown, append_answer, utc_now
from slidemitosis.review.objects import write_reviewed_objects
from tests.command import run
from tests.qupath_rules import qupath_features
from tests.review.review_server import figure_at, reviewing

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.labels import Word


def say(results: Path, figure: str, word: Word | None, *, reader: str = "anna") -> None:
    append_answer(results, Answer(figure, reader, word, utc_now(), "random"), Shown("a.svs", 1.0, 2.0, 0.5))


def objects(path: Path) -> dict[str, dict[str, Any]]:
    return {feature["id"]: feature["properties"] for feature in qupath_features(path.read_bytes())}


def test_the_class_is_the_persons_and_reviewed_says_why_it_was_asked(results: Path) -> None:
    before = objects(results / "objects.geojson")
    atypical, normal, none, unsure, apart, *others = figure_at(results)
    for figure, word in ((atypical, "AMF"), (normal, "NMF"), (none, "none"), (unsure, "unsure")):
        say(results, figure, word)  # type: ignore[arg-type]
    say(results, apart, "AMF")
    say(results, apart, "NMF", reader="ben")
    after = objects(write_reviewed_objects(results))
    assert [after[f]["classification"]["names"] for f in (atypical, normal, none, unsure, apart)] == [
        ["Mitosis", "Atypical"],
        ["Mitosis", "Normal"],
        ["Non-mitosis"],
        ["Mitosis"],
        ["Mitosis"],
    ]
    assert [after[f]["measurements"]["Reviewed"] for f in (atypical, normal, none, unsure, apart)] == [2] * 5
    for figure in others:
        assert after[figure] == before[figure]
    for figure, old in before.items():
        new = after[figure]["measurements"]
        assert {k: v for k, v in new.items() if k != "Reviewed"} == old["measurements"]


def test_a_class_that_was_set_in_qupath_stays(results: Path) -> None:
    path = results / "objects.geojson"
    document = json.loads(path.read_text())
    first, second = document["features"][:2]
    first["properties"]["classification"] = {"names": ["Apoptosis"], "color": [1, 2, 3]}
    path.write_text(json.dumps(document))
    say(results, second["id"], "AMF")
    after = objects(write_reviewed_objects(results))
    assert after[first["id"]]["classification"]["names"] == ["Apoptosis"]
    assert after[first["id"]]["measurements"]["Reviewed"] == 4
    assert after[second["id"]]["classification"]["names"] == ["Mitosis", "Atypical"]


def test_an_answer_that_is_taken_back_after_a_run_leaves_the_models_call(results: Path) -> None:
    before = objects(results / "objects.geojson")
    figure = next(iter(before))
    say(results, figure, "none")
    (results / "objects.geojson").write_bytes(write_reviewed_objects(results).read_bytes())
    say(results, figure, None)
    after = objects(write_reviewed_objects(results))
    assert after[figure]["classification"]["names"][-1] == before[figure]["classification"]["names"][-1]
    assert "Reviewed" not in after[figure]["measurements"]


def test_a_review_ends_with_objects_that_another_run_takes_for_answers(results: Path, tmp_path: Path) -> None:
    with reviewing(results, "--order", "random", "--sample", "3") as review:
        for number in range(3):
            review.post("answer", {"figure": number, "answer": "AMF"})
        assert str(results / "reviewed.geojson") in review.finish()
    slide = json.loads((results / "summary.json").read_text())["slide"]["path"]
    points, out = results / "reviewed.geojson", tmp_path / "again"
    done = run("classify", slide, "--points", points, "--out", out, "--model", "lite0", "--workers", "0")
    assert done.returncode == 0, done.stderr
    again = objects(tmp_path / "again" / "objects.geojson")
    reviewed = [o for o in again.values() if "Reviewed" in o["measurements"]]
    assert [o["measurements"]["Reviewed"] for o in reviewed] == [2] * 3
    assert {o["classification"]["names"][-1] for o in reviewed} == {"Atypical"}
