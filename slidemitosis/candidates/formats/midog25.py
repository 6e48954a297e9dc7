"""The table of the MIDOG 2025 challenge, track 2, of atypical and normal mitotic figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.table import Layout, agreed_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.formats.delimited import Delimited
    from slidemitosis.options.read import Unit

LOOKED_FOR = "columns image_id, filename, coordinateX and coordinateY"


def fits(names: Sequence[str]) -> bool:
    """Tell whether the columns are those of MIDOG 2025."""
    return {"image_id", "filename", "coordinatex", "coordinatey"} <= set(names)


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Return the layout: centres in px of the image `filename`, rows all mitotic figures, ids `image_id`."""
    agreed_unit("px", unit, table.path)
    at = table.names.index
    return Layout(
        format="midog25",
        x=at("coordinatex"),
        y=at("coordinatey"),
        unit="px",
        frame="level0",
        id=(at("image_id"),),
        class_name="Mitotic figure",
        image=at("filename"),
    )
