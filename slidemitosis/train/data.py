"""Labelled figures, in the layouts that their authors publish."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


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


@dataclass(frozen=True, slots=True)
class Figures:
    """Labelled patches of one data set."""

    names: tuple[str, ...]
    """File name of each patch."""
    pixels: NDArray[np.uint8]
    """RGB, (N, 128, 128, 3)."""
    atypical: NDArray[np.int64]
    """1 for AMF, 0 for NMF, (N,)."""
    slides: tuple[str, ...]
    """The slide each figure is from; empty strings where the data set does not say."""

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Figures:
        """The figures of these rows, in this order."""
        index = np.asarray(rows, dtype=np.intp)
        return Figures(
            tuple(self.names[i] for i in index),
            self.pixels[index],
            self.atypical[index],
            tuple(self.slides[i] for i in index),
        )


def read_ami_br(root: Path) -> tuple[Figures, Figures]:
    """AMi-Br as published, as (training, test): the benchmark's split, in the order of its files.

    The rows of `amibr_train_split.csv` are for training; every other row of `AMI-BR.csv` is test.
    Raises InvalidOption if a file is missing, lacks a column, or a slide is in both parts.
    """
    rows = _rows(root / "AMI-BR.csv", ("dataset", "uid", "majority_atypical", "slide"))
    for r in rows:
        if r["majority_atypical"] not in ("True", "False"):
            raise InvalidOption(
                f"{root / 'AMI-BR.csv'}: majority_atypical is {r['majority_atypical']!r} for uid {r['uid']}, "
                "not True or False"
            )
    labels = {f"{r['dataset']}_{r['uid']}.png": (r["majority_atypical"] == "True", r["slide"]) for r in rows}
    train = [r["dataset_uid"] for r in _rows(root / "amibr_train_split.csv", ("dataset_uid",))]
    unknown = set(train) - set(labels)
    if unknown:
        raise InvalidOption(f"{root}: {len(unknown)} training rows are not in AMI-BR.csv: {min(unknown)}")
    for_training = set(train)
    test = [name for name in labels if name not in for_training]
    shared = {labels[n][1] for n in train} & {labels[n][1] for n in test}
    if shared:
        raise InvalidOption(f"{root}: slides in both training and test: {', '.join(sorted(shared))}")

    def figures(names: list[str]) -> Figures:
        folders = {True: "atypical", False: "normal"}
        paths = [root / "patches" / folders[labels[n][0]] / n for n in names]
        return Figures(
            tuple(names),
            _read_patches(paths),
            np.array([labels[n][0] for n in names], dtype=np.int64),
            tuple(labels[n][1] for n in names),
        )

    return figures(train), figures(test)


def read_folders(root: Path) -> Figures:
    """A folder for each class, `[Aa]typical` and `[Nn]ormal`, with PNG patches; slides are not known."""
    paths = [(p, 1) for p in sorted(root.glob("[Aa]typical/*.png"))]
    paths += [(p, 0) for p in sorted(root.glob("[Nn]ormal/*.png"))]
    if not paths:
        raise InvalidOption(f"{root}: no PNG files in a folder Atypical or Normal")
    return Figures(
        tuple(p.name for p, _ in paths),
        _read_patches([p for p, _ in paths]),
        np.array([label for _, label in paths], dtype=np.int64),
        ("",) * len(paths),
    )


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InvalidOption(f"{path}: cannot be read: {getattr(e, 'strerror', None) or e}") from e
    lacking = [c for c in needed if not rows or c not in rows[0]]
    if lacking:
        raise InvalidOption(f"{path}: has no rows or lacks the columns {', '.join(lacking)}")
    return rows


def _read_patches(paths: Sequence[Path]) -> NDArray[np.uint8]:
    pixels = np.empty((len(paths), 128, 128, 3), np.uint8)
    for out, path in zip(pixels, paths, strict=True):
        try:
            with Image.open(path) as image:
                rgb = np.asarray(image.convert("RGB"))
        except OSError as e:
            raise InvalidOption(f"{path}: cannot be read as an image: {e}") from e
        if rgb.shape != out.shape:
            raise InvalidOption(f"{path}: is {rgb.shape[1]} x {rgb.shape[0]} px, not 128 x 128")
        out[...] = rgb
    return pixels
