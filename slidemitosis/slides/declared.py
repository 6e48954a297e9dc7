"""Read how large the compressed tiles of a TIFF say that they are, before a library believes them.

A tile of a few bytes may declare 65,500 x 65,500 px, and its codec then reserves and fills 12 GiB. OpenSlide
and `slides.tiles` compare what a tile declares with what its page says; tifffile does not, and `guard` makes
it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# TIFF's numbers of compressions, by what decodes them.
_JPEG = (6, 7, 33007, 34892)
_JPEG2000 = (33003, 33004, 33005, 34712)
_PNG, _WEBP, _JPEG_XL = (34933,), (34927, 50001), (50002, 52546)
_PLAIN = (1, 5, 8, 32773, 32946, 34925, 34926, 50000, 50013)
"""What tifffile unpacks into as many bytes as the page says, and no more."""

_MOST = 4
"""How many times its page's pixels a tile may declare; encoders fill tiles up to whole blocks."""
_LARGEST = 1 << 31  # bytes of one decoded tile or strip


class BadDeclaration(ValueError):
    """A tile declares a size that its page does not, or none. Callers turn it into an error of the slide."""


def guard(page: Any) -> None:
    """Let a page of tifffile check every tile or strip that it decodes. Raises BadDeclaration for the page.

    The page's `decode` then raises BadDeclaration, too.
    """
    page = page.keyframe
    if page.is_tiled:
        width, height = int(page.tilewidth), int(page.tilelength)
    else:
        width, height = int(page.imagewidth), min(int(page.rowsperstrip), int(page.imagelength))
    compression = int(page.compression)
    if width * height * int(page.samplesperpixel) > _LARGEST:
        raise BadDeclaration(
            f"its {'tiles' if page.is_tiled else 'strips'} are {width} x {height} px, too large"
        )
    if compression in _PLAIN:
        return
    if compression not in _READERS:
        raise BadDeclaration(f"its compression {compression} cannot be checked before it is unpacked")
    declared, decode = _READERS[compression], page.decode

    def checked(data: bytes | None, *args: Any, jpegheader: bytes | None = None, **more: Any) -> Any:
        if data is not None:
            _check(declared((jpegheader or b"") + bytes(data)), width, height)
        if jpegheader is not None:
            more["jpegheader"] = jpegheader
        return decode(data, *args, **more)

    page.decode = checked


def _check(declared: tuple[int, int] | None, width: int, height: int) -> None:
    if declared is None:
        raise BadDeclaration("a tile does not say its size: damaged")
    if declared[0] * declared[1] > _MOST * width * height:
        raise BadDeclaration(f"a tile declares {declared[0]} x {declared[1]} px, not {width} x {height}")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Return width and height of the first frame of a JPEG; None if there is none."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fills up
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker in (0xD8, 0x01):
            at += 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg2000(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG 2000 codestream, which a file of boxes may hold."""
    data = _in_boxes(data, b"jP  ", {b"jp2c": 0})
    if not data.startswith(b"\xff\x4f\xff\x51") or len(data) < 24:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    return max(right - left, 0), max(bottom - top, 0)


def _in_boxes(data: bytes, first: bytes, wanted: dict[bytes, int]) -> bytes:
    """Return what is in the first of the wanted boxes, but for so many bytes; all, if there are no boxes.

    first: name of the box by which a file of boxes is known.
    """
    if data[4:8] != first:
        return data
    at = 0
    while at + 16 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 16 if size == 1 else 8
        if name in wanted:
            return data[at + head + wanted[name] :]
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
        if size < head:  # 0: up to the end
            break
        at += size
    return b""


def _png(data: bytes) -> tuple[int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _webp(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP in any of its three forms."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


_XL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""JPEG XL's usual ratios of width to height."""


def _jpeg_xl(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG XL codestream, which a file of boxes may hold."""
    data = _in_boxes(data, b"JXL ", {b"jxlc": 0, b"jxlp": 4})
    if not data.startswith(b"\xff\x0a"):
        return None
    bits, taken = int.from_bytes(data[2:14], "little"), 0

    def take(number: int) -> int:
        nonlocal taken
        value = bits >> taken & ((1 << number) - 1)
        taken += number
        return value

    def side(is_small: int) -> int:
        return 8 * (take(5) + 1) if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    is_small = take(1)
    height = side(is_small)
    ratio = _XL_RATIOS.get(take(3))
    return (height * ratio[0] // ratio[1] if ratio else side(is_small)), height


_READERS: dict[int, Callable[[bytes], tuple[int, int] | None]] = {
    **dict.fromkeys(_JPEG, _jpeg),
    **dict.fromkeys(_JPEG2000, _jpeg2000),
    **dict.fromkeys(_PNG, _png),
    **dict.fromkeys(_WEBP, _webp),
    **dict.fromkeys(_JPEG_XL, _jpeg_xl),
}
