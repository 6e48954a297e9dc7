"""The tables that HoVer-NeXt writes for QuPath, one for each class: `pred_mitosis.tsv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.table import Layout, agreed_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.candidate import Unit
    from slidemitosis.candidates.formats.delimited import Delimited

LOOKED_FOR = "columns x, y, name and color, and no other"


def fits(names: Sequence[str]) -> bool:
    """Whether the columns are those of HoVer-NeXt, which are also those of named points of QuPath."""
    return sorted(filter(None, names)) == ["color", "name", "x", "y"]


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Centres in px of level 0, from the corner of the slide's bounds: made to be seen in QuPath.

    HoVer-NeXt subtracts OpenSlide's bounds before it infers (`get_shapes`), and scales what it found at
    20x up again before it writes (`create_tsvs`). So the frame is not that of the whole slide.
    """
    agreed_unit("px", unit, table.path)
    at = table.names.index
    return Layout(format="hover-next", x=at("x"), y=at("y"), unit="px", class_name=at("name"))
