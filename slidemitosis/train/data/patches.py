"""Read patches from image files, and check what all layouts share."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slidemitosis.errors import InvalidOption
from slidemitosis.files import regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures

log = logging.getLogger(__name__)

PUBLISHED_SIDE = 128
"""Side of the published patches, px."""
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}


def read_patches(
    paths: Sequence[Path], *, side: int | None = PUBLISHED_SIDE, where: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Return the RGB pixels of image files, uint8 (N, side, side, 3).

    `side` None: that of the first image. `where`: the place that names each file, for the message. Raises
    InvalidOption if a file is missing, is no image of 8 bits a channel, or has another size.
    """
    pixels = np.empty((0, side or 0, side or 0, 3), np.uint8)
    for i, path in enumerate(paths):
        named = f" ({where[i]})" if where else ""
        rgb = _read_patch(path, side, named)
        if i == 0:
            side = rgb.shape[0]
            pixels = np.empty((len(paths), side, side, 3), np.uint8)
        pixels[i] = rgb
    return pixels


def _read_patch(path: Path, side: int | None, named: str) -> NDArray[np.uint8]:
    try:
        with Image.open(regular(path)) as image:
            width, height = image.size
            # Before the pixels are decoded: a file may claim any size.
            if width != height or (side is not None and width != side):
                wanted = f"{side} x {side}" if side else "square"
                raise InvalidOption(
                    f"{path}: is {width} x {height} px, not {wanted}{named}; all patches must have one size"
                )
            if image.mode not in _MODES:
                raise InvalidOption(
                    f"{path}: pixels are of mode {image.mode}, not 8 bits a channel{named}; save it as RGB"
                )
            rgb: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
            return rgb
    except FileNotFoundError:
        raise InvalidOption(
            f"{path}: no such image{named}; put it there, or take its row out of the table"
        ) from None
    # Pillow's PNG reader raises SyntaxError and ValueError, too, on damaged files.
    except (OSError, SyntaxError, Image.DecompressionBombError) as e:
        raise _unreadable(path, named, e) from e
    except ValueError as e:
        if isinstance(e, InvalidOption):
            raise
        raise _unreadable(path, named, e) from e


def _unreadable(path: Path, named: str, e: BaseException) -> InvalidOption:
    reason = getattr(e, "strerror", None) or " ".join(str(e).split()).replace(f" '{path}'", "")
    return InvalidOption(f"{path}: cannot be read as an image{named}: {reason}; get it again")


def pixels_sha256(parts: Sequence[Figures | None]) -> str:
    """Return the SHA-256 of all pixels, hexadecimal, in the order of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(np.ascontiguousarray(part.pixels).data if len(part) else b"")
    return digest.hexdigest()


def warn_of_contradictions(figures: Figures, source: Path) -> None:
    """Log how many labels differ from most of their experts' votes; the label is what is used."""
    for_amf, against = (figures.votes == 1).sum(axis=1), (figures.votes == 0).sum(axis=1)
    label_is_less = np.where(figures.atypical == 1, for_amf < against, for_amf > against)
    rows = np.flatnonzero(label_is_less)
    if len(rows):
        log.warning(
            "%s: %d labels are not what most of their experts said, such as that of %s; the label is used",
            source,
            len(rows),
            figures.names[rows[0]],
        )
