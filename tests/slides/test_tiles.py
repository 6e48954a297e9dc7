"""Tiles decoded without the library: damaged ones give what OpenSlide gives, and the cache keeps its size."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import UnreadableSlide
from slidemitosis.reading.windows import Window, reading_order
from slidemitosis.reading.worker import ReopeningSlide
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiles import CACHE_BYTES, TileCache, TileReader
from tests.conftest import JPEG
from tests.slides.jpeg_slides import Coding, assert_same, encode, jpeg_tiff, texture, with_tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

# Damage.


def scribbled(tile: bytes) -> bytes:
    middle = len(tile) // 2
    return tile[:middle] + b"\x00\xff\x12\x00\x55\xaa\xff\x99" + tile[middle + 8 :]


def one_bit(at: float) -> Callable[[bytes], bytes]:
    def change(tile: bytes) -> bytes:
        i = int(len(tile) * at)
        return tile[:i] + bytes([tile[i] ^ 16]) + tile[i + 1 :]

    return change


def other(side: int, coding: Coding) -> Callable[[bytes], bytes]:
    return lambda _: encode(texture(side, side, 5), coding)


def grey(_: bytes) -> bytes:
    return simplejpeg.encode_jpeg(texture(128, 128)[..., :1].copy(), colorspace="GRAY")  # type: ignore[no-any-return]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut to half": lambda tile: tile[: len(tile) // 2],
    "cut to its header": lambda tile: tile[:500],
    "cut by a byte": lambda tile: tile[:-1],
    "no end marker": lambda tile: tile[:-2],
    "no start marker": lambda tile: tile[2:],
    "scribbled over": scribbled,
    "zeros": lambda tile: bytes(len(tile)),
    "ones": lambda tile: b"\xff" * len(tile),
    "one byte": lambda tile: b"\xff",
    "smaller": other(120, Coding()),
    "larger": other(136, Coding()),
    "grey": grey,
    "samples are RGB": other(128, Coding("RGB", "444")),
    "other subsampling": other(128, Coding("YCbCr", "444")),
    "bytes behind it": lambda tile: tile + bytes(50),
    **{f"a bit at {at}": one_bit(at) for at in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)},
}

SPOT = (256, 128, 128, 128)
"""Tile 7 of rows of 5: its third in the second row."""


def outcome(path: Path, reader: Any) -> NDArray[np.uint8] | str:
    with open_slide(path, reader=reader) as slide:
        try:
            return slide.read(0, *SPOT)
        except UnreadableSlide as e:
            return str(e)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_tile_gives_what_openslide_gives(tmp_path: Path, kind: str) -> None:
    path = jpeg_tiff(tmp_path / "a.tif", change={7: DAMAGE[kind]})
    ours, theirs = outcome(path, "auto"), outcome(path, "openslide")
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        np.testing.assert_array_equal(ours, theirs)
    with open_slide(path) as slide, open_slide(path, reader="openslide") as library:
        assert slide.info.not_direct == (None, None)  # one bad tile must not slow the whole slide
        assert_same(slide, library, 0, [(0, 0, 128, 128), (384, 256, 128, 128)])


@pytest.mark.parametrize(
    ("tag", "value"),
    [("TileOffsets", 10**9), ("TileByteCounts", 10**9), ("TileOffsets", 9), ("TileByteCounts", 40)],
)
def test_a_tile_that_is_elsewhere_gives_what_openslide_gives(tmp_path: Path, tag: str, value: int) -> None:
    path = with_tag(jpeg_tiff(tmp_path / "a.tif"), tag, value, at=7)
    ours, theirs = outcome(path, "auto"), outcome(path, "openslide")
    assert isinstance(theirs, str)
    assert ours == theirs
    with open_slide(path) as slide:
        assert slide.info.not_direct == (None, None)


def test_after_an_error_of_the_library_a_new_handle_reads_on(tmp_path: Path) -> None:
    path = jpeg_tiff(tmp_path / "a.tif", change={7: DAMAGE["cut to half"]})
    reader = ReopeningSlide(lambda: open_slide(path), 128)
    with open_slide(path, reader="openslide") as library:
        want = library.read(0, 0, 0, 128, 128)
    for _ in range(2):
        with pytest.raises(UnreadableSlide, match=r"a\.tif: level 0 at x 256, y 128"):
            reader.read(Window(0, 256, 128, 128, 128, None))
        np.testing.assert_array_equal(reader.read(Window(0, 0, 0, 128, 128, None)), want)
    reader.close()


# The cache.


def test_each_tile_is_decoded_once_and_the_cache_keeps_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, rows = 30, 20
    assert columns * rows * 3 * 256 * 256 > 1.5 * CACHE_BYTES
    path = tmp_path / "a.tif"
    tile = encode(texture(256, 256), Coding())
    shape = (rows * 256, columns * 256, 3)
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter([tile] * columns * rows), shape=shape, dtype=np.uint8, tile=(256, 256), metadata=None, **JPEG
        )
    rng = np.random.default_rng(0)
    places = rng.integers(-64, [shape[1] - 64, shape[0] - 64], (3000, 2)).tolist()
    windows = [Window(0, x, y, 128, 128, None) for x, y in places]
    count: Counter[int] = Counter()
    fetch = TileReader._fetch

    def counted(self: TileReader, offset: int, size: int) -> bytes:
        count[offset] += 1
        return fetch(self, offset, size)

    with open_slide(path) as slide:
        assert slide.info.not_direct == (None,)
        assert slide._tiles is not None
        slide._tiles.cache = TileCache()  # those of the proof
        monkeypatch.setattr(TileReader, "_fetch", counted)
        for i in reading_order(windows, slide.info.tile):
            w = windows[i]
            slide.read(w.level, w.x, w.y, w.width, w.height)
            assert slide._tiles.cache.bytes <= CACHE_BYTES
    assert len(count) > 0.99 * columns * rows
    assert set(count.values()) == {1}


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(0, 30))
def test_the_cache_holds_the_tiles_used_last_within_its_bytes(uses: list[int], limit: int) -> None:
    cache = TileCache(limit)
    last: list[int] = []  # most recent first; a tile's number is its size
    for n in uses:
        if cache.get((0, n)) is None:
            cache.put((0, n), np.zeros(n, np.uint8))
        assert cache.bytes <= limit
        if n <= limit:
            last = [n, *(k for k in last if k != n)]
    # Whatever fits, counted from the tile used last, is there.
    for i, n in enumerate(last):
        if sum(last[: i + 1]) <= limit:
            assert cache.get((0, n)) is not None


def test_a_tile_that_is_used_again_outlives_one_that_is_not() -> None:
    cache, tile = TileCache(2), np.zeros(1, np.uint8)
    cache.put((0, 1), tile)
    cache.put((0, 2), tile)
    assert cache.get((0, 1)) is not None
    cache.put((0, 3), tile)
    assert [cache.get((0, n)) is not None for n in (1, 2, 3)] == [True, False, True]
