"""Read MIDOG25's training set of atypical and normal figures: a CSV, and patches beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.files import regular
from slidemitosis.train.data.figures import Figures, LabelledData
from slidemitosis.train.data.patches import pixels_sha256, read_patches, warn_of_contradictions
from slidemitosis.train.data.table import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.train.data.table import Table

_EXPERTS = ("expert1", "expert2", "expert3")
_NEEDED = ("image_id", "filename", "coordinateX", "coordinateY", "Tumor", *_EXPERTS, "majority")
_CITATION = ("The MIDOG 2025 challenge, track 2: its training set of atypical and normal mitotic figures.",)


def read_midog25(path: Path) -> LabelledData:
    """Read MIDOG25 from its CSV, or from the folder that holds this one such CSV.

    Each patch `image_id` lies beside the CSV or in a folder beside it. The slide is `filename`, the
    domain the tumour type. The third expert was asked where the first two disagree. Raises InvalidOption.
    """
    table = read_table(_table_in(path) if path.is_dir() else path, _NEEDED)
    names = table.column(table.needed, "image_id")
    table.refuse_repeated(names, "image_id")
    slides = table.column(table.needed, "filename")
    figures = Figures(
        names=names,
        pixels=read_patches(
            _images(table, names), where=[f"row {n} of {table.path.name}" for n in table.lines]
        ),
        atypical=np.array(table.column(table.label, "majority"), np.int64),
        votes=table.grid(table.vote, _EXPERTS).astype(np.float32),
        subtypes=((),) * len(table),
        slides=slides,
        patients=slides,
        domains=table.column(table.text, "Tumor"),
        centres=table.grid(table.number, ("coordinateX", "coordinateY")),
        data=("MIDOG25",) * len(table),
    )
    warn_of_contradictions(figures, table.path)
    hashes = {table.path.name: table.sha256, "pixels": pixels_sha256([figures])}
    return LabelledData("MIDOG25", figures, None, hashes, _CITATION)


def _table_in(folder: Path) -> Path:
    """Return the one CSV of a folder whose header is MIDOG25's."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        try:
            with regular(path).open("rb") as f:
                header = f.readline(10_000).decode("utf-8-sig", "replace")
        except OSError as e:
            raise InvalidOption(f"{path}: cannot be read: {e.strerror}; give the CSV itself") from e
        if {"image_id", "majority"} <= {c.strip().strip('"') for c in header.split(",")}:
            found.append(path)
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "no CSV with the columns image_id and majority"
        raise InvalidOption(f"{folder}: holds {names}; give the CSV itself as --data midog25=FILE.csv")
    return found[0]


def _images(table: Table, names: Sequence[str]) -> list[Path]:
    """Return the path of each patch; a missing one gets its path beside the table."""
    root = table.path.parent
    folders = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
    # Each folder is listed once: asking the disk about each of 12,000 patches takes longer.
    held = [(folder, {p.name for p in folder.iterdir()}) for folder in folders]
    paths = []
    for i, name in enumerate(names):
        at = [folder for folder, files in held if name in files] or [root]
        if len(at) > 1:
            both = " and ".join(str(p) for p in at[:2])
            raise table.bad(i, "image_id", f"{name} lies in {both}; keep one of them")
        paths.append(at[0] / name)
    return paths
