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

from slidemitosis.errors import UnreadableSlide
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiff import BadTiff, EndlessTiff, page_places, read_directories
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


def _pages(number: int, *, after_last: int) -> bytes:
    """Return a TIFF of `number` grey pages of one pixel; `after_last`: the page that the last leads on to."""
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 6), (277, 1), (278, 1), (279, 1)]
    size = 2 + 12 * len(tags) + 4
    data = struct.pack("<2sHIB3x", b"II", 42, 12, 0)
    for i in range(number):
        following = after_last if i == number - 1 else i + 1
        data += struct.pack("<H", len(tags))
        data += b"".join(struct.pack("<HHII", tag, 4, 1, 8 if tag == 273 else value) for tag, value in tags)
        data += struct.pack("<I", 12 + size * following)
    return data


@pytest.mark.parametrize(("number", "after_last", "page"), [(1, 0, 1), (3, 2, 3), (4, 1, 4), (130, 0, 130)])
def test_directories_that_lead_back_are_one_line_in_every_reader(
    tmp_path: Path, number: int, after_last: int, page: int
) -> None:
    """tifffile follows such pages without end, and keeps each: this took all memory."""
    path = tmp_path / "a.tif"
    path.write_bytes(_pages(number, after_last=after_last))
    with pytest.raises(EndlessTiff, match=f"after page {page} is that of an earlier page"):
        read_directories(io.BytesIO(path.read_bytes()))
    for reader in ("auto", "tiffslide"):
        with pytest.raises(UnreadableSlide, match=f"after page {page} is that of an earlier page"):
            open_slide(path, reader=reader)


def test_more_pages_than_a_slide_has_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = bytearray(_pages(1500, after_last=0))
    data[-4:] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(EndlessTiff, match="more than 1000"):
        read_directories(io.BytesIO(data))
    assert len(page_places(io.BytesIO(data))) == 1500
    with pytest.raises(UnreadableSlide, match="more than 1000 TIFF directories"):
        open_slide(path, reader="tiffslide")
