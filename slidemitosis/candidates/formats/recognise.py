"""Which format a file is of, by its content or because the user says so, and the reader to call."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from slidemitosis.candidates.formats import (
    ami_br,
    asap,
    coco,
    databases,
    grand_challenge,
    hover_next,
    imagescope,
    midog25,
    qupath_table,
    sliderunner,
    table,
    tiatoolbox,
)
from slidemitosis.candidates.formats.delimited import find_delimiter
from slidemitosis.candidates.formats.foreign import foreign_xml
from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.xml_files import parse_xml
from slidemitosis.candidates.refusal import refusal
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.options.read import Format, Unit

Container = Literal["JSON", "a table", "XML", "an SQLite database"]

_HELD_BY: dict[Container, tuple[Format, ...]] = {
    "JSON": ("geojson", "midog", "coco", "grand-challenge", "tiatoolbox"),
    "a table": ("csv", "qupath-table", "midog25", "ami-br", "hover-next"),
    "XML": ("asap", "imagescope"),
    "an SQLite database": ("sliderunner", "tiatoolbox"),
}
# The particular ones first: most of them have columns x and y too.
_TABLES = {
    "qupath-table": qupath_table,
    "midog25": midog25,
    "ami-br": ami_br,
    "hover-next": hover_next,
    "csv": table,
}
_FIRST = 1 << 20  # bytes within which the first feature of GeoJSON ends
_HEAD = 1 << 16  # bytes within which GeoJSON says that it is GeoJSON
_GEOJSON = re.compile(
    r'"type"\s*:\s*"(Feature|FeatureCollection|(Multi)?(Point|Polygon|LineString)|GeometryCollection)"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A file to be read, and what the user says of it."""

    path: Path
    unit: Unit | None = None
    format: Format | None = None
    """None where the content of the file decides."""
    slide_name: str | None = None
    """The slide's file name, which tells its image in a file of several."""


def read_json(text: bytes, request: Request) -> Candidates:
    """Read the candidates in JSON, UTF-8. Raises UnreadableCandidates, or InvalidOption."""
    _check_container("JSON", request)
    path, found = request.path, request.format
    # The whole is not parsed for this: exports of QuPath are the largest files by far.
    head = text[:_HEAD].decode(errors="ignore")
    if found is None and _GEOJSON.search(head):
        first = text[:_FIRST].decode(errors="ignore")
        found = "tiatoolbox" if tiatoolbox.looks_like_export(first) else "geojson"
    if found == "geojson":
        _check_unit("GeoJSON", "px", request)
        return parse_geojson(text, path=path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return parse_geojson(text, path=path)  # it says where JSON goes wrong
    if found == "tiatoolbox":
        _check_unit("TIAToolbox's GeoJSON", "px", request)
        return tiatoolbox.parse_export(document, path=path)
    if found == "grand-challenge" or (found is None and grand_challenge.fits(document)):
        if request.unit != "px":
            _check_unit("Grand Challenge's JSON", "mm", request)
        return grand_challenge.parse_points(document, path=path, unit=request.unit or "um")
    if found is not None or coco.fits(document):
        _check_unit("JSON of MIDOG or COCO", "px", request)
        boxes = cast("coco.Boxes | None", found)  # every other format is dealt with
        return coco.parse_coco(document, path=path, slide_name=request.slide_name, boxes=boxes)
    if isinstance(document, list) or "features" in document:
        return parse_geojson(text, path=path)
    raise refusal(path, f"JSON but no GeoJSON: {_what_json_lacks(document)}")


def _what_json_lacks(document: Mapping[str, object]) -> str:
    stated = f"the type {document['type']!r}" if "type" in document else ", ".join(map(repr, document))
    return (
        f"expected a FeatureCollection, found {stated[:200] or 'an empty object'}; nor has it "
        f"{coco.LOOKED_FOR} (MIDOG, COCO), or {grand_challenge.LOOKED_FOR} (Grand Challenge)"
    )


def read_table(text: str, request: Request) -> Candidates:
    """Read the candidates in a table. Raises UnreadableCandidates, or InvalidOption."""
    _check_container("a table", request)
    kinds = [kind for name, kind in _TABLES.items() if request.format in {None, name}]
    others = ", nor those of QuPath (Centroid X), MIDOG 2025 (coordinateX), AMi-Br or HoVer-NeXt"
    found = find_delimiter(
        text,
        request.path,
        fits=lambda names: any(kind.fits(names) for kind in kinds),
        looked_for=kinds[-1].LOOKED_FOR + (others if request.format is None else ""),
    )
    kind = next(kind for kind in kinds if kind.fits(found.names))
    return table.read_rows(found, kind.layout(found, request.unit), slide_name=request.slide_name)


def read_xml(data: bytes, request: Request) -> Candidates:
    """Read the candidates in XML. Raises UnreadableCandidates, or InvalidOption."""
    _check_container("XML", request)
    path, root = request.path, parse_xml(data, request.path)
    if (kind := foreign_xml(root)) is not None:
        raise refusal(path, kind)
    if request.format == "asap" or (request.format is None and asap.fits(root)):
        _check_unit("ASAP's XML", "px", request)
        return asap.parse_asap(root, path=path)
    if request.format == "imagescope" or imagescope.fits(root):
        _check_unit("ImageScope's XML", "px", request)
        return imagescope.parse_imagescope(root, path=path)
    looked_for = f"{asap.LOOKED_FOR} (ASAP) or {imagescope.LOOKED_FOR} (ImageScope)"
    raise refusal(path, f"XML with the root {root.tag!r}; looked for {looked_for}")


def read_database(request: Request) -> Candidates:
    """Read the candidates in an SQLite database. Raises UnreadableCandidates, or InvalidOption."""
    _check_container("an SQLite database", request)
    path, asked = request.path, request.format
    with databases.opened(path) as database:
        tables = database.columns()
        if asked != "tiatoolbox" and sliderunner.fits(tables):
            _check_unit("SlideRunner's database", "px", request)
            columns = tables["annotations"]
            return sliderunner.read_sliderunner(database, columns, slide_name=request.slide_name)
        if asked != "sliderunner" and tiatoolbox.fits(tables):
            _check_unit("TIAToolbox's store", "px", request)
            return tiatoolbox.read_store(database)
    found = ", ".join(sorted(tables)[:20]) or "no tables"
    looked_for = f"{sliderunner.LOOKED_FOR} (SlideRunner), or {tiatoolbox.LOOKED_FOR} (TIAToolbox)"
    raise refusal(path, f"an SQLite database with {found}; looked for {looked_for}")


def _check_container(container: Container, request: Request) -> None:
    held = _HELD_BY[container]
    if request.format is not None and request.format not in held:
        raise InvalidOption(
            f"{request.path}: is {container}, which holds no {request.format}; leave --format out, or choose "
            f"among {', '.join(held)}"
        )


def _check_unit(what: str, unit: str, request: Request) -> None:
    """Refuse a unit that contradicts a format whose unit is always the same."""
    if request.unit not in {None, unit}:
        raise InvalidOption(
            f"{request.path}: {what} is in {unit}, yet the unit given is {request.unit}; leave the unit out"
        )
