"""Read slides by OpenSlide; the only module that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import UnreadableSlide
from slidemitosis.limits import lacking
from slidemitosis.slides.properties import LibrarySlide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.slides.slide import Slide


class OpenSlideSlide(LibrarySlide):
    """A slide that OpenSlide reads."""

    def __init__(self, path: Path) -> None:
        import openslide

        self._library = openslide
        handle, version = openslide.OpenSlide(path), openslide.__library_version__
        super().__init__(handle, path, library="openslide", version=version)

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        # OpenSlide takes the place in level-0 px; rounding shifts it by half of one at most.
        downsample = self.info.levels[level].downsample
        place = (round(x * downsample), round(y * downsample))
        try:
            region = self._handle.read_region(place, level, (width, height))
        except (self._library.OpenSlideError, OSError) as e:
            raise UnreadableSlide(
                f"{self.info.path.name}: level {level} at x {place[0]}, y {place[1]}: {e}"
            ) from e
        return np.asarray(region)


class OpenSlideLacks(UnreadableSlide):
    """OpenSlide knows the format, but not the way in which this file is compressed; tiffslide may."""


def open_openslide(path: Path) -> Slide | None:
    """Open a slide with OpenSlide; return None if it does not know the format.

    Raises UnreadableSlide if it knows the format but cannot open the file; OpenSlideLacks if that is for its
    compression.
    """
    import openslide

    try:
        return OpenSlideSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        return None
    except (openslide.OpenSlideError, OSError) as e:
        if "Unsupported TIFF compression" in str(e):
            raise OpenSlideLacks(f"{path}: {e}, which OpenSlide lacks; use --reader tiffslide") from e
        what = lacking(e) or f"(damaged or cut off?): {e}"
        raise UnreadableSlide(f"{path}: OpenSlide cannot open it: {what}") from e
