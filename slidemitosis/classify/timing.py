"""Where the time of one slide goes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = Literal[
    "preparing",  # opening the slide, reading the candidates, placing the windows
    "loading",  # importing what computes and loading the model; the first batches are read meanwhile
    "reading",  # in the reader processes, added up
    "waiting",  # of the classifying process, for patches
    "computing",
    "rating",  # counting, and looking for the hot spot
    "writing",
]


class Stopwatch:
    """Seconds of each part of the work on one slide; it runs from when it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[str, float] = dict.fromkeys(get_args(Part), 0.0)

    @contextlib.contextmanager
    def during(self, part: Part) -> Iterator[None]:
        """The block is this part."""
        started = time.perf_counter()
        yield
        self.add(part, time.perf_counter() - started)

    def add(self, part: Part, seconds: float) -> None:
        """Count seconds to a part; a negative number takes some away."""
        self._seconds[part] += seconds

    def told(self) -> dict[str, float]:
        """The seconds of every part, and "total", all of them until now; three decimals."""
        seconds = self._seconds | {"total": time.perf_counter() - self._started}
        return {part: round(value, 3) for part, value in seconds.items()}
