"""A review by one reader: which figures are shown, what was answered, and what that comes to."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.outputs.folder import REVIEW
from slidemitosis.rates.reviewed import LEAST_SAMPLED, ReviewedFigure, pooled_review
from slidemitosis.review.agreement import agreements
from slidemitosis.review.answers import Answer, Shown, append_answer, read_answers, utc_now
from slidemitosis.review.objects import write_reviewed_objects
from slidemitosis.review.order import shown_figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.labels import Word
    from slidemitosis.rates.reviewed import ReviewRate
    from slidemitosis.review.agreement import Agreement
    from slidemitosis.review.order import Order
    from slidemitosis.review.slides import Figure, ResultFolder

_NAMES: Mapping[Word, str] = {"AMF": "atypical", "NMF": "normal", "none": "no mitosis", "unsure": "unsure"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPlan:
    """What a person wants to review."""

    order: Order = "doubt"
    reader: str = ""
    blind: bool = False
    """The model's answers are not shown."""
    sample: int = 50
    """How many figures of each slide a random sample has."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise InvalidOption(f"--sample must be at least 1, not {self.sample}")
        if self.reader != " ".join(self.reader.split()) or not self.reader.isprintable():
            raise InvalidOption(f"--reader {self.reader!r}: give a name of printable characters")


class Session:
    """The figures of a review, in order, with the reader's answers; safe to use from several threads.

    An answer is on the disk before a method that takes it returns.
    """

    def __init__(self, slides: Sequence[ResultFolder], plan: ReviewPlan) -> None:
        self.slides, self.plan = slides, plan
        self.figures = shown_figures(slides, plan.order, sample=plan.sample, seed=plan.seed)
        if not self.figures:
            raise InvalidOption("no figure was classified there, so there is none to review")
        self._lock = threading.Lock()
        self._undo: list[tuple[int, Word | None]] = []
        for slide in slides:
            _check_inside(slide)
        mine = [read_answers(slide.folder).by(plan.reader) for slide in slides]
        self._answers: list[Word | None] = []
        for slide_number, figure in self.figures:
            given = mine[slide_number].get(figure.id.lower())
            # What was looked for has to be asked again before it counts in a random sample.
            counts = given is not None and (plan.order != "random" or given.reason == "random")
            self._answers.append(given.answer if given and counts else None)

    def answer(self, number: int, word: Word) -> dict[str, Any]:
        """Record what the reader says of a figure of this review. Raises OutputError, UnreadableReview."""
        with self._lock:
            before = self._answers[number]
            self._record(number, word)
            self._undo.append((number, before))
            return self._said(number)

    def undo(self) -> dict[str, Any] | None:
        """Take back the latest answer, so that the one before it stands again; None where there is none."""
        with self._lock:
            if not self._undo:
                return None
            number, before = self._undo[-1]
            self._record(number, before)
            self._undo.pop()
            return self._said(number)

    def stop(self) -> None:
        """Wait until the answer that is being written is on the disk, and take no more."""
        self._lock.acquire()

    def told(self) -> dict[str, Any]:
        """Return what the page has to know when it opens."""
        with self._lock:
            return {
                "order": self.plan.order,
                "reader": self.plan.reader,
                "blind": self.plan.blind,
                "slides": [{"name": slide.name, "threshold": slide.threshold} for slide in self.slides],
                "figures": [self._figure(slide, figure) for slide, figure in self.figures],
                "answers": self._answers,
                "line": self.line(),
            }

    def line(self) -> str:
        """Say how far the review is, and what it has found."""
        said = {(slide, f.id): word for (slide, f), word in zip(self.figures, self._answers, strict=True)}
        review = pooled_review(
            [
                [self._reviewed(figure, said.get((number, figure.id))) for figure in slide.figures]
                for number, slide in enumerate(self.slides)
            ]
        )
        return progress_line(self._answers, review)

    def _reviewed(self, figure: Figure, word: Word | None) -> ReviewedFigure:
        return ReviewedFigure(figure.p_atypical, word, None if word is None else self.plan.order)

    def agreements(self) -> list[Agreement]:
        """Compare the readers of these slides by what is on the disk now. Raises UnreadableReview."""
        by_reader: dict[str, dict[str, str]] = {}
        for number, slide in enumerate(self.slides):
            for given in read_answers(slide.folder).latest:
                by_reader.setdefault(given.reader, {})[f"{number} {given.figure}"] = str(given.answer)
        return agreements(by_reader)

    def apart(self) -> list[dict[str, Any]]:
        """Return what the readers said of the figures shown here on which two of them disagree."""
        apart = {figure for pair in self.agreements() for figure in pair.apart}
        about = [read_answers(slide.folder) for slide in self.slides]
        return [
            {"figure": i, "said": {a.reader: a.answer for a in about[slide].about(figure.id)}}
            for i, (slide, figure) in enumerate(self.figures)
            if f"{slide} {figure.id.lower()}" in apart
        ]

    def write_objects(self) -> list[Path]:
        """Write the answers into objects for QuPath; return all files that hold answers.

        Raises OutputError, UnreadableReview, UnreadableCandidates.
        """
        answered = [slide.folder for slide in self.slides if (slide.folder / REVIEW).exists()]
        return [path for folder in answered for path in (folder / REVIEW, write_reviewed_objects(folder))]

    @property
    def is_complete(self) -> bool:
        """Whether the reader has answered about every figure of this review."""
        return None not in self._answers

    def _record(self, number: int, word: Word | None) -> None:
        slide_number, figure = self.figures[number]
        slide = self.slides[slide_number]
        given = Answer(figure.id, self.plan.reader, word, utc_now(), self.plan.order)
        append_answer(slide.folder, given, Shown(slide.name, figure.x, figure.y, figure.p_atypical))
        self._answers[number] = word

    def _said(self, number: int) -> dict[str, Any]:
        return {"figure": number, "answer": self._answers[number], "line": self.line()}

    def _figure(self, slide: int, figure: Figure) -> dict[str, Any]:
        shown: dict[str, Any] = {"slide": slide, "x": round(figure.x), "y": round(figure.y)}
        if not self.plan.blind:
            shown |= {"p": figure.p_atypical, "call": figure.call, "subtype": figure.subtype}
            shown |= {"doubt": figure.p_hard}
        return shown


def progress_line(answers: Sequence[Word | None], review: ReviewRate | None) -> str:
    """Say how many figures were reviewed, and the fraction of atypical ones where it can be told.

    review: what the answers come to; None where there are none.
    """
    count = Counter(answers)
    named = [f"{count[word]} {name}" for word, name in _NAMES.items() if count[word] or word == "AMF"]
    line = f"reviewed {len(answers) - count[None]} of {len(answers)}: {', '.join(named)}"
    if review is None or review.reviewed.value is None:
        return line
    if not review.unbiased:
        return f"{line}; no rate yet: neither all nor a random sample"
    told = f"{line}; {_per_cent(review.reviewed.value)} % of the mitoses"
    if review.chosen == "all":
        return told
    if review.reviewed.figures is None:
        return f"{told} (no interval from fewer than {LEAST_SAMPLED})"
    low, high = map(_per_cent, review.reviewed.figures)
    return f"{told} (95 % interval {low} to {high} %)"


def _per_cent(fraction: float) -> str:
    """Per cent, to two digits: "21", "3.4"."""
    value = 100 * fraction
    return f"{value:.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def _check_inside(slide: ResultFolder) -> None:
    """Refuse a folder, perhaps of a stranger, in which the answers are a link to some other file."""
    path = slide.folder / REVIEW
    if path.is_symlink():
        raise OutputError(f"{path}: is a link to another file, which would be written to; remove the link")
