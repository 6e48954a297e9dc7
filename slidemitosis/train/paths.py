"""Name every file of a run and of an evaluation, and claim a run's folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slidemitosis.errors import OutputError
from slidemitosis.files import make_folder, writing

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE, RECIPE = "run.json", "recipe.toml"
ENSEMBLE, EVALUATION = "ensemble", "evaluation"
VALIDATION, SEEN = "validation.csv", "training-figures.csv"
PREDICTIONS = "predictions"
NESTED = "nested"


def claim_folder(out: Path, *, first: str) -> bool:
    """Make the folder `out`, if it is not there; return whether it holds `first`, the file that begins a run.

    Raises OutputError if it cannot be made, or holds other files but not this one.
    """
    make_folder(out)
    with writing(out):
        begun = (out / first).exists()
        if not begun and any(out.iterdir()):
            raise OutputError(f"{out}: holds other files; choose another --out")
    return begun


def fold_folder(run: Path, fold: int) -> Path:
    """Return the model folder of a fold."""
    return run / f"fold-{fold}"


def seen_path(model: Path) -> Path | None:
    """Return the list of the figures that a model saw: its own, else that of the run that it lies in."""
    return next((p for p in (model / SEEN, model.parent / SEEN) if p.is_file()), None)


def validation_path(folder: Path, views: int) -> Path:
    """Return the file of what a model says of figures that it was not trained on, seen in so many views."""
    return folder / (VALIDATION if views == 1 else f"validation-{views}-views.csv")


def checkpoint_path(folder: Path, layout: str) -> Path:
    """Return the file with the state of one network's training, which is there while it is trained."""
    return folder / f"{layout}-checkpoint.pt"


def history_path(folder: Path, layout: str) -> Path:
    """Return the log of one network's training, a line for each epoch."""
    return folder / f"{layout}-history.csv"


def predictions_path(evaluation: Path, *, model: str, data: str) -> Path:
    """Return the file of what one model predicts for one data set."""
    return evaluation / PREDICTIONS / f"{file_name(model)}--{file_name(data)}.csv"


def file_name(text: str) -> str:
    """Return a text as part of a file name: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "unnamed"
