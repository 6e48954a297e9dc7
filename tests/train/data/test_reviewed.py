"""Reviewed figures as training data, and as what a model is calibrated on."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions
from slidemitosis.review.answers import Answer, Shown, append_answer
from slidemitosis.train.calibrate import calibrate_model
from slidemitosis.train.data.read import read_data
from slidemitosis.train.data.reviewed import read_review_sample
from tests.command import run
from tests.conftest import position_colours, write_aperio

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.labels import Reason, Word

SHOWN = Shown("", 0, 0, None)
FIGURES = [(70 + 30 * (i % 10), 70 + 40 * (i // 10)) for i in range(40)]


def word_of(i: int) -> Word:
    return "AMF" if i % 3 == 0 else "NMF"


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One slide with forty figures, classified."""
    folder = tmp_path_factory.mktemp("lab")
    slide = write_aperio(folder / "a.svs", [position_colours(420, 320)])
    points = folder / "points.csv"
    points.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in FIGURES))
    done = run("classify", slide, "--points", points, "--out", folder / "results")
    assert done.returncode == 0, done.stderr
    return folder / "results"


@pytest.fixture
def results(classified: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "results"
    copy.mkdir()
    for path in classified.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def answer_all(results: Path, rows: range, *, reason: Reason, reader: str = "anna") -> None:
    with (results / "candidates.csv").open(newline="") as file:
        ids = [row["object_id"] for row in csv.DictReader(file)]
    for i in rows:
        append_answer(results, Answer(ids[i], reader, word_of(i), "", reason), SHOWN)


def test_reviewed_figures_are_those_of_a_table_of_the_same_places(results: Path, tmp_path: Path) -> None:
    answer_all(results, range(40), reason="all")
    answer_all(results, range(3), reason="all", reader="ben")
    labels = tmp_path / "labels.csv"
    slide = find_slide(results)
    lines = [f"{slide},{x},{y},{word_of(i)}\n" for i, (x, y) in enumerate(FIGURES)]
    labels.write_text("slide,x,y,label\n" + "".join(lines))
    reviewed, table = read_data("review", results), read_data("slides", labels)
    assert np.array_equal(reviewed.training.pixels, table.training.pixels)
    assert np.array_equal(reviewed.training.atypical, table.training.atypical)
    assert reviewed.training.slides == table.training.slides
    assert reviewed.training.votes.shape == (40, 2)
    assert np.isnan(reviewed.training.votes[3:, 1]).all()

    card, cpu = find_model("lite0"), ComputeOptions(device="cpu")
    by_review = calibrate_model(card, [("review", results)], compute=cpu)
    by_table = calibrate_model(card, [("slides", labels)], compute=cpu, reviewed="all")
    assert by_review.local.calibration == by_table.local.calibration
    assert by_review.local.reviewed == "all"


def find_slide(results: Path) -> str:
    return str(json.loads((results / "summary.json").read_text())["slide"]["path"])


def test_of_a_random_sample_only_the_sample_calibrates(results: Path) -> None:
    answer_all(results, range(20), reason="random")
    answer_all(results, range(25, 28), reason="found")
    data, how = read_review_sample(results)
    assert (len(data.training), how) == (20, "random")
    assert len(read_data("review", results).training) == 23  # all of which a model can learn from


@pytest.mark.parametrize("reason", ["doubt", "found", "all"])
def test_figures_that_were_chosen_otherwise_calibrate_nothing(results: Path, reason: Reason) -> None:
    answer_all(results, range(35), reason=reason)
    with pytest.raises(InvalidOption, match=r"not unbiased: 35 of 40 .* random sample of them"):
        calibrate_model(find_model("lite0"), [("review", results)], compute=ComputeOptions(device="cpu"))


def test_a_folder_without_answers_is_no_data(results: Path) -> None:
    with pytest.raises(InvalidOption, match="nobody has called a figure AMF or NMF"):
        read_data("review", results)
