"""The work that a finished slide is recognised by: points, model and options; see also `slides.identity`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from slidemitosis.models.files import file_sha256, networks_digest
from slidemitosis.outputs.folder import OBJECTS, REVIEW
from slidemitosis.review.settle import digest, known_in

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
    from slidemitosis.review.settle import Known


def answers_identity(objects: Path, review: Path, known: Known) -> dict[str, Any]:
    """Of persons' answers about a slide's figures: the files that state them, and what they come to."""
    return {"objects": _sha256(objects), "review": _sha256(review), "digest": digest(known)}


def same_answers(earlier: object, folder: Path) -> bool:
    """Whether persons still say what they said when the folder's results were made."""
    before = earlier if isinstance(earlier, dict) else {}
    now = {"objects": _sha256(folder / OBJECTS), "review": _sha256(folder / REVIEW)}
    if all(now[key] == before.get(key) for key in now):
        return True
    return digest(known_in(folder)) == before.get("digest")


def _sha256(path: Path) -> str | None:
    return file_sha256(path) if path.exists() else None


def work_identity(
    points: Path, card: ModelCard, read: ReadOptions, compute: ComputeOptions, rates: RateOptions
) -> str:
    """SHA-256 of everything but the slide that a slide's results depend on.

    The device is left out, and the number of processes: a cohort that was begun on one machine may go on
    on another.
    """
    how = dataclasses.asdict(compute)
    stated = {
        "points": file_sha256(points),
        "model": networks_digest(card),
        "decision": dataclasses.asdict(card.decision),
        "validated_on": card.validated_on,
        "calibrations": [dataclasses.asdict(c) for c in card.calibrations],
        "read": dataclasses.asdict(read),
        "compute": {k: how[k] for k in ("engine", "precision", "views", "operating_point")},
        "rates": dataclasses.asdict(rates),
        "validation": dataclasses.asdict(card.validation),
    }
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
