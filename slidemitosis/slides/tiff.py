"""TIFF and BigTIFF directories, as far as the tiles of a slide need them.

Written out because every reader process opens the slide: tifffile would import for a tenth of a second and
make a Python number of each place of a million tiles. TIFF 6.0, and BigTIFF for files above 4 GB.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Types of values, by TIFF's number: bytes, text, short, long, undefined, IFD, and BigTIFF's three.
_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_SUB_DIRECTORIES = 330
# Slides have a dozen; more is a loop, or a stack of something else.
_MOST_DIRECTORIES = 1000


class BadTiff(ValueError):
    """Not a TIFF, or one with damaged directories. It never leaves the package: see `direct`."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where the values of one tag lie in the file."""

    dtype: np.dtype[Any]
    count: int
    offset: int  # bytes from the start of the file

    def read(self, file: BinaryIO) -> NDArray[Any]:
        """The values, (count,), in this machine's byte order. Raises BadTiff."""
        data = _bytes(file, self.offset, self.count * self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).astype(self.dtype.newbyteorder("="), copy=False)


Directory = dict[int, Field]
"""Tag -> where its values are. Tags whose type holds no whole numbers, nor bytes, are left out."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one file's directories are written: "<" or ">", and the formats of its numbers."""

    order: str
    count: str  # number of tags of a directory
    offset: str  # place in the file; also the number of a tag's values

    @property
    def inline(self) -> int:
        """Bytes of a tag's values that are kept in the tag itself, in place of where they are."""
        return struct.calcsize(self.offset)

    def unpack(self, form: str, data: bytes) -> tuple[Any, ...]:
        return struct.unpack(self.order + form, data)


def read_directories(file: BinaryIO) -> list[Directory]:
    """The directories of a TIFF in their order, each followed by its SubIFDs. Raises BadTiff, OSError."""
    layout, offset = _header(file)
    found: list[Directory] = []
    while offset:
        directory, offset = _directory(file, layout, offset)
        found.append(directory)
        if _SUB_DIRECTORIES in directory:
            below = directory[_SUB_DIRECTORIES].read(file)[:_MOST_DIRECTORIES].tolist()
            found += [_directory(file, layout, at)[0] for at in below]
        if len(found) > _MOST_DIRECTORIES:
            raise BadTiff(f"more than {_MOST_DIRECTORIES} TIFF directories")
    return found


def page_places(file: BinaryIO) -> list[int]:
    """Where the directories of a TIFF's pages begin, bytes from its start, in their order; without SubIFDs.

    Raises BadTiff where they do not lead to an end, and OSError.
    """
    layout, offset = _header(file)
    places: dict[int, None] = {}
    while offset:
        if offset in places:
            raise BadTiff(f"the TIFF directory after page {len(places)} is that of an earlier page")
        try:
            _, following = _directory(file, layout, offset)
        except BadTiff as e:
            raise BadTiff(f"page {len(places) + 1}: {e}") from None
        places[offset] = None
        offset = following
    return list(places)


def whole_number(file: BinaryIO, directory: Mapping[int, Field], tag: int, default: int) -> int:
    """A tag that holds one number, or several that are the same; -1 if they differ. Raises BadTiff."""
    if tag not in directory:
        return default
    values = set(directory[tag].read(file).tolist())
    return int(values.pop()) if len(values) == 1 else -1


def _header(file: BinaryIO) -> tuple[_Layout, int]:
    start = _bytes(file, 0, 8)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        raise BadTiff("not a TIFF")
    (version,) = struct.unpack(order + "H", start[2:4])
    if version == 42:
        return _Layout(order, "H", "I"), struct.unpack(order + "I", start[4:])[0]
    if version == 43 and struct.unpack(order + "HH", start[4:]) == (8, 0):
        return _Layout(order, "Q", "Q"), struct.unpack(order + "Q", _bytes(file, 8, 8))[0]
    raise BadTiff(f"TIFF of version {version}")


def _directory(file: BinaryIO, layout: _Layout, at: int) -> tuple[Directory, int]:
    """One directory, and where the next one is; 0 after the last."""
    head, inline = struct.calcsize(layout.count), layout.inline
    (number,) = layout.unpack(layout.count, _bytes(file, at, head))
    if number > 4096:  # a tag each for all that was ever defined
        raise BadTiff(f"{number} tags in one TIFF directory")
    size = 4 + 2 * inline
    data = _bytes(file, at + head, number * size + inline)
    directory: Directory = {}
    for start in range(0, number * size, size):
        tag, kind, count = layout.unpack(f"HH{layout.offset}", data[start : start + 4 + inline])
        if kind not in _TYPES:
            continue
        dtype = np.dtype(layout.order + _TYPES[kind])
        place = at + head + start + 4 + inline
        if count * dtype.itemsize > inline:
            (place,) = layout.unpack(layout.offset, data[start + 4 + inline : start + size])
        directory[tag] = Field(dtype, count, place)
    return directory, layout.unpack(layout.offset, data[number * size :])[0]


def _bytes(file: BinaryIO, offset: int, size: int) -> bytes:
    # The end is asked first: a damaged size must not reserve memory for it.
    if offset + size > file.seek(0, 2):
        raise BadTiff("the file ends within its TIFF directories")
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise BadTiff("the file ends within its TIFF directories")
    return data
