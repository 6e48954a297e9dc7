"""Read folders of patches: each PNG is a patch, in the order of the files' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from slidemitosis.errors import UnreadableStack
from slidemitosis.files import regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def patch_files(folder: Path) -> list[Path]:
    """List the PNGs of a folder by their names. Raises UnreadableStack where there is none."""
    try:
        files = [p for p in folder.iterdir() if p.suffix.lower() == ".png" and not p.name.startswith(".")]
    except OSError as e:
        raise UnreadableStack(f"{folder}: cannot be listed: {e.strerror}") from e
    if not files:
        raise UnreadableStack(f"{folder}: holds no PNG; a folder of patches, or a TIFF of them, is wanted")
    return sorted(files)


class PatchFolder:
    """The PNGs of a folder: RGB, 8 bit, `side` x `side` px. A context manager, as a stack of patches is.

    Raises UnreadableStack for a folder without a PNG, and for one that is anything else, which it names.
    """

    def __init__(self, path: Path, *, side: int) -> None:
        self.path = path
        self.side = side
        self._files = patch_files(path)
        for file in self._files:  # a wrong one is said before the first is classified
            self._open(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def __len__(self) -> int:
        """Number of patches."""
        return len(self._files)

    def batches(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the patches in their order, uint8 (B, side, side, 3), B up to `size`."""
        for start in range(0, len(self), size):
            yield np.stack([self._open(file, decode=True) for file in self._files[start : start + size]])

    def _open(self, file: Path, *, decode: bool = False) -> NDArray[np.uint8]:
        """Return the pixels of a file, empty unless it is decoded; size and kind are checked either way."""
        from PIL import Image  # noqa: PLC0415

        wanted = f"patches of {self.side} x {self.side} px, RGB with 8 bit, are wanted"
        try:
            with Image.open(regular(file), formats=("PNG",)) as image:
                if image.size != (self.side, self.side):
                    raise UnreadableStack(f"{file}: is {image.width} x {image.height} px; {wanted}")
                if image.mode != "RGB":
                    raise UnreadableStack(f"{file}: has pixels of the kind {image.mode}; {wanted}")
                return np.asarray(image, np.uint8) if decode else np.empty(0, np.uint8)
        except UnreadableStack:
            raise
        except (OSError, ValueError, SyntaxError) as e:  # the latter two for damage inside a PNG
            raise UnreadableStack(f"{file}: is damaged, or no PNG: {e}") from e
