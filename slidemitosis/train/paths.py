"""Every file name of a run and of an evaluation, in one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE, RECIPE = "run.json", "recipe.toml"
ENSEMBLE, EVALUATION = "ensemble", "evaluation"
VALIDATION, SEEN = "validation.csv", "training-figures.csv"
PREDICTIONS = "predictions"


def fold_folder(run: Path, fold: int) -> Path:
    """The model folder of a fold."""
    return run / f"fold-{fold}"


def checkpoint_path(folder: Path, layout: str) -> Path:
    """The state of the training of one network; it is there while it is trained."""
    return folder / f"{layout}-checkpoint.pt"


def history_path(folder: Path, layout: str) -> Path:
    """The log of the training of one network, a line an epoch."""
    return folder / f"{layout}-history.csv"


def predictions_path(evaluation: Path, *, model: str, data: str) -> Path:
    """What one model says of the figures of one data set."""
    return evaluation / PREDICTIONS / f"{file_name(model)}--{file_name(data)}.csv"


def file_name(text: str) -> str:
    """A name as part of a file's: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "unnamed"
