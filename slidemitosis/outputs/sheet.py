"""A contact sheet: some patches as the model would see them, to check places by eye."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slidemitosis.errors import OutputError, UnreadableSlide
from slidemitosis.files import write_whole
from slidemitosis.reading.worker import read_patch

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.reading.prepare import Prepared

MOST = 48
_COLUMNS = 8
_GAP = 4  # px between patches


def write_sheet(prepared: Prepared, path: Path) -> int:
    """Write up to 48 patches, evenly taken from the points file's order, as PNG; how many were written.

    A patch that cannot be read stays grey. Raises OutputError.
    """
    by_candidate = dict(zip(prepared.to_read, prepared.windows, strict=True))
    rows = sorted(by_candidate)
    rows = [rows[i] for i in np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int)]
    side = prepared.plan.patch
    step = side + _GAP
    lines = max(1, math.ceil(len(rows) / _COLUMNS))
    sheet = np.full((lines * step + _GAP, _COLUMNS * step + _GAP, 3), 128, np.uint8)
    slide = prepared.open_slide()
    try:
        for i, row in enumerate(rows):
            y, x = (_GAP + step * v for v in divmod(i, _COLUMNS))
            try:
                sheet[y : y + side, x : x + side] = read_patch(slide, by_candidate[row], side)
            except UnreadableSlide:
                slide.close()
                slide = prepared.open_slide()
    finally:
        slide.close()
    _refuse_other_files(path)
    data = io.BytesIO()
    Image.fromarray(sheet).save(data, format="PNG")
    write_whole(path, data.getvalue())
    return len(rows)


def _refuse_other_files(path: Path) -> None:
    """A sheet may replace a PNG and nothing else: not a slide, say."""
    try:
        with path.open("rb") as f:
            is_png = f.read(4) == b"\x89PNG"
    except FileNotFoundError:
        return
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror or e}") from e
    if not is_png:
        raise OutputError(f"{path}: cannot be written: a file that is no PNG is there, and is not replaced")
