"""Measure how the figures look that a model is trained on, so that others can be told from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.models.looks import LEAST, Four, LooksPart, Matrix, figure_looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SLIDES = 20
"""With fewer slides the covariance of four features is not told."""
_NARROWEST = 1e-4
"""Least variance in any direction, as a share of the largest."""
_AT_ONCE = 256


def measure_looks(pixels: NDArray[np.uint8], slides: Sequence[str]) -> LooksPart | None:
    """Measure training figures, uint8 RGB (N, S, S, 3), whose slides have these names.

    None where slides are not known, or where fewer than 20 have 5 figures or more.
    """
    names, of = np.unique(slides, return_inverse=True)
    chosen = [np.flatnonzero(of == k) for k in range(len(names)) if names[k]]
    chosen = [rows for rows in chosen if len(rows) >= LEAST]
    if len(chosen) < _SLIDES:
        return None
    looks = np.concatenate(
        [figure_looks(pixels[at : at + _AT_ONCE]) for at in range(0, len(pixels), _AT_ONCE)]
    )
    means = np.array([looks[rows].mean(axis=0) for rows in chosen])
    sizes = np.array([len(rows) for rows in chosen])
    off = np.concatenate([looks[rows] - m for rows, m in zip(chosen, means, strict=True)])
    within = off.T @ off / (sizes.sum() - len(sizes))
    # Searle, Casella and McCulloch 1992, 3.6, for vectors, where every slide counts alike.
    between = np.cov(means.T) - within * np.mean(1 / sizes)
    values, vectors = np.linalg.eigh(between)
    between = vectors @ np.diag(np.maximum(values, _NARROWEST * values.max())) @ vectors.T
    return LooksPart(
        figures=int(sizes.sum()),
        slides=len(sizes),
        mean=_four(means.mean(axis=0)),
        between=_matrix(between),
        within=_matrix(within),
    )


def _four(values: NDArray[np.float64]) -> Four:
    a, b, c, d = (float(f"{v:.5g}") for v in values)
    return a, b, c, d


def _matrix(values: NDArray[np.float64]) -> Matrix:
    a, b, c, d = (_four(row) for row in values)
    return a, b, c, d
