"""Files that people take for candidates and that are none, each with what to do instead."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_AS_CSV = "save it as CSV UTF-8"
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (
        b"\xac\xed\x00\x05",
        "data of QuPath (.qpdata), which QuPath alone reads; in QuPath: File > Export objects as GeoJSON",
    ),
    (b"\xd0\xcf\x11\xe0", f"an old Excel workbook or another Office file; {_AS_CSV}"),
    (b"\x89HDF", "HDF5; write the centres as a CSV with x and y, or as GeoJSON"),
    (b"MATLAB", "a MATLAB file; write the centres as a CSV with x and y"),
    (b"\x93NUMPY", "an array of NumPy; write the centres as a CSV with x and y"),
    (b"PAR1", "Parquet; write it as a CSV with x and y"),
    (b"%PDF", "a PDF; export the candidates as GeoJSON or CSV"),
    (b"{\\rtf", f"a text with formats (RTF); {_AS_CSV}"),
    (b"\x80\x04", "a pickle of Python, which is not read since it can run programs; write GeoJSON or CSV"),
    (b"\x80\x05", "a pickle of Python, which is not read since it can run programs; write GeoJSON or CSV"),
    (b"II*\0", "an image (TIFF), not candidates; are slide and points in each other's place?"),
    (b"MM\0*", "an image (TIFF), not candidates; are slide and points in each other's place?"),
    (b"II+\0", "an image (TIFF), not candidates; are slide and points in each other's place?"),
    (b"MM\0+", "an image (TIFF), not candidates; are slide and points in each other's place?"),
    (b"\x89PNG", "an image (PNG); masks are not read: export centres or outlines as GeoJSON"),
    (b"\xff\xd8\xff", "an image (JPEG), not candidates; export them as GeoJSON"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first, or pack it as zip"),
    (b"Rar!", "a RAR archive; unpack it first, or pack it as zip"),
    (b"BZh", "packed by bzip2; unpack it first, or pack it by gzip"),
    (b"\xfd7zXZ", "packed by xz; unpack it first, or pack it by gzip"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it first, or pack it by gzip"),
)


def foreign_kind(data: bytes) -> str | None:
    """Return what a file of another kind is, and what to do, by its first bytes; None for any other."""
    found = next((told for beginning, told in _BEGINNINGS if data.startswith(beginning)), None)
    if found is None and data.startswith(b"PK\3\4"):
        try:
            names = zipfile.ZipFile(io.BytesIO(data)).namelist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            return None
        if "xl/workbook.xml" in names:
            return f"an Excel workbook; {_AS_CSV}"
        if "META-INF/manifest.xml" in names and "content.xml" in names:
            return f"a spreadsheet of OpenOffice or the like; {_AS_CSV}"
    return found


def foreign_xml(root: Element) -> str | None:
    """Return what XML of another program is, and what to do; None for any other."""
    if root.tag == "Annotations" and root.find(".//Vertices/V") is not None:
        return (
            "annotations of HALO (.annotations), which are not supported; export GeoJSON or a CSV from HALO"
        )
    if root.tag in ("annotations", "ndpviewstate") and root.find(".//ndpviewstate") is not None:
        return "annotations of NDP.view (.ndpa), which are not supported; export GeoJSON from QuPath"
    return None
