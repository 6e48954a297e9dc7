"""Losses, as pure functions of log-probabilities, and their sum over the heads of a network.

B figures, C classes of a head. A head of one logit is treated as two classes, 1 - p and p, so that every
loss is written once. "RL" below is the paper of ResNet-like models for AMi-Br and MIDOG25, which sets
focal, recall and focal recall loss side by side in its section 6 (and numbers two equations 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import one_hot

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import HARDNESS, POSITIVE
from slidemitosis.models.classifier import log_probabilities, split_heads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.models.card import HeadPart
    from slidemitosis.train.recipe.recipe import LossRecipe


def class_probabilities(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Targets of one head as `targets.targets_of` gives them, (B,) without NaN, to (B, C) that sum to 1.

    Of two classes the target is the probability of the second (for a certain one, its index); of more,
    the index.
    """
    if classes == 2:
        return torch.stack([1 - targets, targets], dim=1)
    return one_hot(targets.long(), classes).to(targets.dtype)


def smooth(targets: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    """y (1 - e) + e / C of targets (B, C) (Szegedy et al. 2016, section 7)."""
    return targets * (1 - label_smoothing) + label_smoothing / targets.shape[1]


def cross_entropy(
    log_p: torch.Tensor, targets: torch.Tensor, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """-(1/B) sum_i sum_c w_c y_ic log p_ic, scalar.

    `log_p`, `targets`: (B, C); `weights`: (C,). The mean is over figures, not over their weights as
    torch's is, so that a batch without rare figures does not count for more.
    """
    return -(_weighted(targets, weights) * log_p).sum(dim=1).mean()


def focal_loss(
    log_p: torch.Tensor,
    targets: torch.Tensor,
    *,
    alpha: float,
    gamma: float,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """-(1/B) sum_i sum_c alpha w_c y_ic (1 - p_ic)^gamma log p_ic, scalar (Lin et al. 2017; RL, eq. 3).

    `log_p`, `targets`: (B, C). For certain targets it is alpha (1 - p_t)^gamma (-log p_t), averaged.
    `alpha` is one factor for all classes; what balances them is `weights`, (C,). With alpha 1 and
    gamma 0 it is the cross-entropy.
    """
    return alpha * cross_entropy(log_p * _power(-torch.expm1(log_p), gamma), targets, weights=weights)


def recall_loss(log_p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """1 - (1/C) sum_c TP_c / (TP_c + FN_c), scalar in 0..1 (RL, 6.2, eq. 4 and 5).

    `log_p`, `targets`: (B, C). Soft counts: TP_c = sum_i y_ic p_ic, FN_c = sum_i y_ic (1 - p_ic). A
    class that is absent from the batch has no recall and is left out of the mean. Another loss goes by
    the same name, that of Tian et al. 2022: a cross-entropy weighted by 1 - recall_c. It is not here.
    """
    missed, present = _missed(log_p, targets)
    return missed.sum() / present.sum()


def focal_recall_loss(
    log_p: torch.Tensor,
    targets: torch.Tensor,
    *,
    alpha: float,
    gamma: float,
    delta: float,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """-(1/B) sum_i sum_c alpha w_c y_ic (1 - R_c)^delta (1 - p_ic)^gamma log p_ic, scalar (RL, 6.3).

    `log_p`, `targets`: (B, C). R_c is the soft recall of class c in the batch, see `recall_loss`; of
    an absent class 1 - R_c is taken as 0, so that it adds nothing. With delta 0 it is the focal loss.
    `label_smoothing` smooths y but not the targets that R_c is counted from, among which it would leave
    no class absent.

    Gradient flows through the recall as well: the paper makes its counts continuous (eq. 5) so that they
    can be learned from, and calls this a modified recall loss. Both factors pull the same way. A constant
    R_c would turn it into a re-weighted focal loss, which is the idea of Tian et al.
    """
    missed, _ = _missed(log_p, targets)
    modulated = log_p * _power(-torch.expm1(log_p), gamma) * _power(missed, delta)
    return alpha * cross_entropy(modulated, smooth(targets, label_smoothing), weights=weights)


def total_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    heads: Sequence[HeadPart],
    spec: LossRecipe,
    class_weights: Sequence[torch.Tensor | None],
) -> torch.Tensor:
    """Loss of a batch over all heads, a float32 scalar (float64 for float64 logits).

    `logits`: (B, K), the heads' outputs side by side. `targets`: (B, H), see `targets.targets_of`; NaN is
    left out. `class_weights`: for each head (C,) or None, see `class_weights_of`.

    theta * (mean over the heads that tell the type) + (1 - theta) * (mean over the others) (Kotte et al.
    2025, where the only other head is that of hardness); without heads of both kinds simply the
    mean. A head without a label in the batch is left out of its mean; a side of the sum without any
    contributes 0, with the graph kept, so that what it lacks is not made up for by the other.

    Raises InvalidOption as `check_loss` does.
    """
    check_loss(spec)
    # Steps of float16 and bfloat16 are wider than the differences that a loss is made of.
    logits = logits if logits.dtype == torch.float64 else logits.float()
    sides: dict[bool, list[torch.Tensor]] = {False: [], True: []}
    columns = targets.unbind(dim=1)
    for (head, part), column, weights in zip(split_heads(logits, heads), columns, class_weights, strict=True):
        labelled = ~torch.isnan(column)
        if labelled.any():
            loss = _head_loss(part[labelled], column[labelled], head, spec, weights)
            sides[head.tells_type].append(loss)
    nothing = logits.sum() * 0
    of_type, of_others = (torch.stack(s).mean() if s else nothing for s in (sides[True], sides[False]))
    kinds = {head.tells_type for head in heads}
    theta = spec.theta if kinds == {True, False} else float(True in kinds)
    return theta * of_type + (1 - theta) * of_others


def class_weights_of(
    targets: NDArray[np.float32], heads: Sequence[HeadPart], spec: LossRecipe
) -> list[torch.Tensor | None]:
    """Weights of each head's classes, float32 (C,) on the CPU, or None for all equal.

    `targets`: (N, H) of the training figures. "inverse-frequency": w_c = N / (C n_c) over the figures
    labelled for the head, so that their mean weight is 1; soft targets count by their share. C is the
    number of classes that are present, as in scikit-learn's "balanced"; an absent one gets weight 0, since
    no finite weight is its due: nothing of it is learned, and smoothing does not pull towards it. None
    for a head without any label. `alpha_t` (Lin et al. 2017, section 3.1) multiplies them by 2 alpha_t for
    classes of AMF, and for hard, and by 2 (1 - alpha_t) for all others.
    """
    return [_weights(targets[:, h], head, spec) for h, head in enumerate(heads)]


def check_loss(spec: LossRecipe) -> None:
    """Raise InvalidOption for values that no loss has, or that the chosen one would ignore."""
    if min(spec.alpha, spec.gamma, spec.delta) < 0:
        raise InvalidOption("loss: alpha, gamma and delta must be 0 or more")
    if not 0 <= spec.label_smoothing < 1 or not 0 <= spec.theta <= 1:
        raise InvalidOption("loss: label_smoothing must lie in 0..1 (below 1) and theta in 0..1")
    if spec.name == "recall" and spec.label_smoothing:
        raise InvalidOption(
            "loss.label_smoothing: smoothed targets leave no class absent from the recall loss; set it to 0"
        )
    if not 0 < spec.alpha_t < 1:
        raise InvalidOption(f"loss.alpha_t must lie between 0 and 1, not {spec.alpha_t}")
    if spec.name == "recall" and spec.alpha_t != 0.5:
        raise InvalidOption("loss.alpha_t: the recall loss counts every class alike; set it to 0.5")
    if spec.name == "recall" and spec.class_weights != "none":
        raise InvalidOption(
            "loss.class_weights: the recall loss counts every class alike already; set it to none"
        )


def _head_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    head: HeadPart,
    spec: LossRecipe,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    log_p = log_probabilities(logits, head)
    certain = class_probabilities(targets, len(head.classes)).to(log_p)
    smoothed = smooth(certain, spec.label_smoothing)
    match spec.name:
        case "cross-entropy":
            return cross_entropy(log_p, smoothed, weights=weights)
        case "focal":
            return focal_loss(log_p, smoothed, alpha=spec.alpha, gamma=spec.gamma, weights=weights)
        case "recall":
            return recall_loss(log_p, certain)
        case "focal-recall":
            return focal_recall_loss(
                log_p,
                certain,
                alpha=spec.alpha,
                gamma=spec.gamma,
                delta=spec.delta,
                weights=weights,
                label_smoothing=spec.label_smoothing,
            )


def _weighted(targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return targets if weights is None else targets * weights.to(targets)


def _missed(log_p: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """1 - soft recall of each class, 0 where the class is absent, and whether it is present; (C,) each."""
    there = targets.sum(dim=0)
    # expm1 keeps the digits of 1 - p where p is nearly 1, and a count of misses that 1 - TP / n loses.
    missed = (targets * -torch.expm1(log_p)).sum(dim=0)
    present = there > 0
    return missed / torch.where(present, there, torch.ones_like(there)), present


def _power(x: torch.Tensor, exponent: float) -> torch.Tensor:
    """x ** exponent for x in 0..1; below exponent 1 the slope at 0 is infinite, and must not become NaN."""
    return x.clamp(min=torch.finfo(x.dtype).eps) ** exponent if 0 < exponent < 1 else x**exponent


def _weights(targets: NDArray[np.float32], head: HeadPart, spec: LossRecipe) -> torch.Tensor | None:
    inverse = spec.class_weights == "inverse-frequency"
    weights = _inverse_frequency(targets, len(head.classes)) if inverse else None
    if spec.alpha_t == 0.5 or (inverse and weights is None):
        return weights
    share = 2 * torch.tensor([spec.alpha_t if _is_rare(c) else 1 - spec.alpha_t for c in head.classes])
    return share if weights is None else weights * share


def _is_rare(name: str) -> bool:
    return name.startswith(POSITIVE) or name == HARDNESS[1]


def _inverse_frequency(targets: NDArray[np.float32], classes: int) -> torch.Tensor | None:
    known = torch.from_numpy(targets).double()
    known = known[~torch.isnan(known)]
    if len(known) == 0:
        return None
    counts = class_probabilities(known, classes).sum(dim=0)
    present = counts > 0
    weights = len(known) / (present.sum() * torch.where(present, counts, torch.ones_like(counts)))
    return torch.where(present, weights, torch.zeros_like(weights)).float()
