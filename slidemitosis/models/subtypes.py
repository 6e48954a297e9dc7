"""What a model says of a figure besides its type: whether experts would disagree, and its subtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.labels import HARD, NEGATIVE, POSITIVE, SUBTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard


def stated_extras(
    card: ModelCard, extra: NDArray[np.floating], p_atypical: NDArray[np.floating]
) -> dict[str, NDArray[np.floating]]:
    """The model's further outputs as they are stated beside P(atypical), (B,) each, by name.

    `extra`: (B, E), the columns of `card.extra_outputs` as the networks give them. `p_atypical`: (B,),
    calibrated. "hard", the probability that experts disagree, goes through `card.hardness`; of a card
    without that it is the network's own. The subtypes of a type share out the probability of that type, so
    that those of NMF and of AMF add up to 1 - P(atypical) and P(atypical), whatever share the network saw.
    """
    columns = {name: np.asarray(extra[:, i], np.float64) for i, name in enumerate(card.extra_outputs)}
    stated: dict[str, NDArray[np.floating]] = {}
    if HARD in columns:
        h = columns[HARD]
        stated[HARD] = card.hardness.probability(h, p_atypical) if card.hardness else h
    for kind, share in ((NEGATIVE, 1 - p_atypical), (POSITIVE, p_atypical)):
        names = [n for n in columns if n in SUBTYPES and n.startswith(kind)]
        total = np.sum([columns[n] for n in names], axis=0, dtype=np.float64)
        for n in names:
            part = np.divide(columns[n], total, out=np.zeros_like(total), where=total > 0)
            stated[n] = part * share
    return {name: stated[name] for name in card.extra_outputs}
