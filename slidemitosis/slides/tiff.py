"""Read TIFF and BigTIFF directories, as far as a slide's tiles need them.

Every reader process opens the slide, and tifffile would take a tenth of a second to import and make a million
Python numbers of the tiles' places. Source: TIFF 6.0, and BigTIFF for files above 4 GB.
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
MOST_DIRECTORIES = 1000
"""Most that a slide has: scanners write a dozen."""
_MOST_EQUAL = 1024  # numbers, one a sample, that a tag of one number may hold


class BadTiff(ValueError):
    """The file is no TIFF, or its directories are damaged. Callers turn it into a reason or another error."""


class EndlessTiff(BadTiff):
    """Its directories lead back to an earlier one, or are too many: a library may follow them for ever."""


@dataclass(frozen=True, slots=True)
class Field:
    """Place and type of one tag's values in the file."""

    dtype: np.dtype[Any]
    count: int
    offset: int  # bytes from the start of the file

    def read(self, file: BinaryIO) -> NDArray[Any]:
        """Read the values, (count,), in this machine's byte order. Raises BadTiff."""
        data = _bytes(file, self.offset, self.count * self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).astype(self.dtype.newbyteorder("="), copy=False)


Directory = dict[int, Field]
"""Tag -> place of its values; only tags whose values are whole numbers or bytes."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Byte order and number formats of one file's directories, in the words of `struct`."""

    order: str  # "<" or ">"
    count: str  # number of tags of a directory
    offset: str  # place in the file; also the number of a tag's values

    def unpack(self, form: str, data: bytes) -> tuple[Any, ...]:
        return struct.unpack(self.order + form, data)


def read_directories(file: BinaryIO) -> list[Directory]:
    """Read the directories of a TIFF in order, each followed by its SubIFDs. Raises BadTiff, OSError."""
    layout, offset = _header(file)
    found: list[Directory] = []
    places: set[int] = set()
    while offset:
        if offset in places:
            raise EndlessTiff(_leads_back(len(places)))
        places.add(offset)
        directory, offset = _directory(file, layout, offset)
        found.append(directory)
        if _SUB_DIRECTORIES in directory:
            below = directory[_SUB_DIRECTORIES].read(file)[:MOST_DIRECTORIES].tolist()
            found += [_directory(file, layout, at)[0] for at in below]
        if len(found) > MOST_DIRECTORIES:
            raise EndlessTiff(_too_many(MOST_DIRECTORIES))
    return found


def page_places(file: BinaryIO, *, most: int | None = None) -> list[int]:
    """Return where the directory of each page begins, in bytes from the file's start; without SubIFDs.

    Raises BadTiff if a directory is damaged, EndlessTiff if one leads back to an earlier one or there are
    more than `most`, and OSError.
    """
    layout, offset = _header(file)
    places: dict[int, None] = {}
    while offset:
        if offset in places:
            raise EndlessTiff(_leads_back(len(places)))
        if len(places) == most:
            raise EndlessTiff(_too_many(most))
        try:
            _, following = _directory(file, layout, offset)
        except BadTiff as e:
            raise BadTiff(f"page {len(places) + 1}: {e}") from None
        places[offset] = None
        offset = following
    return list(places)


def _too_many(most: int) -> str:
    return f"more than {most} TIFF directories"


def _leads_back(page: int) -> str:
    return f"the TIFF directory after page {page} is that of an earlier page"


def whole_number(file: BinaryIO, directory: Mapping[int, Field], tag: int, default: int) -> int:
    """Read a tag that holds one number, or several equal ones; return -1 if they differ. Raises BadTiff."""
    if tag not in directory:
        return default
    if directory[tag].count > _MOST_EQUAL:
        return -1
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
    """Read one directory; return it and the place of the next, 0 after the last."""
    # `inline`: most bytes of values that are written in the tag itself, instead of their place.
    head, inline = struct.calcsize(layout.count), struct.calcsize(layout.offset)
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
    # Compared with the file's size first, so that a damaged number does not reserve memory.
    if offset + size <= file.seek(0, 2):
        file.seek(offset)
        data = file.read(size)
        if len(data) == size:
            return data
    raise BadTiff("the file ends within its TIFF directories")
