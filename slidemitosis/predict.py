"""From batches of patches to predictions: what the model says, or that there is nothing to be seen."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.extras import HARD, stated_extras

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.cards import ModelCard
    from slidemitosis.outputs import Outputs
    from slidemitosis.predictions import Prediction

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
