"""Draw the chromatin of mitotic figures as rods."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rods = NDArray[np.complexfloating[Any, Any]]  # (3, n): begin x + iy, end x + iy, radius; um


def _plate(
    rng: np.random.Generator,
    length: float,
    thick: float,
    *,
    bow: float = 0.0,
    at: complex = 0,
    angle: float = 0.0,
) -> Rods:
    """Return the rods of chromosomes side by side, across a line of this length (um)."""
    t = np.linspace(-0.5, 0.5, max(2, round(length / 0.75)))
    along = t * length + rng.normal(0, 0.15, t.size)
    off = bow * (4 * t * t - 0.33) + rng.normal(0, 0.18, t.size)
    half = thick / 2 * rng.uniform(0.55, 1.1, t.size) * (1 - 0.5 * np.abs(t))
    arm = rng.normal(0, 0.35, t.size) + 1j * half
    turn, middle = cmath.exp(1j * angle), along + 1j * off
    radius = rng.uniform(0.6, 0.95, t.size)
    return np.stack([at + turn * (middle - arm), at + turn * (middle + arm), radius])


def rods(rng: np.random.Generator, kind: str) -> Rods:
    """Draw the chromatin of one figure of a kind, such as "metaphase", around its centre."""
    length, apart, bow = rng.uniform((7, 2.5, -0.5), (10, 3.6, 0.5)).tolist()
    apart += 0.7 * (kind in {"bridge", "lagging"})  # um, room for what lies between the plates
    if kind == "metaphase":
        return _plate(rng, length, float(rng.uniform(1.4, 2.6)), bow=bow)
    if kind == "prometaphase":
        middle = 3.6 * np.sqrt(rng.uniform(0, 1, 22)) * np.exp(1j * rng.uniform(0, math.tau, 22))
        arm = 0.8 * np.exp(1j * rng.uniform(0, math.pi, 22))
        return np.stack([middle - arm, middle + arm, rng.uniform(0.5, 0.85, 22)])
    if kind == "ring":
        way = np.exp(1j * np.arange(0, math.tau, 0.28))
        radius, (inner, outer) = float(rng.uniform(2.9, 3.8)), rng.uniform(0.2, 0.9, (2, way.size))
        return np.stack([way * (radius - inner), way * (radius + outer), rng.uniform(0.55, 0.9, way.size)])
    if kind == "multipolar":
        arms = int(rng.integers(3, 5))
        ways = (np.arange(arms) * (math.tau / arms) + rng.normal(0, 0.15, arms)).tolist()
        return np.hstack([_plate(rng, 4.8, 1.5, at=cmath.rect(2.4, way), angle=way) for way in ways])
    first, second = (0.55, 1.0) if kind == "asymmetric" else (0.85, 0.85)
    parts = [_plate(rng, length * first, 1.2, bow=-0.8, at=-1j * apart)]
    parts.append(_plate(rng, length * second, 2 * second - 0.4, bow=0.8, at=1j * apart))
    if kind == "bridge":
        ends = rng.uniform(-2, 2, int(rng.integers(1, 3)))
        parts.append(np.stack([ends - 1j * apart, 0.6 * ends + 1j * apart, np.full(ends.size, 0.55)]))
    if kind == "lagging":
        x, y, size = rng.uniform((-3, -0.3, 0.35), (3, 0.3, 0.55), (int(rng.integers(2, 5)), 3)).T
        parts.append(np.stack([x + 1j * apart * y, x + 0.4 + 1j * apart * y, size]))
    return np.hstack(parts)
