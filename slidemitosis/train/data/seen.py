"""Record the figures that a model saw in training, and recognise them before it is scored.

A list of them is a CSV. A run has one with `figure,slide,sha256`, which names every figure; a model folder
has one with `slide,sha256` and 16 of the 64 digits, since it is shipped. Both are read alike.
"""

from __future__ import annotations

import csv
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption
from slidemitosis.files import as_meant, csv_lines, regular, write_parts
from slidemitosis.train.data.leakage import pixel_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.train.data.figures import Figures

log = logging.getLogger(__name__)

_DIGITS = 16
"""Digits of a SHA-256 that a model's list has: two of a million figures share them with a chance of 3e-8."""
_SHORT = ("slide", "sha256")


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures that a model saw: to learn from, to choose the epoch by, or to be calibrated on."""

    rows: tuple[tuple[str, str], ...]
    """(slide, the first 16 hexadecimal digits of the SHA-256 of the pixels); the slide is "" if unknown."""


def write_seen(figures: Figures, path: Path) -> None:
    """Write the list that a run has: name, slide and whole SHA-256 of each figure. Raises OutputError."""
    rows = ((name, figures.slides[i], pixel_digest(figures, i)) for i, name in enumerate(figures.names))
    write_parts(path, csv_lines([("figure", *_SHORT), *rows]))


def write_short(seen: Seen, path: Path) -> None:
    """Write the list that a model folder has. Raises OutputError."""
    write_parts(path, csv_lines([_SHORT, *seen.rows]))


def seen_of(figures: Figures) -> Seen:
    """Return the list of these figures."""
    return Seen(tuple((s, pixel_digest(figures, i)[:_DIGITS]) for i, s in enumerate(figures.slides)))


def read_seen(path: Path) -> Seen:
    """Read a list of either kind. Raises InvalidOption if it is damaged."""
    try:
        with regular(path).open(newline="", encoding="utf-8") as f:
            rows = [(as_meant(r["slide"] or ""), r["sha256"] or "") for r in csv.DictReader(f, strict=True)]
    except KeyError as e:
        raise _damaged(path, f"it has no column {e}") from e
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise _damaged(path, str(e)) from e
    for line, (_, digits) in enumerate(rows, start=2):
        if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}|[0-9a-f]{{64}}", digits):
            raise _damaged(path, f"row {line} has {digits[:64]!r} for a SHA-256")
    if not rows:
        raise _damaged(path, "it names no figure")
    return Seen(tuple((slide, digits[:_DIGITS]) for slide, digits in rows))


def _damaged(path: Path, why: str) -> InvalidOption:
    return InvalidOption(
        f"{path}: cannot be read as a list of training figures: {why}; get the model again, or train it again"
    )


def check_seen(models: Iterable[tuple[str, Seen]], sets: Mapping[str, Figures], *, allow: bool) -> list[str]:
    """Return a note on each data set of which models, by name, saw figures or slides.

    Raises InvalidOption with all of them in place of notes, unless `allow`.
    """
    notes = [f"{note}: these scores flatter." for note in seen_notes(models, sets)]
    if notes and not allow:
        raise InvalidOption(f"{' '.join(notes)} Leave them out; --allow-leaks scores them all the same")
    for note in notes:
        log.warning("%s", note)
    return notes


def seen_notes(models: Iterable[tuple[str, Seen]], sets: Mapping[str, Figures]) -> list[str]:
    """Say of each data set which models, by name, saw how many of its figures or of their slides' others."""
    # The folds of a run and their ensemble have seen the same.
    names_of: dict[Seen, list[str]] = {}
    for name, seen in models:
        names_of.setdefault(seen, []).append(name)
    notes = []
    for data, figures in sets.items() if names_of else ():
        digests = seen_of(figures).rows
        notes += [n for seen, names in names_of.items() if (n := _note(names, seen, data, digests))]
    return notes


def _note(models: Sequence[str], seen: Seen, data: str, rows: Sequence[tuple[str, str]]) -> str:
    """Say how many of a data set's rows the models have seen; "" if none."""
    slides, digests = {s for s, _ in seen.rows} - {""}, {d for _, d in seen.rows}
    same = sum(digest in digests for _, digest in rows)
    either = sum(digest in digests or slide in slides for slide, digest in rows)
    if not either:
        return ""
    return (
        f"{', '.join(models)} saw {either} of the {len(rows)} figures of {data} in training, or others of "
        f"their slides ({same} have the same pixels)"
    )
