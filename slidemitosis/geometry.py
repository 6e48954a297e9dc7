"""Pure geometry: pixel sizes, levels, windows, frames.

Frames. Level-0 pixels are the slide's full extent as OpenSlide states it: x to the right, y down,
pixel i covers i to i + 1, so that the centre of the first pixel is 0.5. Level pixels are the same of
a smaller level: level-0 coordinates divided by the level's downsample.
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
    """What a viewer (QuPath) states of the image that it shows, at full resolution."""

    width: int  # px
    height: int  # px
    server: str | None = None
    """What reads the image there, in the viewer's words ("OpenSlide"); None where it is not told."""

    @classmethod
    def of(cls, size: str, server: str | None = None) -> Viewer:
        """From a size as "46000x32914". Raises ValueError."""
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})\s*", size)
        if found is None or not (int(found[1]) and int(found[2])):
            raise ValueError(f"{size!r} is not a size in px such as 46000x32914")
        return cls(int(found[1]), int(found[2]), server or None)


@dataclass(frozen=True, slots=True)
class PixelSize:
    """um/px of level 0."""

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x:g}" if self.x == self.y else f"{self.x:g} x {self.y:g}"
