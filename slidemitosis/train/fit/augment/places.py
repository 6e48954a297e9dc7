"""Steps that move pixels: mirrors, turns, magnification, shifts, crops, holes."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.nn.functional import grid_sample
from torchvision.transforms import v2

from slidemitosis.train.fit.augment.step import Step, below, by_kind, check, uniform


def flip(*, horizontal: float = 0.5, vertical: float = 0.5) -> Step:
    """Mirror left to right and top to bottom, each for this share of the figures."""
    for share in (horizontal, vertical):
        check(0 <= share <= 1, "horizontal and vertical must be shares, from 0 to 1")
    return Step(partial(_draw_flip, horizontal=horizontal, vertical=vertical), _flipped)


def _draw_flip(_: int, *, horizontal: float, vertical: float) -> tuple[int, ...] | None:
    """Draw the axes to mirror; None for none of them."""
    shares = ((3, horizontal), (2, vertical))
    return tuple(axis for axis, share in shares if uniform(0, 1) < share) or None


def _flipped(x: torch.Tensor, drawn: list[tuple[int, ...] | None]) -> torch.Tensor:
    return by_kind(x, drawn, lambda axes, _, part: part.flip(axes))


def transpose() -> Step:
    """Swap rows and columns."""
    return Step(_nothing, _transposed)


def _nothing(_: int) -> None:
    """Draw nothing."""


def _transposed(x: torch.Tensor, _: list[None]) -> torch.Tensor:
    return x.transpose(2, 3)


def dihedral() -> Step:
    """Turn by quarters and mirror: each of the eight views of a square equally often."""
    return Step(_draw_dihedral, _dihedral_views)


def _draw_dihedral(_: int) -> tuple[int, int]:
    """Draw how many quarters to turn, and whether to mirror."""
    return below(4), below(2)


def _dihedral_views(x: torch.Tensor, drawn: list[tuple[int, int]]) -> torch.Tensor:
    def view(kind: tuple[int, int], _: list[int], part: torch.Tensor) -> torch.Tensor:
        quarters, mirrored = kind
        part = part.rot90(quarters, (2, 3))
        return part.flip(3) if mirrored else part

    return by_kind(x, drawn, view)


def rotate(*, degrees: float) -> Step:
    """Turn about the centre by up to `degrees` either way; 180 for any angle."""
    return affine(degrees=degrees)


def affine(*, degrees: float = 0.0, scale: float = 0.0, shift: float = 0.0) -> Step:
    """Turn as `rotate`, magnify and move, in one bilinear resampling.

    `scale`: by 1 / (1 + scale) to 1 + scale, log-uniform. `shift`: px, along each axis, either way.
    Beyond its edges the patch is mirrored.
    """
    check(min(degrees, scale, shift) >= 0, "degrees, scale and shift must not be negative")
    draw = partial(_draw_affine, radians=math.radians(degrees), stretch=math.log1p(scale), shift=shift)
    return Step(draw, _warped)


def _draw_affine(side: int, *, radians: float, stretch: float, shift: float) -> list[list[float]]:
    """Draw where each point of the new picture comes from, (2, 3), in halves of the side."""
    angle = uniform(-radians, radians)
    size = math.exp(uniform(-stretch, stretch))
    right, down = (2 * uniform(-shift, shift) / side for _ in "xy")
    cos, sin = math.cos(angle) * size, math.sin(angle) * size
    return [[cos, -sin, right], [sin, cos, down]]


def _warped(x: torch.Tensor, drawn: list[list[list[float]]]) -> torch.Tensor:
    # v2.RandomAffine can fill with a constant only.
    theta = torch.tensor(drawn, dtype=x.dtype, device=x.device)[..., None]
    side = x.shape[-1]
    # As torch's affine_grid makes it from a grid of its own, in less than half the time.
    at = (torch.arange(side, dtype=x.dtype, device=x.device) * 2 + 1) / side - 1
    grid = torch.empty((len(x), side, side, 2), dtype=x.dtype, device=x.device)
    for axis in range(2):
        along, down, start = theta[:, axis].unbind(1)
        torch.add((along * at)[:, None, :], (down * at + start)[:, :, None], out=grid[..., axis])
    return grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def resized_crop(
    *, scale_min: float, scale_max: float = 1.0, ratio_min: float = 3 / 4, ratio_max: float = 4 / 3
) -> Step:
    """Crop `scale_min` to `scale_max` of the area, width / height `ratio_min` to `ratio_max`; back to S."""
    check(0 < scale_min <= scale_max <= 1, "scale_min and scale_max must be rising shares of the area")
    check(0 < ratio_min <= ratio_max, "ratio_min must be above 0 and at most ratio_max")
    return Step(partial(_draw_crop, scale=(scale_min, scale_max), ratio=(ratio_min, ratio_max)), _cropped)


def _draw_crop(
    side: int, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draw top, left, height and width of what is kept, px."""
    place = v2.RandomResizedCrop(side, scale=scale, ratio=ratio).make_params([torch.empty(1, side, side)])
    return place["top"], place["left"], place["height"], place["width"]


def _cropped(x: torch.Tensor, drawn: list[tuple[int, int, int, int]]) -> torch.Tensor:
    size = [x.shape[-1]] * 2
    parts = [v2.functional.resized_crop(one, *place, size=size) for one, place in zip(x, drawn, strict=True)]
    return torch.stack(parts)


def grid_dropout(*, ratio: float, unit: float) -> Step:
    """Blacken a square in every cell of a grid, cells of `unit` px, in all `ratio` of the area."""
    check(0 <= ratio <= 1, "ratio must be a share of the area, from 0 to 1")
    check(unit >= 2, "unit must be at least 2 px")
    return Step(
        partial(_draw_holes, unit=unit), partial(_with_holes, hole=math.sqrt(ratio) * unit, unit=unit)
    )


def _draw_holes(_: int, *, unit: float) -> tuple[float, float]:
    """Draw where the grid begins, px down and to the right."""
    return uniform(0, unit), uniform(0, unit)


def _with_holes(
    x: torch.Tensor, drawn: list[tuple[float, float]], *, hole: float, unit: float
) -> torch.Tensor:
    starts = torch.tensor(drawn, dtype=x.dtype, device=x.device)
    at = torch.arange(x.shape[-1], device=x.device)
    down, right = ((at + start[:, None]) % unit < hole for start in starts.T)
    return x.masked_fill_((down[:, :, None] & right[:, None, :])[:, None], 0)
