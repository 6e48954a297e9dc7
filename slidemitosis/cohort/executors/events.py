"""Executors, which run the slides of a cohort, and the events that they yield meanwhile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slidemitosis.cohort.slides import CohortSlide, Outcome


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of a slide's candidates are done."""

    slide: CohortSlide
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the library logged about a slide."""

    slide: CohortSlide
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a slide: it is done, failed or skipped."""

    slide: CohortSlide
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Held:
    """A slide that was passed by, since another run is at work on it."""

    slide: CohortSlide


Event = Progress | Message | Ended | Held


class LogTo(logging.Handler):
    """Give each record of a logger to a function, as level and text."""

    def __init__(self, tell: Callable[[str, str], object]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """One record as one message."""
        self._tell(record.levelname.lower(), record.getMessage())


class Executor(Protocol):
    """What runs the slides of a cohort: processes of this machine, or a cluster's."""

    def run(self, slides: Sequence[CohortSlide], *, wait: bool) -> Iterator[Event]:
        """Do these slides and yield what happens; each of them ends as Ended or, without `wait`, as Held."""
        ...
