"""Count the figures of a slide; the atypical rate with its uncertainty."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slidemitosis.prediction import CandidateResult, Prediction

FEW_FIGURES = 10
"""With fewer classified figures a rate says little: 2 of 10 has an interval of 6 to 51 %."""


@dataclass(frozen=True, slots=True)
class SlideRate:
    """Counts of one or several slides, and the two numbers that are both called the atypical rate."""

    atypical: int
    """AMF."""
    normal: int
    """NMF."""
    unreadable: int = 0
    outside: int = 0
    blank: int = 0
    duplicates: int = 0
    """These four are in neither the numerator nor the denominator."""
    uncertain: int = 0
    """Figures with P(atypical) in the band that was asked for: mitoses, but in neither the numerator nor
    the denominator."""
    probabilities: tuple[tuple[float, ...], ...] = ()
    """P(atypical) of the classified and the uncertain figures, those of each slide by themselves, rising."""
    hard_sum: float = 0.0
    """Sum of the probability that experts disagree; 0 if the model does not tell it."""
    subtype_sums: Mapping[str, float] = field(default_factory=dict)
    """Sum of the probability of each subtype; empty if the model tells none."""

    @property
    def classified(self) -> int:
        """AMF + NMF."""
        return self.atypical + self.normal

    @property
    def candidates(self) -> int:
        """Number of all candidates, whatever their status."""
        return self.mitoses + self.unreadable + self.outside + self.blank + self.duplicates

    @property
    def mitoses(self) -> int:
        """AMF + NMF + uncertain: the figures that have a probability."""
        return self.classified + self.uncertain

    @property
    def fraction(self) -> float | None:
        """AMF / (AMF + NMF); None if nothing was classified."""
        return self.atypical / self.classified if self.classified else None

    @property
    def fraction_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of the fraction; None if nothing was classified."""
        return wilson_interval(self.atypical, self.classified) if self.classified else None

    @property
    def fraction_interval_jeffreys(self) -> tuple[float, float] | None:
        """95 % Jeffreys interval of the fraction; None if nothing was classified."""
        return jeffreys_interval(self.atypical, self.classified) if self.classified else None

    @property
    def ratio(self) -> float | None:
        """AMF / NMF; None if there is no NMF. Not the fraction: a ratio of 0.27 is a fraction of 0.213."""
        return self.atypical / self.normal if self.normal else None

    @property
    def expected_atypical(self) -> float:
        """Sum of P(atypical) over the classified and the uncertain figures."""
        return math.fsum(p for s in self.probabilities for p in s)

    @property
    def mean_probability(self) -> float | None:
        """Mean P(atypical) of the classified and the uncertain figures; None if there are none."""
        return self.expected_atypical / self.mitoses if self.mitoses else None

    @property
    def few_figures(self) -> bool:
        """Whether there are too few figures for the rate to say much."""
        return self.classified < FEW_FIGURES


def too_few(figures: int) -> str:
    """Say why there is no rate of so few figures that a handful of calls would make it 0 or 100 %."""
    return f"{figures} figure{'s' * (figures != 1)} classified; it takes {FEW_FIGURES} or more"


def slide_rate(results: Iterable[CandidateResult]) -> SlideRate:
    """Count the candidates of one slide by class and status."""
    counts: Counter[str] = Counter()
    told: list[Prediction] = []
    for r in results:
        counts[r.status if r.call is None else "atypical" if r.call.atypical else "normal"] += 1
        if r.prediction is not None:
            told.append(r.prediction)
    subtypes = dict.fromkeys(name for p in told for name in p.subtypes)
    return SlideRate(
        atypical=counts["atypical"],
        normal=counts["normal"],
        unreadable=counts["unreadable"],
        outside=counts["outside"],
        blank=counts["blank"],
        duplicates=counts["duplicate"],
        uncertain=counts["uncertain"],
        probabilities=(tuple(sorted(p.probability for p in told)),) if told else (),
        # fsum gives the same sum in any order.
        hard_sum=math.fsum(p.p_hard or 0 for p in told),
        subtype_sums={name: math.fsum(p.subtypes.get(name, 0) for p in told) for name in subtypes},
    )


def total(rates: Sequence[SlideRate]) -> SlideRate:
    """Add up the counts of several slides, such as those of one patient."""
    subtypes = dict.fromkeys(name for r in rates for name in r.subtype_sums)
    return SlideRate(
        atypical=sum(r.atypical for r in rates),
        normal=sum(r.normal for r in rates),
        unreadable=sum(r.unreadable for r in rates),
        outside=sum(r.outside for r in rates),
        blank=sum(r.blank for r in rates),
        duplicates=sum(r.duplicates for r in rates),
        uncertain=sum(r.uncertain for r in rates),
        probabilities=tuple(s for r in rates for s in r.probabilities),
        hard_sum=math.fsum(r.hard_sum for r in rates),
        subtype_sums={name: math.fsum(r.subtype_sums.get(name, 0) for r in rates) for name in subtypes},
    )
