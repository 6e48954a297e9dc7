"""Random changes to figures that do not change what they are, on whole batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

if TYPE_CHECKING:
    from slidemitosis.train.recipe import Recipe

# Optical densities of haematoxylin, eosin and their residual, unit rows
# (Ruifrok and Johnston 2001, table 1, as in scikit-image).
STAINS = torch.tensor([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])


def augment(patches: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """Augment uint8 (B, patch, patch, 3) RGB to float32 (B, 3, resize, resize) in 0..1."""
    x = patches.permute(0, 3, 1, 2).float() / 255
    x = _affine(x, recipe, rng)
    x = jitter_stains(x, recipe.stain_gain, recipe.stain_offset, rng)
    x = _contrast(x, recipe.contrast, rng)
    return _blur(x, recipe.blur, rng)


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=rng) * (high - low) + low


def _affine(x: torch.Tensor, recipe: Recipe, rng: torch.Generator) -> torch.Tensor:
    """Centre crop and resize, with free rotation, flips, scale and shift, in one resampling."""
    b, _, side, _ = x.shape
    angle = _uniform(b, 0, 2 * math.pi, rng)
    flip = torch.randint(0, 2, (b,), generator=rng) * 2.0 - 1
    stretch = math.log1p(recipe.scale)
    size = recipe.crop / side * torch.exp(_uniform(b, -stretch, stretch, rng))
    shift_x, shift_y = (_uniform(b, -recipe.shift, recipe.shift, rng) * 2 / side for _ in "xy")
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, shift_x], 1), torch.stack([sin * flip, cos, shift_y], 1)], 1
    )
    grid = affine_grid(theta, [b, 3, recipe.resize, recipe.resize], align_corners=False)
    return grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def jitter_stains(x: torch.Tensor, gain: float, offset: float, rng: torch.Generator) -> torch.Tensor:
    """Scale and shift each stain's optical density, one draw a figure (Tellez et al. 2018).

    `x`: float32 (B, 3, H, W), RGB in 0..1. Returns the same shape, clipped to 0..1.
    """
    b = x.shape[0]
    density = -torch.log(x.clamp(min=1 / 255))
    stains = torch.einsum("bchw,cs->bshw", density, torch.linalg.inv(STAINS))
    factor = 1 + gain * torch.randn((b, 3, 1, 1), generator=rng)
    stains = stains * factor + offset * torch.randn((b, 3, 1, 1), generator=rng)
    return torch.exp(-torch.einsum("bshw,sc->bchw", stains, STAINS)).clamp(0, 1)


def _contrast(x: torch.Tensor, strength: float, rng: torch.Generator) -> torch.Tensor:
    factor = _uniform(x.shape[0], 1 - strength, 1 + strength, rng).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * factor + mean).clamp(0, 1)


def _blur(x: torch.Tensor, probability: float, rng: torch.Generator) -> torch.Tensor:
    rows = torch.nonzero(torch.rand(x.shape[0], generator=rng) < probability)[:, 0]
    if len(rows) == 0:
        return x
    sigma = _uniform(len(rows), 0.3, 1.2, rng).repeat_interleave(3).view(-1, 1)
    line = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * sigma**2))
    line = line / line.sum(1, keepdim=True)
    kernels = line[:, None, :, None] * line[:, None, None, :]
    flat = x[rows].reshape(1, -1, *x.shape[2:])
    blurred = conv2d(pad(flat, (3, 3, 3, 3), mode="reflect"), kernels, groups=flat.shape[1])
    return x.index_copy(0, rows, blurred.view(len(rows), *x.shape[1:]))
