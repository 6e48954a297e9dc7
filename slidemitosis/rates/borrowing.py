"""The fraction of each slide of a cohort, those with few figures borrowing from the others; pure.

A slide of six figures says little of its tumour; that it comes from a cohort says more. How the tumours of
the cohort differ is estimated from all slides, and is what is known of a slide before its own figures are
looked at (empirical Bayes; Efron and Morris 1975). With many figures a slide keeps its own fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.rates.expected import tumour_fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.models.decision import SpreadPart

LEAST = 5
"""With fewer tumours nothing can be said of how they differ."""
_Tumour = Sequence[Sequence[float]]
_WEAKEST, _STRONGEST = 2.0, 1000.0
"""Limits of the number of figures that the cohort counts for."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """The fraction of one tumour, as its figures and the cohort say."""

    fraction: float
    tumour: tuple[float, float]
    """95 % interval."""


def borrowed_fractions(tumours: Sequence[_Tumour], spread: SpreadPart | None) -> list[Borrowed | None]:
    """Estimate the fraction of each tumour of a cohort, from P(atypical) of the figures of each of its
    slides.

    None for a tumour without figures; None for all where the model is not calibrated, or fewer than LEAST
    tumours have figures.
    """
    flat = [[p for slide in tumour for p in slide] for tumour in tumours]
    if spread is None or sum(map(bool, flat)) < LEAST:
        return [None] * len(tumours)
    prior = cohort_prior([f for f in flat if f], spread)
    found: list[Borrowed | None] = []
    for tumour, figures in zip(tumours, flat, strict=True):
        said = tumour_fractions(tumour, spread, prior=prior) if figures else None
        found.append(Borrowed(said.mean, said.interval) if said else None)
    return found


def cohort_prior(tumours: Sequence[Sequence[float]], spread: SpreadPart) -> tuple[float, float]:
    """Return a and b of the distribution Beta(a, b) of the fractions of a cohort's tumours.

    Their variance is that of the mean P(atypical) between slides, less what the sampling of figures gives
    (Paule and Mandel 1982), and that of the slides' own shifts, which no P(atypical) shows.
    """
    means = np.array([np.mean(s) for s in tumours])
    every = np.concatenate([np.asarray(s) for s in tumours])
    # Of a tumour with few figures its own variance says nothing.
    noise = float(np.var(every)) / np.array([len(s) for s in tumours])
    seen = _paule_mandel(means, noise)
    mean = float(np.average(means, weights=1 / (noise + seen)))
    between = seen + (spread.slide_sd * float(np.mean(every * (1 - every)))) ** 2
    size = mean * (1 - mean) / between - 1 if between > 0 else _STRONGEST
    size = min(max(size, _WEAKEST), _STRONGEST)
    return size * mean, size * (1 - mean)


def _paule_mandel(means: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """Return the variance between slides for which the weighted squares are as expected; 0 if it is less."""

    def excess(between: float) -> float:
        w = 1 / (noise + between)
        centre = np.average(means, weights=w)
        return float(w @ (means - centre) ** 2) - (len(means) - 1)

    low, high = 0.0, 1.0
    if excess(low) <= 0:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2
