"""Score a network on validation figures, after each epoch of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.metrics import recall_score, roc_auc_score

from slidemitosis.models.classifier import log_probabilities, split_heads, type_logit
from slidemitosis.train.fit.losses import total_loss
from slidemitosis.train.fit.targets import first_head_classes, targets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slidemitosis.models.card import HeadPart
    from slidemitosis.models.classifier import PatchInput
    from slidemitosis.models.networks import Network
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.recipe.recipe import LossRecipe

_PIECE, _PIECE_OF_GPU = 64, 256
"""Figures that are computed at once; a GPU is not kept busy by few."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores of one epoch on the validation figures."""

    loss: float
    balanced_accuracy: float
    auroc: float | None
    """None if the network does not tell the type, or one class is absent."""
    collapsed: bool
    """Every figure is given one class."""


def validate(
    logits: torch.Tensor,
    figures: Figures,
    heads: Sequence[HeadPart],
    *,
    loss: LossRecipe,
    class_weights: Sequence[torch.Tensor | None],
) -> Validation:
    """Return the scores of `figures` at 0.5, from the outputs of all heads, float32 (N, outputs).

    If the network does not tell AMF from NMF, balanced accuracy is the mean recall of the classes of its
    first head.
    """
    targets = torch.from_numpy(targets_of(figures, heads))
    weights = [None if w is None else w.cpu() for w in class_weights]
    value = total_loss(logits, targets, heads=heads, spec=loss, class_weights=weights).item()
    answers = split_heads(logits, heads)
    told = type_logit(answers)
    if told is None:
        truth = first_head_classes(figures, heads)
        given = log_probabilities(answers[0][1], heads[0]).argmax(1).numpy()
        auroc = None
    else:
        truth, given = figures.atypical, (told.numpy() >= 0).astype(np.int64)
        auroc = float(roc_auc_score(truth, told.numpy())) if len(set(truth.tolist())) == 2 else None
    recall = recall_score(truth, given, labels=np.unique(truth), average="macro")
    return Validation(value, float(recall), auroc, len(set(given.tolist())) == 1)


@torch.no_grad()
def apply_in_pieces(
    function: Callable[[torch.Tensor], torch.Tensor], network: Network, prepare: PatchInput, figures: Figures
) -> torch.Tensor:
    """Return `function` of the network's input for each figure, not augmented, float32 (N, ...) on the CPU.

    `network` is in evaluation mode meanwhile; afterwards each module has its earlier mode.
    """
    modes = {m: m.training for m in network.modules()}
    device = next(network.parameters()).device
    network.eval()
    pieces = []
    piece = _PIECE_OF_GPU if device.type == "cuda" else _PIECE
    for start in range(0, len(figures), piece):
        x = prepare(torch.from_numpy(figures.pixels[start : start + piece]).to(device))
        pieces.append(function(x.contiguous(memory_format=torch.channels_last)).float().cpu())
    for module, mode in modes.items():
        module.training = mode
    return torch.cat(pieces)
