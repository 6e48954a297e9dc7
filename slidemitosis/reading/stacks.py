"""Read stacks of patches: TIFFs each page of which is a patch, a few at a time and without losing a page.

Where a file is cut off or its directories are damaged, libraries end the stack without an error, and give
black for pixels that are not there. Here every page is found, and checked as far as it can be without
decoding it, before the first is read.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from slidemitosis.errors import UnreadableStack
from slidemitosis.files import regular
from slidemitosis.slides.declared import guard
from slidemitosis.slides.tiff import BadTiff, page_places
from slidemitosis.slides.tiffslide import hushed_tifffile, kind_and_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

# Codes of TIFF 6.0 for what the numbers of a pixel mean, and for how they are packed.
_RGB, _YCBCR, _JPEG = 2, 6, 7


class PatchStack:
    """A TIFF each page of which is a patch: RGB, 8 bit, `side` x `side` px. A context manager.

    Raises UnreadableStack, which names the page, where one is anything else, or is not whole.
    """

    def __init__(self, path: Path, *, side: int) -> None:
        self.path = path
        self.side = side
        try:
            self._file = regular(path).open("rb")
        except (OSError, ValueError) as e:  # ValueError: a NUL in the name
            reason = e.strerror if isinstance(e, OSError) else "no usable file name"
            raise UnreadableStack(f"{path}: cannot be read: {reason}") from e
        try:
            self._places = self._find_pages(self._file)
            self._check_pages()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Number of pages."""
        return len(self._places)

    def batches(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the patches in their order, uint8 (B, side, side, 3), B up to `size`."""
        for start in range(0, len(self), size):
            yield np.stack([self._pixels(i) for i in range(start, min(start + size, len(self)))])

    def _find_pages(self, file: BinaryIO) -> list[int]:
        """Return where in the file each page's directory is, in bytes. Raises UnreadableStack."""
        import tifffile

        try:
            places = page_places(file)
        except BadTiff as e:
            raise UnreadableStack(f"{self.path}: {e}; a whole TIFF of patches is wanted") from e
        if not places:
            raise UnreadableStack(f"{self.path}: holds no page")
        with self._refused_as("damaged"):
            file.seek(0)
            self._tif = tifffile.TiffFile(file)
            cut_short = any(series.is_truncated for series in self._tif.series)
        if cut_short:
            raise UnreadableStack(
                f"{self.path}: its description tells of more patches than it has pages ({len(places)}); "
                "write each patch as a page of its own"
            )
        return places

    def _check_pages(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        for i in range(len(self)):
            page = self._page(i)
            wrong = self._misfit(page) or _lacking(page, size)
            if wrong:
                raise UnreadableStack(f"{self.path}: page {i + 1} {wrong}")

    def _page(self, i: int) -> Any:
        """Return a tifffile.TiffPage, read anew, so that memory does not grow with the pages."""
        import tifffile

        with self._refused_as(f"page {i + 1} is damaged"):
            self._tif.filehandle.seek(self._places[i])
            return tifffile.TiffPage(self._tif, index=i)

    def _misfit(self, page: Any) -> str | None:
        """Say in words how a page is not of the kind that is wanted; None if it is."""
        side, wanted = self.side, f"patches of {self.side} x {self.side} px, RGB with 8 bit, are wanted"
        if (page.imagewidth, page.imagelength) != (side, side):
            remedy = "; a slide is for `slidemitosis classify`" if page.imagewidth > 8 * side else ""
            return f"is {page.imagewidth} x {page.imagelength} px; {wanted}{remedy}"
        if page.dtype != np.uint8 or page.shape != (side, side, 3):
            numbers = " x ".join(map(str, page.shape))
            return f"holds {page.dtype or 'numbers of an unknown kind'}, {numbers}; {wanted}"
        # The codec turns the YCbCr of a JPEG into RGB; elsewhere YCbCr would be taken for RGB.
        if page.photometric != _RGB and (page.photometric, page.compression) != (_YCBCR, _JPEG):
            return f"has colours of another kind ({page.photometric!s}); {wanted}"
        return None

    def _pixels(self, i: int) -> NDArray[np.uint8]:
        page = self._page(i)
        with self._refused_as(f"page {i + 1} is damaged"):
            guard(page)
            pixels: NDArray[np.uint8] = page.asarray()
        return pixels

    @contextlib.contextmanager
    def _refused_as(self, what: str) -> Iterator[None]:
        """Hush tifffile, and refuse the stack for any error: those of its codecs have no common root."""
        try:
            with hushed_tifffile():  # what matters is checked here, or raised
                yield
        except Exception as e:
            raise UnreadableStack(f"{self.path}: {what}: {kind_and_text(e)}") from e


def _lacking(page: Any, size: int) -> str | None:
    """Say in words what of a page is not in the file of `size` bytes; tifffile would read it as black."""
    counts, offsets = page.databytecounts, page.dataoffsets
    if not counts or len(counts) != len(offsets) or 0 in counts:
        return "is damaged: pixels without a place in the file"
    beyond = max(offset + count for offset, count in zip(offsets, counts, strict=True)) - size
    return f"is cut off: the file ends {beyond} bytes before it" if beyond > 0 else None
