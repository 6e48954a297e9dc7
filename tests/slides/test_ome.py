"""The pixel size in OME-XML, in every unit of length that OME knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tifffile

from slidemitosis.geometry import PixelSize
from slidemitosis.slides.ome import ome_pixel_size
from slidemitosis.slides.open import open_slide
from tests.conftest import position_colours

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.options.read import Reader


def xml(*images: str) -> str:
    inner = "".join(f'<Image ID="Image:{i}"><Pixels {stated}/></Image>' for i, stated in enumerate(images))
    return (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{inner}</OME>'
    )


def stating(length: str, unit: str | None, size: str = 'SizeX="300" SizeY="200"') -> str:
    units = "" if unit is None else f'PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}"'
    return f'{size} PhysicalSizeX="{length}" PhysicalSizeY="{length}" {units}'


@pytest.mark.parametrize(
    ("length", "unit"),
    [
        *[("0.25", "\u00b5m"), ("0.25", "\u03bcm"), ("0.25", None), ("250", "nm"), ("0.00025", "mm")],
        *[("2.5E-7", "m"), ("0.000025", "cm"), ("250000", "pm"), ("2500", "\u00c5"), ("2.5e-10", "km")],
        *[("9.84251968503937e-06", "in"), ("0.00984251968503937", "thou"), ("7.086614173228346e-04", "pt")],
    ],
)
def test_every_unit_of_length_comes_out_in_micrometres(length: str, unit: str | None) -> None:
    found = ome_pixel_size(xml(stating(length, unit)), (300, 200))
    assert found is not None
    assert (found.x, found.y) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(
    "description",
    [
        xml(stating("0.25", "pixel")),
        xml(stating("0.25", "reference frame")),
        xml(stating("0", "nm")),
        xml(stating("-1", "nm")),
        xml(stating("nan", "nm")),
        xml(stating("1e400", "nm")),
        xml('SizeX="300" SizeY="200"'),
        xml(stating("0.25", None, 'SizeX="30" SizeY="20"')),
        xml(stating("0.25", None), stating("0.5", None)),
        "<OME",
        "Aperio <OME",
        '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "b">]><OME>&a;</OME>',
        "",
    ],
)
def test_what_states_no_length_of_this_image_or_several_is_none(description: str) -> None:
    assert ome_pixel_size(description, (300, 200)) is None


def test_of_several_images_that_of_this_size_counts() -> None:
    label = stating("8000", "nm", 'SizeX="30" SizeY="20"')
    found = ome_pixel_size(xml(label, stating("250", "nm")), (300, 200))
    assert found == PixelSize(0.25, 0.25)


@pytest.mark.parametrize("reader", ["auto", "openslide", "tiffslide"])
def test_a_slide_that_states_its_pixels_in_ome_xml_alone_has_them(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "a.ome.tif"
    stated = {"axes": "YXS", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm"}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(
            position_colours(300, 200),
            tile=(64, 64),
            photometric="rgb",
            compression="lzw",
            metadata={**stated, "PhysicalSizeY": 0.0005, "PhysicalSizeYUnit": "mm"},
        )
    with open_slide(path, reader=reader) as slide:
        assert slide.info.mpp == PixelSize(0.25, 0.5)
