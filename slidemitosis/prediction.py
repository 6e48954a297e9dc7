"""Prediction: what became of one candidate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.labels import HARD, NEGATIVE, POSITIVE
from slidemitosis.models.subtypes import stated_extras

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from slidemitosis.candidates import Candidate
    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.card import ModelCard

Status = Literal["pending", "classified", "uncertain", "unreadable", "outside", "blank", "duplicate"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One candidate of the points file, classified or not, and why not."""

    candidate: Candidate
    object_id: str
    """UUID of its object in `objects.geojson`: the candidate's own id where that is a UUID."""
    frame_x: float  # px from the origin of the points file
    frame_y: float  # px from the origin of the points file
    x: float  # level-0 px
    y: float  # level-0 px
    status: Status
    reason: str | None
    """Why it was not classified; None where it was."""
    padding: float | None = None
    """Share of the patch, 0..1, beyond the slide's edge; None where no patch was read."""
    probability: float | None = None
    """P(atypical), calibrated, six decimals; None where no model looked at it."""
    atypical: bool | None = None
    """Whether P(atypical) reaches the model's threshold; None where it was not classified."""
    p_hard: float | None = None
    """Probability that experts disagree, six decimals; None where the model tells none, or it is not
    calibrated."""
    subtypes: dict[str, float] = field(default_factory=dict)
    """Probability of each subtype, six decimals; empty where the model tells none."""

    @property
    def subtype(self) -> str | None:
        """The likeliest subtype of the type that was called; None where there is none."""
        return None if self.atypical is None else likeliest_subtype(self.subtypes, atypical=self.atypical)


def likeliest_subtype(subtypes: Mapping[str, float], *, atypical: bool) -> str | None:
    """The likeliest subtype of the type that was called, None where the model knows none of that type.

    Of `subtypes`, probabilities by name. An AMF is never called by the name of an NMF subtype, even if
    that alone is likelier than each subtype of AMF.
    """
    kind = POSITIVE if atypical else NEGATIVE
    of_kind = {name: p for name, p in subtypes.items() if name.startswith(kind)}
    return max(of_kind, key=lambda name: of_kind[name]) if of_kind else None


BLANK = "nothing to be seen: bare glass, or no pixels here; is the place right?"


@dataclass(frozen=True, slots=True)
class Stated:
    """What is said of one patch; every number has six decimals."""

    blank: bool
    """There is nothing to be seen in it, and the rest means nothing."""
    probability: float
    """P(atypical), calibrated."""
    atypical: bool
    """Whether P(atypical) reaches the model's threshold."""
    p_hard: float | None
    """Probability that experts disagree; None where the model tells none, or it is not calibrated."""
    subtypes: dict[str, float]
    """Probability of each subtype; empty where the model tells none."""


def stated(pixels: NDArray[np.uint8], outputs: Outputs, card: ModelCard) -> list[Stated]:
    """What the model says of patches, uint8 (B, S, S, 3), by its outputs of them."""
    probabilities = card.decision.probability(outputs.logit)
    extras = stated_extras(card, outputs.extra, probabilities)
    blank = blank_patches(pixels, crop=min(c for n in card.networks for c in n.crops))
    found = []
    for k, nothing in enumerate(blank):
        p = round(float(probabilities[k]), 6)
        told = {name: round(float(column[k]), 6) for name, column in extras.items()}
        doubt = told.pop(HARD, None)
        found.append(
            Stated(
                blank=bool(nothing),
                probability=p,
                atypical=p >= card.decision.threshold,
                p_hard=doubt if card.hardness else None,
                subtypes=told,
            )
        )
    return found


def classified(
    predictions: Sequence[Prediction], pixels: NDArray[np.uint8], outputs: Outputs, card: ModelCard
) -> list[Prediction]:
    """The predictions of patches, (B,) of all, filled in with what the model says of them, or as blank."""
    return [
        dataclasses.replace(prediction, status="blank", reason=BLANK)
        if said.blank
        else dataclasses.replace(
            prediction,
            status="classified",
            probability=said.probability,
            atypical=said.atypical,
            p_hard=said.p_hard,
            subtypes=said.subtypes,
        )
        for prediction, said in zip(predictions, stated(pixels, outputs, card), strict=True)
    ]


def blank_patches(pixels: NDArray[np.uint8], *, crop: int) -> NDArray[np.bool_]:
    """Which patches, uint8 (B, S, S, 3), show nothing in their central `crop` px: bool (B,).

    Nothing is: 98 % of the pixels within 16 grey levels, as on bare glass or where a slide has no
    pixels. The palest of 4,773 real figures (AMi-Br, AtNorM-MD) spans 78.
    """
    if len(pixels) == 0:
        return np.zeros(0, np.bool_)
    start = (pixels.shape[1] - crop) // 2
    centre = pixels[:, start : start + crop, start : start + crop].astype(np.float32).mean(axis=3)
    low, high = np.percentile(centre.reshape(len(pixels), -1), (1, 99), axis=1)
    blank: NDArray[np.bool_] = high - low < 16
    return blank
