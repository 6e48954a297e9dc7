"""Directories of a TIFF: as tifffile reads them, and damage is a reason."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.slides.tiff import BadTiff, read_directories
from tests.slides.jpeg_slides import Coding, write_ome, write_page

if TYPE_CHECKING:
    from pathlib import Path


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_directories_are_a_reason_and_never_another_error(at: int, value: int) -> None:
    data = bytearray(_SMALL)
    data[at % len(data)] = value
    try:
        for directory in read_directories(io.BytesIO(data)):
            for one in directory.values():
                one.read(io.BytesIO(data))
    except BadTiff:
        pass


def _small_tiff() -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        write_page(tif, np.full((64, 64, 3), 90, np.uint8), Coding(tile=(32, 32)), subifds=1)
        write_page(tif, np.full((32, 32, 3), 90, np.uint8), Coding(tile=(32, 32)))
    return file.getvalue()


_SMALL = _small_tiff()


@pytest.mark.parametrize("container", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_directories_say_what_tifffile_says(tmp_path: Path, container: dict[str, Any]) -> None:
    path = write_ome(tmp_path / "a.ome.tif", **container)
    with tifffile.TiffFile(path) as tif, path.open("rb") as file:
        first = tif.pages[0]
        assert isinstance(first, tifffile.TiffPage)
        assert first.pages is not None
        pages = [first, *first.pages]
        found = read_directories(file)
        assert len(found) == len(pages) == 2
        for directory, page in zip(found, pages, strict=True):
            assert tuple(directory[324].read(file)) == page.dataoffsets
            assert tuple(directory[325].read(file)) == page.databytecounts
            assert directory[256].read(file).tolist() == [page.imagewidth]


def test_a_loop_of_directories_ends(tmp_path: Path) -> None:
    loop = struct.pack("<2sHIHI", b"II", 42, 8, 0, 8)  # one directory, which is its own next one
    with pytest.raises(BadTiff, match="more than 1000"):
        read_directories(io.BytesIO(loop))
