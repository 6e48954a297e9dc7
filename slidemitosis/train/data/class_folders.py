"""Read a folder for each class: AtNorM-Br, AtNorM-MD, and a user's own."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.files import given_name
from slidemitosis.train.data.ami_br import AMI_BR_CITATION
from slidemitosis.train.data.figures import Figures, LabelledData
from slidemitosis.train.data.patches import (
    PUBLISHED_SIDE,
    pixels_sha256,
    read_patches,
    warn_of_contradictions,
)
from slidemitosis.train.data.table import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.train.data.table import Table

log = logging.getLogger(__name__)

VOTES_NAME = "expert_votes.csv"


def read_atnorm_br(root: Path) -> LabelledData:
    """Read AtNorM-Br (TCGA breast, one expert): see `read_folder`."""
    return _read(root, "AtNorM-Br", side=PUBLISHED_SIDE, citation=AMI_BR_CITATION[1:])


def read_atnorm_md(root: Path) -> LabelledData:
    """Read AtNorM-MD (six tumour types, five experts): see `read_folder`."""
    return _read(root, "AtNorM-MD", side=PUBLISHED_SIDE, citation=AMI_BR_CITATION[1:])


def read_folder(root: Path) -> LabelledData:
    """Read PNG patches in folders `Normal` and `Atypical`, or in lower case; the set's name is the folder's.

    The figures of both classes are ordered by the number in their file name. Slides are not known. Votes are
    read from `expert_votes.csv`, if it is there, with AtNorM-MD's columns (Filename, Expert_1 to Expert_N,
    Majority); it must agree with the folders. Raises InvalidOption.
    """
    return _read(root, given_name(root), side=None, citation=())


def _read(root: Path, name: str, *, side: int | None, citation: tuple[str, ...]) -> LabelledData:
    found = [
        (path, label)
        for label, pattern in enumerate(("[Nn]ormal", "[Aa]typical"))
        for folder in root.glob(pattern)
        if folder.is_dir()
        for path in folder.iterdir()
        # Archives made on a Mac hold a "._1.png" for each 1.png.
        if path.suffix.lower() == ".png" and not path.name.startswith(".")
    ]
    if not found:
        raise InvalidOption(
            f"{root}: no PNG files in a folder Normal or Atypical; give the folder that holds these two"
        )
    found.sort(key=lambda f: (_by_number(f[0].name), f[1]))
    paths = [path for path, _ in found]
    atypical = np.array([label for _, label in found], np.int64)
    repeated = Counter(p.name for p in paths).most_common(1)[0]
    names = [f"{p.parent.name}/{p.name}" if repeated[1] > 1 else p.name for p in paths]
    table = None
    if (root / VOTES_NAME).exists():
        if repeated[1] > 1:
            raise InvalidOption(
                f"{root}: {repeated[0]} is in both folders, and {VOTES_NAME} does not say which it means; "
                "remove one of them"
            )
        table = read_table(root / VOTES_NAME, ("Filename", "Expert_1", "Majority"))
    n = len(paths)
    figures = Figures(
        names=tuple(names),
        pixels=read_patches(paths, side=side),
        atypical=atypical,
        votes=_votes(table, names, atypical) if table else np.empty((n, 0), np.float32),
        subtypes=((),) * n,
        slides=("",) * n,
        patients=("",) * n,
        domains=("",) * n,
        centres=np.full((n, 2), np.nan),
        data=(name,) * n,
    )
    warn_of_contradictions(figures, root / VOTES_NAME)
    hashes = {table.path.name: table.sha256} if table else {}
    return LabelledData(name, figures, None, hashes | {"pixels": pixels_sha256([figures])}, citation)


def _votes(table: Table, names: Sequence[str], atypical: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return each expert's label, (N, E), after comparing each figure's majority label with its folder."""
    experts = sorted((c for c in table.columns if re.fullmatch(r"Expert_\d+", c)), key=_by_number)
    listed = table.column(table.needed, "Filename")
    table.refuse_repeated(listed, "Filename")
    row_of = {name: i for i, name in enumerate(listed)}
    votes = np.empty((len(names), len(experts)), np.float32)
    for i, (name, label) in enumerate(zip(names, atypical, strict=True)):
        if name not in row_of:
            raise InvalidOption(f"{table.path}: has no row for {name}; add it, or move the image away")
        row = row_of.pop(name)
        if table.label(row, "Majority") != label:
            folder = ("Normal", "Atypical")[label]
            majority = table.text(row, "Majority")
            raise table.bad(
                row,
                "Majority",
                f"{name} is {majority} here but lies in the folder {folder}; mend one of them",
            )
        votes[i] = [table.vote(row, c) for c in experts]
    if row_of:
        log.warning("%s: %d of its figures have no image, such as %s", table.path, len(row_of), min(row_of))
    return votes


def _by_number(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts 2.png before 10.png."""
    return [(not t.isdigit(), int(t) if t.isdigit() else 0, t) for t in re.split(r"([0-9]+)", name) if t]
