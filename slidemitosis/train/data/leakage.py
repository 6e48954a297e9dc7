"""Find what two data sets share: a model must not be scored on figures that it was trained on."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures

log = logging.getLogger(__name__)

SAME_PX = 25.0
"""Centres on one slide within this distance, level-0 px, are one figure: half the side of MIDOG's boxes."""


def shared_figures(a: Figures, b: Figures) -> list[tuple[int, int]]:
    """Return (row of a, row of b) of every figure that is in both, sorted.

    Two figures are the same if their slides have one name and their centres are within 25 px; where slide or
    centre of either is unknown, if their pixels are identical.
    """
    at_a, at_b = _located(a), _located(b)
    found = set(_near_one_another(a, np.flatnonzero(at_a), b, np.flatnonzero(at_b)))
    if not (at_a.all() and at_b.all()):
        rows_of = _rows_by_pixels(b, np.arange(len(b)) if not at_a.all() else np.flatnonzero(~at_b))
        for i in range(len(a)):
            found.update((i, j) for j in rows_of.get(pixel_digest(a, i), ()) if not (at_a[i] and at_b[j]))
    return sorted(found)


def shared_slides(a: Figures, b: Figures) -> tuple[str, ...]:
    """Return the names of the slides that both have figures of, sorted; unknown slides do not count."""
    return tuple(sorted((set(a.slides) & set(b.slides)) - {""}))


def drop_leaks(training: Figures, held_out: Sequence[Figures]) -> Figures:
    """Return the training figures without those of slides and patients that a held-out set has figures of.

    Other figures of such a slide are dropped too: they have its stain, scanner and patient. Where a held-out
    set does not name its slides, training figures with the same pixels do.
    """
    leaking = np.zeros(len(training), np.bool_)
    for other in held_out:
        leaking |= _leaking(training, other)
    return training.take(np.flatnonzero(~leaking))


def check_leakage(training: Figures, held_out: Sequence[Figures], *, allow: bool) -> None:
    """Raise InvalidOption if `drop_leaks` would drop anything; with `allow`, log a warning instead.

    One line says how many figures of how many slides of which data sets are shared.
    """
    texts = [text for other in held_out if (text := _leak_text(training, other))]
    if not texts:
        return
    message = f"training and held-out figures are not independent: {'; '.join(texts)}"
    if not allow:
        raise InvalidOption(
            f"{message}: --drop-leaks takes all figures of shared slides out of training, "
            "--allow-leaks keeps them"
        )
    log.warning("%s; scores on them are too good", message)


def _leak_text(training: Figures, other: Figures) -> str | None:
    """Say what the training figures share with one held-out set; None if that is nothing."""
    leaking = np.flatnonzero(_leaking(training, other))
    if not len(leaking):
        return None
    leaks = training.take(leaking)
    pairs = shared_figures(leaks, other)
    same = len({i for i, _ in pairs})
    parts = (leaks.take(sorted({i for i, _ in pairs})), other.take(sorted({j for _, j in pairs})))
    slides = len({s for p in parts for s in p.slides} - {""})
    text = f"{leaks.sets} (training) and {other.sets} (held out) share {same} figures"
    text += f" of {slides} slides" if slides or not same else ", of slides that are not told"
    more = len(leaks) - same
    if more:
        text += f", and {more} more training figures are of the same slides or patients"
    return text


def _leaking(training: Figures, other: Figures) -> NDArray[np.bool_]:
    """Return which training figures `drop_leaks` drops for the held-out set `other`, (N,)."""
    slides = set(other.slides) - {""}
    patients = {key for key in _patients(other) if key[1]}
    leaking = np.array([s in slides for s in training.slides], np.bool_)
    # A patient's number means something within its own data set alone.
    leaking |= np.array([key in patients for key in _patients(training)], np.bool_)
    # A figure that is in both names the slide where the held-out set does not.
    same = [i for i, _ in shared_figures(training, other)]
    slides = {training.slides[i] for i in same} - {""}
    leaking |= np.array([s in slides for s in training.slides], np.bool_)
    leaking[same] = True
    return leaking


def _patients(figures: Figures) -> list[tuple[str, str]]:
    return list(zip(figures.data, figures.patients, strict=True))


def _located(figures: Figures) -> NDArray[np.bool_]:
    """Return whether both slide and centre are known, (N,)."""
    told = np.array([s != "" for s in figures.slides], np.bool_)
    return np.logical_and(told, np.isfinite(figures.centres).all(axis=1))


def _near_one_another(
    a: Figures, rows_a: NDArray[np.intp], b: Figures, rows_b: NDArray[np.intp]
) -> Iterable[tuple[int, int]]:
    """Yield (row of a, row of b) of figures on one slide whose centres are within SAME_PX."""
    of_slide: dict[str, list[int]] = defaultdict(list)
    for j in rows_b.tolist():
        of_slide[b.slides[j]].append(j)
    for i in rows_a.tolist():
        rows = of_slide.get(a.slides[i])
        if rows:
            distances = np.hypot(*(b.centres[rows] - a.centres[i]).T)
            yield from ((i, rows[k]) for k in np.flatnonzero(distances <= SAME_PX))


def _rows_by_pixels(figures: Figures, rows: NDArray[np.intp]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for i in rows.tolist():
        found[pixel_digest(figures, i)].append(i)
    return found


def pixel_digest(figures: Figures, row: int) -> str:
    """Return the SHA-256 of a figure's pixels, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(figures.pixels[row]).data).hexdigest()
