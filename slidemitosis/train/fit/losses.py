"""Compute losses: pure functions of log-probabilities, and their sum over the heads of a network.

B figures, C classes of a head. A head of one logit is treated as two classes, 1 - p and p, so that every
loss is written once. "RL" below is the paper on ResNet-like models for AMi-Br and MIDOG25, whose section 6
compares focal, recall and focal recall loss (and has two equations numbered 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import one_hot

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import HARD, POSITIVE
from slidemitosis.models.classifier import log_probabilities, split_heads

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.models.card import HeadPart
    from slidemitosis.train.recipe.recipe import LossRecipe


def class_probabilities(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the targets of one head, (B,) without NaN from `targets.targets_of`, as (B, C) that sum to 1.

    With two classes a target is the probability of the second (0 or 1 where it is certain); with more, the
    index of the class.
    """
    if classes == 2:
        return torch.stack([1 - targets, targets], dim=1)
    return one_hot(targets.long(), classes).to(targets.dtype)


def smooth(targets: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    """Return y (1 - e) + e / C for targets y, (B, C) (Szegedy et al. 2016, section 7)."""
    return targets * (1 - label_smoothing) + label_smoothing / targets.shape[1]


def cross_entropy(
    log_p: torch.Tensor, targets: torch.Tensor, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return -(1/B) sum_i sum_c w_c y_ic log p_ic, scalar.

    `log_p`, `targets`: (B, C); `weights`: (C,). It is the mean over figures, not over their weights as
    torch's, so that a batch without rare figures does not count for more.
    """
    weighted = targets if weights is None else targets * weights.to(targets)
    return -(weighted * log_p).sum(dim=1).mean()


def focal_loss(
    log_p: torch.Tensor,
    targets: torch.Tensor,
    *,
    alpha: float,
    gamma: float,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return -(1/B) sum_i sum_c alpha w_c y_ic (1 - p_ic)^gamma log p_ic (Lin et al. 2017; RL, eq. 3).

    `log_p`, `targets`: (B, C). For certain targets it is the mean of alpha (1 - p_t)^gamma (-log p_t).
    `alpha` is one factor for all classes; `weights`, (C,), balance them. With alpha 1 and gamma 0 it is the
    cross-entropy.
    """
    return alpha * cross_entropy(log_p * _power(-torch.expm1(log_p), gamma), targets, weights=weights)


def recall_loss(log_p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return 1 - (1/C) sum_c TP_c / (TP_c + FN_c), scalar in 0..1 (RL, 6.2, eq. 4 and 5).

    `log_p`, `targets`: (B, C). Soft counts: TP_c = sum_i y_ic p_ic, FN_c = sum_i y_ic (1 - p_ic). A
    class that is absent from the batch has no recall and is left out of the mean. The loss of the same name
    by Tian et al. 2022, a cross-entropy weighted by 1 - recall_c, is another one.
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
    """Return -(1/B) sum_i sum_c alpha w_c y_ic (1 - R_c)^delta (1 - p_ic)^gamma log p_ic (RL, 6.3).

    `log_p`, `targets`: (B, C). R_c is the soft recall of class c in the batch, see `recall_loss`; for an
    absent class 1 - R_c is taken as 0, so that it adds nothing. With delta 0 it is the focal loss.
    `label_smoothing` smooths y but not the targets that R_c is counted from: smoothed, they would leave no
    class absent.

    The gradient includes that of the recall: the paper makes its counts continuous (eq. 5) so that they can
    be learned from, and calls this a modified recall loss. Both factors pull the same way. A constant R_c
    would make it a re-weighted focal loss, which is the idea of Tian et al.
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
    """Return the loss of a batch over all heads, a float32 scalar (float64 for float64 logits).

    `logits`: (B, K), the heads' outputs side by side. `targets`: (B, H), see `targets.targets_of`; NaN is
    left out. `class_weights`: for each head (C,) or None, see `class_weights_of`.

    It is theta * (mean over the heads that tell the type) + (1 - theta) * (mean over the others) (Kotte et
    al. 2025, where the only other head is that of hardness), or the mean over all heads if they are of one
    kind. A head without a label in the batch is left out of its mean; a mean over no heads is 0 and keeps the
    graph, and the other one is not raised in its place.

    Raises InvalidOption as `check_loss` does.
    """
    check_loss(spec)
    # float16 and bfloat16 are too coarse for the differences in a loss.
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
    """Return the weights of each head's classes, float32 (C,) on the CPU, or None if all are equal.

    `targets`: (N, H) of the training figures. "inverse-frequency": w_c = N / (C n_c) over the figures
    labelled for the head, so that their mean weight is 1; soft targets count by their share. C is the
    number of classes that are present, as in scikit-learn's "balanced". An absent class gets weight 0, since
    its w_c would be infinite: nothing is learned of it, and smoothing does not pull towards it. A head
    without any label gets None. `alpha_t` (Lin et al. 2017, section 3.1) multiplies the weights by 2 alpha_t
    for classes of AMF, and for hard, and by 2 (1 - alpha_t) for all others.
    """
    return [_weights(targets[:, h], head, spec) for h, head in enumerate(heads)]


def check_loss(spec: LossRecipe) -> None:
    """Raise InvalidOption for values out of range, and for those that the chosen loss would ignore."""
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


def _missed(log_p: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 1 - soft recall of each class, 0 if it is absent, and whether it is present; (C,) each."""
    there = targets.sum(dim=0)
    # Where p is nearly 1, expm1 keeps the digits of 1 - p, and so those misses that 1 - TP / n would lose.
    missed = (targets * -torch.expm1(log_p)).sum(dim=0)
    present = there > 0
    return missed / torch.where(present, there, torch.ones_like(there)), present


def _power(x: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return x ** exponent for x in 0..1; an infinite slope at 0, for an exponent below 1, is kept finite."""
    return x.clamp(min=torch.finfo(x.dtype).eps) ** exponent if 0 < exponent < 1 else x**exponent


def _weights(targets: NDArray[np.float32], head: HeadPart, spec: LossRecipe) -> torch.Tensor | None:
    inverse = spec.class_weights == "inverse-frequency"
    weights = _inverse_frequency(targets, len(head.classes)) if inverse else None
    if spec.alpha_t == 0.5 or (inverse and weights is None):
        return weights
    rare = [c.startswith(POSITIVE) or c == HARD for c in head.classes]
    share = 2 * torch.tensor([spec.alpha_t if r else 1 - spec.alpha_t for r in rare])
    return share if weights is None else weights * share


def _inverse_frequency(targets: NDArray[np.float32], classes: int) -> torch.Tensor | None:
    known = torch.from_numpy(targets).double()
    known = known[~torch.isnan(known)]
    if len(known) == 0:
        return None
    counts = class_probabilities(known, classes).sum(dim=0)
    present = counts > 0
    weights = len(known) / (present.sum() * torch.where(present, counts, torch.ones_like(counts)))
    return torch.where(present, weights, torch.zeros_like(weights)).float()
