"""Log a training: a line for each epoch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis.files import csv_lines, write_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the training's log."""

    epoch: int
    """Number of the epoch, from 1."""
    learning_rate: float
    training_loss: float
    validation_loss: float
    balanced_accuracy: float
    """At 0.5 on the validation figures; for a network of one type's subtypes its classes' mean recall."""
    auroc: float | None
    collapsed: bool
    """Every validation figure is given one class."""
    seconds: float


def write_history(path: Path, epochs: Sequence[Epoch], *, kept: Epoch) -> None:
    """Write a CSV with a row for each epoch; the kept one is marked. Raises OutputError."""
    names = [f.name for f in dataclasses.fields(Epoch)]
    rows = ([*(getattr(e, n) for n in names), e == kept] for e in epochs)
    write_parts(path, csv_lines([[*names, "kept"], *rows]))
