"""Read the pixel size that the OME-XML of a TIFF states, in whatever unit of length.

OpenSlide looks at the resolution tags alone, and tiffslide at micrometres. QuPath shows what the OME-XML
says.
"""

from __future__ import annotations

import math

from slidemitosis.geometry import PixelSize

_PREFIXES = {
    "Y": 24,
    "Z": 21,
    "E": 18,
    "P": 15,
    "T": 12,
    "G": 9,
    "M": 6,
    "k": 3,
    "h": 2,
    "da": 1,
    "": 0,
    "d": -1,
    "c": -2,
    "m": -3,
    "\u00b5": -6,
    "\u03bc": -6,
    "u": -6,
    "n": -9,
    "p": -12,
    "f": -15,
    "a": -18,
    "z": -21,
    "y": -24,
}
_INCH = 25400.0  # um
_UNITS = {
    **{f"{prefix}m": 10.0 ** (power + 6) for prefix, power in _PREFIXES.items()},
    "\u00c5": 1e-4,
    "\u212b": 1e-4,  # two signs for the angstrom
    "thou": _INCH / 1000,
    "li": _INCH / 12,
    "in": _INCH,
    "ft": 12 * _INCH,
    "yd": 36 * _INCH,
    "mi": 63360 * _INCH,
    "pt": _INCH / 72,
    "ua": 149597870700e6,
    "ly": 9460730472580800e6,
    "pc": 3.0856775814913673e22,
}
"""OME's units of length in um; "pixel" and "reference frame" are none."""


def ome_pixel_size(description: str, size: tuple[int, int]) -> PixelSize | None:
    """Return um/px of the image of this size, px, in a TIFF's description.

    None if it is no OME-XML, states none, or states several for images of this size.
    """
    if "<OME" not in description[:4096]:
        return None
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(description.encode("utf-8", "replace"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    found = set()
    for pixels in root.iter():
        if pixels.tag.rpartition("}")[2] == "Pixels" and _sides(pixels.attrib) == size:
            sides = tuple(_length(pixels.attrib, axis) for axis in "XY")
            if all(sides):
                found.add(sides)
    if len(found) != 1:
        return None
    x, y = found.pop()
    return PixelSize(x, y) if x and y else None


def _sides(stated: dict[str, str]) -> tuple[int, int] | None:
    try:
        return int(stated["SizeX"]), int(stated["SizeY"])
    except (KeyError, ValueError):
        return None


def _length(stated: dict[str, str], axis: str) -> float | None:
    unit = _UNITS.get(stated.get(f"PhysicalSize{axis}Unit", "\u00b5m").strip())
    try:
        length = float(stated[f"PhysicalSize{axis}"]) * (unit or 0)
    except (KeyError, ValueError):
        return None
    return round(length, 9) if math.isfinite(length) and length > 0 else None
