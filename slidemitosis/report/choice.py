"""Choose the figures that a page shows, the same whatever the order in which they come; pure."""

from __future__ import annotations

import bisect
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_Key = tuple[float, int]
"""What figures of a gallery are sorted by, and the figure's row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many figures each gallery shows at the most; None: all."""

    atypical: int | None = 150
    near: int | None = 48
    normal: int | None = 48
    blank: int | None = 16


SOME = Limits()
ALL = Limits(atypical=None, normal=None, blank=None)
"""Every figure. Those around the threshold are among them, so that their strip stays a strip."""


class _Least:
    """The rows with the least keys."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._keys: list[_Key] = []

    def offer(self, key: _Key) -> None:
        """Take a row, unless so many others have lesser keys."""
        if self._limit is None:
            self._keys.append(key)
        elif len(self._keys) < self._limit or key < self._keys[-1]:
            bisect.insort(self._keys, key)
            del self._keys[self._limit :]

    @property
    def rows(self) -> list[int]:
        """The rows, those with the least keys first."""
        return [row for _, row in sorted(self._keys)]


class Choice:
    """The galleries of one slide, by row of its table, while figures come one by one in any order."""

    def __init__(self, threshold: float, limits: Limits = SOME) -> None:
        self._threshold = threshold
        self._atypical = _Least(limits.atypical)
        self._near = _Least(limits.near)
        self._normal = _Least(limits.normal)
        self._blank = _Least(limits.blank)

    def offer(self, row: int, object_id: str, probability: float | None) -> None:
        """Take a figure, or leave it. `probability` is P(atypical), None of a patch that is blank."""
        if probability is None:
            self._blank.offer((row, row))
            return
        self._near.offer((round(abs(probability - self._threshold), 6), row))
        if probability >= self._threshold:
            self._atypical.offer((-probability, row))
        else:  # a sample: the checksum of its id has nothing to do with what a figure looks like
            self._normal.offer((zlib.crc32(object_id.encode()), row))

    @property
    def galleries(self) -> Mapping[str, list[int]]:
        """The rows of each gallery; atypical by P, near by the distance from the threshold."""
        return {
            "atypical": self._atypical.rows,
            "near": self._near.rows,
            "normal": self._normal.rows,
            "blank": self._blank.rows,
        }

    @property
    def rows(self) -> set[int]:
        """All rows that are in a gallery."""
        return {row for rows in self.galleries.values() for row in rows}
