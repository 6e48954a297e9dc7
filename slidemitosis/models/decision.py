"""From what a network gives to probabilities and to a class, and how that does on figures it has not seen.

Tables of `model.toml`; see `cards`. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidCard

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPart:
    """From the network's logit to P(atypical) and to a class.

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

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """P(atypical) of logits of AMF, element by element."""
        z = np.asarray(logits, dtype=np.float64)
        shifted = (z - _log_odds(self.training_prior)) / self.temperature + _log_odds(self.target_prior)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) is the 0 that is meant
            return 1 / (1 + np.exp(-shifted))


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))


@dataclass(frozen=True, slots=True, kw_only=True)
class HardnessPart:
    """From the network's output for hardness to the probability that experts disagree.

    With h that output, a probability, P(atypical) as `DecisionPart` states it, and L the log-odds:

        P(hard) = sigmoid(slope L(h) + type_slope L(P(atypical)) + intercept)

    (Platt 1999, with the type as a second variable: a sampler that balances the types shows hard figures
    of one type more often than there are, and no shift of L(h) alone can undo that.)
    """

    slope: float
    type_slope: float
    intercept: float

    def probability(
        self, hard: NDArray[np.floating], p_atypical: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """P(hard), element by element."""
        h, a = (finite_log_odds(p) for p in (hard, p_atypical))
        with np.errstate(over="ignore"):  # 1 / (1 + inf) is the 0 that is meant
            return 1 / (1 + np.exp(-(self.slope * h + self.type_slope * a + self.intercept)))


def finite_log_odds(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds, of probabilities kept so far from 0 and 1 that they are finite."""
    kept = np.clip(np.asarray(p, dtype=np.float64), 1e-12, 1 - 1e-12)
    return np.log(kept / (1 - kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenSlidesPart:
    """How sensitivity and specificity on validation figures differ between their slides."""

    slides: int
    sensitivity_sd: float
    """SD of one slide's own sensitivity, beyond what chance gives."""
    specificity_sd: float
    sensitivity_se: float
    """Standard error of the sensitivity of all figures together, slides being what was drawn."""
    specificity_se: float

    def __post_init__(self) -> None:
        spreads = (self.sensitivity_sd, self.specificity_sd, self.sensitivity_se, self.specificity_se)
        if self.slides < 2 or not all(0 <= s < 1 for s in spreads):
            raise InvalidCard("validation.between_slides needs 2 slides or more, and SD and SE within 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPart:
    """How the threshold does on figures that were not trained on: counts, AMF being positive."""

    protocol: str
    tp: int
    fn: int
    tn: int
    fp: int
    between_slides: BetweenSlidesPart | None = None
    """None where the slides of the figures are not known, or too few."""

    def __post_init__(self) -> None:
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise InvalidCard("validation counts must not be negative")
