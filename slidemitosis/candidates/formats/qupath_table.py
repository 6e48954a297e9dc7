"""Measurement tables that QuPath 0.2 to 0.7 exports: a row for each object, with its centroid."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.delimited import folded
from slidemitosis.candidates.formats.table import UNITS, Layout, agreed_unit, axis_and_unit
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slidemitosis.candidates.formats.delimited import Delimited, Row
    from slidemitosis.options.read import Unit

LOOKED_FOR = "columns Centroid X and Centroid Y, in \N{MICRO SIGN}m or px"

_CENTROID = re.compile(r"centroid (?P<axis>[xy])(?: \(?(?P<unit>[^\s()]+)\)?)?")
# A micro sign that was read in a wrong encoding: QuPath writes um with that sign or px, and nothing else.
_UNITS: Mapping[str, Unit] = {
    **UNITS,
    "\N{LATIN SMALL LETTER A WITH CIRCUMFLEX}\N{GREEK SMALL LETTER MU}m": "um",
    "\N{REPLACEMENT CHARACTER}m": "um",
    "?m": "um",
}
# What QuPath says of its object, and not of the figure.
_OF_THE_OBJECT = {"parent", "roi", "object type", "num points"}
_CONTAINERS = {"image", "root object", "root object (image)", "tma core"}


def fits(names: Sequence[str]) -> bool:
    """Tell whether there are the columns of a centroid."""
    return {found[0] for name in names if (found := _centroid(name))} == {"x", "y"}


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Return the layout: centroids in um or px of QuPath's own image, as the names of their columns say.

    The table of a project has columns of both units where some of its images lack a pixel size; a row is
    blank in those of one unit. Object ID is there from 0.4; Class became Classification in 0.5. Raises
    UnreadableCandidates, or InvalidOption for a unit that contradicts the columns.
    """
    pairs = _pairs(table)
    if unit in pairs:
        pairs = {unit: pairs[unit]}
    first, *others = [_layout(table, stated, pair, unit) for stated, pair in pairs.items()]
    return replace(first, otherwise=others[0]) if others else first


def _pairs(table: Delimited) -> Mapping[Unit | None, tuple[int, int]]:
    """Return the columns of X and Y by the unit that they state, um before px."""
    stated = [_centroid(name) for name in table.names]
    found: dict[Unit | None, tuple[int, int]] = {}
    order: tuple[Unit | None, ...] = ("um", "px", None)
    for unit in order:
        x, y = (table.only([one == (axis, unit) for one in stated]) for axis in "xy")
        if x is None and y is None:
            continue
        if x is None or y is None or (found and unit is None):
            what = "Centroid X and Centroid Y state different units; export the table again"
            raise refusal(table.path, what)
        found[unit] = (x, y)
    return found


def _layout(table: Delimited, stated: Unit | None, pair: tuple[int, int], given: Unit | None) -> Layout:
    unit = agreed_unit(stated, given, table.path)
    if unit is None:
        raise refusal(table.path, "Centroid X and Centroid Y state no unit; pass --unit px or um")
    object_id, kind = table.column({"object id"}), table.column({"object type"})
    x, y = pair
    return Layout(
        format="qupath-table",
        x=x,
        y=y,
        unit=unit,
        id=() if object_id is None else (object_id,),
        class_name=table.column({"class", "classification"}),
        image=table.column({"image"}),
        left_out=frozenset(
            i for i, name in enumerate(table.names) if name in _OF_THE_OBJECT or _centroid(name)
        ),
        # QuPath writes the decimal mark of the system, and never parts thousands.
        comma=True,
        wanted=lambda row: kind is None or folded(row[1][kind]) not in _CONTAINERS,
        check=_refuse_several_points(table),
    )


def _refuse_several_points(table: Delimited) -> Callable[[Row], None]:
    roi, count = table.column({"roi"}), table.column({"num points"})

    def check(row: Row) -> None:
        line, fields = row
        if roi is None or folded(fields[roi]) != "points":
            return
        text = "" if count is None else fields[count].strip()
        if not re.fullmatch(r"1([.,]0*)?", text):
            told = f"of {text} points" if text else "of points, perhaps of several"
            what = f"an object {told}: its centroid lies between the figures; export GeoJSON instead"
            table.fail(line, what)

    return check


def _centroid(name: str) -> tuple[str, Unit | None] | None:
    return axis_and_unit(_CENTROID.fullmatch(name), _UNITS)
