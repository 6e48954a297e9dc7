"""What persons said, counted by `cohort` and `count`, as real processes."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from slidemitosis.review.answers import REVIEW, Answer, Shown, append_answer
from tests.cohort.cohort_slides import MODEL, fresh, paint_slides, rows
from tests.command import refused, run

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = Shown("a.svs", 0, 0, None)


def figures(folder: Path) -> dict[str, float]:
    with (folder / "candidates.csv").open(newline="") as file:
        return {r["object_id"]: float(r["p_atypical"]) for r in csv.DictReader(file) if r["p_atypical"]}


@pytest.mark.slow
def test_a_cohort_counts_answers_and_does_only_the_slides_anew_that_have_new_ones(tmp_path: Path) -> None:
    words = ("cohort", paint_slides(tmp_path / "in", ["a", "b"], figures=6), "--out", tmp_path / "r", *MODEL)
    first = run(*words)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "r/slides/b"
    p = figures(folder)
    assert len(p) > 3
    *others, none = p
    for figure in others:
        append_answer(folder, Answer(figure, "anna", "AMF", "", "all"), SHOWN)
    append_answer(folder, Answer(none, "anna", "none", "", "all"), SHOWN)

    counted = run("count", tmp_path / "r", "--out", tmp_path / "count.csv")
    assert counted.returncode == 0, counted.stderr
    assert f"review      all {len(p)} figures were reviewed: {len(others)} AMF, 1 none" in counted.stdout
    assert "nobody has answered" in counted.stdout

    again = run(*words, "--progress", "json")
    assert again.returncode == 0, again.stderr
    assert fresh(again.stderr) == ["b"]
    row = rows(tmp_path / "r")["b"]
    assert (row["review_chosen"], row["review_unbiased"]) == ("all", "true")
    assert row["review_answered"] == str(len(p))
    assert row["review_no_mitosis"] == "1"
    assert row["reviewed_fraction_amf_of_all"] == row["combined_fraction_amf_of_all"] == "1"
    assert float(row["expected_fraction_amf_of_all"]) == pytest.approx(sum(p.values()) / len(p), abs=1e-5)
    assert rows(tmp_path / "r")["a"]["review_chosen"] == ""
    assert fresh(run(*words, "--progress", "json").stderr) == []

    with (tmp_path / "count.csv").open(newline="") as file:
        table = {r["slide"]: r for r in csv.DictReader(file)}
    together = table["all 2 slides"]
    assert (together["review_answered"], together["review_chosen"]) == (str(len(p)), "chosen")
    for name in ("review_answered", "combined_fraction_amf_of_all", "share_no_mitosis"):
        assert table["b.svs"][name] == row[name]


@pytest.mark.slow
def test_answers_that_cannot_be_read_stop_one_slide_and_are_not_lost(tmp_path: Path) -> None:
    words = ("cohort", paint_slides(tmp_path / "in", ["a", "b"]), "--out", tmp_path / "r", *MODEL)
    assert run(*words).returncode == 0
    bad = tmp_path / "r/slides/b" / REVIEW
    bad.write_text("figure,answer\nx,perhaps\n")
    done = run(*words)
    assert done.returncode == 3
    assert rows(tmp_path / "r")["b"]["step"] == "answers"
    assert "answer 'perhaps' is not known" in done.stderr
    assert "perhaps" in bad.read_text()
    assert "answer 'perhaps'" in refused("count", tmp_path / "r/slides/b")


def test_count_says_where_there_are_no_results(tmp_path: Path) -> None:
    assert "holds no results" in refused("count", tmp_path)


def test_classify_prints_the_three_rates_side_by_side(tmp_path: Path) -> None:
    folder = paint_slides(tmp_path / "in", ["a"], figures=6)
    words = ("classify", folder / "a.svs", "--points", folder / "a.geojson", "--out", tmp_path / "r", *MODEL)
    assert run(*words).returncode == 0
    figure, *_ = figures(tmp_path / "r")
    append_answer(tmp_path / "r", Answer(figure, "anna", "AMF", "", "doubt"), SHOWN)
    done = run(*words)
    assert done.returncode == 0, done.stderr
    told = {line[:11].strip(): line[12:] for line in done.stdout.splitlines()}
    assert told["review"].startswith("not unbiased: 1 of ")
    assert told["reviewed"].startswith("fraction 100 % by the answers alone")
    assert "by answers and model together" in told["combined"]
    assert "atypical" in told
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    assert summary["review"]["reasons"] == {"all": 0, "random": 0, "doubt": 1, "found": 0}

    page = tmp_path / "r/report.html"
    of_the_run = page.read_bytes()
    assert run("report", tmp_path / "r").returncode == 0
    assert page.read_bytes() == of_the_run
    append_answer(tmp_path / "r", Answer(figure, "anna", "none", "", "doubt"), SHOWN)
    assert run("report", tmp_path / "r").returncode == 0
    assert b"reviewed: atypical" in of_the_run
    assert b"reviewed: atypical" not in page.read_bytes()
    assert b"reviewed: no mitosis" in page.read_bytes()
