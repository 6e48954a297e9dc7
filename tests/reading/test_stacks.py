"""Stacks of patches: every page in its order, and no page lost, whatever is wrong with the file."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from slidemitosis.errors import UnreadableStack
from slidemitosis.reading.stacks import PatchStack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 16
PATCHES = np.random.default_rng(0).integers(0, 256, (7, SIDE, SIDE, 3), np.uint8)


def by_pillow(patches: NDArray[np.uint8] = PATCHES, mode: str = "RGB", **how: Any) -> bytes:
    """As the challenge's organisers write stacks."""
    file, (first, *others) = io.BytesIO(), [Image.fromarray(p).convert(mode) for p in patches]
    first.save(file, "TIFF", save_all=True, append_images=others, **how)
    return file.getvalue()


def by_tifffile(patches: NDArray[Any] = PATCHES, **how: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, patches, **({"photometric": "rgb"} | how))
    return file.getvalue()


def read(path: Path, data: bytes, *, size: int = 3) -> NDArray[np.uint8]:
    path.write_bytes(data)
    with PatchStack(path, side=SIDE) as stack:
        batches = list(stack.batches(size))
        assert len(stack) == sum(map(len, batches))
        assert all(len(b) == size for b in batches[:-1])
    return np.concatenate(batches)


@pytest.mark.parametrize(
    "data",
    [
        by_pillow(),
        by_pillow(compression="tiff_lzw"),
        by_pillow(compression="tiff_deflate"),
        by_tifffile(),
        by_tifffile(compression="zlib", predictor=True),
        by_tifffile(tile=(16, 16), compression="lzw"),
        by_tifffile(bigtiff=True),
        by_tifffile(byteorder=">"),
        by_tifffile(imagej=True),
        by_tifffile(ome=True),
    ],
)
def test_every_kind_of_stack_is_read_as_it_was_written(tmp_path: Path, data: bytes) -> None:
    np.testing.assert_array_equal(read(tmp_path / "s.tiff", data), PATCHES)


@pytest.mark.parametrize("write", [by_pillow, by_tifffile])
def test_jpeg_pages_have_their_colours(tmp_path: Path, write: Any) -> None:
    """tifffile writes YCbCr, Pillow RGB; one taken for the other would be another colour by far."""
    flat = np.array([[200, 60, 90], [40, 160, 220]], np.uint8)[:, None, None]
    patches = np.broadcast_to(flat, (2, SIDE, SIDE, 3))
    found = read(tmp_path / "s.tiff", write(np.ascontiguousarray(patches), compression="jpeg"))
    assert np.abs(found.astype(int) - patches).max() <= 4


@given(pages=st.integers(1, 9), size=st.integers(1, 10))
def test_no_page_is_lost_whatever_the_batches(
    tmp_path_factory: pytest.TempPathFactory, pages: int, size: int
) -> None:
    patches = np.random.default_rng(pages).integers(0, 256, (pages, SIDE, SIDE, 3), np.uint8)
    path = tmp_path_factory.mktemp("law") / "s.tiff"
    np.testing.assert_array_equal(read(path, by_pillow(patches), size=size), patches)


WHOLE = by_pillow(PATCHES[:4], compression="tiff_lzw")


@settings(max_examples=200)
@given(at=st.integers(0, len(WHOLE) - 1))
def test_a_stack_that_is_cut_anywhere_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    try:
        found = read(tmp_path_factory.mktemp("cut") / "s.tiff", WHOLE[:at])
    except UnreadableStack as e:
        assert "\n" not in str(e)  # noqa: PT017
    else:
        np.testing.assert_array_equal(found, PATCHES[:4])


def with_next_page(data: bytes, page: int, target: int) -> bytes:
    """`data`, whose page `page` (from 0) names `target` (bytes from the start) as where the next one is."""
    at = page_place(data, page)
    (tags,) = struct.unpack("<H", data[at : at + 2])
    place = at + 2 + 12 * tags
    return data[:place] + struct.pack("<I", target) + data[place + 4 :]


def page_place(data: bytes, page: int) -> int:
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        return int(tif.pages[page].offset)


def damaged_page(page: int) -> bytes:
    """A stack of which one page's pixels cannot be unpacked."""
    data = bytearray(by_tifffile(compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        start, count = tif.pages[page].dataoffsets[0], tif.pages[page].databytecounts[0]
    data[start : start + count] = bytes(count)
    return bytes(data)


def without_pixels(page: int) -> bytes:
    """A stack of which one page states that its pixels take no bytes; tifffile reads such a page as black."""
    data = bytearray(by_tifffile(compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        written = tif.pages[page]
        assert isinstance(written, tifffile.TiffPage)
        tag = written.tags["StripByteCounts"]
        data[tag.valueoffset : tag.valueoffset + tag.valuebytecount] = bytes(tag.valuebytecount)
    return bytes(data)


LATER_OTHER = by_pillow(np.pad(PATCHES, ((0, 0), (0, 1), (0, 0), (0, 0))))
PLAIN = by_tifffile()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file ends within its TIFF directories"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a TIFF"),
        (b"II*\0" + bytes(4), "holds no page"),
        (LATER_OTHER, "page 1 is 16 x 17 px; patches of 16 x 16 px, RGB with 8 bit, are wanted$"),
        (by_tifffile(np.zeros((200, 300, 3), np.uint8)), "a slide is for `slidemitosis classify`"),
        (by_tifffile(PATCHES.astype(np.uint16)), "page 1 holds uint16, 16 x 16 x 3"),
        (by_pillow(mode="L"), "page 1 holds uint8, 16 x 16;"),
        (by_pillow(mode="P"), "page 1 holds uint8, 16 x 16;"),
        (by_pillow(mode="RGBA"), "page 1 holds uint8, 16 x 16 x 4;"),
        (by_pillow(mode="LAB"), "page 1 has colours of another kind"),
        (by_pillow(mode="YCbCr"), "page 1 has colours of another kind"),
        (
            by_tifffile(PATCHES.transpose(0, 3, 1, 2).copy(), planarconfig="separate"),
            "holds uint8, 3 x 16 x 16",
        ),
        (by_tifffile(truncate=True), r"more patches than it has pages \(1\)"),
        (with_next_page(PLAIN, 6, page_place(PLAIN, 2)), "after page 7 is that of an earlier page"),
        (with_next_page(PLAIN, 6, len(PLAIN) + 9), "page 8: the file ends"),
        (with_next_page(PLAIN, 2, 3), "page 4: "),
        (damaged_page(4), "page 5 is damaged: "),
        (without_pixels(4), "page 5 is damaged: pixels without a place"),
        (by_tifffile(compression="lzw")[:-9], "page 7 is cut off: the file ends 9 bytes before it"),
    ],
)
def test_what_is_no_stack_is_one_line_that_names_the_page(
    tmp_path: Path, data: bytes, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnreadableStack, match=words) as caught:
        read(tmp_path / "s.tiff", data)
    assert str(caught.value).startswith(f"{tmp_path / 's.tiff'}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # tifffile has much to say of such files


def test_a_later_page_of_another_size_is_named_before_anything_is_read(tmp_path: Path) -> None:
    pages = [Image.fromarray(p) for p in PATCHES]
    pages[3] = pages[3].resize((SIDE, SIDE + 1))
    pages[0].save(tmp_path / "s.tiff", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableStack, match="page 4 is 16 x 17 px"):
        PatchStack(tmp_path / "s.tiff", side=SIDE)


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.tiff", "No such file"), (tmp_path, "cannot be read: ")):
        with pytest.raises(UnreadableStack, match=words):
            PatchStack(path, side=SIDE)
