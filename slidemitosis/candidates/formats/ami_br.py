"""The table of AMi-Br (Bertram et al. 2025): mitotic figures of MIDOG 2021 and TUPAC16, subtyped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.table import Layout, agreed_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.formats.delimited import Delimited
    from slidemitosis.options.read import Unit

LOOKED_FOR = "columns slide, dataset, uid, x, y and majority_atypical"


def fits(names: Sequence[str]) -> bool:
    """Tell whether the columns are those of AMi-Br."""
    return {"slide", "dataset", "uid", "x", "y", "majority_atypical"} <= set(names)


def layout(table: Delimited, unit: Unit | None) -> Layout:
    """Return the layout: centres in px of the original image, rows all mitotic figures, uid by data set."""
    agreed_unit("px", unit, table.path)
    at = table.names.index
    return Layout(
        format="ami-br",
        x=at("x"),
        y=at("y"),
        unit="px",
        frame="level0",
        id=(at("dataset"), at("uid")),
        class_name="Mitotic figure",
        image=at("slide"),
    )
