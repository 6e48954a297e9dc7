"""Measurement tables that QuPath 0.2 to 0.7 exports: one row for each object, with its centroid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slidemitosis.candidates.delimited import folded
from slidemitosis.candidates.refusal import refusal
from slidemitosis.candidates.table import UNITS, Layout, agreed_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slidemitosis.candidates.delimited import Delimited, Row
    from slidemitosis.candidates.model import Unit

LOOKED_FOR = "columns Centroid X and Centroid Y, in \N{MICRO SIGN}m or px"

_CENTROID = re.compile(r"centroid (?P<axis>[xy])(?: \(?(?P<unit>[^\s()]+)\)?)?")
# The micro sign after it was read in a wrong encoding: QuPath writes it or px, and nothing else.
_UNITS: Mapping[str, Unit] = {
    **UNITS,
    "\N{LATIN SMALL LETTER A WITH CIRCUMFLEX}\N{GREEK SMALL LETTER MU}m": "um",
    "\N{REPLACEMENT CHARACTER}m": "um",
    "?m": "um",
}
# What QuPath says of its own object, and not of the figure.
_OF_THE_OBJECT = {"parent", "roi", "object type", "num points"}
_CONTAINERS = {"image", "root object", "root object (image)", "tma core"}


def fits(names: Sequence[str]) -> bool:
    """Whether there are the columns of a centroid."""
    return {match["axis"] for name in names if (match := _centroid(name))} == {"x", "y"}


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Centroids in um or px of QuPath's own image, as the names of their columns say.

    Object ID is there from 0.4; Class became Classification in 0.5. Raises UnreadableCandidates, or
    InvalidOption for a unit that contradicts the columns.
    """
    matches = [_centroid(name) for name in table.names]
    x, y = (table.only([match is not None and match["axis"] == axis for match in matches]) for axis in "xy")
    assert x is not None
    assert y is not None
    object_id = table.column({"object id"})
    return Layout(
        format="qupath-table",
        x=x,
        y=y,
        unit=_unit(table, [match["unit"] for match in matches if match], unit),
        id=() if object_id is None else (object_id,),
        class_name=table.column({"class", "classification"}),
        image=table.column({"image"}),
        left_out=frozenset(i for i, name in enumerate(table.names) if name in _OF_THE_OBJECT),
        # QuPath writes the decimal mark of the system, and never parts thousands.
        comma=True,
        wanted=_wanted(table),
    )


def _unit(table: Delimited, words: Sequence[str | None], given: Unit | None) -> Unit:
    stated = {None if word is None else _UNITS[word] for word in words}
    if len(stated) > 1:
        raise refusal(table.path, "Centroid X and Centroid Y state different units; export the table again")
    unit = agreed_unit(stated.pop(), given, table.path)
    if unit is None:
        raise refusal(table.path, "Centroid X and Centroid Y state no unit; pass --unit px or um")
    return unit


def _wanted(table: Delimited) -> Callable[[Row], bool]:
    """Leaves out images and cores of tissue microarrays, and refuses several points in one object."""
    kind, roi = table.column({"object type"}), table.column({"roi"})
    count = table.column({"num points"})

    def wanted(row: Row) -> bool:
        line, fields = row
        if kind is not None and folded(fields[kind]) in _CONTAINERS:
            return False
        if roi is not None and folded(fields[roi]) == "points":
            text = "" if count is None else fields[count].strip()
            if not re.fullmatch(r"1([.,]0*)?", text):
                told = f"of {text} points" if text else "of points, perhaps of several"
                what = f"an object {told}: its centroid lies between the figures; export GeoJSON instead"
                table.fail(line, what)
        return True

    return wanted


def _centroid(name: str) -> re.Match[str] | None:
    """The match of a column of the centroid, without a unit or with one that we know."""
    match = _CENTROID.fullmatch(name)
    return match if match and (match["unit"] is None or match["unit"] in _UNITS) else None
