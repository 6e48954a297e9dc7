"""Read labelled figures in their authors' layouts and in three of our own: see docs/data.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption
from slidemitosis.toml_tables import nearest
from slidemitosis.train.data.ami_br import read_ami_br
from slidemitosis.train.data.class_folders import read_atnorm_br, read_atnorm_md, read_folder
from slidemitosis.train.data.midog25 import read_midog25
from slidemitosis.train.data.on_slides import read_on_slides
from slidemitosis.train.data.patch_table import read_patch_table
from slidemitosis.train.data.reviewed import read_review

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.train.data.figures import LabelledData

LAYOUTS = {
    "ami-br": read_ami_br,
    "atnorm-br": read_atnorm_br,
    "atnorm-md": read_atnorm_md,
    "midog25": read_midog25,
    "folder": read_folder,
    "csv": read_patch_table,
    "slides": read_on_slides,
    "review": read_review,
}
"""Name of a layout -> its reader."""


def read_data(name: str, path: Path) -> LabelledData:
    """Read the labelled figures at `path`, whose layout is `name` of LAYOUTS.

    Raises InvalidOption with one line that names file, row and column of what is missing or wrong.
    """
    if name not in LAYOUTS:
        raise InvalidOption(f"no data layout {name!r}{nearest(name, LAYOUTS)}; known: {', '.join(LAYOUTS)}")
    if not path.exists():
        raise InvalidOption(f"{path}: no such file or folder; give its place as {name}=PATH")
    return LAYOUTS[name](path)
