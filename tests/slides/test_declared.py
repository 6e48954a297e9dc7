"""A tile that says that it is larger than its page says is refused before it is decoded."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from slidemitosis.errors import UnreadableSlide, UnreadableStack
from slidemitosis.reading.stacks import PatchStack
from slidemitosis.slides import declared
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CODECS: dict[str, tuple[int, Any]] = {
    "JPEG": (7, imagecodecs.jpeg8_encode),
    "JPEG 2000": (34712, imagecodecs.jpeg2k_encode),
    "JPEG XL": (50002, imagecodecs.jpegxl_encode),
    "WebP": (50001, imagecodecs.webp_encode),
    "PNG": (34933, imagecodecs.png_encode),
}
_SIDE = 64


def grey(side: int) -> NDArray[np.uint8]:
    return np.full((side, side, 3), 200, np.uint8)


def write_slide(path: Path, codec: str, *, lies: int = 0, side: int = 1500) -> Path:
    """Write a slide of 16 tiles, of which the first `lies` declare another size than the page."""
    compression, encode = CODECS[codec]
    sound, lying = bytes(encode(grey(_SIDE))), bytes(encode(grey(side)))
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter([lying] * lies + [sound] * (16 - lies)),
            shape=(4 * _SIDE, 4 * _SIDE, 3),
            dtype=np.uint8,
            tile=(_SIDE, _SIDE),
            compression=compression,
            photometric="rgb",
        )
    return path


@pytest.mark.parametrize("codec", CODECS)
def test_a_tile_that_declares_another_size_is_refused_and_the_others_are_read(
    tmp_path: Path, codec: str
) -> None:
    path = write_slide(tmp_path / "lying.tif", codec, lies=1)
    with open_slide(path, reader="tiffslide") as slide:
        tracemalloc.start()
        with pytest.raises(UnreadableSlide, match=r"a tile declares 1500 x 1500 px, not 64 x 64$"):
            slide.read(0, 0, 0, 32, 32)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000  # decoded it has 6,750,000 bytes
        tracemalloc.stop()
    with open_slide(path, reader="tiffslide") as slide:
        assert abs(int(slide.read(0, 100, 100, 32, 32).mean()) - 200) <= 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_patch_of_a_stack_that_declares_another_size_is_refused(tmp_path: Path, codec: str) -> None:
    compression, encode = CODECS[codec]
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter([bytes(encode(grey(1500)))]),
            shape=(64, 64, 3),
            dtype=np.uint8,
            tile=(64, 64),
            compression=compression,
            photometric="rgb",
        )
    with PatchStack(path, side=64) as stack, pytest.raises(UnreadableStack, match="declares 1500 x 1500"):
        list(stack.batches(8))


def test_what_does_not_say_its_size_is_refused(tmp_path: Path) -> None:
    for codec, (compression, _) in CODECS.items():
        path = tmp_path / f"{codec}.tif"
        with tifffile.TiffWriter(path) as tif:
            shape: dict[str, Any] = {"shape": (64, 64, 3), "dtype": np.uint8, "tile": (64, 64)}
            tif.write(iter([b"no tile"]), **shape, compression=compression, photometric="rgb")
        with (
            open_slide(path, reader="tiffslide") as slide,
            pytest.raises(UnreadableSlide, match="does not say its size"),
        ):
            slide.read(0, 0, 0, 32, 32)


@pytest.mark.parametrize(
    "size", [(256, 256), (240, 100), (17, 3), (1200, 1000), (5, 4), (520, 9), (640, 360)]
)
def test_the_size_is_read_from_every_form_of_every_codec(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)

    def by_pillow(form: str, **options: Any) -> bytes:
        Image.fromarray(pixels).save(file := io.BytesIO(), form, exif=b"Exif\0\0II*\0", **options)
        return file.getvalue()

    def by_codec(name: str, **options: Any) -> bytes:
        return bytes(getattr(imagecodecs, f"{name}_encode")(pixels, **options))

    assert declared._jpeg(by_codec("jpeg8")) == size
    assert declared._jpeg(by_pillow("JPEG", progressive=True)) == size
    assert declared._jpeg2000(by_codec("jpeg2k")) == size
    assert declared._jpeg2000(by_codec("jpeg2k", codecformat="jp2")) == size
    assert declared._png(by_codec("png")) == size
    assert declared._webp(by_codec("webp", lossless=True)) == size
    assert declared._webp(by_codec("webp", lossless=False)) == size
    assert declared._webp(by_pillow("WEBP")) == size
    assert declared._jpeg_xl(by_codec("jpegxl")) == size
    assert declared._jpeg_xl(by_codec("jpegxl", usecontainer=True)) == size


@pytest.mark.parametrize("codec", CODECS)
def test_any_bytes_have_a_size_or_none(codec: str) -> None:
    read = declared._READERS[CODECS[codec][0]]
    sound = bytes(CODECS[codec][1](grey(64)))
    for end in range(len(sound)):
        read(sound[:end])
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = np.frombuffer(sound, np.uint8).copy()
        changed[rng.integers(0, min(len(sound), 60), 3)] = rng.integers(0, 256, 3)
        read(changed.tobytes())
