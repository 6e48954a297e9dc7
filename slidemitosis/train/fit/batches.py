"""Load batches of augmented figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.fit.augment import Augmentation


def augmented_batches(
    pixels: NDArray[np.uint8],
    batches: Sequence[NDArray[np.int64]],
    augmentation: Augmentation,
    *,
    seed: int,
    epoch: int,
    workers: int,
    pin_memory: bool,
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return (images, rows) of each batch: float32 (B, 3, S, S) RGB in 0..1, and int64 (B,).

    `pixels`: (N, S, S, 3). `batches`: their row numbers. Each figure of an epoch is augmented with a seed of
    its own, so that the number of `workers`, processes that augment, changes nothing.
    """
    seeds = np.random.default_rng([seed, epoch, 1]).integers(2**62, size=sum(map(len, batches)))
    of_batch = np.split(seeds, np.cumsum([len(b) for b in batches])[:-1])
    keys = [list(zip(b.tolist(), s.tolist(), strict=True)) for b, s in zip(batches, of_batch, strict=True)]
    figures = _Augmented(pixels, augmentation)
    return DataLoader(figures, batch_sampler=keys, num_workers=workers, pin_memory=pin_memory)


class _Augmented(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented figures by (row, seed)."""

    def __init__(self, pixels: NDArray[np.uint8], augmentation: Augmentation) -> None:
        self.pixels = pixels
        self.augmentation = augmentation

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        row, seed = key
        patch = torch.from_numpy(self.pixels[row]).permute(2, 0, 1)
        return self.augmentation(patch, seed), torch.tensor(row)
