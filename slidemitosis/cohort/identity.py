"""By what a finished slide is recognised: the content of slide, points and model, and the options."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from slidemitosis.models.files import file_sha256, networks_digest
from slidemitosis.outputs.folder import OBJECTS, REVIEW
from slidemitosis.review.settle import digest, known_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
    from slidemitosis.review.settle import Known


def slide_identity(path: Path, quickhash: str | None) -> dict[str, Any]:
    """Of a slide's file: its size, its time, and OpenSlide's hash of its content, where it gives one.

    Of slides that are made of several files, `others` stands for names, sizes and times of the rest.
    """
    stat = path.stat()
    others = hashlib.sha256()
    for other in _other_files(path):
        of = other.stat()
        others.update(f"{other.name}\n{of.st_size}\n{of.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return {
        "bytes": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "others": others.hexdigest(),
        "quickhash": quickhash,
    }


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


def _other_files(path: Path) -> list[Path]:
    """What a slide's pixels lie in beside its own file: MIRAX, DICOM, Hamamatsu VMS and VMU."""
    suffix = path.suffix.lower()
    folder = path.with_suffix("") if suffix == ".mrxs" else path.parent
    if suffix not in (".mrxs", ".dcm", ".vms", ".vmu") or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and p != path)


def same_slide(earlier: object, path: Path, quickhash: Callable[[], str | None]) -> bool:
    """Whether a file holds the slide that was recorded.

    Sizes and times decide where they are as they were, and nothing is opened. A file of the same size with
    another time, a copy, is the same slide if OpenSlide's quickhash is the same.
    """
    if not isinstance(earlier, dict):
        return False
    now = slide_identity(path, None)
    if now["bytes"] != earlier.get("bytes"):
        return False
    if all(now[key] == earlier.get(key) for key in ("mtime_ns", "others")):
        return True
    return earlier.get("quickhash") is not None and quickhash() == earlier["quickhash"]


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
