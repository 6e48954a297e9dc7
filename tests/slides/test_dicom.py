"""Files of one DICOM slide are known by their series, however the file is encoded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from slidemitosis.slides.dicom import dicom_series

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCE = (0x0008, 0x1115)  # of other series, each with a UID of its own


def element(
    tag: tuple[int, int], kind: bytes, value: bytes, *, explicit: bool, length: int | None = None
) -> bytes:
    value += b"\0" * (len(value) % 2)
    length = len(value) if length is None else length
    if not explicit:
        return struct.pack("<HHI", *tag, length) + value
    if kind == b"SQ":
        return struct.pack("<HH2s2xI", *tag, kind, length) + value
    return struct.pack("<HH2sH", *tag, kind, length) + value


def dicom(series: bytes, *, explicit: bool = True, undefined: bool = False) -> bytes:
    syntax = b"1.2.840.10008.1.2.1" if explicit else b"1.2.840.10008.1.2"
    other = element((0x0020, 0x000E), b"UI", b"9.9.9", explicit=explicit)
    if undefined:
        item = (
            struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + other + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        )
        items = item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        sequence = element(SEQUENCE, b"SQ", items, explicit=explicit, length=0xFFFFFFFF)
    else:
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(other)) + other
        sequence = element(SEQUENCE, b"SQ", item, explicit=explicit)
    body = sequence + element((0x0020, 0x000E), b"UI", series, explicit=explicit)
    head = element((0x0002, 0x0010), b"UI", syntax, explicit=True)
    return bytes(128) + b"DICM" + head + body


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_the_series_of_the_file_is_found_and_none_that_it_refers_to(
    tmp_path: Path, explicit: bool, undefined: bool
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(b"1.2.3", explicit=explicit, undefined=undefined))
    assert dicom_series(path) == "1.2.3"


def test_what_is_no_dicom_or_is_cut_off_is_of_no_series(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.dcm", dicom(b"1.2.3")
    for end in range(len(whole) - 6):
        path.write_bytes(whole[:end])
        assert dicom_series(path) is None
    assert dicom_series(tmp_path / "none.dcm") is None
