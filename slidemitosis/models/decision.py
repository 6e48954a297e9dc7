"""Turn logits into probabilities, and state how the threshold does on figures that were not trained on.

The classes are tables of `model.toml`; see `card`. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidCard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.options import OperatingPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPart:
    """How P(atypical) and the class follow from a network's logit.

    With z the logit, pi_s the share of AMF among the figures that the network saw in training (a
    balanced sampler makes it 0.5), pi_t the share that the probabilities are stated for, T the
    temperature and L(p) = log(p / (1 - p)):

        P(atypical) = sigmoid((z - L(pi_s)) / T + L(pi_t))

    (prior correction as in Saerens, Latinne and Decaestecker 2002, eq. 2.4, for two classes;
    temperature as in Guo et al. 2017). A figure is atypical where P(atypical) >= threshold.
    """

    training_prior: float
    target_prior: float
    temperature: float
    threshold: float

    def __post_init__(self) -> None:
        for name in ("training_prior", "target_prior", "threshold"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidCard(f"decision.{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 < self.temperature < 100:
            raise InvalidCard(f"decision.temperature must be above 0, not {self.temperature}")

    @property
    def line(self) -> tuple[float, float]:
        """Intercept and slope of the log-odds of P(atypical) in the logit of AMF."""
        slope = 1 / self.temperature
        return log_odds(self.target_prior) - slope * log_odds(self.training_prior), slope

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return P(atypical), float64, for each logit of AMF."""
        z = np.asarray(logits, dtype=np.float64)
        return _sigmoid((z - log_odds(self.training_prior)) / self.temperature + log_odds(self.target_prior))


def log_odds(p: float) -> float:
    """Return log(p / (1 - p)) of a probability between 0 and 1."""
    return math.log(p / (1 - p))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-x))


@dataclass(frozen=True, slots=True, kw_only=True)
class HardnessPart:
    """How the probability that experts disagree follows from a network's output for hardness.

    With h that output, a probability, P(atypical) as `DecisionPart` states it, and L the log-odds:

        P(hard) = sigmoid(slope L(h) + type_slope L(P(atypical)) + intercept)

    (Platt 1999, with the type as a second variable: a sampler that balances the types shows hard figures of
    one type more often than they occur, which no shift of L(h) alone can correct.)
    """

    slope: float
    type_slope: float
    intercept: float

    def probability(
        self, hard: NDArray[np.floating], p_atypical: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return P(hard), float64, for each output and its P(atypical)."""
        h, a = (finite_log_odds(p) for p in (hard, p_atypical))
        return _sigmoid(self.slope * h + self.type_slope * a + self.intercept)


def finite_log_odds(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the log-odds of probabilities after clipping them to 1e-12 from 0 and 1."""
    kept = np.clip(np.asarray(p, dtype=np.float64), 1e-12, 1 - 1e-12)
    return np.log(kept / (1 - kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenSlidesPart:
    """How sensitivity and specificity differ between the slides of the validation figures."""

    slides: int
    sensitivity_sd: float
    """SD of the slides' own sensitivities, beyond what chance gives."""
    specificity_sd: float
    sensitivity_se: float
    """Standard error of the sensitivity of all figures together, with slides as the sampling unit."""
    specificity_se: float

    def __post_init__(self) -> None:
        spreads = (self.sensitivity_sd, self.specificity_sd, self.sensitivity_se, self.specificity_se)
        if self.slides < 2 or not all(0 <= s < 1 for s in spreads):
            raise InvalidCard("validation.between_slides needs 2 slides or more, and SD and SE within 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPart:
    """Counts of right and wrong calls on figures that were not trained on; AMF is positive."""

    protocol: str
    tp: int
    fn: int
    tn: int
    fp: int
    between_slides: BetweenSlidesPart | None = None
    """None if the slides of the figures are not known or too few."""

    def __post_init__(self) -> None:
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise InvalidCard("validation counts must not be negative")


SHRINKING = 0.34584
"""c = (16 sqrt(3) / (15 pi))^2: the mean of sigmoid(L + u) over u ~ N(0, v) is about
sigmoid(L / sqrt(1 + c v)) (Zeger, Liang and Albert 1988)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadPart:
    """How far the log-odds of the calibrated P(atypical) may be off, for reasons that many figures share.

    On a slide, log-odds L become L + a + b L + u + d: u ~ N(0, slide_sd^2) is the slide's own shift,
    d ~ N(0, domain_sd^2) is common to all slides of a scanner, laboratory or tumour type, and a and b are the
    errors of the calibration's intercept and slope.
    """

    slide_sd: float
    domain_sd: float
    intercept_se: float
    slope_se: float
    correlation: float
    """Of the errors of intercept and slope."""

    def __post_init__(self) -> None:
        spreads = (self.slide_sd, self.domain_sd, self.intercept_se, self.slope_se)
        if not all(0 <= s < 10 for s in spreads) or not -1 <= self.correlation <= 1:
            raise InvalidCard("calibrations.spread needs SD and SE of 0 or more, and a correlation in -1..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPart:
    """An operating point: a threshold of P(atypical), and the calls it makes of the calibration's figures."""

    threshold: float
    tp: int
    fn: int
    tn: int
    fp: int
    between_slides: BetweenSlidesPart | None = None
    """None if the slides of the figures are not known or too few."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InvalidCard(f"calibrations: a threshold must lie between 0 and 1, not {self.threshold}")
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise InvalidCard("calibrations: counts of calls must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPart:
    """P(atypical) and the thresholds of a model as it is used: with all of its networks, and so many views.

    With z the logit of AMF that the model gives, before any prior correction, P(atypical) = sigmoid(slope z +
    intercept) (Platt 1999), fitted on figures that none of the networks was trained on.
    """

    views: int
    slope: float
    intercept: float
    counting: PointPart
    """Where as many figures are called atypical as experts call."""
    balanced: PointPart
    """Where balanced accuracy is best."""
    figures: int
    slides: int
    """Number of slides of these figures; 0 where it is not known."""
    protocol: str
    """How the figures and their logits were had."""
    spread: SpreadPart | None = None
    """None where the slides of the figures are not known: then a rate has no interval."""

    def __post_init__(self) -> None:
        if not 0 < self.slope < 100 or not math.isfinite(self.intercept):
            raise InvalidCard("calibrations needs a slope above 0 and a finite intercept")
        if self.views < 1 or self.figures < 1 or self.slides < 0:
            raise InvalidCard("calibrations needs views and figures of 1 or more, and slides of 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How one run turns logits into P(atypical) and calls: a card's part for its views, at one threshold."""

    point: OperatingPoint
    threshold: float
    """A figure is called atypical where P(atypical) >= threshold."""
    calibration: CalibrationPart | None
    """None where the card has none for these views: then `uncalibrated` makes P(atypical)."""
    uncalibrated: DecisionPart
    validation: ValidationPart
    """How calls at this threshold do on figures that were not trained on."""

    @property
    def spread(self) -> SpreadPart | None:
        """How far probabilities may be off together; None where that is not known."""
        return self.calibration.spread if self.calibration else None

    @property
    def line(self) -> tuple[float, float]:
        """Intercept and slope of the log-odds of P(atypical) in the logit of AMF."""
        return (
            (self.calibration.intercept, self.calibration.slope)
            if self.calibration
            else self.uncalibrated.line
        )

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return P(atypical), float64, for each logit of AMF."""
        if self.calibration is None:
            return self.uncalibrated.probability(logits)
        intercept, slope = self.line
        return _sigmoid(slope * np.asarray(logits, dtype=np.float64) + intercept)
