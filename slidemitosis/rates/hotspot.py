"""Find the place where a spot of a given shape and size covers most figures; pure.

A branch and bound search over the places of the spot's centre. For a square of centres, the figures that all
spots centred in it hold, and those that some of them hold, bound the number that the best of them holds.
Squares whose upper bound is no better than the best spot seen are dropped, the others are cut into four.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    from slidemitosis.options import Spot

EDGE_UM = 0.002
"""Precision of a spot's edge: no spot that is narrower by this on every side holds more figures."""

WORK = 150_000_000
"""Comparisons of a figure with a square of centres after which the search stops; they take seconds."""

_Norm = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

_FIRST_HALF = 0.5  # half a side of the first squares, in half widths of the spot
_PIECE = 1 << 18  # comparisons made together


@dataclass(frozen=True, slots=True)
class HotSpot:
    """The place where the spot holds most figures."""

    spot: Spot
    x_um: float
    """Centre of the smallest circle, or smallest rectangle, around the figures in the spot."""
    y_um: float
    figures: int
    at_most: int
    """No spot holds more, within EDGE_UM; more than `figures` only if the search was stopped."""
    inside: NDArray[np.bool_]
    """(N,): which figures the spot holds, in the order in which they were given."""


class _Squares(NamedTuple):
    """C squares of centres of one size, in half widths of the spot, and the points at their edges."""

    half: float
    x: NDArray[np.float64]
    """(C,): x of the squares' middles; `y` alike."""
    y: NDArray[np.float64]
    held: NDArray[np.int64]
    """(C,): number of points that every spot centred in the square holds."""
    counts: NDArray[np.int64]
    """(C,): number of further points that some of these spots hold."""
    doubtful: NDArray[np.int32]
    """Numbers of these further points, square by square."""

    @property
    def bound(self) -> NDArray[np.int64]:
        """(C,): no spot centred in the square holds more points."""
        return self.held + self.counts

    def take(self, which: NDArray[np.int64]) -> _Squares:
        """Return some of the squares, in this order."""
        counts = self.counts[which]
        starts = (np.cumsum(self.counts) - self.counts)[which]
        ends = np.cumsum(counts)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
        return _Squares(
            self.half, self.x[which], self.y[which], self.held[which], counts, self.doubtful[places]
        )


def find_hot_spot(xy_um: NDArray[np.float64], spot: Spot, *, work: int = WORK) -> HotSpot | None:
    """Find the spot that holds most of the points, (N, 2) in um; None if there are no points.

    If several hold as many, the same one is taken whatever the order of the points. `work` limits the search;
    see `HotSpot.at_most`. Raises ValueError if a coordinate is not finite.
    """
    if len(xy_um) == 0:
        return None
    if not np.isfinite(xy_um).all():
        raise ValueError("every coordinate must be a finite number")
    half, corner = np.array(spot.half_um), xy_um.min(axis=0)
    order = np.lexsort((xy_um[:, 0], xy_um[:, 1]))
    norm = _round if spot.shape == "circle" else _straight
    finest = EDGE_UM / 2 / float(half.max())

    def held(centre: NDArray[np.float64]) -> NDArray[np.bool_]:
        return norm(*np.abs((xy_um - centre) / (half * (1 + 2 * finest))).T) <= 1

    centre, at_most = _search((xy_um[order] - corner) / half, norm, finest=finest, work=work)
    centre = centre * half + corner
    inside = held(centre)
    middle = _middle(xy_um[inside], spot)
    around_middle = held(middle)
    if around_middle[inside].all():  # not so only by rounding
        centre, inside = middle, around_middle
    x, y = centre.tolist()
    count = int(inside.sum())
    return HotSpot(spot, x, y, count, max(at_most, count), inside)


def _round(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance, at most 1 within a circle of radius 1."""
    return dx * dx + dy * dy


def _straight(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the larger of the two, at most 1 within a square of half width 1."""
    return np.maximum(dx, dy)


def _search(
    points: NDArray[np.float64], norm: _Norm, *, finest: float, work: int
) -> tuple[NDArray[np.float64], int]:
    """Return a centre whose spot holds most points, (2,), and a number that no spot exceeds."""
    xs, ys = np.ascontiguousarray(points.T)
    best, centre = 0, points[0]
    pushed = itertools.count()
    waiting: list[tuple[int, float, int, _Squares]] = []

    def put_off(squares: _Squares) -> None:
        for piece in _pieces(squares, best):
            # The greatest bound first, of equal ones the finest; the number avoids comparing pieces.
            heapq.heappush(waiting, (-int(piece.bound.max()), piece.half, next(pushed), piece))

    put_off(_first_squares(xs, ys, norm))
    while waiting and -waiting[0][0] > best and work > 0:
        squares = heapq.heappop(waiting)[-1]
        squares = squares.take(np.flatnonzero(squares.bound > best))
        work -= 4 * len(squares.doubtful)
        squares, at_middle = _cut(squares, xs, ys, norm)
        # A square of the finest size is as good as a point.
        found = squares.bound if squares.half <= finest else at_middle
        if found.max() > best:
            k = int(found.argmax())
            best, centre = int(found[k]), np.array([squares.x[k], squares.y[k]])
        if squares.half > finest:
            put_off(squares)
    return centre, max(best, -waiting[0][0] if waiting else 0)


def _first_squares(xs: NDArray[np.float64], ys: NDArray[np.float64], norm: _Norm) -> _Squares:
    """Return all squares with a spot that holds a point, on a lattice that begins at 0, 0."""
    side = 2 * _FIRST_HALF
    reach = math.ceil(1 / side) + 1
    steps = np.arange(-reach, reach + 1)
    width = int(xs.max() // side) + 2 * reach + 2
    keys, numbers = [], []
    for i in steps:
        for j in steps:
            column, row = np.floor(xs / side) + i, np.floor(ys / side) + j
            dx, dy = np.abs(xs - (column + 0.5) * side), np.abs(ys - (row + 0.5) * side)
            near = norm(np.maximum(dx - _FIRST_HALF, 0), np.maximum(dy - _FIRST_HALF, 0)) <= 1
            numbers.append(np.flatnonzero(near).astype(np.int32))
            keys.append(((row + reach) * width + column + reach)[near].astype(np.int64))
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    found, counts = np.unique(key, return_counts=True)
    x, y = found % width - reach + 0.5, found // width - reach + 0.5
    return _Squares(
        _FIRST_HALF,
        (x * side).astype(np.float64),
        (y * side).astype(np.float64),
        np.zeros_like(found),
        counts,
        np.concatenate(numbers)[order],
    )


def _cut(
    squares: _Squares, xs: NDArray[np.float64], ys: NDArray[np.float64], norm: _Norm
) -> tuple[_Squares, NDArray[np.int64]]:
    """Cut each square into four; return them and how many points the spot in the middle of each holds."""
    n, half = len(squares.x), squares.half / 2
    rows = np.repeat(np.arange(n), squares.counts)
    px, py = xs[squares.doubtful], ys[squares.doubtful]
    parts, at_middle = [], []
    for sx, sy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        x, y = squares.x + sx * half, squares.y + sy * half
        dx, dy = np.abs(px - x[rows]), np.abs(py - y[rows])
        always = norm(dx + half, dy + half) <= 1
        ever = norm(np.maximum(dx - half, 0), np.maximum(dy - half, 0)) <= 1
        edge = ever & ~always
        held = squares.held + np.bincount(rows[always], minlength=n)
        counts = np.bincount(rows[edge], minlength=n)
        at_middle.append(squares.held + np.bincount(rows[norm(dx, dy) <= 1], minlength=n))
        parts.append(_Squares(half, x, y, held, counts, squares.doubtful[edge]))
    whole = (np.concatenate([p[i] for p in parts]) for i in range(1, 6))
    return _Squares(half, *whole), np.concatenate(at_middle)


def _pieces(squares: _Squares, best: int) -> list[_Squares]:
    """Return the squares that may hold a better spot, in pieces with similar bounds."""
    bound = squares.bound
    promising = np.flatnonzero(bound > best)
    promising = promising[np.argsort(bound[promising], kind="stable")]
    ends = np.cumsum(squares.counts[promising])
    cuts = np.flatnonzero(np.diff(ends // _PIECE)) + 1
    return [squares.take(piece) for piece in np.split(promising, cuts) if len(piece)]


def _middle(points: NDArray[np.float64], spot: Spot) -> NDArray[np.float64]:
    """Return the centre of the smallest circle, or smallest rectangle, around the points, (2,)."""
    low, high = points.min(axis=0), points.max(axis=0)
    if spot.shape == "circle":
        # Moved to 0, in whole nanometres and in order, so that the geometry library's quotients are finite.
        near = shapely.multipoints(np.unique(np.round(points - low, 3), axis=0))
        with np.errstate(all="ignore"):
            bounds = np.array(shapely.minimum_bounding_circle(near).bounds)
        low, high = low + bounds[:2], low + bounds[2:]
    middle: NDArray[np.float64] = (low + high) / 2
    return middle
