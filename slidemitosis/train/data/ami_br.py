"""Read AMi-Br as published, with the benchmark's split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.figures import Figures, LabelledData
from slidemitosis.train.data.patches import pixels_sha256, read_patches, warn_of_contradictions
from slidemitosis.train.data.table import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.train.data.table import Table

AMI_BR_CITATION = (
    (
        "Bertram et al. Histologic dataset of normal and atypical mitotic figures on human breast cancer "
        "(AMi-Br). BVM Workshop, pages 113-118. Springer, 2025."
    ),
    (
        "Banerjee et al. Benchmarking Deep Learning and Vision Foundation Models for Atypical vs. Normal "
        "Mitosis Classification with Cross-Dataset Evaluation. MELBA 2026:006, 2026."
    ),
)

_VOTES = ("expert1_atypical", "expert2_atypical", "expert3_atypical")
_SUBTYPES = ("expert1_label", "expert2_label")
_NEEDED = ("slide", "dataset", "uid", "x", "y", *_SUBTYPES, *_VOTES, "majority_atypical")


def read_ami_br(root: Path) -> LabelledData:
    """Read AMi-Br with the benchmark's training and test figures, in the order of its files.

    The rows of `amibr_train_split.csv` are for training; every other row of `AMI-BR.csv` is test.
    Patches: `patches/{normal,atypical}/{dataset}_{uid}.png`. Raises InvalidOption.
    """
    table = read_table(root / "AMI-BR.csv", _NEEDED)
    split = read_table(root / "amibr_train_split.csv", ("dataset_uid",))
    names = [f"{table.needed(i, 'dataset')}_{table.needed(i, 'uid')}.png" for i in range(len(table))]
    table.refuse_repeated(names, "uid")
    row_of = {name: i for i, name in enumerate(names)}
    listed = split.column(split.needed, "dataset_uid")
    split.refuse_repeated(listed, "dataset_uid")
    for i, name in enumerate(listed):
        if name not in row_of:
            raise split.bad(i, "dataset_uid", f"{name} is not in AMI-BR.csv; get both files of one version")
    chosen = set(listed)
    rest = [n for n in names if n not in chosen]
    training, test = (_figures(table.take([row_of[n] for n in part]), root, part) for part in (listed, rest))
    shared = set(training.slides) & set(test.slides)
    if shared:
        raise InvalidOption(
            f"{split.path}: slides in both training and test: {', '.join(sorted(shared)[:5])}; "
            "get the published file"
        )
    hashes = {t.path.name: t.sha256 for t in (table, split)}
    hashes["pixels"] = pixels_sha256([training, test])
    return LabelledData("AMi-Br", training, test if len(test) else None, hashes, AMI_BR_CITATION)


def _figures(table: Table, root: Path, names: Sequence[str]) -> Figures:
    """Return the figures of a part of the table, with their patches `names`."""
    atypical = table.column(table.label, "majority_atypical")
    folders = ("normal", "atypical")
    slides = table.column(table.needed, "slide")
    figures = Figures(
        names=tuple(names),
        pixels=read_patches(
            [root / "patches" / folders[a] / name for a, name in zip(atypical, names, strict=True)],
            where=[f"AMI-BR.csv, row {n}" for n in table.lines],
        ),
        atypical=np.array(atypical, np.int64),
        votes=table.grid(table.vote, _VOTES).astype(np.float32),
        subtypes=tuple(
            tuple(filter(None, (table.subtype(i, c) for c in _SUBTYPES))) for i in range(len(table))
        ),
        slides=slides,
        patients=slides,
        domains=table.column(table.text, "dataset"),
        centres=table.grid(table.number, ("x", "y")),
        data=("AMi-Br",) * len(table),
    )
    warn_of_contradictions(figures, table.path)
    return figures
