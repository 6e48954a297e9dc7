"""Pure: candidates that repeat a figure which is listed before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_Cells = dict[tuple[float, float], list[int]]

# A cell a little wider than the distance: rounding can then never put a pair at exactly that
# distance two cells apart. The least width lets the distance be 0.
_WIDER, _LEAST_WIDTH = 1.001, 1e-3  # factor, um


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Why a candidate is left out, and which one is kept in its place."""

    of: int
    """Index of the kept candidate."""
    same_id: bool
    """Whether it has the id of the kept candidate; if not, it lies within the distance of it."""
    distance_um: float
    """From the centre of the kept candidate, um; any distance where the ids are the same."""


def find_duplicates(
    xy_um: NDArray[np.float64], ids: Sequence[str | None], *, distance_um: float = 2.0
) -> dict[int, Duplicate]:
    """Return, by the index of each duplicate, which kept candidate it repeats.

    xy_um: float64 (N, 2), x and y in um, finite. ids: N, None where there is none. A candidate is a duplicate
    if one that stands before it and is kept has its id or lies within `distance_um`, inclusive; of several
    within that distance the nearest is named, of equally near ones the first. Raises InvalidOption for a
    distance that is not finite and at least 0, and ValueError for arrays that do not fit or are not finite.
    """
    _check(xy_um, ids, distance_um)
    width = max(distance_um * _WIDER, _LEAST_WIDTH)
    keys: list[list[float]] = np.floor(xy_um / width).tolist()
    places: list[list[float]] = xy_um.tolist()
    kept_by_id: dict[str, int] = {}
    cells: _Cells = {}
    duplicates: dict[int, Duplicate] = {}
    for index, (name, (x, y), (column, row)) in enumerate(zip(ids, places, keys, strict=True)):
        same = None if name is None else kept_by_id.get(name)
        if same is not None:
            away = math.hypot(x - places[same][0], y - places[same][1])
            duplicates[index] = Duplicate(same, same_id=True, distance_um=away)
            continue
        near = ((math.hypot(x - places[k][0], y - places[k][1]), k) for k in _around(cells, column, row))
        nearest, other = min(near, default=(math.inf, -1))
        if nearest <= distance_um:
            duplicates[index] = Duplicate(other, same_id=False, distance_um=nearest)
            continue
        # Kept ones lie more than the distance apart, so a cell never holds more than a few.
        cells.setdefault((column, row), []).append(index)
        if name is not None:
            kept_by_id[name] = index
    return duplicates


def _around(cells: _Cells, column: float, row: float) -> Iterator[int]:
    for i in (column - 1, column, column + 1):
        for j in (row - 1, row, row + 1):
            yield from cells.get((i, j), ())


def _check(xy_um: NDArray[np.float64], ids: Sequence[str | None], distance_um: float) -> None:
    if not (math.isfinite(distance_um) and distance_um >= 0):
        raise InvalidOption(f"the distance of duplicates is {distance_um} um; it must be 0 or more")
    if xy_um.shape != (len(ids), 2):
        raise ValueError(f"{len(ids)} ids need coordinates of shape ({len(ids)}, 2), not {xy_um.shape}")
    if not np.isfinite(xy_um).all():
        raise ValueError("every coordinate must be a finite number")
