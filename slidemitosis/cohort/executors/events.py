"""What whoever runs the slides of a cohort says while it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slidemitosis.cohort.slides import CohortSlide, Outcome


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of a slide's candidates are done."""

    slide: CohortSlide
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Message:
    """Something that the library logged about a slide."""

    slide: CohortSlide
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A slide is done, failed or skipped."""

    slide: CohortSlide
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Held:
    """Another run is at work on the slide, and it was passed by."""

    slide: CohortSlide


Event = Progress | Message | Ended | Held


class Executor(Protocol):
    """Runs the slides of a cohort: processes of this machine, or a cluster's."""

    def run(self, slides: Sequence[CohortSlide], *, wait: bool) -> Iterator[Event]:
        """Do these slides, and say what happens; each of them ends as Ended or, without `wait`, as Held."""
        ...
