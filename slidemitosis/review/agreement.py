"""How far two readers agree: Cohen's kappa; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two readers answered about the same figures."""

    readers: tuple[str, str]
    figures: int
    """Figures to which both gave an answer but "unsure"."""
    same: int
    """Of these, figures to which both gave the same answer."""
    kappa: float | None
    """None where it is not defined: no such figure, or both gave one and the same answer throughout."""
    unsure: int
    """Figures to which both gave an answer and at least one of them was unsure."""
    apart: tuple[str, ...]
    """The figures to which they gave different answers, but "unsure"."""

    def __str__(self) -> str:
        first, second = (repr(name) if name else "the reader without a name" for name in self.readers)
        kappa = "kappa not defined" if self.kappa is None else f"kappa {self.kappa:.2f}"
        unsure = f"; {self.unsure} more where one was unsure" if self.unsure else ""
        return f"{first} and {second}: the same answer to {self.same} of {self.figures}, {kappa}{unsure}"


def agreements(answers: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    """Compare each two readers that have figures in common; `answers`: by reader, then by figure."""
    pairs = (agreement((a, b), answers[a], answers[b]) for a, b in combinations(sorted(answers), 2))
    return [pair for pair in pairs if pair.figures or pair.unsure]


def agreement(readers: tuple[str, str], first: Mapping[str, str], second: Mapping[str, str]) -> Agreement:
    """Compare two readers' answers, each by figure."""
    both = [figure for figure in first if figure in second]
    sure = [figure for figure in both if "unsure" not in (first[figure], second[figure])]
    apart = tuple(figure for figure in sure if first[figure] != second[figure])
    return Agreement(
        readers=readers,
        figures=len(sure),
        same=len(sure) - len(apart),
        kappa=cohens_kappa([(first[figure], second[figure]) for figure in sure]),
        unsure=len(both) - len(sure),
        apart=apart,
    )


def cohens_kappa(pairs: list[tuple[str, str]]) -> float | None:
    """Return (observed - expected agreement) / (1 - expected agreement), Cohen 1960.

    None without pairs, and where only one and the same answer was given, so that chance explains it all.
    """
    n = len(pairs)
    firsts, seconds = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(firsts[word] * seconds[word] for word in firsts)  # times n squared
    if n * n == by_chance:
        return None
    same = sum(a == b for a, b in pairs)
    return (n * same - by_chance) / (n * n - by_chance)
