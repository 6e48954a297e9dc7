"""Write a person's answers into the objects of a folder of results, for QuPath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.candidates import read_candidates
from slidemitosis.candidates.answered import REASONS, recorded_call
from slidemitosis.candidates.formats.json_text import joined, members
from slidemitosis.candidates.formats.qupath_keys import REVIEWED
from slidemitosis.files import whole_file, write_parts, writing
from slidemitosis.labels import UNSURE
from slidemitosis.outputs.folder import OBJECTS
from slidemitosis.outputs.objects import answered_class, feature_collection, plain_feature
from slidemitosis.review.settle import known_in, settled_by_figure

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.candidates import Candidate
    from slidemitosis.labels import Word
    from slidemitosis.prediction import Verdict
    from slidemitosis.review.settle import Known

REVIEWED_OBJECTS = "reviewed.geojson"
"""Beside `objects.geojson`, which is as a run has written it, or a person."""
_NUMBERS = {reason: number for number, reason in REASONS.items()}


def write_reviewed_objects(folder: Path) -> Path:
    """Write `reviewed.geojson`: the objects of the results with the classes that persons gave them.

    Raises OutputError, UnreadableReview, UnreadableCandidates.
    """
    known = known_in(folder)
    items = read_candidates(folder / OBJECTS, format="geojson").items
    said = settled_by_figure(known)
    features = (_feature(item, said.get((item.id or "").lower()), known) for item in items)
    path = folder / REVIEWED_OBJECTS
    with writing(path, remedy=""), whole_file(path) as partial:
        write_parts(partial, feature_collection(features))
    return path


def _feature(item: Candidate, verdict: Verdict | None, known: Known) -> bytes:
    """Return an object as it was, but for its class and the reason for which a person was asked."""
    told = {} if verdict is None else {REVIEWED: float(_NUMBERS[verdict.reason])}
    feature = plain_feature(
        item, object_id=item.id, centre=(item.x, item.y), taken=(), told=told, replaced=(REVIEWED,)
    )
    if verdict is not None and verdict.by_hand is None:
        answer: Word | None = verdict.answer
    elif verdict is None and (item.id or "").lower() in known.by_hand:
        # A run has written an answer there that was taken back since; without a call it has none either.
        answer = recorded_call(item) or UNSURE
    else:
        answer = None  # nobody has answered, or the class was set by hand, and stays
    if answer is None:
        return feature
    whole = dict(members(feature))
    properties = dict(members(whole["properties"]))
    properties["classification"] = answered_class(item.class_name, answer)
    return joined({**whole, "properties": joined(properties)})
