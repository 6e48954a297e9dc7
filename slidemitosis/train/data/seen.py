"""Record the figures that a run's models were trained on, and recognise them before models are scored."""

from __future__ import annotations

import csv
import logging
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption
from slidemitosis.files import csv_lines, write_parts
from slidemitosis.train.data.leakage import pixel_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.train.data.figures import Figures

log = logging.getLogger(__name__)


def write_seen(figures: Figures, path: Path) -> None:
    """Write slide and SHA-256 of the pixels of each figure as CSV. Raises OutputError."""
    rows = ((name, figures.slides[i], pixel_digest(figures, i)) for i, name in enumerate(figures.names))
    write_parts(path, csv_lines([("figure", "slide", "sha256"), *rows]))


def check_seen(path: Path, sets: Mapping[str, Figures], *, allow: bool) -> list[str]:
    """Return a note on each data set that shares figures or slides with the CSV at `path`, if there is one.

    Raises InvalidOption in place of notes unless `allow`, and if the file cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        slides, digests = {r["slide"] for r in rows} - {""}, {r["sha256"] for r in rows}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as e:
        raise InvalidOption(f"{path}: cannot be read as a list of training figures ({e})") from e
    notes = []
    for name, figures in sets.items():
        seen = sum(
            figures.slides[i] in slides or pixel_digest(figures, i) in digests for i in range(len(figures))
        )
        if seen:
            notes.append(
                f"{seen} of the {len(figures)} figures of {name} are of slides that {path.parent.name} was "
                "trained on: these scores flatter."
            )
    if notes and not allow:
        raise InvalidOption(f"{' '.join(notes)} --allow-leaks scores them all the same")
    for note in notes:
        log.warning("%s", note)
    return notes
