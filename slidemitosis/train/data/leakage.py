"""Figures and slides that two data sets share: a model must not be scored on what it was trained on."""

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
"""Centres of one slide this close, level-0 px, are one figure: half the side of MIDOG's boxes."""


def shared_figures(a: Figures, b: Figures) -> list[tuple[int, int]]:
    """(row of a, row of b) of every figure that is in both, sorted.

    The same figure: slides of one name and centres within 25 px. Where either of the two does not tell
    its slide or its centre: identical pixels, since nothing else is known of them.
    """
    at_a, at_b = _located(a), _located(b)
    found = set(_near_one_another(a, np.flatnonzero(at_a), b, np.flatnonzero(at_b)))
    if not (at_a.all() and at_b.all()):
        rows_of = _rows_by_pixels(b, np.arange(len(b)) if not at_a.all() else np.flatnonzero(~at_b))
        for i in range(len(a)):
            found.update((i, j) for j in rows_of.get(pixel_digest(a, i), ()) if not (at_a[i] and at_b[j]))
    return sorted(found)


def shared_slides(a: Figures, b: Figures) -> tuple[str, ...]:
    """Names of the slides that both have figures of, sorted; slides that are not told are in neither."""
    return tuple(sorted((set(a.slides) & set(b.slides)) - {""}))


def drop_leaks(training: Figures, held_out: Sequence[Figures]) -> Figures:
    """The training figures without those of slides that a held-out set has figures of.

    Other figures of such a slide are dropped, too: they have its stain, scanner and patient. A held-out
    set that does not tell its slides is known by figures with the same pixels, and these tell the slides.
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
    leaking = np.flatnonzero(_leaking(training, other))
    if not len(leaking):
        return None
    leaks = training.take(leaking)
    pairs = shared_figures(leaks, other)
    same = len({i for i, _ in pairs})
    parts = (leaks.take(sorted({i for i, _ in pairs})), other.take(sorted({j for _, j in pairs})))
    slides = len({s for p in parts for s in p.slides} - {""})
    text = f"{_sets(leaks)} (training) and {_sets(other)} (held out) share {same} figures"
    text += f" of {slides} slides" if slides or not same else ", of slides that are not told"
    more = len(leaks) - same
    if more:
        text += f", and {more} more training figures are of the same slides or patients"
    return text


def _leaking(training: Figures, other: Figures) -> NDArray[np.bool_]:
    """Which training figures must not be scored beside `other`, (N,)."""
    slides = set(other.slides) - {""}
    patients = {key for key in _patients(other) if key[1]}
    leaking = np.array([s in slides for s in training.slides], np.bool_)
    # A patient's number means something within its own data set alone.
    leaking |= np.array([key in patients for key in _patients(training)], np.bool_)
    # Where the held-out set does not tell its slides, a figure of it tells of which slide it is.
    same = [i for i, _ in shared_figures(training, other)]
    slides = {training.slides[i] for i in same} - {""}
    leaking |= np.array([s in slides for s in training.slides], np.bool_)
    leaking[same] = True
    return leaking


def _patients(figures: Figures) -> list[tuple[str, str]]:
    return list(zip(figures.data, figures.patients, strict=True))


def _located(figures: Figures) -> NDArray[np.bool_]:
    """Whether both slide and centre are known, (N,)."""
    told = np.array([s != "" for s in figures.slides], np.bool_)
    return np.logical_and(told, np.isfinite(figures.centres).all(axis=1))


def _near_one_another(
    a: Figures, rows_a: NDArray[np.intp], b: Figures, rows_b: NDArray[np.intp]
) -> Iterable[tuple[int, int]]:
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
    """SHA-256 of a figure's pixels, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(figures.pixels[row]).data).hexdigest()


def _sets(figures: Figures) -> str:
    return ", ".join(dict.fromkeys(figures.data))
