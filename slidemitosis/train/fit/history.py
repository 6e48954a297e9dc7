"""The log of a training: one line an epoch."""

from __future__ import annotations

import csv
import dataclasses
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the training's log."""

    epoch: int
    """From 1."""
    learning_rate: float
    training_loss: float
    validation_loss: float
    balanced_accuracy: float
    """Of the validation figures, at 0.5; for networks of one type's subtypes the mean recall of classes."""
    auroc: float | None
    collapsed: bool
    """Every validation figure is given one class."""
    seconds: float


def write_history(path: Path, epochs: Sequence[Epoch], *, kept: Epoch) -> None:
    """Write a CSV with a row for each epoch; the kept one is marked. Raises OutputError."""
    out = io.StringIO(newline="")
    names = [f.name for f in dataclasses.fields(Epoch)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "kept"])
    writer.writerows([*(getattr(e, n) for n in names), e == kept] for e in epochs)
    write_text(path, out.getvalue())
