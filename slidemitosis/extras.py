"""What a model says of a figure besides its type: whether experts would disagree, and its subtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.cards import NEGATIVE, POSITIVE, SUBTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.cards import ModelCard

HARD = "hard"
SMALLEST = 1e-12
"""Probabilities are kept this far from 0 and 1, so that their logits are finite."""


def stated_extras(
    card: ModelCard, extra: NDArray[np.floating], p_atypical: NDArray[np.floating]
) -> dict[str, NDArray[np.floating]]:
    """The model's further outputs as they are stated beside P(atypical), (B,) each, by name.

    `extra`: (B, E), the columns of `card.extra_outputs` as the networks give them. `p_atypical`: (B,),
    calibrated. "hard", the probability that experts disagree, goes through `card.hardness`, where the
    card has it. The subtypes of a type share out the probability of that type, so that those of NMF and of
    AMF add up to 1 - P(atypical) and P(atypical), whatever prior the network was trained with.
    """
    columns = {name: np.asarray(extra[:, i], np.float64) for i, name in enumerate(card.extra_outputs)}
    stated: dict[str, NDArray[np.floating]] = {}
    if HARD in columns:
        p = columns[HARD].clip(SMALLEST, 1 - SMALLEST)
        stated[HARD] = card.hardness.probability(np.log(p / (1 - p))) if card.hardness else p
    for kind, share in ((NEGATIVE, 1 - p_atypical), (POSITIVE, p_atypical)):
        names = [n for n in columns if n in SUBTYPES and n.startswith(kind)]
        total = np.sum([columns[n] for n in names], axis=0, dtype=np.float64).clip(SMALLEST)
        stated |= {n: columns[n] / total * share for n in names}
    return {name: stated[name] for name in card.extra_outputs}


def likeliest_subtype(subtypes: dict[str, float], *, atypical: bool) -> str | None:
    """The likeliest subtype of the type that was called, None where the model knows none of that type.

    Of `subtypes`, probabilities by name. An AMF is never called by the name of an NMF subtype, even if
    that alone is likelier than each subtype of AMF.
    """
    kind = POSITIVE if atypical else NEGATIVE
    of_kind = {name: p for name, p in subtypes.items() if name.startswith(kind)}
    return max(of_kind, key=lambda name: of_kind[name]) if of_kind else None
