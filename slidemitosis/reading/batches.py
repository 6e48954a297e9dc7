"""Batches of patches: what readers give and classifying takes."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

READ_SIZE = 64
"""Number of patches in a batch of the readers. Jobs and answers of this size fit the pipes of every system,
so that neither side ever waits for the other to read."""

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Batch:
    """The patches of a few candidates."""

    number: int
    """Place among the batches, in the order of the windows; the first one's where several were joined."""
    indices: NDArray[np.int64]
    """Position of each patch's window in the list given to the pool, (B,)."""
    pixels: NDArray[np.uint8]
    """RGB, (B, patch, patch, 3)."""
    unreadable: tuple[tuple[int, str], ...]
    """(position of the window, reason) of those that could not be read; they are not among the pixels."""
    read_seconds: float
    """Seconds that the worker took to read this batch."""


def batches_at_once(piece: int) -> int:
    """Return how many batches are joined for an engine that computes so many patches at once."""
    return max(1, piece // READ_SIZE)


def gathered(batches: Iterable[Batch], each: int, *, count: int) -> Iterator[Batch]:
    """Join the `count` batches, `each` at a time by their numbers, in whatever order they come."""
    held: dict[int, list[Batch]] = {}
    for batch in batches:
        group = batch.number // each
        held.setdefault(group, []).append(batch)
        if len(held[group]) == min(each, count - group * each):
            yield _joined(sorted(held.pop(group), key=lambda b: b.number))


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return Batch(
        number=batches[0].number,
        indices=np.concatenate([b.indices for b in batches]),
        pixels=np.concatenate([b.pixels for b in batches]),
        unreadable=tuple(itertools.chain.from_iterable(b.unreadable for b in batches)),
        read_seconds=sum(b.read_seconds for b in batches),
    )


def one_ahead(
    items: Iterable[_Item], begin: Callable[[_Item], Callable[[], _Outcome]]
) -> Iterator[tuple[_Item, _Outcome]]:
    """Yield each item with its outcome: `begin` starts the work, and what it returns waits for the outcome.

    While one is waited for, the next is already begun, so that a device always has something to do.
    """
    begun: deque[tuple[_Item, Callable[[], _Outcome]]] = deque()
    for item in items:
        begun.append((item, begin(item)))
        if len(begun) > 1:
            ready, outcome = begun.popleft()
            yield ready, outcome()
    for ready, outcome in begun:
        yield ready, outcome()
