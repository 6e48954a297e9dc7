"""RateOptions: what is counted and how, with the hot spot and the error counts that a user may give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from slidemitosis.errors import InvalidOption
from slidemitosis.options.option import Flag, combined, option

Shape = Literal["circle", "square", "4:3"]
DEFAULT_MM2 = 2.37
"""Ten high-power fields of 0.237 mm2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A shape and a size; its sides are parallel to the slide's."""

    shape: Shape = "circle"
    """"4:3" is a rectangle that is wider than high."""
    mm2: float = DEFAULT_MM2

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InvalidOption(
                f"the hot spot's shape {self.shape!r} is not one of {', '.join(get_args(Shape))}"
            )
        if not 0.001 <= self.mm2 <= 10_000:
            raise InvalidOption(f"the hot spot must have 0.001 to 10,000 mm2, not {self.mm2:g}")

    @property
    def half_um(self) -> tuple[float, float]:
        """Half the width and half the height; of a circle the radius."""
        area = self.mm2 * 1e6
        if self.shape == "circle":
            return (math.sqrt(area / math.pi),) * 2
        ratio = 4 / 3 if self.shape == "4:3" else 1.0
        return math.sqrt(area * ratio) / 2, math.sqrt(area / ratio) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """How a classifier does on labelled figures that it was not trained on; AMF is positive."""

    tp: int
    fn: int
    tn: int
    fp: int
    sensitivity_sd: float = 0.0
    """SD of one slide's own sensitivity about the mean of slides, beyond what chance gives."""
    specificity_sd: float = 0.0
    sensitivity_se: float = 0.0
    """Standard error of the sensitivity where figures of a slide are alike; 0 where only counts are known.
    It counts where it exceeds the binomial one."""
    specificity_se: float = 0.0

    def __post_init__(self) -> None:
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise InvalidOption("counts of true and false calls must be 0 or more")
        spreads = (self.sensitivity_sd, self.specificity_sd, self.sensitivity_se, self.specificity_se)
        if not all(0 <= s < 1 for s in spreads):
            raise InvalidOption("SD and standard error of sensitivity and specificity must lie in 0 to 1")

    @property
    def sensitivity(self) -> float | None:
        """TP / (TP + FN); None without atypical figures."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def specificity(self) -> float | None:
        """TN / (TN + FP); None without normal figures."""
        return self.tn / (self.tn + self.fp) if self.tn + self.fp else None

    @property
    def effective(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(TP, FN) and (TN, FP), lessened to as many independent figures as give the standard errors."""
        sensitivity = _effective(self.tp, self.fn, self.sensitivity_se)
        return sensitivity, _effective(self.tn, self.fp, self.specificity_se)


def _effective(right: int, wrong: int, error: float) -> tuple[float, float]:
    binomial = math.sqrt(right * wrong / (right + wrong) ** 3) if right and wrong else math.inf
    share = (binomial / error) ** 2 if error > binomial else 1.0
    return share * right, share * wrong


def _errors(sensitivity: list[int] | None, specificity: list[int] | None) -> ErrorCounts | None:
    if not (sensitivity or specificity):
        return None
    if not (sensitivity and specificity):
        raise InvalidOption("--sensitivity and --specificity correct the rate together: give both")
    (tp, fn), (tn, fp) = sensitivity, specificity
    return ErrorCounts(tp=tp, fn=fn, tn=tn, fp=fp)


def _cutoff(fraction: float | None, ratio: float | None) -> float | None:
    if ratio is None:
        return fraction
    if fraction is not None:
        raise InvalidOption("--cutoff and --cutoff-ratio state the same number: give one of them")
    if not ratio > 0:
        raise InvalidOption(f"the cut-off must be a ratio above 0, not {ratio:g}")
    return ratio / (1 + ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """What a user may say about the rate. Raises InvalidOption."""

    abstain: tuple[float, float] | None = option(
        None,
        "count figures with LOW <= P(atypical) < HIGH apart, as uncertain, and not in the rate",
        "--abstain",
        numbers=2,
        parse=float,
        metavar=("LOW", "HIGH"),
    )
    errors: ErrorCounts | None = combined(
        None,
        Flag(
            word="--sensitivity",
            numbers=2,
            parse=int,
            metavar=("TP", "FN"),
            meaning="labelled atypical figures that were called atypical and normal, to correct the rate by "
            "(default: the model card's)",
        ),
        Flag(
            word="--specificity",
            numbers=2,
            parse=int,
            metavar=("TN", "FP"),
            meaning="labelled normal figures that were called normal and atypical",
        ),
        combine=_errors,
    )
    tumour: str | None = option(
        None,
        "the slide's tumour, such as human breast cancer: a rate says if the model was validated on others",
        "--tumour",
        column="tumour",
    )
    cutoff: float | None = combined(
        None,
        Flag(
            word="--cutoff",
            parse=float,
            metavar="FRACTION",
            meaning="state the probability that the tumour's fraction AMF / (AMF + NMF) is above this",
        ),
        Flag(
            word="--cutoff-ratio",
            parse=float,
            metavar="RATIO",
            meaning="the same for a ratio AMF / NMF, such as 0.27",
        ),
        combine=_cutoff,
    )
    reviewer: str | None = option(
        None,
        "reader of review.csv whose answer counts where readers disagree (default: the figure is unsure)",
        "--reviewer",
        metavar="NAME",
    )
    area_mm2: float | None = option(
        None,
        "area in which figures were looked for",
        "--area",
        column="area_mm2",
        parse=float,
        metavar="MM2",
    )
    tissue: bool = option(False, "take the tissue, as a low level shows it, for that area", "--tissue")
    spot: Spot = combined(
        Spot(),
        Flag(
            word="--hot-spot",
            default=DEFAULT_MM2,
            parse=float,
            metavar="MM2",
            meaning="size of the hot spot (default: %(default)s)",
        ),
        Flag(
            word="--hot-spot-shape",
            default="circle",
            choices=get_args(Shape),
            meaning="shape of the hot spot; 4:3 is wider than high (default: %(default)s)",
        ),
        combine=lambda mm2, shape: Spot(mm2=mm2, shape=shape),
    )

    def __post_init__(self) -> None:
        if self.tumour is not None and not self.tumour.strip():
            raise InvalidOption("the tumour must have a name")
        if self.cutoff is not None and not 0 < self.cutoff < 1:
            raise InvalidOption(f"the cut-off must be a fraction between 0 and 1, not {self.cutoff:g}")
        if self.abstain is not None:
            low, high = self.abstain
            if not 0 <= low < high <= 1:
                raise InvalidOption(f"abstain needs 0 <= LOW < HIGH <= 1, not {low:g} and {high:g}")
        if self.area_mm2 is not None and self.tissue:
            raise InvalidOption("the area is given, or it is the tissue: give one of the two")
