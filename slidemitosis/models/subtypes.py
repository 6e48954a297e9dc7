"""State a figure's hardness and subtypes beside its calibrated P(atypical)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.labels import HARD, NEGATIVE, POSITIVE, SUBTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard


def stated_extras(
    card: ModelCard,
    extra: NDArray[np.floating],
    p_atypical: NDArray[np.floating],
    *,
    p_uncalibrated: NDArray[np.floating] | None = None,
) -> dict[str, NDArray[np.floating]]:
    """Return name -> probabilities, (B,), of the outputs besides the type, to state beside P(atypical).

    `extra`: (B, E), the networks' own probabilities, in the order of `card.extra_outputs`. `p_atypical`:
    (B,), calibrated; `p_uncalibrated`: (B,), as `card.decision` states it, by which `card.hardness` was
    fitted; None where the two are the same. "hard", the probability that experts disagree, is calibrated by
    `card.hardness` if the card has that. Subtypes are scaled so that those of NMF sum to 1 - P(atypical) and
    those of AMF to P(atypical), whatever share of AMF the network saw in training.
    """
    columns = {name: np.asarray(extra[:, i], np.float64) for i, name in enumerate(card.extra_outputs)}
    stated: dict[str, NDArray[np.floating]] = {}
    if HARD in columns:
        h = columns[HARD]
        beside = p_atypical if p_uncalibrated is None else p_uncalibrated
        stated[HARD] = card.hardness.probability(h, beside) if card.hardness else h
    for kind, share in ((NEGATIVE, 1 - p_atypical), (POSITIVE, p_atypical)):
        names = [n for n in columns if n in SUBTYPES and n.startswith(kind)]
        total = np.sum([columns[n] for n in names], axis=0, dtype=np.float64)
        for n in names:
            part = np.divide(columns[n], total, out=np.zeros_like(total), where=total > 0)
            stated[n] = part * share
    return {name: stated[name] for name in card.extra_outputs}
