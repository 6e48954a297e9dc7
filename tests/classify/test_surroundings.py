"""Neither a clock that jumps nor a plain locale changes what is written."""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cli import main
from slidemitosis.review.answers import Answer, Answers
from tests.cohort.cohort_slides import MODEL, paint_slides, result_bytes
from tests.command import COMMAND, PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.labels import Word

NAME = "Präparat 3 µm, Müller"


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_slides(tmp_path, ["a"])
    words = ["classify", str(tmp_path / "a.svs"), "--points", str(tmp_path / "a.geojson"), *MODEL]
    assert main([*words, "--out", str(tmp_path / "r"), "--workers", "1"]) == 0
    draw = random.Random(3)
    monkeypatch.setattr(time, "time", lambda: draw.uniform(0, 4e9))
    monkeypatch.setattr(time, "time_ns", lambda: draw.randrange(4 * 10**18))
    assert main([*words, "--out", str(tmp_path / "again" / "r"), "--workers", "1"]) == 0
    assert result_bytes(tmp_path / "again" / "r") == result_bytes(tmp_path / "r")


def test_the_last_answer_counts_whatever_the_clock_said() -> None:
    def answer(word: Word, second: int) -> Answer:
        return Answer("f1", "me", word, f"2026-11-30T12:16:{second:02d}Z", "all")

    answers = Answers((answer("AMF", 50), answer("NMF", 10)))
    assert [a.answer for a in answers.latest] == ["NMF"]


def cohort_in(environment: dict[str, str], slides: Path, out: Path) -> dict[str, bytes]:
    """What a cohort and its report write in a process of this environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    for words in (["cohort", slides, *MODEL, "--out", out], ["report", out], ["count", out]):
        command = [*COMMAND, *map(str, words)]
        given = kept | environment
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, env=given)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    return result_bytes(out)


@pytest.mark.skipif(os.name == "nt", reason="locales are POSIX's")
@pytest.mark.slow
def test_a_plain_locale_changes_nothing(tmp_path: Path) -> None:
    paint_slides(tmp_path / "slides", [NAME])
    right = cohort_in({"LC_ALL": "C.UTF-8"}, tmp_path / "slides", tmp_path / "utf-8" / "r")
    assert NAME.encode() in right["cohort.csv"]
    for locale in ("C", "POSIX", "en_US.ISO-8859-1"):
        found = cohort_in({"LC_ALL": locale}, tmp_path / "slides", tmp_path / locale / "r")
        assert found == right, locale
    # Where Python is told to read names as ASCII they cannot be the same, and the figures are.
    ascii_names = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = cohort_in(ascii_names, tmp_path / "slides", tmp_path / "ascii" / "r")
    assert [v for k, v in found.items() if k.endswith("objects.geojson")] == [
        v for k, v in right.items() if k.endswith("objects.geojson")
    ]
