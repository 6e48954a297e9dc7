"""Load batches of augmented figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.fit.augment.augmentation import Augmentation


class Pixels:
    """The pixels of all figures, on the device that augments them."""

    def __init__(self, pixels: NDArray[np.uint8], device: str) -> None:
        """Take uint8 (N, S, S, 3). On an accelerator they stay for the whole training, where they fit."""
        self._all = torch.from_numpy(pixels)
        if device != "cpu" and _fits(self._all.nbytes, device):
            self._all = self._all.to(device)

    def take(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Return these figures, uint8 (B, 3, S, S)."""
        taken = self._all.index_select(0, torch.from_numpy(rows).to(self._all.device))
        return taken.permute(0, 3, 1, 2)


def _fits(size: int, device: str) -> bool:
    """Return whether so many bytes are at most a quarter of what is free on a device."""
    if not device.startswith("cuda"):
        return True  # Apple's devices have the memory of the machine
    free, _ = torch.cuda.mem_get_info(device)
    return size <= free / 4


def augmented_batches(
    pixels: Pixels,
    batches: Sequence[NDArray[np.int64]],
    augmentation: Augmentation,
    *,
    seed: int,
    epoch: int,
    workers: int,
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return (images, rows) of each batch: float32 (B, 3, S, S) RGB in 0..1, and int64 (B,).

    `batches`: row numbers. Each figure of an epoch is augmented with a seed of its own, so that neither the
    number of `workers`, processes that augment on the CPU, nor the device changes anything.
    """
    seeds = np.random.default_rng([seed, epoch, 1]).integers(2**62, size=sum(map(len, batches)))
    of_batch = np.split(seeds, np.cumsum([len(b) for b in batches])[:-1])
    figures = _Augmented(pixels, augmentation, list(zip(batches, of_batch, strict=True)))
    if workers == 0:
        return (figures[i] for i in range(len(batches)))
    # With a generator of its own, since it would draw from that of dropout.
    return DataLoader(figures, batch_size=None, num_workers=workers, generator=torch.Generator())


class _Augmented(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented batches by their number."""

    def __init__(
        self,
        pixels: Pixels,
        augmentation: Augmentation,
        batches: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    ) -> None:
        self.pixels = pixels
        self.augmentation = augmentation
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows, seeds = self.batches[number]
        return self.augmentation(self.pixels.take(rows), seeds.tolist()), torch.from_numpy(rows)
