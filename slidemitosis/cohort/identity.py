"""The work that a finished slide is recognised by: points, model and options; see also `slides.identity`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

from slidemitosis.models.files import file_sha256, networks_digest

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions


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
        "calibrations": [dataclasses.asdict(c) for c in card.calibrations],
        "read": dataclasses.asdict(read),
        "compute": {k: how[k] for k in ("engine", "precision", "views", "operating_point")},
        "rates": dataclasses.asdict(rates),
        "validation": dataclasses.asdict(card.validation),
    }
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
