"""Levels, bounds, pixel sizes and viewers; pure.

Frames. Level-0 px count from the corner of the slide's full extent as OpenSlide states it: x to the right,
y down; pixel i covers i to i + 1, so that the centre of the first pixel is 0.5. Level px are those of a
smaller level: level-0 coordinates divided by the level's downsample.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Origin = Literal["auto", "level0", "bounds"]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a slide's pyramid."""

    width: int  # level px
    height: int  # level px
    downsample: float  # level-0 px a level px


@dataclass(frozen=True, slots=True)
class Bounds:
    """The part of a slide that holds pixels; QuPath shows this part alone."""

    x: int  # level-0 px
    y: int  # level-0 px
    width: int  # level-0 px
    height: int  # level-0 px


@dataclass(frozen=True, slots=True)
class Viewer:
    """The image that a viewer (QuPath) shows, at full resolution."""

    width: int  # px
    height: int  # px
    server: str | None = None
    """Name of the viewer's library that reads the image, such as "OpenSlide"; None if not known."""

    @classmethod
    def of(cls, size: str, server: str | None = None) -> Viewer:
        """Read a size such as "46000x32914". Raises ValueError."""
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})\s*", size)
        if found is None or not (int(found[1]) and int(found[2])):
            raise ValueError(f"{size!r} is not a size in px such as 46000x32914")
        return cls(int(found[1]), int(found[2]), server or None)


@dataclass(frozen=True, slots=True)
class PixelSize:
    """um/px of level 0."""

    x: float
    y: float

    @classmethod
    def of(cls, text: str) -> PixelSize:
        """Read a size such as "0.25", or "0.25,0.26" if x and y differ. Raises ValueError."""
        try:
            x, _, y = text.partition(",")
            return cls(float(x), float(y or x))
        except ValueError:
            raise ValueError(f"{text!r} is not a number of um/px") from None

    def __str__(self) -> str:
        return f"{self.x:g}" if self.x == self.y else f"{self.x:g} x {self.y:g}"
