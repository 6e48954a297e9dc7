"""Compress figures as JPEG does, without a file: by tensor operations, on any device.

What JPEG loses is computed and nothing is coded: colours are converted to brightness and two colour
differences, of which every 2 x 2 px keep the mean (4:2:0); blocks of 8 x 8 px are transformed by the DCT, the
coefficients rounded to multiples of a table, and all is converted back. A picture differs from that of
libjpeg, which computes in whole numbers, by rounding. Source: ITU-T T.81, annex A.3 (transform, quantisation)
and annex K.1 (tables); ITU-T T.871 (colours); libjpeg for quality, and for the triangle by which it magnifies
colours.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch.nn.functional import pad

_BLOCK = 8
_BRIGHTNESS_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)


def through_jpeg(x: torch.Tensor, qualities: list[int]) -> torch.Tensor:
    """Return figures as they are after compression with a quality of 1 to 100 each.

    `x`: float32 (B, 3, S, S), RGB in 0..1. Returns the same shape and device, in steps of 1 / 255.
    """
    side = x.shape[-1]
    lacking = -side % (2 * _BLOCK)
    if lacking:
        x = pad(x, [0, lacking, 0, lacking], mode="replicate")
    r, g, b = (x * 255).round_().unbind(1)
    brightness = (r * 0.299).add_(g, alpha=0.587).add_(b, alpha=0.114)
    colour = torch.stack([(b - brightness).mul_(1 / 1.772), (r - brightness).mul_(1 / 1.402)], dim=1)
    scale = torch.tensor([_scale(q) for q in qualities], dtype=x.dtype, device=x.device)
    y = _quantised(brightness.round_().sub_(128)[:, None], _table(_BRIGHTNESS_TABLE, scale))[:, 0].add_(128)
    cb, cr = _magnified(_quantised(_halved(colour.round_()), _table(_COLOUR_TABLE, scale))).unbind(1)
    out = torch.empty_like(x)
    torch.add(y, cr, alpha=1.402, out=out[:, 0])
    torch.add(y, cb, alpha=-0.344136, out=out[:, 1]).sub_(cr, alpha=0.714136)
    torch.add(y, cb, alpha=1.772, out=out[:, 2])
    return out.round_().clamp_(0, 255).div_(255)[:, :, :side, :side]


def _halved(x: torch.Tensor) -> torch.Tensor:
    """Return the means of 2 x 2 px, rounded; libjpeg rounds up or down at every other, against a drift."""
    rows = x[:, :, ::2] + x[:, :, 1::2]
    up = torch.tensor([1.0, 2.0], dtype=x.dtype, device=x.device).repeat(x.shape[-1] // 4)
    return (rows[..., ::2] + rows[..., 1::2]).add_(up).mul_(0.25).floor_()


def _magnified(x: torch.Tensor) -> torch.Tensor:
    """Return planes of twice the side: of each pixel three quarters of the nearer and one of the farther."""
    half = x.shape[-1]
    nearer = torch.arange(2 * half, device=x.device) // 2
    farther = (nearer + torch.tensor([-1, 1], device=x.device).repeat(half)).clamp(0, half - 1)
    each = torch.eye(half, dtype=x.dtype, device=x.device)
    triangle = 0.75 * each[nearer] + 0.25 * each[farther]
    return (triangle @ x @ triangle.T).round_()


def _scale(quality: int) -> int:
    """Return the percentage of the tables that libjpeg makes of a quality."""
    return 5000 // quality if quality < 50 else 200 - 2 * quality


def _table(table: tuple[tuple[int, ...], ...], scale: torch.Tensor) -> torch.Tensor:
    """Return the table of each figure, (B, 1, 1, 64)."""
    base = torch.tensor(table, dtype=scale.dtype, device=scale.device).flatten()
    return ((base * scale[:, None] + 50) / 100).floor_().clamp_(1, 255)[:, None, None]


@cache
def _transform() -> torch.Tensor:
    """Return the DCT of a block as one matrix, (64, 64), whose transpose is its inverse."""
    at = torch.arange(_BLOCK, dtype=torch.float64)
    waves = torch.cos(math.pi / _BLOCK * at[:, None] * (at + 0.5)) * math.sqrt(2 / _BLOCK)
    waves[0] /= math.sqrt(2)
    return torch.kron(waves, waves).float()


def _quantised(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Return planes (B, C, H, W), around 0, with their coefficients rounded to multiples of the table."""
    b, c, height, width = x.shape
    transform = _transform().to(x)
    blocks = x.reshape(b, c, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4)
    # libjpeg has coefficients in eighths, and rounds halves away from zero.
    eighths = (blocks.reshape(b, c, -1, _BLOCK**2) @ (8 * transform.T)).round_()
    coefficients = eighths.div_(8 * (1 - 1e-6) * table).round_().mul_(table)
    back = (coefficients @ transform).reshape(blocks.shape).transpose(3, 4)
    return back.reshape(x.shape).round_().clamp_(-128, 127)
