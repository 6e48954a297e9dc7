"""Progress for those who see no bar, and the log."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cli.report import LINE_EVERY, Report
from tests.command import run, run_python
from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import Path

SOON = """
import sys
from slidemitosis.cli import main, report
report.LINE_EVERY = 0.0
sys.exit(main(sys.argv[1:]))
"""
"""The command, which tells of progress whenever there is some."""

TIMED = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} "


@pytest.fixture
def words(tmp_path: Path) -> tuple[str | Path, ...]:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200), (600, 400)])
    return ("classify", slide, "--points", points, "--model", "lite0")


def test_a_pipe_gets_lines_of_progress(words: tuple[str | Path, ...]) -> None:
    done = run_python(SOON, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "slidemitosis: classifying: 3 of 3 figures"
    assert "\r" not in done.stderr
    assert run_python(SOON, *words, "--progress", "none").stderr == ""
    as_json = run_python(SOON, *words, "--progress", "json").stderr.splitlines()
    assert [json.loads(line)["event"] for line in as_json] == ["progress", "progress", "done"]


def test_a_cohort_says_how_many_slides_are_done(words: tuple[str | Path, ...], tmp_path: Path) -> None:
    write_points(tmp_path / "a.geojson", [(100, 100), (300, 200)])
    (tmp_path / "list.csv").write_text("slide,points\na.svs,a.geojson\n")
    log = tmp_path / "log.txt"
    more = ("--out", tmp_path / "r", "--model", "lite0", "--log", log)
    done = run_python(SOON, "cohort", tmp_path / "list.csv", *more)
    assert done.returncode == 0, done.stderr
    assert "slidemitosis: slides: 1 of 1 slides, 2 candidates\n" in done.stderr
    assert re.search(rf"^{TIMED}info: a: done$", log.read_text(), re.M)


def test_lines_come_every_ten_seconds_and_not_more_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("slidemitosis.cli.report.time.monotonic", lambda: now)
    report = Report("bar")
    for second in range(35):
        now = 100.0 + second
        report.progress(second, 100)
    report.close()
    assert LINE_EVERY == 10
    assert capsys.readouterr().err.splitlines() == [
        "slidemitosis: classifying: 10 of 100 figures, about 90 s left",
        "slidemitosis: classifying: 20 of 100 figures, about 80 s left",
        "slidemitosis: classifying: 30 of 100 figures, about 70 s left",
    ]


def test_the_log_has_messages_and_ends_with_how_it_ended(
    words: tuple[str | Path, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    assert run(*words, "--log", log, "--progress", "none").returncode == 0
    first = log.read_text()
    assert re.fullmatch(rf"{TIMED}info: the results are written\n", first)
    failed = run(*words, "--log", log, "--views", "8", "--abstain", "0.9", "0.95")
    assert failed.returncode == 2
    told = failed.stderr.removeprefix("slidemitosis: error: ")
    assert log.read_text().removeprefix(first).partition(" error: ")[2] == told


def test_a_log_that_cannot_be_written_is_said_before_anything_is_done(
    words: tuple[str | Path, ...], tmp_path: Path
) -> None:
    done = run(*words, "--log", tmp_path / "none" / "log.txt")
    assert done.returncode == 2
    assert re.fullmatch(r"slidemitosis: error: .*log\.txt: cannot be written: .*--log\n", done.stderr)
    assert not (tmp_path / "a.slidemitosis").exists()
