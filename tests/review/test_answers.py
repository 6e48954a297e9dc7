"""Answers of persons on disk."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from slidemitosis.errors import UnreadableReview
from slidemitosis.review.answers import COLUMNS, REVIEW, Answer, Shown, append_answer, read_answers, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.labels import Reason, Word

A, B = "0A000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"
SHOWN = Shown("a.svs", 10.0, 20.126, 0.5)


def say(
    folder: Path, figure: str, word: Word | None, *, reader: str = "anna", reason: Reason = "random"
) -> None:
    append_answer(folder, Answer(figure, reader, word, "2026-11-30T12:00:00Z", reason), SHOWN)


def test_an_answer_comes_back_as_it_was_given(tmp_path: Path) -> None:
    answer = Answer(A, "Anna, pathologist", "AMF", utc_now(), "random")
    append_answer(tmp_path, answer, SHOWN)
    assert read_answers(tmp_path).latest == (answer,)
    header, row = (tmp_path / REVIEW).read_text(encoding="utf-8").splitlines()
    assert header == ",".join(COLUMNS)
    assert row.startswith(f'{A.lower()},a.svs,10.00,20.13,"Anna, pathologist",AMF,20')
    assert row.endswith(",random,0.500000")


def test_no_file_is_no_answer(tmp_path: Path) -> None:
    assert read_answers(tmp_path).latest == ()


def test_a_later_answer_replaces_an_earlier_one_of_the_same_reader_alone(tmp_path: Path) -> None:
    say(tmp_path, A, "AMF")
    say(tmp_path, A, "NMF", reader="ben")
    say(tmp_path, A, "none")
    answers = read_answers(tmp_path)
    assert {a.reader: a.answer for a in answers.about(A)} == {"anna": "none", "ben": "NMF"}
    assert answers.readers == ("anna", "ben")
    assert answers.by("ben")[A.lower()].answer == "NMF"


def test_an_empty_answer_takes_the_earlier_one_back(tmp_path: Path) -> None:
    say(tmp_path, A, "AMF")
    say(tmp_path, B, "NMF")
    say(tmp_path, A, None)
    answers = read_answers(tmp_path)
    assert [a.figure for a in answers.latest] == [B]
    assert answers.ever(A) == {"AMF"}


def test_a_figure_of_the_random_sample_stays_one_when_it_is_answered_again(tmp_path: Path) -> None:
    say(tmp_path, A, "AMF", reason="random")
    say(tmp_path, A, "NMF", reason="found")
    (answer,) = read_answers(tmp_path).latest
    assert (answer.answer, answer.reason) == ("NMF", "random")


def test_a_spreadsheet_may_save_the_file_in_its_way(tmp_path: Path) -> None:
    text = f"answer;Figure;reader\r\namf;{A};anna\r\n"
    (tmp_path / REVIEW).write_bytes(b"\xef\xbb\xbf" + text.encode())
    say(tmp_path, B, "NMF")
    answers = read_answers(tmp_path)
    assert [(a.figure, a.answer, a.reason) for a in answers.latest] == [
        (A.lower(), "AMF", "found"),
        (B, "NMF", "random"),
    ]


def test_a_last_line_that_is_cut_off_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    say(tmp_path, A, "AMF")
    with (tmp_path / REVIEW).open("a") as file:
        file.write(f"{B},a.svs,10.0")
    assert [a.figure for a in read_answers(tmp_path).latest] == [A.lower()]
    assert "cut off" in caplog.text
    say(tmp_path, B, "NMF")
    assert [a.figure for a in read_answers(tmp_path).latest] == [A.lower(), B]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{A},a.svs,1,1,anna,maybe,,all,", "answer 'maybe' is not known; use AMF, NMF, none, unsure"),
        (f"{A},a.svs,1,1,anna,AMF,,chance,", "reason 'chance' is not known; use all, random, doubt, found"),
        (",a.svs,1,1,anna,AMF,,all,", "names no figure"),
        (f"{A},a.svs\n{B},a.svs,1,1,anna,AMF,,all,", "line 2 has 2 fields of 9"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / REVIEW).write_text(f"{','.join(COLUMNS)}\n{line}\n")
    with pytest.raises(UnreadableReview, match=r"review\.csv: line 2") as caught:
        read_answers(tmp_path)
    assert said in str(caught.value)


def _say_many(folder: Path, reader: str) -> None:
    for _ in range(50):
        say(folder, A, "AMF", reader=reader)


def test_rows_of_two_processes_never_mix(tmp_path: Path) -> None:
    say(tmp_path, B, "AMF")
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_say_many, args=(tmp_path, reader)) for reader in ("anna", "ben")]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert len(read_answers(tmp_path).rows) == 101
