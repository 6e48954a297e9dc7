"""Pictures of every kind: read in their own colours and places by whichever reader, or refused."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from slidemitosis.cli import main
from slidemitosis.errors import UnreadableSlide
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.tiffslide import says_rgb
from tests.conftest import aperio_description, position_colours

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.options.read import Reader

READERS: tuple[Reader, ...] = ("auto", "openslide", "tiffslide")
RGB = position_colours(200, 130)
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
ALPHA = np.where(np.arange(200) < 100, 255, 128).astype(np.uint8)[None, :].repeat(130, axis=0)
MULTIPLIED = (RGB.astype(int) * ALPHA[..., None] // 255).astype(np.uint8)
OVER_WHITE = (RGB.astype(int) * ALPHA[..., None] + 255 * (255 - ALPHA[..., None].astype(int))) / 255
COLORMAP = np.arange(256, dtype=np.uint16)[None, :].repeat(3, axis=0) * 257

KINDS: dict[str, tuple[NDArray[Any], dict[str, Any], NDArray[Any]]] = {
    "rgb": (RGB, {"photometric": "rgb"}, RGB),
    "rgb, a plane each": (np.moveaxis(RGB, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, RGB),
    "rgb and alpha": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        OVER_WHITE,
    ),
    "rgb multiplied by alpha": (
        np.dstack([MULTIPLIED, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
        OVER_WHITE,
    ),
    "YCbCr": (np.asarray(Image.fromarray(RGB).convert("YCbCr")), {"photometric": "ycbcr"}, RGB),
    "palette": (GREY, {"photometric": "palette", "colormap": COLORMAP}, RGB),
    "CMYK": (np.asarray(Image.fromarray(RGB).convert("CMYK")), {"photometric": "separated"}, RGB),
    "CIELab": (RGB, {"photometric": "cielab"}, RGB),
    "grey": (GREY, {"photometric": "minisblack"}, RGB),
    "grey of JPEG": (GREY, {"photometric": "minisblack", "compression": "jpeg"}, RGB),
    "grey, white is 0": (GREY, {"photometric": "miniswhite"}, RGB),
    "grey and alpha": (
        np.dstack([GREY, ALPHA]),
        {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
        RGB,
    ),
    "grey, 16 bits": (GREY.astype(np.uint16) * 257, {"photometric": "minisblack"}, RGB),
    "rgb, 16 bits": (RGB.astype(np.uint16) * 16, {"photometric": "rgb"}, RGB),
    "rgb, signed": (RGB.view(np.int8), {"photometric": "rgb"}, RGB),
    "rgb, floats": (RGB.astype(np.float32), {"photometric": "rgb"}, RGB),
    "rgb and what nobody knows": (
        np.dstack([RGB, ALPHA]),
        {"photometric": "rgb", "extrasamples": ["unspecified"]},
        RGB,
    ),
    "rgb called grey": (RGB, {"photometric": "minisblack", "planarconfig": "contig"}, RGB),
    "two colours": (GREY > 128, {"photometric": "minisblack"}, RGB),
}


def write(path: Path, pixels: NDArray[Any], *, tiled: bool = True, **layout: Any) -> Path:
    tile: dict[str, Any] = {"tile": (64, 64)} if tiled else {}
    tifffile.imwrite(
        path, pixels, metadata=None, resolution=(40000, 40000), resolutionunit=3, **tile, **layout
    )
    return path


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_read_in_its_own_colours_or_refused(tmp_path: Path, kind: str, tiled: bool) -> None:
    pixels, layout, wanted = KINDS[kind]
    path = write(tmp_path / "a.tif", pixels, tiled=tiled, **layout)
    read = []
    for reader in READERS:
        with contextlib.suppress(UnreadableSlide), open_slide(path, reader=reader) as slide:
            read.append(reader)
            difference = np.abs(slide.read(0, 0, 0, 200, 130).astype(float) - wanted)
            assert difference.max() <= 3, reader
    # What slides are, and what OpenSlide alone reads right, is not refused.
    known = {"rgb": 3, "rgb and alpha": 3, "rgb, a plane each": 2, "rgb multiplied by alpha": 2, "YCbCr": 2}
    if tiled:
        assert len(read) == known.get(kind, 0)
    else:
        assert read == (["auto", "tiffslide"] if kind in ("rgb", "rgb and alpha") else [])


@pytest.mark.parametrize("command", ["inspect", "classify"])
def test_inspect_and_classify_say_the_same_of_a_picture_without_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = write(tmp_path / "a.tif", GREY.astype(np.uint16), photometric="minisblack")
    points = tmp_path / "a.csv"
    points.write_text("x,y\n60,60\n")
    assert main([command, str(path), "--points", str(points), "--model", "lite0"]) == 2
    assert "its picture is 16-bit grey" in capsys.readouterr().err


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("turned", [0, 2, 3, 4, 5, 6, 7, 8])
def test_a_picture_that_is_to_be_turned_is_refused(tmp_path: Path, reader: Reader, turned: int) -> None:
    path = write(
        tmp_path / "a.tif", RGB, photometric="rgb", compression="lzw", extratags=[(274, 3, 1, turned)]
    )
    with pytest.raises(UnreadableSlide, match=f"Orientation is {turned}"):
        open_slide(path, reader=reader)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("level", [0, 1])
def test_a_turned_or_grey_page_of_any_level_is_refused(tmp_path: Path, reader: Reader, level: int) -> None:
    full, small = position_colours(512, 384), position_colours(128, 96)
    said: dict[str, Any] = {
        "description": aperio_description(512, 384, 0.25),
        "software": False,
        "metadata": None,
    }
    for name, turned, is_grey in (("turned.svs", 6, False), ("grey.svs", 1, True)):
        with tifffile.TiffWriter(tmp_path / name) as tif:
            for i, pixels in enumerate(
                (full, full[::16, ::16], small)
            ):  # Aperio's second page is a thumbnail
                here = i == 2 * level
                picture = pixels[..., 0] if is_grey and here else pixels
                layout: dict[str, Any] = {"tile": (64, 64)} if i != 1 else {"rowsperstrip": 24}
                layout["photometric"] = "minisblack" if picture.ndim == 2 else "rgb"
                layout["extratags"] = [(274, 3, 1, turned if here else 1)]
                tif.write(np.ascontiguousarray(picture), **layout, **said)
        wanted = "8-bit grey" if is_grey else "Orientation is 6"
        with pytest.raises(UnreadableSlide, match=wanted):
            open_slide(tmp_path / name, reader=reader)


def planes(path: Path, channels: dict[str, Any] | None, *, number: int = 3, tiled: bool = True) -> Path:
    grey = np.moveaxis(RGB, -1, 0) if number == 3 else np.stack([GREY] * number)
    about = {"axes": "CYX", **({"Channel": channels} if channels else {})}
    tile: dict[str, Any] = {"tile": (64, 64)} if tiled else {}
    tifffile.imwrite(path, grey, ome=True, photometric="minisblack", metadata=about, **tile)
    return path


@pytest.mark.parametrize("tiled", [True, False])
def test_planes_that_are_red_green_and_blue_are_read_as_colours(tmp_path: Path, tiled: bool) -> None:
    path = planes(tmp_path / "a.ome.tif", {"Name": ["Red", "Green", "Blue"]}, tiled=tiled)
    with open_slide(path) as slide:
        assert slide.info.reader == "tiffslide"
        assert slide.info.planes == 1
        np.testing.assert_array_equal(slide.read(0, 0, 0, 200, 130), RGB)


@pytest.mark.parametrize("tiled", [True, False])
def test_planes_of_which_nothing_says_that_they_are_colours_are_read_as_such_only_if_asked(
    tmp_path: Path, tiled: bool
) -> None:
    path = planes(tmp_path / "a.ome.tif", None, tiled=tiled)
    with pytest.raises(UnreadableSlide, match=r"3 pages of one size, .*--reader tiffslide"):
        open_slide(path)
    with open_slide(path, reader="tiffslide") as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 200, 130), RGB)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("names", [["DAPI", "FITC", "Cy5"], ["Blue", "Green", "Red"]])
def test_planes_of_other_colours_are_refused(tmp_path: Path, reader: Reader, names: list[str]) -> None:
    path = planes(tmp_path / "a.ome.tif", {"Name": names})
    with pytest.raises(UnreadableSlide, match="grey"):
        open_slide(path, reader=reader)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("number", [2, 4])
def test_two_or_four_planes_are_no_colours(tmp_path: Path, reader: Reader, number: int) -> None:
    path = planes(tmp_path / "a.ome.tif", None, number=number)
    with pytest.raises(UnreadableSlide, match=f"{number} pages of one size"):
        open_slide(path, reader=reader)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        (['Name="Red"', 'Name="Green"', 'Name="Blue"'], True),
        (['Color="-16776961"', "Color='16711935'", 'Color="65535"'], True),
        (['Color="-1"', 'Color="-1"', 'Color="-1"'], None),
        (['Name="Channel 0"', 'Name="Channel 1"', 'Name="C:2"'], None),
        (['Name="0" Color="65535"', 'Name="1" Color="16711935"', 'Name="2" Color="-16776961"'], False),
        (['Name="Red"', 'Name="Green"', 'Name="Hoechst"'], False),
        ([], None),
    ],
)
def test_what_ome_xml_says_of_three_channels(attributes: list[str], said: bool | None) -> None:
    channels = "".join(f'<Channel ID="Channel:0:{i}" {a}/>' for i, a in enumerate(attributes))
    other = "<Image><Pixels><Channel Name='DAPI'/></Pixels></Image>"
    assert says_rgb(f"<OME>{other}<Image ID='1'><Pixels>{channels}</Pixels></Image></OME>", 1) is said


@pytest.mark.parametrize("reader", ["auto", "openslide"])
def test_of_several_planes_the_first_is_read_with_a_warning(
    tmp_path: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "z.ome.tif"
    stack = np.stack([RGB, 255 - RGB])
    about = {"axes": "ZYXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    tifffile.imwrite(path, stack, ome=True, photometric="rgb", tile=(64, 64), metadata=about)
    with open_slide(path, reader=reader) as slide:
        assert slide.info.planes == 2
        np.testing.assert_array_equal(slide.read(0, 0, 0, 200, 130), RGB)
    points = tmp_path / "a.csv"
    points.write_text("x,y\n60,60\n")
    with caplog.at_level(logging.WARNING):
        main(["inspect", str(path), "--points", str(points), "--mpp", "0.25", "--reader", reader])
    assert "2 planes of one size" in caplog.text
