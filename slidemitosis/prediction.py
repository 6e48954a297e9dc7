"""What a model says of one patch, what persons say, and what became of one candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.labels import HARD, NEGATIVE, POSITIVE
from slidemitosis.models.subtypes import stated_extras

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slidemitosis.candidates import Candidate
    from slidemitosis.candidates.answered import SetByHand
    from slidemitosis.engines.engine import Outputs
    from slidemitosis.labels import Reason, Word
    from slidemitosis.models.card import ModelCard
    from slidemitosis.models.decision import Decision

Status = Literal["classified", "uncertain", "unreadable", "outside", "blank", "duplicate"]
BLANK = "nothing to be seen: bare glass, or no pixels here; is the place right?"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one patch; every number has six decimals."""

    probability: float
    """P(atypical), calibrated."""
    atypical: bool
    """Whether P(atypical) reaches the threshold of the run."""
    p_hard: float | None = None
    """Probability that experts disagree; None where the model tells none, or it is not calibrated."""
    subtypes: Mapping[str, float] = field(default_factory=dict)
    """Probability of each subtype; empty where the model tells none."""
    blank: bool = False
    """There is nothing to be seen in the patch, and the rest means nothing."""

    @property
    def subtype(self) -> str | None:
        """The likeliest subtype of the type that was called; None where the model knows none of that type."""
        return likeliest_subtype(self.subtypes, atypical=self.atypical)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why no model says anything of a candidate."""

    status: Literal["unreadable", "outside", "duplicate"]
    reason: str


@dataclass(frozen=True, slots=True)
class PlacedCandidate:
    """One selected candidate of the points file, and its place on the slide."""

    candidate: Candidate
    object_id: str
    """UUID of its object in `objects.geojson`: the candidate's own id where that is a UUID."""
    frame_x: float  # px from the origin of the points file
    frame_y: float  # px from the origin of the points file
    x: float  # level-0 px
    y: float  # level-0 px
    padding: float | None = None
    """Share of the patch, 0..1, beyond the slide's edge; None where no patch is read."""
    left_out: LeftOut | None = None
    """Why no patch of it is read; None where one is."""
    by_hand: SetByHand | None = None
    """What a person has said of it by the class of its object in the points file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What persons say of one candidate, all of them together."""

    answer: Word
    """"unsure" also where they disagree."""
    reason: Reason
    """Why they were asked."""
    readers: tuple[str, ...] = ("",)
    """Who says so, sorted; "" is whoever has set the class of an object."""
    disagree: bool = False
    """Whether they do not all say the same, and nobody's word was asked for."""
    by_hand: SetByHand | None = None
    """The class that a person has set, which stays as it is; None where the answer makes the class."""


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """What became of one candidate; `candidate_result` makes it."""

    placed: PlacedCandidate
    status: Status
    reason: str | None
    """Why it was not classified; None where it was."""
    prediction: Prediction | None
    """What the model says of a candidate that is classified or uncertain; None for all others."""
    verdict: Verdict | None = None
    """What persons say of it; None where nobody was asked."""

    def __post_init__(self) -> None:
        if (self.prediction is None) == (self.status in ("classified", "uncertain")):
            raise ValueError(
                f"{self.placed.candidate.source} is {self.status}, and its prediction is {self.prediction}"
            )

    @property
    def probability(self) -> float | None:
        """P(atypical); None where the model says nothing of the candidate."""
        return self.prediction.probability if self.prediction else None

    @property
    def call(self) -> Prediction | None:
        """The prediction of a candidate that was classified; None for others, uncertain ones too."""
        return self.prediction if self.status == "classified" else None


def likeliest_subtype(subtypes: Mapping[str, float], *, atypical: bool) -> str | None:
    """Choose the likeliest subtype of the type that was called; None where there is none of that type.

    subtypes: probabilities by name. An AMF is never called by the name of an NMF subtype, even if that alone
    is likelier than each subtype of AMF.
    """
    kind = POSITIVE if atypical else NEGATIVE
    of_kind = [name for name in subtypes if name.startswith(kind)]
    return max(of_kind, key=lambda name: subtypes[name], default=None)


def candidate_result(
    placed: PlacedCandidate, said: Prediction | LeftOut, *, band: tuple[float, float] | None = None
) -> CandidateResult:
    """Settle the status of a candidate by what the model says of its patch, or by why it says nothing.

    band: P(atypical) from low up to high, high not included, is too uncertain for a call.
    """
    if isinstance(said, LeftOut):
        return CandidateResult(placed, said.status, said.reason, None)
    if said.blank:
        return CandidateResult(placed, "blank", BLANK, None)
    if band is not None and band[0] <= said.probability < band[1]:
        low, high = band
        reason = f"P(atypical) {said.probability:.3f} lies in the band from {low:g} to {high:g}"
        return CandidateResult(placed, "uncertain", reason, said)
    return CandidateResult(placed, "classified", None, said)


def predict(
    pixels: NDArray[np.uint8], outputs: Outputs, card: ModelCard, decision: Decision
) -> list[Prediction]:
    """Make the predictions of patches, uint8 (B, S, S, 3), of what the networks give for them."""
    probabilities = decision.probability(outputs.logit)
    extras = stated_extras(
        card, outputs.extra, probabilities, p_uncalibrated=card.decision.probability(outputs.logit)
    )
    blank = blank_patches(pixels, crop=min(c for n in card.networks for c in n.crops))
    found = []
    columns = zip(*(column.tolist() for column in extras.values()), strict=True) if extras else repeat(())
    for stated, values, nothing in zip(probabilities.tolist(), columns, blank.tolist(), strict=False):
        p = round(stated, 6)
        subtypes = {name: round(value, 6) for name, value in zip(extras, values, strict=True)}
        doubt = subtypes.pop(HARD, None)
        atypical = p >= decision.threshold
        found.append(Prediction(p, atypical, doubt if card.hardness else None, subtypes, nothing))
    return found


def blank_patches(pixels: NDArray[np.uint8], *, crop: int) -> NDArray[np.bool_]:
    """Tell which patches, uint8 (B, S, S, 3), show nothing in their central `crop` px: bool (B,).

    Nothing is: 98 % of the pixels within 16 grey levels, as on bare glass or where a slide has no
    pixels. The palest of 4,773 real figures (AMi-Br, AtNorM-MD) spans 78.
    """
    if len(pixels) == 0:
        return np.zeros(0, np.bool_)
    start = (pixels.shape[1] - crop) // 2
    centre = pixels[:, start : start + crop, start : start + crop]
    blank = ~_surely_seen(centre)
    if blank.any():
        grey = _three_greys(centre[blank]) / np.float32(3)
        low, high = np.percentile(grey, (1, 99), axis=1)
        blank[blank] = high - low < _BLANK_RANGE
    return blank


_BLANK_RANGE = 16  # grey levels
_SPARSE = 4
"""Every so many rows and columns are looked at first."""


def _surely_seen(centre: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of which patches, uint8 (B, C, C, 3), a sixteenth of the pixels proves that something is there.

    That is so of nearly all, and takes a tenth of the time of percentiles: what keeps a GPU waiting is the
    main process. If as many pixels of a few are dark as 1 % of all, the 1st percentile of all is as dark or
    darker; likewise the 99th.
    """
    few = _three_greys(centre[:, ::_SPARSE, ::_SPARSE])
    rank = math.ceil(0.01 * (centre.shape[1] * centre.shape[2] - 1))
    if few.shape[1] <= 2 * rank:
        return np.zeros(len(centre), np.bool_)
    ordered = np.partition(few, (rank, few.shape[1] - 1 - rank), axis=1)
    # One grey level more than is needed, so that no rounding matters.
    return ordered[:, -1 - rank] - ordered[:, rank] >= 3 * (_BLANK_RANGE + 1)


def _three_greys(pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return three times the grey level of each pixel, (B, pixels)."""
    greys = pixels[..., 0].astype(np.int16)
    greys += pixels[..., 1]
    greys += pixels[..., 2]
    return greys.reshape(len(pixels), -1)


_MANY, _MANY_SHARE = 10, 0.05
"""Blank or outside candidates that are no accident: so many, or such a share of all."""


def left_out_warnings(
    total: int, *, unreadable: int = 0, blank: int = 0, outside: int = 0
) -> tuple[str, ...]:
    """Say, a sentence each, how many candidates have no call because of the slide or of their places.

    total: without duplicates. A few that are blank or outside are usual, and not said.
    """
    of_all = f"of {total} candidates"
    found = []
    if unreadable:
        found.append(
            f"{unreadable} {of_all} could not be read: the slide is damaged or cut off; copy it again, and "
            "classify it again"
        )
    least = min(_MANY, _MANY_SHARE * total)
    if blank and blank >= least:
        found.append(
            f"{blank} {of_all} show nothing, as bare glass: are they of another slide, or counted from "
            "another origin?"
        )
    if outside and outside >= least:
        found.append(
            f"{outside} {of_all} lie off the slide: are they of another slide, or counted from another "
            "origin?"
        )
    return tuple(found)
