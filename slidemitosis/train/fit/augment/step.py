"""One random step: what is drawn for a figure, and what it does to a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Step:
    """A step in two halves: what is drawn for each figure, and what is then computed for many."""

    draw: Callable[[int], Any]
    """Draws what the step does to one figure of so many px a side, from torch's generator of the CPU."""
    apply: Callable[[torch.Tensor, list[Any]], torch.Tensor]
    """Does what was drawn to figures, float32 (B, 3, S, S) RGB in 0..1, which it may write into."""


def check(condition: bool, message: str) -> None:
    """Raise ValueError with a message where a step's values are impossible."""
    if not condition:
        raise ValueError(message)


def uniform(low: float, high: float) -> float:
    """Draw a number, each from `low` to `high` equally likely."""
    return low + (high - low) * float(torch.rand(()))


def below(n: int) -> int:
    """Draw one of 0 to n - 1, each equally often."""
    return int(torch.randint(n, ()))


def numbers(drawn: list[Any], x: torch.Tensor) -> torch.Tensor:
    """Return a number for each figure as (B, 1, 1, 1), for arithmetic with `x`."""
    return torch.tensor(drawn, dtype=x.dtype, device=x.device).reshape(-1, 1, 1, 1)


def change_rows(
    x: torch.Tensor, rows: list[int], change: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return figures of which these rows are changed, all at once; `x` may be written into."""
    if len(rows) == len(x):
        return change(x)
    where = torch.tensor(rows, device=x.device)
    changed = change(x.index_select(0, where))
    if x.device.type != "cpu":
        return x.index_copy_(0, where, changed)
    for row, one in zip(rows, changed, strict=True):  # on the CPU in a third of the time
        x[row].copy_(one)
    return x


def by_kind(
    x: torch.Tensor, kinds: list[Any], change: Callable[[Any, list[int], torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Change figures that are of one kind together. `change` gets their kind, their row numbers and them.

    Figures of the kind None stay as they are.
    """
    for kind in dict.fromkeys(kinds):
        if kind is not None:
            rows = [i for i, other in enumerate(kinds) if other == kind]
            x = change_rows(x, rows, partial(change, kind, rows))
    return x
