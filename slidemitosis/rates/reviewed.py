"""The rate that a person's answers give, alone and together with the model; pure.

How much answers say of a slide depends on why its figures were answered:

- All figures: a census. There is nothing to estimate of these figures.
- A random sample of them: what the sample says of the model's error corrects the model's mean, which is
  unbiased whatever the model says, and surer than the sample alone.
- Figures that were chosen by the model's doubt, found to be wrong, or reviewed as far as somebody came: an
  answer stands in place of P(atypical) where there is one, and the number is not unbiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from slidemitosis.labels import NEGATIVE, NO_MITOSIS, POSITIVE, UNSURE, Reason, Word
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from slidemitosis.prediction import CandidateResult, Status

Chosen = Literal["all", "random", "chosen"]
Interval = tuple[float, float]

LEAST_SAMPLED = 10
"""With fewer sampled figures there is no interval."""
_DECIDED: tuple[Word, ...] = (POSITIVE, NEGATIVE, NO_MITOSIS)


APART: tuple[Status, ...] = ("duplicate", "outside")
"""What stands for no figure of its own, so that no answer about it counts."""


@dataclass(frozen=True, slots=True)
class ReviewedFigure:
    """One figure: what the model says of it, and what persons say."""

    probability: float | None
    """P(atypical); None where the model says nothing of it."""
    answer: Word | None
    """What all readers together say; None where nobody was asked."""
    reason: Reason | None = None
    """Why it was answered; None where it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """A fraction AMF / (AMF + NMF), and how sure it is."""

    value: float | None
    """None where no figure is a mitosis."""
    figures: Interval | None = None
    """95 % interval of what this reader would count among all figures of the slide."""
    tumour: Interval | None = None
    """95 % interval of the fraction of the tumour, of which these figures are a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRate:
    """What the answers about the figures of a slide come to."""

    figures: int
    """Figures with a P(atypical) or an answer."""
    answers: Mapping[Word, int]
    reasons: Mapping[Reason, int]
    chosen: Chosen
    """How the figures that count were chosen: all, a random sample, or otherwise."""
    counted: int
    """Answers that the rates are made of, those of readers who were not sure left out."""
    reviewed: Fraction
    """By the answers alone."""
    combined: Fraction
    """By the answers and the model together."""
    no_mitosis: Fraction
    """Share of the candidates that are no mitoses, by the answers."""
    because: str
    """How the figures were chosen, and what follows of that."""

    @property
    def answered(self) -> int:
        """All answers, those of readers who were not sure included."""
        return sum(self.answers.values())

    @property
    def unbiased(self) -> bool:
        """Whether the rates are right on average, however wrong the model is."""
        return self.chosen != "chosen"


def reviewed_figures(results: Iterable[CandidateResult]) -> list[ReviewedFigure]:
    """Return each figure of a slide with what the model and what persons say of it."""
    verdicts = ((r.probability, r.verdict) for r in results if r.status not in APART)
    return [ReviewedFigure(p, v.answer if v else None, v.reason if v else None) for p, v in verdicts]


def review_rate(figures: Sequence[ReviewedFigure]) -> ReviewRate | None:
    """Count the answers about one slide's figures, and make the rates that they give; None without answers.

    figures: all that stand for a figure of its own, so neither duplicates nor candidates off the slide.
    Answers of readers who are not sure are counted, and are otherwise as good as none.
    """
    figures = [f for f in figures if f.probability is not None or f.answer is not None]
    answered = [f for f in figures if f.answer is not None]
    if not answered:
        return None
    sampled = [f for f in figures if f.reason == "random" and f.probability is not None]
    chosen: Chosen
    if len(answered) == len(figures):
        chosen, counted = "all", answered
        rates = _census(answered)
    elif sampled:
        chosen, counted = "random", sampled
        rates = _sample([f for f in figures if f.probability is not None], sampled)
    else:
        chosen, counted = "chosen", answered
        rates = _replaced(figures)
    reviewed, combined, none = rates
    decided = sum(f.answer in _DECIDED for f in counted)
    return ReviewRate(
        figures=len(figures),
        answers={word: sum(f.answer == word for f in answered) for word in get_args(Word)},
        reasons={reason: sum(f.reason == reason for f in answered) for reason in get_args(Reason)},
        chosen=chosen,
        counted=decided,
        reviewed=reviewed,
        combined=combined,
        no_mitosis=none,
        because=_because(chosen, len(figures), len(answered), decided),
    )


def _because(chosen: Chosen, figures: int, answered: int, decided: int) -> str:
    if chosen == "all":
        return f"all {figures} figures were reviewed"
    if chosen == "random":
        few = f"; fewer than {LEAST_SAMPLED}, and so no interval" if decided < LEAST_SAMPLED else ""
        others = f"; {answered - decided} other or unsure answers do not count" if answered > decided else ""
        return f"a random sample of {decided} of {figures} figures was reviewed{few}{others}"
    return (
        f"not unbiased: {answered} of {figures} figures were reviewed, and these are neither all nor a "
        "random sample"
    )


def _numbers(figures: Sequence[ReviewedFigure]) -> tuple[int, int, int]:
    """Return how many are atypical, mitoses, and decided at all."""
    atypical, normal, none = (sum(f.answer == word for f in figures) for word in _DECIDED)
    return atypical, atypical + normal, atypical + normal + none


def _census(figures: Sequence[ReviewedFigure]) -> tuple[Fraction, Fraction, Fraction]:
    """Rates of figures that were all reviewed; those that a reader was not sure of may be either."""
    k, n, decided = _numbers(figures)
    unsure = [f for f in figures if f.answer == UNSURE]
    reviewed = combined = Fraction(value=None)
    if n:
        reviewed = Fraction(value=k / n, figures=(k / n, k / n), tumour=jeffreys_interval(k, n))
    if both := n + len(unsure):
        low, high = jeffreys_interval(k, both), jeffreys_interval(k + len(unsure), both)
        combined = Fraction(
            value=_replaced(figures)[1].value,
            figures=(k / both, (k + len(unsure)) / both),
            tumour=(low[0], high[1]),
        )
    share = (decided - n) / decided if decided else None
    none = Fraction(value=share, figures=None if share is None else (share, share))
    return reviewed, combined, none


def _sample(
    figures: Sequence[ReviewedFigure], sampled: Sequence[ReviewedFigure]
) -> tuple[Fraction, Fraction, Fraction]:
    """Rates of all `figures`, of which `sampled` are a simple random sample.

    With y = 1 for an atypical figure, m = 1 for a mitosis and P what the model says, the fraction is
    (mean P + the sample's mean of (y - P)) / (the sample's mean of m): a difference estimator over a ratio
    (Cochran 1977, 6.8 and 7.5). Its error is that of the sample's mean of (y - P) - fraction * m.
    """
    decided = [f for f in sampled if f.answer in _DECIDED]
    k, n, size = _numbers(decided)
    everyone = len(figures)
    if not n:
        return Fraction(value=None), Fraction(value=None), _share(size - n, size, everyone)
    y = np.array([f.answer == POSITIVE for f in decided], np.float64)
    m = np.array([f.answer != NO_MITOSIS for f in decided], np.float64)
    p = np.array([f.probability for f in decided], np.float64)
    mean_p = math.fsum(f.probability or 0.0 for f in figures) / everyone
    mitoses = n / size
    # Few errors in a small sample can put the number beyond what a fraction can be.
    fraction = min(max((mean_p + math.fsum(y - p) / size) / mitoses, 0.0), 1.0)
    variance = _mean_variance(y - p - fraction * m, everyone) / mitoses**2
    of_tumour = variance + fraction * (1 - fraction) / (everyone * mitoses)
    sure = size >= LEAST_SAMPLED
    reviewed = Fraction(
        value=k / n,
        figures=_of_finite(k, n, round(everyone * mitoses)) if sure else None,
        tumour=wilson_interval(k, n) if sure else None,
    )
    combined = Fraction(
        value=fraction,
        figures=_around(fraction, variance, size) if sure else None,
        tumour=_around(fraction, of_tumour, size) if sure else None,
    )
    return reviewed, combined, _share(size - n, size, everyone)


def _share(none: int, size: int, everyone: int) -> Fraction:
    """Return the share of candidates that are no mitoses, with the interval that the sample gives."""
    interval = _of_finite(none, size, everyone) if size >= LEAST_SAMPLED else None
    return Fraction(value=none / size if size else None, figures=interval)


def _of_finite(k: int, n: int, everyone: int) -> Interval:
    """Return Wilson's interval of a proportion among `everyone`, of whom n were drawn without replacement."""
    rest = (everyone - n) / max(everyone - 1, 1)
    if rest <= 0:
        return k / n, k / n
    return wilson_interval(k / rest, n / rest)


def _mean_variance(residuals: NDArray[np.float64], everyone: int) -> float:
    """Return the variance of the mean of a sample drawn without replacement.

    As if two figures more had been drawn, whose residuals are 1/2 and -1/2: a small sample of a good model
    may hold no error at all, and would else seem to be sure (after Agresti and Coull 1998).
    """
    n = len(residuals)
    squares = float(np.square(residuals - residuals.mean()).sum()) + 0.5
    return squares / (n + 1) / (n + 2) * (1 - n / everyone)


def _around(middle: float, variance: float, size: int) -> Interval:
    """Return the interval of Student's t around a fraction, within what a fraction can be."""
    from scipy.special import stdtrit

    half = float(stdtrit(size + 1, 0.975)) * math.sqrt(variance)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _replaced(figures: Sequence[ReviewedFigure]) -> tuple[Fraction, Fraction, Fraction]:
    """Rates of figures that were not chosen by chance: an answer stands in place of P(atypical)."""
    k, n, decided = _numbers(figures)
    open_yet = [f.probability for f in figures if f.answer not in _DECIDED and f.probability is not None]
    both = n + len(open_yet)
    combined = (k + math.fsum(open_yet)) / both if both else None
    return (
        Fraction(value=k / n if n else None),
        Fraction(value=combined),
        Fraction(value=(decided - n) / decided if decided else None),
    )
