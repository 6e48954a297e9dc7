"""Tables that HoVer-NeXt writes for QuPath, one for each class, such as `pred_mitosis.tsv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.table import Layout, agreed_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.formats.delimited import Delimited
    from slidemitosis.options.read import Unit

LOOKED_FOR = "columns x, y, name and color, and no other"


def fits(names: Sequence[str]) -> bool:
    """Tell whether the columns are those of HoVer-NeXt, which QuPath writes too for points with names."""
    return sorted(filter(None, names)) == ["color", "name", "x", "y"]


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Return the layout: centres in px of level 0 from the corner of the slide's bounds, as QuPath shows it.

    HoVer-NeXt subtracts OpenSlide's bounds before it infers (`get_shapes`), and scales what it found at
    20x up again before it writes (`create_tsvs`). So the frame is not that of the whole slide.
    """
    agreed_unit("px", unit, table.path)
    at = table.names.index
    return Layout(format="hover-next", x=at("x"), y=at("y"), unit="px", class_name=at("name"))
