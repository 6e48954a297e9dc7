"""Draw the figures of an epoch, and their order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.train.recipe.recipe import SamplerRecipe


def draw_order(
    classes: NDArray[np.int64], spec: SamplerRecipe, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the row numbers of each batch of an epoch, int64.

    `classes`: (N,) class of each figure, from `targets.first_head_classes`; rows of -1 are never drawn.
    `seed`, `epoch`: 0 or more. They alone decide the order, so that an interrupted training goes on as if it
    had not been interrupted.

    "shuffle": every figure once; if `spec.batches` asks for more or fewer, the numbers of times that two
    figures are shown differ by at most one. "inverse-frequency": with replacement, weights 1 / (figures of
    the class), the usual ones of torch's WeightedRandomSampler: each class that is present has the same
    chance. An epoch has `spec.batches` full batches or, for 0, as many figures as have a class.

    A last batch of a single figure joins the batch before it, since batch normalisation cannot learn from
    one figure and none is to be lost; it stays if it is the only one, or if batches of one were asked for.
    Raises InvalidOption if no figure has a class, or for impossible sizes.
    """
    if spec.batch_size < 1 or spec.batches < 0:
        raise InvalidOption(
            f"sampler: batch_size must be 1 or more and batches 0 or more, not {spec.batch_size} and "
            f"{spec.batches}"
        )
    rows = np.flatnonzero(classes >= 0)
    if len(rows) == 0:
        raise InvalidOption("sampler: no figure has a label for the heads; take another layout or other data")
    rng = np.random.default_rng([seed, epoch])
    number = spec.batches * spec.batch_size or len(rows)
    if spec.name == "shuffle":
        order = np.concatenate([rng.permutation(rows) for _ in range(math.ceil(number / len(rows)))])[:number]
    else:
        weight = 1 / np.bincount(classes[rows])[classes[rows]]
        order = rng.choice(rows, size=number, p=weight / weight.sum())
    return _batches(order, spec.batch_size)


def _batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    starts = list(range(0, len(order), size))
    if size > 1 and len(starts) > 1 and len(order) - starts[-1] == 1:
        del starts[-1]
    return np.split(order.astype(np.int64), starts[1:])
