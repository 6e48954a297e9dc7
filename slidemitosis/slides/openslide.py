"""Read slides by OpenSlide; the only module that imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import UnreadableSlide
from slidemitosis.geometry import Level
from slidemitosis.slides.properties import bounds, colour, pixel_size, tile
from slidemitosis.slides.slide import BY_LIBRARY, Slide, SlideInfo

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class OpenSlideSlide(Slide):
    """A slide that OpenSlide reads."""

    def __init__(self, path: Path) -> None:
        import openslide

        self._library = openslide
        self._handle = openslide.OpenSlide(path)
        try:
            self.info = self._describe(path)
        except BaseException:
            self._handle.close()
            raise

    def _describe(self, path: Path) -> SlideInfo:
        handle, library = self._handle, self._library
        properties = dict(handle.properties)
        levels = tuple(
            Level(w, h, float(d))
            for (w, h), d in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
        )
        return SlideInfo(
            path=path,
            reader="openslide",
            reader_version=library.__library_version__,
            vendor=properties.get(library.PROPERTY_NAME_VENDOR),
            levels=levels,
            mpp=pixel_size(properties, "openslide"),
            bounds=bounds(properties, "openslide", levels[0]),
            background=colour(properties.get(library.PROPERTY_NAME_BACKGROUND_COLOR)),
            tile=tile(properties, "openslide"),
            not_direct=(BY_LIBRARY,) * len(levels),
            quickhash=properties.get("openslide.quickhash-1"),
        )

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

    def close(self) -> None:
        """Give back the file handles."""
        super().close()
        self._handle.close()


def open_openslide(path: Path) -> Slide | None:
    """Open a slide with OpenSlide; return None if it does not know the format.

    Raises UnreadableSlide if it knows the format but cannot open the file.
    """
    import openslide

    try:
        return OpenSlideSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        return None
    except (openslide.OpenSlideError, OSError) as e:
        raise UnreadableSlide(f"{path}: OpenSlide cannot open it (damaged or cut off?): {e}") from e
