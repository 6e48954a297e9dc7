"""Convert RGB images to optical densities of histology's stains, and vary the stains."""

from __future__ import annotations

import math

import torch

STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Absorption of R, G, B (columns) by haematoxylin, eosin and DAB (rows).

Source: Ruifrok and Johnston 2001, table 1, rounded as in scikit-image's `rgb_from_hed`. On H&E slides the
third row takes what the other two leave over.
"""
_UNMIXING = torch.linalg.inv(STAINS.double()).float()

# scikit-image's smallest colour value, and the base of its logarithm: black has density 1.
_DARKEST = 1e-6

# Mean and deviation of `rgb_to_hed` over all pixels of the 2,894 patches of 128 px in the training part of
# AMi-Br's published split. Black padding beyond a slide's edge (0.7 % of the pixels, in 101 patches) is
# counted: it widens the deviations of haematoxylin and DAB (0.033 and 0.017 without it), and so lies only 12
# deviations away.
HED_MEAN = (0.037, 0.029, 0.033)
HED_STD = (0.10, 0.020, 0.073)


def rgb_to_hed(x: torch.Tensor) -> torch.Tensor:
    """Return optical densities of haematoxylin, eosin and DAB, equal to those of scikit-image's `rgb2hed`.

    `x`: float (B, 3, H, W), RGB in 0..1. Returns the same shape, dtype and device: the densities are
    logarithms to the base 1e-6 of colours no darker than that, and negative amounts of a stain are
    set to 0. Normalise with `HED_MEAN` and `HED_STD`. Source: Ruifrok and Johnston 2001.
    """
    density = torch.log(x.clamp(min=_DARKEST)) / math.log(_DARKEST)
    return torch.einsum("bchw,cs->bshw", density, _UNMIXING.to(x)).clamp(min=0)


def stain_jitter(
    x: torch.Tensor, *, gain: torch.Tensor, offset: torch.Tensor, turn: torch.Tensor | None = None
) -> torch.Tensor:
    """Scale and shift each stain's optical density (Tellez et al. 2018), and change the stains' colours.

    `x`: float (B, 3, H, W), RGB in 0..1. `gain`, `offset`: (B, 3), one for each figure and stain; a
    density d (natural logarithm) becomes d (1 + gain) + offset. `turn`: (B, 3, 3), added to the absorption
    of R, G, B (last axis) by each stain, which is then set to 0 where negative and scaled to its former
    length. Returns the shape of `x`, clipped to 0..1; zeros return `x` itself, and black stays black.
    """
    stains = STAINS.to(x).expand(len(x), 3, 3)
    unmixing = _UNMIXING.to(x)
    # The change of each channel's density. Multiplying `x` by its exponential takes one matrix product, not
    # the two of computing the colour anew, and rounds nothing if nothing changes.
    turned = stains if turn is None else _turned(stains, turn)
    change = torch.einsum("cs,bs,bsk->bck", unmixing, gain, turned)
    if turn is not None:
        change = change + torch.einsum("cs,bsk->bck", unmixing, turned - stains)
    log_of_x = torch.log(x.clamp(min=1 / 255))
    shifted = torch.einsum("bs,bsk->bk", offset, turned)
    # Not by einsum, whose product has another layout in memory, with which all that follows is slow.
    added = torch.baddbmm(-shifted[:, :, None], change.transpose(1, 2), log_of_x.flatten(2))
    return added.exp_().reshape(x.shape).mul_(x).clamp_(0, 1)


def _turned(stains: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Return changed absorptions of the same lengths, (B, 3, 3)."""
    other = (stains + turn).clamp(min=0)
    lengths = [t.square().sum(dim=2, keepdim=True).sqrt() for t in (stains, other)]
    return other * (lengths[0] / lengths[1].clamp(min=1e-6))
