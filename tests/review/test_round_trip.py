"""Answers go from each place where a person gives them through every later run, and are counted."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis import ComputeOptions, SlideClassifier
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import OutputError
from slidemitosis.options import RateOptions
from slidemitosis.review.answers import REVIEW, Answer, Shown, append_answer
from tests.qupath_rules import qupath_features

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slidemitosis.labels import Reason, Word
    from slidemitosis.outputs.result import SlideResult

SHOWN = Shown("drawn.svs", 0, 0, None)


@dataclass
class Run:
    """A slide and its candidates, and the folder of a first run."""

    classifier: SlideClassifier
    slide: Path
    points: Path
    first: Path

    def again(self, points: Path, out: Path, *answers_of: Path, reviewer: str | None = None) -> SlideResult:
        rates = RateOptions(reviewer=reviewer)
        result = self.classifier.classify(self.slide, points, rates=rates, answers_of=answers_of or (out,))
        result.write(out)
        return result

    def folder(self, tmp_path: Path) -> Path:
        """Return a copy of the first run's folder."""
        return shutil.copytree(self.first, tmp_path / "results")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("reviewed")
    phantom = draw_phantom(width=1500, height=1100, figures=24, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    with SlideClassifier(compute=ComputeOptions(workers=0)) as classifier:
        made = Run(classifier, folder / "drawn.svs", folder / "drawn.geojson", folder / "first")
        made.again(made.points, made.first)
        yield made


def figures_of(folder: Path) -> list[dict[str, Any]]:
    """Read the figures that a run has written, as QuPath would."""
    found = qupath_features((folder / "objects.geojson").read_bytes())
    return [f for f in found if "P(atypical)" in f["properties"].get("measurements", {})]


def probability(figure: dict[str, Any]) -> float:
    return float(figure["properties"]["measurements"]["P(atypical)"])


def word_of(figure: dict[str, Any]) -> str:
    last = figure["properties"]["classification"]["names"][-1]
    return {"Atypical": "AMF", "Normal": "NMF", "Non-mitosis": "none"}[last]


def ten_corrections(folder: Path) -> dict[str, Word]:
    """Choose ten figures; each gets an answer that is not its call, or is said to be no mitosis."""
    figures = figures_of(folder)[3:13]
    other: dict[str, Word] = {"AMF": "NMF", "NMF": "AMF"}
    return {f["id"]: "none" if at > 7 else other[word_of(f)] for at, f in enumerate(figures)}


CLASS = {"AMF": ["Mitosis", "Atypical"], "NMF": ["Mitosis", "Normal"], "none": ["Non-mitosis"]}


def changed(source: Path, target: Path, said: dict[str, Word]) -> Path:
    """Write the objects of a file with other classes, as a person would who edits them."""
    document = json.loads(source.read_text())
    for feature in document["features"]:
        if feature["id"] in said:
            names = CLASS[said[feature["id"]]]
            feature["properties"]["classification"] = {"names": names, "color": [1, 2, 3]}
    target.write_text(json.dumps(document))
    return target


def as_qupath_writes(source: Path, target: Path, said: dict[str, Word]) -> Path:
    """Write the figures as QuPath 0.4 exports them: no metadata, floats of 32 bits, a name for the class."""
    changed(source, target, said)
    document = json.loads(target.read_text())
    for feature in document["features"]:
        properties = feature["properties"]
        properties.pop("metadata", None)
        names = properties["classification"]["names"]
        properties["classification"] = {"name": ": ".join(names), "color": [1, 2, 3]}
        numbers = properties.get("measurements", {})
        properties["measurements"] = {k: float(f"{v:.7g}") for k, v in numbers.items()} | {"Area": 3.5}
    target.write_text(json.dumps(document))
    return target


def expect_ten(folder: Path, result: SlideResult, said: dict[str, Word], before: Path) -> None:
    """All ten are kept in the objects and in the table, and the three rates are right to the digit."""
    figures = figures_of(folder)
    assert {f["id"]: word_of(f) for f in figures if "Reviewed" in f["properties"]["measurements"]} == said
    unchanged = {f["id"]: word_of(f) for f in figures_of(before) if f["id"] not in said}
    assert {f["id"]: word_of(f) for f in figures if f["id"] not in said} == unchanged

    summary = json.loads((folder / "summary.json").read_text())
    p = {f["id"]: probability(f) for f in figures}
    review = summary["review"]
    counts = {word: list(said.values()).count(word) for word in ("AMF", "NMF", "none")}
    assert [review[key] for key in ("answered", "amf", "nmf", "no_mitosis", "unsure")] == [
        10,
        *counts.values(),
        0,
    ]
    assert counts["none"] == 2
    assert summary["expected_fraction_amf_of_all"] == math.fsum(p.values()) / len(p)
    assert review["reviewed_fraction_amf_of_all"] == counts["AMF"] / 8
    rest = math.fsum(v for name, v in p.items() if name not in said)
    expected = (counts["AMF"] + rest) / (len(p) - 2)
    assert review["combined_fraction_amf_of_all"] == pytest.approx(expected, abs=1e-15)
    assert review["because"].startswith("not unbiased: 10 of ")
    assert review["combined_fraction_amf_of_all_figures_95"] is None
    assert sum(r.verdict is not None for r in result.candidates) == 10


def test_ten_classes_changed_in_a_copy_of_the_objects_are_kept_and_counted(run: Run, tmp_path: Path) -> None:
    said = ten_corrections(run.first)
    corrected = changed(run.first / "objects.geojson", tmp_path / "corrected.geojson", said)
    result = run.again(corrected, tmp_path / "again")
    expect_ten(tmp_path / "again", result, said, run.first)
    # And by the run after that, on what this one has written.
    shutil.copy(tmp_path / "again" / "objects.geojson", tmp_path / "third.geojson")
    expect_ten(tmp_path / "third", run.again(tmp_path / "third.geojson", tmp_path / "third"), said, run.first)


def test_ten_classes_set_in_qupath_are_kept_and_counted(run: Run, tmp_path: Path) -> None:
    said = ten_corrections(run.first)
    exported = as_qupath_writes(run.first / "objects.geojson", tmp_path / "exported.geojson", said)
    result = run.again(exported, tmp_path / "again")
    expect_ten(tmp_path / "again", result, said, run.first)


def test_ten_answers_of_review_csv_are_kept_and_counted(run: Run, tmp_path: Path) -> None:
    folder = run.folder(tmp_path)
    said = ten_corrections(folder)
    for figure, word in said.items():
        append_answer(folder, Answer(figure, "anna", word, "", "found"), SHOWN)
    for _ in range(2):
        result = run.again(run.points, folder)
        expect_ten(folder, result, said, run.first)
        rows = (folder / "candidates.csv").read_text().splitlines()
        assert sum(row.endswith(",found,anna") for row in rows) == 10


def test_ten_classes_changed_in_the_folder_survive_a_run_into_it(run: Run, tmp_path: Path) -> None:
    folder = run.folder(tmp_path)
    said = ten_corrections(folder)
    changed(folder / "objects.geojson", folder / "objects.geojson", said)
    for _ in range(2):
        expect_ten(folder, run.again(run.points, folder), said, run.first)


def answer(folder: Path, figure: str, word: Word | None, reader: str, reason: Reason = "found") -> None:
    append_answer(folder, Answer(figure, reader, word, "", reason), SHOWN)


def test_an_answer_that_is_taken_back_leaves_the_objects_too(run: Run, tmp_path: Path) -> None:
    folder = run.folder(tmp_path)
    figure = figures_of(folder)[0]["id"]
    answer(folder, figure, "none", "anna")
    run.again(run.points, folder)
    answer(folder, figure, None, "anna")
    shutil.copy(folder / "objects.geojson", tmp_path / "points.geojson")
    result = run.again(tmp_path / "points.geojson", tmp_path / "elsewhere", folder)
    assert result.rated.review is None
    again, first = figures_of(tmp_path / "elsewhere"), figures_of(run.first)
    assert [f["properties"]["classification"] for f in again] == [
        f["properties"]["classification"] for f in first
    ]


def test_a_correction_that_is_undone_in_qupath_is_not_made_again(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The points are exported anew, and the folder still holds what was corrected before."""
    folder = run.folder(tmp_path)
    said = ten_corrections(folder)
    changed(folder / "objects.geojson", folder / "objects.geojson", said)
    exported = as_qupath_writes(run.first / "objects.geojson", tmp_path / "exported.geojson", {})
    result = run.classifier.classify(run.slide, exported, answers_of=[folder])
    assert result.rated.review is None
    assert "10 classes that were set by hand in the folder's objects" in caplog.text


def test_readers_who_disagree_leave_a_figure_unsure_unless_one_is_named(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run.folder(tmp_path)
    first, second = (f["id"] for f in figures_of(folder)[:2])
    answer(folder, first, "AMF", "anna")
    answer(folder, first, "NMF", "ben")
    answer(folder, second, "NMF", "ben")
    review = run.again(run.points, folder).rated.review
    assert review is not None
    assert (review.answers["unsure"], review.answers["NMF"]) == (1, 1)
    assert "readers disagree on 1 figures" in caplog.text
    named = run.again(run.points, folder, reviewer="anna").rated.review
    assert named is not None
    assert (named.answers["AMF"], named.answers["NMF"]) == (1, 1)


def test_a_confirmation_is_an_answer_that_stays_one(run: Run, tmp_path: Path) -> None:
    """Its class is that of the call, so that the measurement alone says that a person has looked."""
    folder = run.folder(tmp_path)
    for figure in figures_of(folder):
        word: Word = "AMF" if word_of(figure) == "AMF" else "NMF"
        answer(folder, figure["id"], word, "anna", "all")
    run.again(run.points, folder)
    exported = as_qupath_writes(folder / "objects.geojson", tmp_path / "exported.geojson", {})
    review = run.again(exported, tmp_path / "again").rated.review
    assert review is not None
    assert (review.chosen, review.unbiased, review.reasons["all"]) == ("all", True, 24)


def test_another_threshold_is_no_correction(run: Run, tmp_path: Path) -> None:
    corrected = tmp_path / "points.geojson"
    document = json.loads((run.first / "objects.geojson").read_text())
    for feature in document["features"]:
        numbers = feature["properties"].get("measurements", {})
        if "P(atypical)" in numbers:
            numbers["Call threshold"] = 0.999
            feature["properties"]["classification"] = {"names": ["Mitosis", "Normal"], "color": None}
    corrected.write_text(json.dumps(document))
    assert run.again(corrected, tmp_path / "again").rated.review is None


def test_a_result_does_not_replace_answers_that_it_does_not_count(run: Run, tmp_path: Path) -> None:
    folder = run.folder(tmp_path)
    answer(folder, figures_of(folder)[0]["id"], "AMF", "anna")
    with pytest.raises(OutputError, match="holds answers of a person"):
        run.classifier.classify(run.slide, run.points).write(folder)
    assert (folder / REVIEW).exists()
