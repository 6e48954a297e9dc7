"""How the figures of a slide look, in stain and sharpness, against those that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidCard

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = ("density of red", "density of green", "density of blue", "sharpness")
LEAST = 5
"""With fewer figures a slide's look is not told."""
LIMIT = 18.47
"""The 99.9 % quantile of chi-squared with four degrees of freedom."""
_DENSITY = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
Four = tuple[float, float, float, float]
Matrix = tuple[Four, Four, Four, Four]


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksPart:
    """How the figures looked that a model was trained on, by FEATURES."""

    figures: int
    slides: int
    mean: Four
    """Mean over slides of the slide's mean."""
    between: Matrix
    """Covariance of a slide's mean, beyond what its number of figures gives."""
    within: Matrix
    """Covariance of the figures of one slide."""

    def __post_init__(self) -> None:
        eigenvalues = np.linalg.eigvalsh(np.array(self.between))
        if self.figures < 1 or self.slides < 2 or eigenvalues[0] <= 0:
            raise InvalidCard("looks needs figures, 2 slides or more, and a positive definite between")

    def distance(self, looks: SlideLooks) -> float:
        """Return the squared Mahalanobis distance of a slide's mean from that of training.

        A slide of the same population has a distance above LIMIT once in a thousand, where slides are
        normally distributed.
        """
        away = looks.mean - np.array(self.mean)
        covariance = np.array(self.between) + np.array(self.within) / looks.figures
        return float(away @ np.linalg.solve(covariance, away))


@dataclass(slots=True)
class SlideLooks:
    """The mean look of a slide's figures, added up batch by batch."""

    figures: int = 0
    _sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(FEATURES)))

    def add(self, looks: NDArray[np.float64]) -> None:
        """Add figures, (B, 4)."""
        self.figures += len(looks)
        self._sum += looks.sum(axis=0)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the figures, (4,). There must be one or more."""
        return self._sum / self.figures


def figure_looks(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure how patches look, uint8 RGB (B, S, S, 3); returns (B, 4), as FEATURES names them.

    Densities are natural logarithms, means over every fourth pixel in both directions. Sharpness is the
    logarithm of the mean difference between neighbours in green, in grey levels, in the patch's central half.
    """
    # With the figures innermost, numpy adds whole rows of numbers at once; whole rows of pixels are copied
    # first, since single ones lie too far apart for the processor's caches.
    sparse = np.ascontiguousarray(np.ascontiguousarray(pixels[:, ::4])[:, :, ::4].transpose(1, 2, 0, 3))
    density = np.take(_DENSITY, sparse, mode="clip").mean(axis=(0, 1))
    quarter = pixels.shape[1] // 4
    green = np.ascontiguousarray(pixels[:, quarter:-quarter, quarter:-quarter, 1])
    down = _mean_step(green[:, 1::2], green[:, :-1:2])
    right = _mean_step(green[:, ::2, 1:], green[:, ::2, :-1])
    sharpness = np.log((down + right) / 2 + 0.1)
    return np.column_stack([density, sharpness]).astype(np.float64)


def _mean_step(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean absolute difference of each figure, (B,), of grey levels (B, rows, columns)."""
    # In bytes, which numpy subtracts many at once.
    steps = (np.maximum(a, b) - np.minimum(a, b)).reshape(len(a), a.shape[1] * a.shape[2])
    means: NDArray[np.float64] = steps.sum(axis=1, dtype=np.uint32) / steps.shape[1]
    return means
