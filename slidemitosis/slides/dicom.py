"""Tell which files of a folder are of one DICOM slide, without opening it: by the series that each names.

Source: DICOM PS3.5 (data elements) and PS3.10 (files). Only what stands before the series is read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from slidemitosis.files import regular

if TYPE_CHECKING:
    from pathlib import Path

_READ = 1 << 20  # bytes within which a file names its series
_SYNTAX, _SERIES = (0x0002, 0x0010), (0x0020, 0x000E)
_IMPLICIT = "1.2.840.10008.1.2"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Kinds of values whose length has four bytes, behind two that are not used."""
_OPEN = 0xFFFFFFFF
_ITEM, _ITEM_ENDS, _SEQUENCE_ENDS = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


def dicom_series(path: Path) -> str | None:
    """Return the UID of the series that a DICOM file is of; None if it is none, or does not say."""
    try:
        with regular(path).open("rb") as file:
            data = file.read(_READ)
    except (OSError, ValueError):
        return None
    if data[128:132] != b"DICM":
        return None
    try:
        return _series(data)
    except struct.error:  # it ends before its series
        return None


def _series(data: bytes) -> str | None:
    at, explicit, implicit, depth = 132, True, False, 0
    while True:
        tag, length, at = _element(data, at, explicit=explicit)
        if tag in (_ITEM_ENDS, _SEQUENCE_ENDS):
            depth -= 1
        elif length == _OPEN:
            depth += 1
        elif tag == _ITEM and depth:
            continue  # its elements follow, and are passed by one by one
        else:
            text = data[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
            if tag == _SYNTAX:
                implicit = text == _IMPLICIT
            if depth <= 0 and tag == _SERIES:
                return text or None
            if depth <= 0 and tag > _SERIES:
                return None
            at += length
            # The header, group 2, is explicit always; what follows is as the header says.
            if depth <= 0 and data[at : at + 2] > b"\2\0" and tag[0] == 2:
                explicit = not implicit


def _element(data: bytes, at: int, *, explicit: bool) -> tuple[tuple[int, int], int, int]:
    """Return tag, length and place of the value of the element at this byte."""
    group, number = struct.unpack_from("<HH", data, at)
    if group == 0xFFFE or not explicit:
        return (group, number), struct.unpack_from("<I", data, at + 4)[0], at + 8
    kind = data[at + 4 : at + 6]
    if kind in _LONG:
        return (group, number), struct.unpack_from("<I", data, at + 8)[0], at + 12
    return (group, number), struct.unpack_from("<H", data, at + 6)[0], at + 8
