"""A person's answers about figures, and `review.csv`, which keeps them.

The file only grows: a later row of the same figure and reader replaces an earlier one, and an empty answer
takes it back.
"""

from __future__ import annotations

import csv
import io
import logging
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from slidemitosis.errors import UnreadableReview
from slidemitosis.files import as_meant, csv_lines, regular, write_whole, writing
from slidemitosis.labels import Reason, Word
from slidemitosis.outputs.folder import REVIEW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["COLUMNS", "REVIEW", "Answer", "Answers", "Shown", "append_answer", "read_answers", "utc_now"]

log = logging.getLogger(__name__)

COLUMNS = ("figure", "slide", "x", "y", "reader", "answer", "time", "reason", "p_atypical")
_NEEDED = ("figure", "answer")
_HEADER = ",".join(COLUMNS)
_TAKEN_BACK = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person says of one figure."""

    figure: str
    """Id of the figure's object in `objects.geojson`, in lower case."""
    reader: str
    """Who said it; "" where that is not known."""
    answer: Word | None
    """None takes back what the reader said of the figure before."""
    time: str
    """UTC by ISO 8601 with seconds, as `utc_now` gives; "" where it is not known."""
    reason: Reason
    """Why the figure was shown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "figure", self.figure.lower())


@dataclass(frozen=True, slots=True)
class Shown:
    """The figure that was answered, for people who read the file."""

    slide: str
    """Its file name."""
    x: float  # level-0 px
    y: float  # level-0 px
    p_atypical: float | None
    """What the model said; None where it said nothing."""


@dataclass(frozen=True)
class Answers:
    """The answers of all readers about the figures of one slide."""

    rows: tuple[Answer, ...] = ()
    """Everything that was ever answered or taken back, in the order in which it was."""
    _latest: Mapping[tuple[str, str], Answer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        latest: dict[tuple[str, str], Answer] = {}
        sampled = {a.figure for a in self.rows if a.reason == "random"}
        for row in self.rows:
            key = (row.figure, row.reader)
            # A figure of the sample stays one, whatever led a person to it again.
            kept = row if row.figure not in sampled else _with_reason(row, "random")
            latest.pop(key, None)
            if kept.answer is not None:
                latest[key] = kept
        object.__setattr__(self, "_latest", latest)

    @property
    def latest(self) -> tuple[Answer, ...]:
        """The latest answer of each reader about each figure, but for those that were taken back."""
        return tuple(self._latest.values())

    @property
    def readers(self) -> tuple[str, ...]:
        """Everyone whose answers stand, sorted."""
        return tuple(sorted({a.reader for a in self.latest}))

    def by(self, reader: str) -> dict[str, Answer]:
        """Return the answers of one reader, by figure."""
        return {a.figure: a for a in self.latest if a.reader == reader}

    def about(self, figure: str) -> tuple[Answer, ...]:
        """Return what each reader says of a figure."""
        return self._by_figure.get(figure.lower(), ())

    def ever(self, figure: str) -> frozenset[Word]:
        """Return all that was ever said of a figure, what was taken back included."""
        return self._ever.get(figure.lower(), frozenset())

    def spoke(self, reader: str, figure: str) -> bool:
        """Tell whether a reader has ever answered about a figure, or taken an answer back."""
        return (figure.lower(), reader) in self._spoke

    @cached_property
    def _spoke(self) -> frozenset[tuple[str, str]]:
        return frozenset((row.figure, row.reader) for row in self.rows)

    @cached_property
    def _by_figure(self) -> dict[str, tuple[Answer, ...]]:
        found: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in self.latest:
            found[answer.figure].append(answer)
        return {figure: tuple(answers) for figure, answers in found.items()}

    @cached_property
    def _ever(self) -> dict[str, frozenset[Word]]:
        found: defaultdict[str, set[Word]] = defaultdict(set)
        for row in self.rows:
            if row.answer is not None:
                found[row.figure].add(row.answer)
        return {figure: frozenset(words) for figure, words in found.items()}


def utc_now() -> str:
    """Return the time as answers state it, such as 2026-11-30T12:16:08Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_answers(folder: Path) -> Answers:
    """Read `review.csv` of a folder of results; no answers where there is no such file.

    Columns may stand in any order and be parted by commas, semicolons or tabs, as spreadsheets save them;
    `figure` and `answer` must be there. Raises UnreadableReview.
    """
    path = folder / REVIEW
    return Answers(tuple(_answer(row, f"{path}: line {line}") for line, row in _rows(path)))


def append_answer(folder: Path, answer: Answer, shown: Shown) -> None:
    """Add an answer to `review.csv`; when this returns, the row is on the disk.

    Rows of several processes never mix. Raises OutputError, UnreadableReview.
    """
    path = folder / REVIEW
    _make_ready(path)
    row = _row(answer, shown)
    with writing(path, remedy=""):
        _append(path, "".join(csv_lines([row])))


def _with_reason(answer: Answer, reason: Reason) -> Answer:
    return Answer(answer.figure, answer.reader, answer.answer, answer.time, reason)


def _row(answer: Answer, shown: Shown) -> list[str]:
    cells = {
        "figure": answer.figure,
        "slide": shown.slide,
        "x": f"{shown.x:.2f}",
        "y": f"{shown.y:.2f}",
        "reader": answer.reader,
        "answer": answer.answer or _TAKEN_BACK,
        "time": answer.time,
        "reason": answer.reason,
        "p_atypical": "" if shown.p_atypical is None else f"{shown.p_atypical:.6f}",
    }
    return [" ".join(cells[name].split()) for name in COLUMNS]


def _append(path: Path, text: str) -> None:
    """Add text by one write, which no other process can part, and wait until it is on the disk."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, text.encode("utf-8", "backslashreplace"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new and os.name == "posix":  # its name in the folder has to be there too
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _make_ready(path: Path) -> None:
    """Make sure that a row can be added: there is a first line of ours, and the last line is whole."""
    if not path.exists():
        with writing(path, remedy=""):
            _append(path, _HEADER + "\n")
        return
    text = _text(path)
    if text.splitlines()[:1] == [_HEADER] and text.endswith("\n"):
        return
    # A spreadsheet saved it in a way of its own, or a machine stopped while it was written.
    rows = [[row.get(name, "") for name in COLUMNS] for _, row in _rows(path)]
    write_whole(path, "".join(csv_lines([COLUMNS, *rows])).encode("utf-8", "backslashreplace"))


def _text(path: Path) -> str:
    try:
        return regular(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnreadableReview(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UnreadableReview(f"{path}: not UTF-8 text; save it as UTF-8 (in Excel: CSV UTF-8)") from error


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the cells of each row; a last row that is cut off is left out with a warning."""
    if not path.exists():
        return
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in _NEEDED if name not in names]:
        raise UnreadableReview(
            f"{path}: has no column {' and '.join(missing)}; its first line must be {_HEADER}"
        )
    whole = text.endswith("\n")
    lines = text.count("\n") + (not whole)
    for cells in reader:
        # Two processes that begin together may both write the first line.
        if not any(cells) or tuple(cells) == COLUMNS:
            continue
        if len(cells) < len(names):
            if reader.line_num == lines and not whole:
                log.warning("%s: its last line is cut off, and is left out", path)
                return
            raise UnreadableReview(
                f"{path}: line {reader.line_num} has {len(cells)} fields of {len(names)}; mend or remove it"
            )
        yield reader.line_num, {n: as_meant(c.strip()) for n, c in zip(names, cells, strict=False)}


def _answer(row: Mapping[str, str], where: str) -> Answer:
    word, reason = row["answer"], row.get("reason", "") or "found"
    if not row["figure"]:
        raise UnreadableReview(f"{where}: names no figure; give the id of its object in objects.geojson")
    return Answer(
        figure=row["figure"],
        reader=row.get("reader", ""),
        answer=_one_of(get_args(Word), word, f"{where}: answer") if word else None,
        time=row.get("time", ""),
        reason=_one_of(get_args(Reason), reason, f"{where}: reason"),
    )


def _one_of(words: Sequence[str], text: str, where: str) -> Any:
    found = next((word for word in words if word.casefold() == text.casefold()), None)
    if found is None:
        raise UnreadableReview(f"{where} {text!r} is not known; use {', '.join(words)}")
    return found
