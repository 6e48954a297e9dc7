"""Read a user's own patches: a CSV with a row for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.train.data.patches import read_patches
from slidemitosis.train.data.rows import data_of_rows
from slidemitosis.train.data.table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.train.data.figures import LabelledData


def read_patch_table(path: Path) -> LabelledData:
    """Read a CSV with the columns image and label; the data set's name is the file's.

    image: path of a square patch, relative to the CSV's folder; all have one size. label: AMF or NMF,
    atypical or normal, 1 or 0. Optional: slide, patient, domain, x and y (centre, level-0 px),
    subtype, expert1 to expertN (as label; empty where not asked), split (train or test). Raises
    InvalidOption.
    """
    table = read_table(path, ("image", "label"))
    images = table.column(table.needed, "image")
    places = [path.parent / image for image in images]
    table.refuse_repeated([p.resolve() for p in places], "image")
    table.column(table.label, "label")  # raises for a bad label before the images are read
    pixels = read_patches(places, side=None, where=[f"{path.name}, row {n}" for n in table.lines])
    return data_of_rows(
        table,
        names=images,
        pixels=pixels,
        slides=table.column(table.text, "slide"),
        known=("image",),
    )
