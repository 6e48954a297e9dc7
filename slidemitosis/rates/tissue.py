"""Detect tissue by the coloured pixels of a low level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.geometry import PixelSize
    from slidemitosis.slides.slide import Slide, SlideInfo

COARSEST_UM = 16.5
"""um/px of the coarsest pixels in which tissue is detected; the finest are half as large."""

MOST_PIXELS = 64_000_000
"""Number of pixels of the largest level that is read."""

PALEST, STRONGEST = 8, 30
"""Grey levels between the weakest and the strongest of a pixel's R, G and B. Tissue must differ from glass by
the first; from the second on a pixel is tissue whatever the threshold, since a slide may have no glass."""

_STRIP = 4_000_000  # pixels read at once


@dataclass(frozen=True, slots=True)
class Tissue:
    """Pixels of a low level that are tissue."""

    mask: NDArray[np.bool_]
    """(H, W): whether a pixel is tissue."""
    x_um: float
    """Left edge of the mask, um from the corner of level 0."""
    y_um: float
    """Top edge of the mask, um from the corner of level 0."""
    pixel_um: tuple[float, float]
    """Width and height of a pixel of the mask."""
    level: int
    threshold: int
    """Smallest difference between the strongest and the weakest of R, G and B in tissue, grey levels."""

    @property
    def mm2(self) -> float:
        """Area of the tissue."""
        return int(self.mask.sum()) * self.pixel_um[0] * self.pixel_um[1] / 1e6


def find_tissue(slide: Slide, mpp: PixelSize) -> Tissue | None:
    """Detect the tissue of a slide, or within its bounds if it has them; None if none is seen.

    The coarsest level of 16 um/px or finer is read and averaged to about that size. Coloured pixels are
    tissue: those whose difference between the strongest and the weakest of R, G and B reaches the threshold
    of Otsu (1979). Fat, and lumina wider than a pixel, are no tissue; coloured ink is. Raises InvalidOption
    if that level is too large to be read, UnreadableSlide.
    """
    info = slide.info
    level = _level(info, mpp)
    downsample = info.levels[level].downsample
    um = (mpp.x * downsample, mpp.y * downsample)
    factor = max(1, int(COARSEST_UM / max(um)))
    x0, y0 = (round(v / downsample) for v in (info.area.x, info.area.y))
    width, height = (round(v / downsample) for v in (info.area.width, info.area.height))
    colour = _colourfulness(slide, level, (x0, y0, width, height), factor)
    threshold = _threshold(colour)
    if threshold is None:
        return None
    pixel_um = (um[0] * factor, um[1] * factor)
    return Tissue(colour >= threshold, x0 * um[0], y0 * um[1], pixel_um, level, threshold)


def _level(info: SlideInfo, mpp: PixelSize) -> int:
    fine = [i for i, v in enumerate(info.levels) if max(mpp.x, mpp.y) * v.downsample <= COARSEST_UM]
    level = max(fine, key=lambda i: info.levels[i].downsample, default=0)
    share = 1 / info.levels[level].downsample ** 2
    if info.area.width * info.area.height * share > MOST_PIXELS:
        found = info.levels[level]
        raise InvalidOption(
            f"{info.path}: tissue cannot be looked for: the slide has no small level, {found.width} x "
            f"{found.height} px is its best for that; give --area or --area-class instead"
        )
    return level


def _colourfulness(
    slide: Slide, level: int, area: tuple[int, int, int, int], factor: int
) -> NDArray[np.uint8]:
    """Return strongest minus weakest colour of blocks of `factor` px, uint8 (H / factor, W / factor).

    `area`: left, top, width W and height H, level px.
    """
    x0, y0, width, height = area
    rows = max(factor, _STRIP // max(width, 1) // factor * factor)
    strips = []
    for y in range(0, height, rows):
        pixels = slide.read(level, x0, y0 + y, width, min(rows, height - y))
        small = np.asarray(Image.fromarray(pixels).reduce(factor))
        strips.append(small.max(axis=2) - small.min(axis=2))
    return np.concatenate(strips)


def _threshold(values: NDArray[np.uint8]) -> int | None:
    """Return the smallest value of tissue; None if no pixel stands out."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    threshold = otsu(counts)
    above, below = counts[threshold:], counts[:threshold]
    levels = np.arange(256.0)
    if above.sum() == 0:
        return None
    tissue = float(above @ levels[threshold:] / above.sum())
    glass = float(below @ levels[:threshold] / below.sum()) if below.sum() else 0.0
    if tissue - glass < PALEST and glass < STRONGEST:
        return None
    return min(threshold, STRONGEST)


def otsu(counts: NDArray[np.float64]) -> int:
    """Return the first value of the upper part of a histogram, (256,), split by Otsu (1979), eq. 18.

    The split has the most variance between the parts. Of equally good values it is the middle one; 0 if all
    values are equal.
    """
    levels = np.arange(len(counts))
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * levels)[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = sums / below - (counts @ levels - sums) / above
    between = np.nan_to_num(below * above * difference**2)
    if not between.any():
        return 0
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return int(best[len(best) // 2]) + 1
