"""A small MIRAX slide: one level of lossy JPEG tiles, laid out as OpenSlide's reader expects them.

A folder with `Slidedat.ini`, `Index.dat` and `Data0000.dat` beside `NAME.mrxs`. MIRAX states a place for
each photo of the camera and leaves out those without tissue, so that OpenSlide shows a larger slide with
bounds around the photos that are there.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 256  # px of a photo
_ID = "0123456789ABCDEF0123456789ABCDEF"
_INI = """[GENERAL]
SLIDE_VERSION=01.02
SLIDE_ID={id}
IMAGENUMBER_X={columns}
IMAGENUMBER_Y={rows}
OBJECTIVE_MAGNIFICATION=40
CameraImageDivisionsPerSide=1

[HIERARCHICAL]
HIER_COUNT=1
NONHIER_COUNT=1
INDEXFILE=Index.dat
HIER_0_NAME=Slide zoom level
HIER_0_COUNT=1
HIER_0_VAL_0_SECTION=LAYER_0_LEVEL_0_SECTION
NONHIER_0_NAME=VIMSLIDE_POSITION_BUFFER
NONHIER_0_COUNT=1
NONHIER_0_VAL_0=default
NONHIER_0_VAL_0_SECTION=NONHIERLAYER_0_SECTION

[NONHIERLAYER_0_SECTION]
VIMSLIDE_POSITION_DATA_FORMAT_VERSION=257

[LAYER_0_LEVEL_0_SECTION]
OVERLAP_X=0
OVERLAP_Y=0
MICROMETER_PER_PIXEL_X=0.25
MICROMETER_PER_PIXEL_Y=0.25
IMAGE_FORMAT=JPEG
IMAGE_FILL_COLOR_BGR=16777215
DIGITIZER_WIDTH={side}
DIGITIZER_HEIGHT={side}
IMAGE_CONCAT_FACTOR=0

[DATAFILE]
FILE_COUNT=1
FILE_0=Data0000.dat
"""


def write_mirax(
    path: Path, region: NDArray[np.uint8], *, at: tuple[int, int], photos: tuple[int, int]
) -> Path:
    """A slide of `photos` (columns, rows), of which only those of `region` are there.

    region: uint8 RGB, its sides multiples of 256. at: its place, level-0 px; need not be a multiple of 256.
    """
    columns, rows = photos
    # Where each photo lies: all are moved by what `at` is off the grid.
    off = at[0] % SIDE, at[1] % SIDE
    places = b"".join(
        struct.pack("<Bii", 0, column * SIDE + off[0], row * SIDE + off[1])
        for row in range(rows)
        for column in range(columns)
    )
    data = bytearray(b"DATA" + places)
    entries = []
    for y in range(0, region.shape[0], SIDE):
        for x in range(0, region.shape[1], SIDE):
            photo = np.ascontiguousarray(region[y : y + SIDE, x : x + SIDE])
            jpeg = imagecodecs.jpeg8_encode(photo, level=95, subsampling="444")
            index = ((at[1] + y) // SIDE) * columns + (at[0] + x) // SIDE
            entries.append((index, len(data), len(jpeg), 0))
            data += jpeg
    folder = path.with_suffix("")
    folder.mkdir()
    path.write_bytes(b"\0")
    (folder / "Slidedat.ini").write_text(_INI.format(id=_ID, columns=columns, rows=rows, side=SIDE))
    (folder / "Data0000.dat").write_bytes(data)
    (folder / "Index.dat").write_bytes(_index(entries, place=4, size=len(places)))
    return path


def _index(entries: list[tuple[int, int, int, int]], *, place: int, size: int) -> bytes:
    """Two trees of pointers: to the photos of each level, and to what else the data file holds."""
    head = b"01.02" + _ID.encode()
    start = len(head)
    levels, others = start + 8, start + 12  # tables of one pointer each
    level, other = start + 16, start + 24  # each a zero, and a pointer to the first page
    other_page = start + 32
    level_page = other_page + 4 * 7
    numbers = [levels, others, level, other, 0, level_page, 0, other_page]
    numbers += [1, 0, 0, 0, place, size, 0]
    numbers += [len(entries), 0, *(n for entry in entries for n in entry)]
    return head + struct.pack(f"<{len(numbers)}i", *numbers)
