"""Make the targets: what each head of a network is to say of each figure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import AMF_SUBTYPES, HARDNESS, NEGATIVE, NMF_SUBTYPES, POSITIVE, SUBTYPES
from slidemitosis.models.card import HeadPart
from slidemitosis.toml_tables import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures

TYPES = (NEGATIVE, POSITIVE)
LAYOUTS: dict[str, tuple[HeadPart, ...]] = {
    "type": (HeadPart(name="type", kind="sigmoid", classes=TYPES),),
    "type-softmax": (HeadPart(name="type", kind="softmax", classes=TYPES),),
    "experts": (
        *(HeadPart(name=f"expert{k}", kind="sigmoid", classes=TYPES) for k in (1, 2, 3)),
        HeadPart(name="hardness", kind="sigmoid", classes=HARDNESS),
    ),
    "type-hardness": (
        HeadPart(
            name="type-hardness", kind="softmax", classes=tuple(f"{t} {h}" for t in TYPES for h in HARDNESS)
        ),
    ),
    "subtypes": (HeadPart(name="subtype", kind="softmax", classes=SUBTYPES),),
    "amf-subtypes": (HeadPart(name="subtype", kind="softmax", classes=AMF_SUBTYPES),),
    "nmf-subtypes": (HeadPart(name="subtype", kind="softmax", classes=NMF_SUBTYPES),),
    "multi-task": (
        HeadPart(name="type", kind="sigmoid", classes=TYPES),
        HeadPart(name="hardness", kind="sigmoid", classes=HARDNESS),
        HeadPart(name="nmf-subtype", kind="softmax", classes=NMF_SUBTYPES),
        HeadPart(name="amf-subtype", kind="softmax", classes=AMF_SUBTYPES),
    ),
}
"""Heads by the name that a recipe's `network.outputs` gives them.

"type" and "type-softmax" say NMF or AMF. "experts" and "type-hardness" are Kotte et al. 2025 and its
variant of four classes. "subtypes" is AUCMEDI's; "amf-subtypes" and "nmf-subtypes" are its next step, once
the type is known. "multi-task" asks one network for all of them; a figure trains the one of the two subtype
heads that has the first expert's subtype among its classes, whatever the majority label.
"""


def heads_of(layout: str) -> tuple[HeadPart, ...]:
    """Return the heads of a layout. Raises InvalidOption, which names the nearest known layout."""
    if layout not in LAYOUTS:
        raise InvalidOption(
            f"network.outputs: no layout {layout!r}{nearest(layout, LAYOUTS)}; known: {', '.join(LAYOUTS)}"
        )
    return LAYOUTS[layout]


def targets_of(
    figures: Figures, heads: Sequence[HeadPart], *, soft_votes: bool = False
) -> NDArray[np.float32]:
    """Return the target of each figure for each head, float32 (N, H); NaN where it has no label for the head.

    For a head of two classes the target is the probability of the second; for more, the index of the class.
    - type: the majority label, or with `soft_votes` the share of the experts asked who said AMF (the
      majority label where no vote is known);
    - expert K: the vote of that expert; none if it was not asked, or the data set has fewer experts;
    - hardness, and type with hardness: hard if the experts disagree, unknown below two votes;
    - subtype: the first expert's; none if it is not one of the head's classes.

    Raises InvalidOption for a head with other classes.
    """
    columns = [_target(figures, head, soft_votes=soft_votes) for head in heads]
    return np.stack(columns, axis=1) if columns else np.empty((len(figures), 0), np.float32)


def usable(figures: Figures, heads: Sequence[HeadPart]) -> NDArray[np.bool_]:
    """Return whether each figure has a label for at least one head, bool (N,)."""
    return np.asarray(~np.isnan(targets_of(figures, heads)).all(axis=1))


def first_head_classes(figures: Figures, heads: Sequence[HeadPart]) -> NDArray[np.int64]:
    """Return the index of each figure's class in the first head, int64 (N,), by which figures are balanced.

    If the first head is one expert's, that expert was not asked, and another head has a label, it is the
    class of the majority label, so that the figure is still shown. -1: no label, never to be drawn.
    """
    first = targets_of(figures, heads[:1])[:, 0]
    if set(heads[0].classes) == set(TYPES):
        majority = _target(figures, HeadPart(name="type", kind="sigmoid", classes=heads[0].classes))
        first = np.where(np.isnan(first) & usable(figures, heads), majority, first)
    return np.where(np.isnan(first), -1, first).astype(np.int64)


def _target(figures: Figures, head: HeadPart, *, soft_votes: bool = False) -> NDArray[np.float32]:
    """Return the column of `targets_of` for one head, float32 (N,)."""
    if head.tells_subtype:
        return _index(head, [told[0] if told else "" for told in figures.subtypes])
    if head.tells_hardness:
        return _hardness(figures, head)
    if set(head.classes) == set(TYPES):
        expert = re.fullmatch(r"expert([1-9]\d*)", head.name)
        p = _vote(figures, int(expert[1]) - 1) if expert else _type(figures, soft_votes=soft_votes)
        return p if head.classes[1] == POSITIVE else 1 - p
    raise InvalidOption(
        f"head {head.name!r}: no label tells {', '.join(head.classes)}; take a layout of {', '.join(LAYOUTS)}"
    )


def _type(figures: Figures, *, soft_votes: bool) -> NDArray[np.float32]:
    p = figures.atypical.astype(np.float32)
    if soft_votes:
        asked = np.sum(~np.isnan(figures.votes), axis=1)
        share = np.nansum(figures.votes, axis=1) / np.maximum(asked, 1)
        p = np.where(asked > 0, share, p).astype(np.float32)
    return p


def _vote(figures: Figures, expert: int) -> NDArray[np.float32]:
    if expert >= figures.votes.shape[1]:
        return np.full(len(figures), np.nan, np.float32)
    return figures.votes[:, expert].astype(np.float32)


def _hardness(figures: Figures, head: HeadPart) -> NDArray[np.float32]:
    if head.tells_hardness_alone:
        return _index(head, figures.hardness)
    return _index(head, [f"{TYPES[a]} {h}" for a, h in zip(figures.atypical, figures.hardness, strict=True)])


def _index(head: HeadPart, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the index of each name among the head's classes, float32 (N,); NaN for any other name."""
    place = {name: i for i, name in enumerate(head.classes)}
    return np.array([place.get(name, np.nan) for name in names], np.float32)
