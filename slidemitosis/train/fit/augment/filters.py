"""Steps that blur."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from slidemitosis.train.fit.augment.step import Step, below, by_kind, check, uniform


def gaussian_blur(*, sigma_min: float, sigma_max: float) -> Step:
    """Blur with a sigma from `sigma_min` to `sigma_max` px."""
    check(0 < sigma_min <= sigma_max, "sigma_min and sigma_max must rise, above 0")
    draw = partial(_draw_sigma, low=sigma_min, high=sigma_max)
    return Step(draw, partial(_gaussian, reach=math.ceil(3 * sigma_max)))


def _draw_sigma(_: int, *, low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high))


def _gaussian(x: torch.Tensor, drawn: list[float], *, reach: int) -> torch.Tensor:
    """Blur along one axis, then along the other; a pixel's neighbours are those within `reach` px."""
    at = torch.arange(reach + 1, dtype=x.dtype, device=x.device)
    sigma = torch.tensor(drawn, dtype=x.dtype, device=x.device)[:, None]
    weights = torch.exp(-0.5 * (at / sigma).square())
    weights /= 2 * weights.sum(dim=1, keepdim=True) - 1
    side = x.shape[-1]
    # On the CPU in half the time of a convolution, whose kernels would differ by figure.
    for dim, mirrored in ((3, [reach, reach, 0, 0]), (2, [0, 0, reach, reach])):
        padded = pad(x, mirrored, mode="reflect")
        x = x * weights[:, :1, None, None]
        for far in range(1, reach + 1):
            both = padded.narrow(dim, reach - far, side) + padded.narrow(dim, reach + far, side)
            x.addcmul_(both, weights[:, far, None, None, None])
    return x


def blur(*, size: float) -> Step:
    """Blur by motion, median or box, over an odd number of px from 3 to `size`, each equally often."""
    check(size >= 3 and size % 2 == 1, f"size must be an odd number of px from 3, not {size:g}")
    return Step(partial(_draw_blur, size=int(size)), _blurred)


class _Blur(NamedTuple):
    side: int  # px
    kernel: torch.Tensor | None  # (side, side), its sum is 1; None: the median


def _draw_blur(_: int, *, size: int) -> _Blur:
    side = 3 + 2 * below((size - 1) // 2)
    return (_motion, _median, _box)[below(3)](side)


def _motion(side: int) -> _Blur:
    """Average over a line of `side` px at any angle."""
    angle = uniform(0, math.pi)
    at = torch.arange(side) - side // 2
    across = at[None, :] * math.sin(angle) - at[:, None] * math.cos(angle)
    along = torch.hypot(*torch.meshgrid(at.float(), at.float(), indexing="ij"))
    kernel = (1 - across.abs()).clamp(min=0) * (along <= side / 2)
    return _Blur(side, kernel / kernel.sum())


def _median(side: int) -> _Blur:
    return _Blur(side, None)


def _box(side: int) -> _Blur:
    return _Blur(side, torch.ones(side, side) / side**2)


def _blurred(x: torch.Tensor, drawn: list[_Blur]) -> torch.Tensor:
    def change(kind: tuple[int, bool], rows: list[int], part: torch.Tensor) -> torch.Tensor:
        side, is_median = kind
        if is_median:
            return _medians(part, side)
        return _filtered(part, torch.stack([k for i in rows if (k := drawn[i].kernel) is not None]).to(x))

    return by_kind(x, [(d.side, d.kernel is None) for d in drawn], change)


def _filtered(x: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Return each figure filtered by its own kernel, (B, height, width); beyond the edges it is mirrored."""
    down, right = (side // 2 for side in kernels.shape[1:])
    padded = pad(x, [right, right, down, down], mode="reflect")
    planes = conv2d(
        padded.reshape(1, -1, *padded.shape[2:]), kernels.repeat_interleave(3, 0)[:, None], groups=3 * len(x)
    )
    return planes.reshape(x.shape)


def _medians(x: torch.Tensor, side: int) -> torch.Tensor:
    padded = pad(x, [side // 2] * 4, mode="reflect")
    windows = padded.unfold(2, side, 1).unfold(3, side, 1).reshape(*x.shape, -1)
    middle = windows.shape[-1] // 2
    if x.device.type != "cpu":
        return windows.median(dim=-1).values
    # numpy's partition: six times as fast as torch's median.
    return torch.from_numpy(np.partition(windows.numpy(), middle, axis=-1)[..., middle])
