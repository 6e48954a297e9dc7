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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from slidemitosis.distributions import student_quantile
from slidemitosis.labels import NEGATIVE, NO_MITOSIS, POSITIVE, UNSURE, Reason, Word
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from slidemitosis.prediction import CandidateResult, Status, Verdict

Chosen = Literal["all", "random", "chosen"]
Interval = tuple[float, float]

LEAST_SAMPLED = 10
"""With fewer sampled figures there is no interval."""
_FAR = 3.0
"""Standard deviations beyond which it is no chance that a sample holds nothing of so many figures' slides."""
_OWN_VARIANCE = 10
"""Figures sampled of every slide from which on each has a variance of its own."""
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

    @classmethod
    def of(cls, probability: float | None, verdict: Verdict | None) -> ReviewedFigure:
        """Make it of what is settled of the figure; None where nobody was asked."""
        return cls(probability, verdict.answer if verdict else None, verdict.reason if verdict else None)


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

    def without_tumour(self) -> ReviewRate:
        """Return the same of several tumours, which have no fraction of a tumour in common."""
        reviewed, combined = (replace(f, tumour=None) for f in (self.reviewed, self.combined))
        return replace(self, reviewed=reviewed, combined=combined)


def reviewed_figures(results: Iterable[CandidateResult]) -> list[ReviewedFigure]:
    """Return each figure of a slide with what the model and what persons say of it."""
    return [ReviewedFigure.of(r.probability, r.verdict) for r in results if r.status not in APART]


def review_rate(figures: Sequence[ReviewedFigure]) -> ReviewRate | None:
    """Count the answers about one slide's figures, and make the rates that they give; None without answers.

    figures: all that stand for a figure of its own, so neither duplicates nor candidates off the slide.
    Answers of readers who are not sure are counted, and are otherwise as good as none.
    """
    return pooled_review([figures])


def pooled_review(slides: Sequence[Sequence[ReviewedFigure]]) -> ReviewRate | None:
    """Do what `review_rate` does for several slides together; None where nobody has answered.

    Each slide is a stratum, of which all figures or a random sample were reviewed. A sample that was drawn
    from all slides together may hold no figure of a small one; what the others say of the model's error
    stands for it. Where so many figures are of such slides that it cannot be chance, or where there is no
    sample at all, the rates are not unbiased.
    """
    slides = [[f for f in s if f.probability is not None or f.answer is not None] for s in slides]
    slides = [s for s in slides if s]
    every = [f for s in slides for f in s]
    answered = [f for f in every if f.answer is not None]
    if not answered:
        return None
    strata = [_Stratum.of(s) for s in slides]
    chosen = _chosen_of_all(strata)
    counted = answered
    if chosen == "random":
        counted = [f for s in strata for f in s.decided]
        rates = _sample(strata)
    else:
        rates = _census(every) if chosen == "all" else _replaced(every)
    reviewed, combined, none = rates
    decided = sum(f.answer in _DECIDED for f in counted)
    return ReviewRate(
        figures=len(every),
        answers={word: sum(f.answer == word for f in answered) for word in get_args(Word)},
        reasons={reason: sum(f.reason == reason for f in answered) for reason in get_args(Reason)},
        chosen=chosen,
        counted=decided,
        reviewed=reviewed,
        combined=combined,
        no_mitosis=none,
        because=_because(chosen, len(every), len(answered), decided),
    )


def _chosen(figures: Sequence[ReviewedFigure]) -> Chosen:
    """Tell how the figures of one slide were chosen that are answered."""
    if all(f.answer is not None for f in figures):
        return "all"
    sample = [f for f in figures if f.reason == "random" and f.probability is not None]
    return "random" if any(f.answer in _DECIDED for f in sample) else "chosen"


def _chosen_of_all(strata: Sequence[_Stratum]) -> Chosen:
    """Tell how the figures of all slides were chosen that are answered."""
    open_yet = [s for s in strata if s.chosen != "all"]
    if not open_yet:
        return "all"
    drawn = sum(len(s.decided) for s in open_yet)
    return "random" if drawn and _missed_by_chance(open_yet, drawn) else "chosen"


def _missed_by_chance(strata: Sequence[_Stratum], drawn: int) -> bool:
    """Tell whether a sample of so many from all slides together may well miss the slides that it did."""
    everyone = sum(s.figures for s in strata)
    missed = sum(s.figures for s in strata if not s.decided)
    expected = variance = 0.0
    for s in strata:
        none = math.prod(max(1 - s.figures / (everyone - i), 0.0) for i in range(drawn))
        expected += s.figures * none
        variance += s.figures**2 * none * (1 - none)
    return missed <= expected + _FAR * math.sqrt(variance)


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


@dataclass(frozen=True, slots=True)
class _Stratum:
    """The figures of one slide, of which a simple random sample, or all of them, were reviewed."""

    chosen: Chosen
    figures: int
    probability: float
    """Sum of P(atypical) over all figures."""
    decided: tuple[ReviewedFigure, ...]
    """The figures of the sample of which a reader is sure; none where there is no sample."""

    @classmethod
    def of(cls, figures: Sequence[ReviewedFigure]) -> _Stratum:
        chosen, everyone = _chosen(figures), list(figures)
        sample = everyone
        if chosen != "all":
            everyone = [f for f in figures if f.probability is not None]
            sample = [f for f in everyone if f.reason == "random"]
        total = math.fsum(f.probability or 0.0 for f in everyone)
        return cls(chosen, len(everyone), total, tuple(f for f in sample if f.answer in _DECIDED))

    @property
    def atypical(self) -> NDArray[np.float64]:
        """Whether each figure of the sample is atypical, (n,)."""
        return np.array([f.answer == POSITIVE for f in self.decided], np.float64)

    @property
    def mitoses(self) -> NDArray[np.float64]:
        """Whether each figure of the sample is a mitosis, (n,)."""
        return np.array([f.answer != NO_MITOSIS for f in self.decided], np.float64)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """P(atypical) of each figure of the sample, (n,); 0 where the model says nothing of it."""
        return np.array([f.probability or 0.0 for f in self.decided], np.float64)


class _Estimate(NamedTuple):
    """A fraction, the variance that the sampling gives it, and the number of mitoses that it is of."""

    fraction: float
    variance: float
    mitoses: float


def _sample(strata: Sequence[_Stratum]) -> tuple[Fraction, Fraction, Fraction]:
    """Return the rates of all figures, of which random samples were reviewed."""
    answers = [f for s in strata for f in s.decided]
    k, n, size = _numbers(answers)
    sure = size >= LEAST_SAMPLED
    none = _share_of_none(strata, sure=sure)
    if not n:
        return Fraction(value=None), Fraction(value=None), none
    combined = _with_intervals(_ratio(strata, with_model=True), size, sure=sure)
    if len(strata) > 1:
        return _with_intervals(_ratio(strata, with_model=False), size, sure=sure), combined, none
    reviewed = Fraction(
        value=k / n,
        figures=_of_finite(k, n, round(strata[0].figures * n / size)) if sure else None,
        tumour=wilson_interval(k, n) if sure else None,
    )
    return reviewed, combined, none


def _ratio(strata: Sequence[_Stratum], *, with_model: bool) -> _Estimate:
    """Estimate the fraction of atypical figures among the mitoses of all strata.

    With y = 1 for an atypical figure, m = 1 for a mitosis, P what the model says and N the figures of a
    stratum, the fraction is the sum of N (mean P + the sample's mean of (y - P)) over the sum of N (the
    sample's mean of m): difference estimators over a ratio, in strata (Cochran 1977, 5, 6.10 and 7.5). Its
    error is that of the samples' means of y - P - fraction * m. Without the model every P is 0. Strata of
    which nothing was sampled have their own mean P, and of all else what the others have.
    """
    weight = 1.0 if with_model else 0.0
    drawn = [s for s in strata if s.decided]
    scale = sum(s.figures for s in strata) / sum(s.figures for s in drawn)
    errors = [s.atypical - weight * s.probabilities for s in drawn]
    corrected = math.fsum(s.figures * float(e.mean()) for s, e in zip(drawn, errors, strict=True))
    atypical = weight * math.fsum(s.probability for s in strata) + scale * corrected
    mitoses = scale * math.fsum(s.figures * float(s.mitoses.mean()) for s in drawn)
    # Few errors in a small sample can put the number beyond what a fraction can be.
    fraction = min(max(atypical / mitoses, 0.0), 1.0)
    residuals = [e - fraction * s.mitoses for s, e in zip(drawn, errors, strict=True)]
    variance = scale**2 * _total_variance([s.figures for s in drawn], residuals)
    return _Estimate(fraction, variance / mitoses**2, mitoses)


def _total_variance(figures: Sequence[int], residuals: Sequence[NDArray[np.float64]]) -> float:
    """Return the variance of the total that samples of each of several slides give.

    Where a sample is too small to tell its own variance, that of all residuals together is every slide's,
    which is rather too large, since it holds how slides differ.
    """
    if len(residuals) == 1 or min(map(len, residuals)) >= _OWN_VARIANCE:
        return math.fsum(n**2 * _mean_variance(r, n) for n, r in zip(figures, residuals, strict=True))
    every = np.concatenate(residuals)
    one = (float(np.square(every - every.mean()).sum()) + 0.5) / (len(every) + 1)
    return one * math.fsum(n**2 / len(r) * (1 - len(r) / n) for n, r in zip(figures, residuals, strict=True))


def _with_intervals(found: _Estimate, size: int, *, sure: bool) -> Fraction:
    if not sure:
        return Fraction(value=found.fraction)
    of_tumour = found.variance + found.fraction * (1 - found.fraction) / found.mitoses
    return Fraction(
        value=found.fraction,
        figures=_around(found.fraction, found.variance, size),
        tumour=_around(found.fraction, of_tumour, size),
    )


def _share_of_none(strata: Sequence[_Stratum], *, sure: bool) -> Fraction:
    """Return the share of candidates that are no mitoses, with the interval that the samples give."""
    strata = [s for s in strata if s.decided]
    everyone = sum(s.figures for s in strata)
    shares = [1 - float(s.mitoses.mean()) for s in strata]
    share = math.fsum(s.figures * of_it for s, of_it in zip(strata, shares, strict=True)) / everyone
    size = sum(len(s.decided) for s in strata)
    interval = _of_finite(share * size, size, everyone) if sure else None
    return Fraction(value=share, figures=interval)


def _of_finite(k: float, n: int, everyone: int) -> Interval:
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
    half = student_quantile(size + 1, 0.975) * math.sqrt(variance)
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
