"""A small picture of the whole slide, from a level that is small already."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slidemitosis.errors import UnreadableSlide
from slidemitosis.report.keeper import encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from slidemitosis.geometry import Bounds
    from slidemitosis.slides.slide import Slide, SlideInfo

SIDE = 1200
"""Longer side of the picture, px, at the most."""
_ENOUGH = 600
"""Longer side of a level that is fine enough, px."""
_MOST_PIXELS = 16_000_000
"""Number of pixels of the largest level that is read."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The part of a slide that holds pixels."""

    area: Bounds
    """What it shows, level-0 px."""
    jpeg: bytes | None
    """None where no level is small enough, or it cannot be read."""


def read_thumbnail(open_slide: Callable[[], Slide]) -> Thumbnail:
    """Read the picture, at most 1200 px wide and high.

    Raises UnreadableSlide if the slide cannot be opened.
    """
    with open_slide() as slide:
        level = _level(slide.info)
        if level is None:
            return Thumbnail(slide.info.area, None)
        try:
            return Thumbnail(slide.info.area, encoded(_pixels(slide, level), quality=80))
        except UnreadableSlide:  # damaged here and not where the figures are: the report goes without
            return Thumbnail(slide.info.area, None)


def _level(info: SlideInfo) -> int | None:
    """The coarsest level that is fine enough, or else the finest; None where that is too large to read."""
    sides = [max(info.area.width, info.area.height) / level.downsample for level in info.levels]
    small = [i for i in range(len(sides)) if _size(info, i)[0] * _size(info, i)[1] <= _MOST_PIXELS]
    fine = [i for i in small if sides[i] >= _ENOUGH]
    return max(fine) if fine else min(small, default=None)


def _size(info: SlideInfo, level: int) -> tuple[int, int]:
    """Width and height of the area on a level, px of it."""
    downsample = info.levels[level].downsample
    return max(1, round(info.area.width / downsample)), max(1, round(info.area.height / downsample))


def _pixels(slide: Slide, level: int) -> NDArray[np.uint8]:
    info = slide.info
    downsample = info.levels[level].downsample
    width, height = _size(info, level)
    pixels = slide.read(
        level, round(info.area.x / downsample), round(info.area.y / downsample), width, height
    )
    # By a whole number, which is several times as fast as to a size.
    return np.asarray(Image.fromarray(pixels).reduce(math.ceil(max(width, height) / SIDE)))
