"""Read a figure's surroundings from its slide, at two magnifications, as PNG."""

from __future__ import annotations

import io
import math
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from PIL import Image

from slidemitosis.errors import InvalidOption, UnreadableSlide
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.geometry import Level, PixelSize
    from slidemitosis.review.slides import Figure, ResultFolder
    from slidemitosis.slides.slide import Slide

_ENOUGH = 640  # px of a level across a picture: with fewer it would look blurred
_MOST = 800  # px across a picture that is sent
_OPEN = 4  # slides at a time


@dataclass(frozen=True, slots=True)
class View:
    """One magnification."""

    name: str
    side: float  # um across the picture


VIEWS = (View("close", 50.0), View("wide", 250.0))


@dataclass(frozen=True, slots=True)
class Square:
    """The pixels of a level that show a view, centred on a figure as closely as whole pixels allow."""

    level: int
    x: int  # level px, left
    y: int  # level px, top
    width: int  # level px
    height: int  # level px


def place_square(x: float, y: float, view: View, levels: Sequence[Level], mpp: PixelSize) -> Square:
    """Place a view around (x, y), level-0 px, on the coarsest level that is fine enough, else on level 0."""
    across = view.side / max(mpp.x, mpp.y)  # level-0 px
    fine = [i for i, level in enumerate(levels) if across / level.downsample >= _ENOUGH]
    level = max(fine, key=lambda i: levels[i].downsample, default=0)
    scale = levels[level].downsample
    width, height = (max(1, round(view.side / (um * scale))) for um in (mpp.x, mpp.y))
    left, top = math.floor(x / scale - width / 2 + 0.5), math.floor(y / scale - height / 2 + 0.5)
    return Square(level, left, top, width, height)


class Pictures:
    """Reads pictures of figures; a few slides stay open.

    A slide belongs to one thread, so that all are opened and read in one thread of its own.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slides")
        self._slides: OrderedDict[Path, Slide] = OrderedDict()
        """Open slides by the folder of their results, the one that was read last at the end."""

    def check(self, results: ResultFolder) -> None:
        """Open a slide, and make sure that it is the one that was classified.

        Raises UnreadableSlide, InvalidOption.
        """
        self._thread.submit(self._opened, results).result()

    def png(self, results: ResultFolder, figure: Figure, view: View) -> bytes:
        """Read one picture. Raises UnreadableSlide, InvalidOption."""
        return self._thread.submit(self._png, results, figure, view).result()

    def close(self) -> None:
        """Close the slides."""
        self._thread.submit(self._close_all).result()
        self._thread.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _png(self, results: ResultFolder, figure: Figure, view: View) -> bytes:
        slide = self._opened(results)
        square = place_square(figure.x, figure.y, view, slide.info.levels, results.mpp)
        try:
            pixels = slide.read(square.level, square.x, square.y, square.width, square.height)
        except UnreadableSlide:
            self._slides.pop(results.folder).close()  # after an error a slide can read nothing more
            raise
        image = Image.fromarray(pixels)
        if max(image.size) > _MOST:
            image = image.resize((_MOST, _MOST), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "png", compress_level=1)  # it goes no further than to this computer's browser
        return file.getvalue()

    def _opened(self, results: ResultFolder) -> Slide:
        if results.folder not in self._slides:
            slide = open_slide(results.slide, reader=results.reader)  # type: ignore[arg-type]
            if slide.info.size != results.size:
                slide.close()
                (width, height), (w, h) = slide.info.size, results.size
                raise InvalidOption(
                    f"{results.slide}: is another slide, of {width} x {height} px; that of the results has "
                    f"{w} x {h} px; use --slide"
                )
            self._slides[results.folder] = slide
            while len(self._slides) > _OPEN:
                self._slides.popitem(last=False)[1].close()
        self._slides.move_to_end(results.folder)
        return self._slides[results.folder]

    def _close_all(self) -> None:
        while self._slides:
            self._slides.popitem()[1].close()
