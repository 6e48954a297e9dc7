"""Which figures an epoch shows, and in which order."""

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
    """Row numbers of each batch of an epoch, int64.

    `classes`: (N,) class of each figure, as `targets.first_head_classes` gives it; rows of -1 are never
    drawn. `seed`, `epoch`: 0 or more. They alone decide the order, so a training that was interrupted
    goes on as if it had not been.

    "shuffle": every figure once; where `spec.batches` asks for more or fewer, no figure is shown
    more than once oftener than another. "inverse-frequency": with replacement, weights 1 / (figures
    of the class), as torch's WeightedRandomSampler is commonly given them: each class that is present
    has the same chance. `spec.batches` full batches, or for 0 as many figures as have a class.

    A last batch of a single figure joins the one before, since batch normalisation cannot learn from
    one and no figure is to be lost; it stays where it is the only one, or where batches of one were
    asked for. Raises InvalidOption if no figure has a class, or for sizes below what can be.
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
