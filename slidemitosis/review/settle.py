"""Settle what persons say of each figure of a slide, wherever they have said it.

An answer stands in `review.csv`, in the class of an object of the points file, or in that of an object of the
folder into which results go, which a person may have changed there. A run writes the answers of `review.csv`
into objects; such a copy is no answer of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slidemitosis.candidates import read_candidates
from slidemitosis.candidates.answered import set_by_hand, was_called
from slidemitosis.labels import UNSURE
from slidemitosis.outputs.folder import OBJECTS
from slidemitosis.prediction import Verdict
from slidemitosis.rates.reviewed import APART
from slidemitosis.review.answers import Answers, read_answers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.candidates.answered import SetByHand
    from slidemitosis.labels import Reason
    from slidemitosis.prediction import CandidateResult
    from slidemitosis.review.answers import Answer

log = logging.getLogger(__name__)

_REASONS: tuple[Reason, ...] = ("random", "all", "doubt", "found")
"""Of several readers' reasons, the first of these counts: a figure of the sample is one for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a slide's figures before a run."""

    answers: Answers = field(default_factory=Answers)
    """Of `review.csv`."""
    by_hand: Mapping[str, SetByHand] = field(default_factory=dict)
    """Classes that were set in `objects.geojson`, by the id in lower case."""

    @property
    def figures(self) -> frozenset[str]:
        """Every figure that has an answer."""
        return frozenset(self.by_hand) | {a.figure for a in self.answers.latest}


def known_in(*folders: Path) -> Known:
    """Return the answers that folders of results hold; what a later one says comes after that of an earlier.

    Raises UnreadableReview, or UnreadableCandidates for objects that cannot be read.
    """
    rows: list[Answer] = []
    by_hand: dict[str, SetByHand] = {}
    for folder in folders:
        rows += read_answers(folder).rows
        by_hand |= classes_by_hand(folder / OBJECTS)
    return Known(answers=Answers(tuple(rows)), by_hand=by_hand)


def classes_by_hand(objects: Path) -> dict[str, SetByHand]:
    """Return the answers that the classes of an `objects.geojson` state, by the id in lower case."""
    if not objects.exists():
        return {}
    items = read_candidates(objects, format="geojson").items
    said = {(items[place].id or "").lower(): answer for place, answer in set_by_hand(items).items()}
    said.pop("", None)
    return said


def settled(
    results: Sequence[CandidateResult], known: Known, *, reviewer: str | None = None
) -> tuple[CandidateResult, ...]:
    """Return the results with what persons say of each.

    reviewer: whose word counts where readers disagree. What a person has set in the points file counts before
    what one has set in the folder's objects; so does that nothing is set there, where the points file is of
    a run itself. An answer about a figure that is not there is warned of.
    """
    of_reviews = dataclasses.replace(known, by_hand={})
    told = tuple(
        result if verdict is None else dataclasses.replace(result, verdict=verdict)
        for result in results
        for placed in [result.placed]
        for of in [of_reviews if was_called(placed.candidate) else known]
        for verdict in [verdict_on(placed.object_id, of, by_hand=placed.by_hand, reviewer=reviewer)]
    )
    warn_of_lost(known, {r.placed.object_id.lower() for r in results})
    if apart := sum(r.verdict is not None and r.status in APART for r in told):
        log.warning("%d answers are of duplicates or of candidates off the slide, and do not count", apart)
    unanswered = {r.placed.object_id.lower() for r in told if r.verdict is None}
    if undone := [f for f, said in known.by_hand.items() if f in unanswered and said.reason == "found"]:
        log.warning(
            "%d classes that were set by hand in the folder's objects are not set in the points file, which "
            "counts, such as that of %s",
            len(undone),
            undone[0],
        )
    if disagree := sum(r.verdict is not None and r.verdict.disagree for r in told):
        log.warning(
            "readers disagree on %d figures, which count as unsure; to count the word of one of them, "
            "name one by --reviewer",
            disagree,
        )
    return told


def warn_of_lost(known: Known, figures: Collection[str]) -> None:
    """Log how many answers are about figures that are not there."""
    if lost := known.figures.difference(figures):
        log.warning(
            "%d answers are of figures that are not among the candidates, such as %s, and do not count",
            len(lost),
            min(lost),
        )


def settled_by_figure(known: Known, *, reviewer: str | None = None) -> dict[str, Verdict]:
    """Return what is settled of each figure that has an answer, by its id in lower case."""
    verdicts = {figure: verdict_on(figure, known, reviewer=reviewer) for figure in sorted(known.figures)}
    return {figure: verdict for figure, verdict in verdicts.items() if verdict is not None}


def verdict_on(
    figure: str, known: Known, *, by_hand: SetByHand | None = None, reviewer: str | None = None
) -> Verdict | None:
    """Return what persons say of one figure; None where nobody has answered.

    by_hand: what the points file states, which counts before what the objects of the results state.
    """
    figure = figure.lower()
    by_hand = by_hand or known.by_hand.get(figure)
    answers = {a.reader: a for a in known.answers.about(figure)}
    said = {name: a.answer for name, a in answers.items() if a.answer is not None}
    reasons = {a.reason for a in answers.values()}
    is_copy = by_hand is not None and by_hand.answer in known.answers.ever(figure)
    if by_hand is not None and not is_copy and not known.answers.spoke("", figure):
        said[""] = by_hand.answer
        reasons.add(by_hand.reason)
    if not said:
        return None
    words = {said[reviewer]} if reviewer in said else set(said.values())
    answer = UNSURE if len(words) > 1 else next(iter(words))
    return Verdict(
        answer=answer,
        reason=next(r for r in _REASONS if r in reasons),
        readers=tuple(sorted(said)),
        disagree=len(words) > 1,
        by_hand=by_hand if by_hand is not None and (by_hand.answer == answer or not is_copy) else None,
    )


def digest(known: Known) -> str | None:
    """Return a SHA-256 of what is settled of all figures; None where nobody has answered.

    It is the same before and after a run that has written the answers into objects.
    """
    said = [(f, v.answer, v.reason, v.disagree) for f, v in settled_by_figure(known).items()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest() if said else None
