"""From a model card to a network that takes uint8 patches."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch
import timm
import torch
from torch import nn
from torch.nn.functional import interpolate

from slidemitosis.cards import ModelCard, check_weights, find_model
from slidemitosis.errors import InvalidCard, WeightsMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.cards import InputPart


class PatchInput(nn.Module):
    """Centre crop, resize and normalisation, on whatever device the patches are.

    In: uint8 (B, patch, patch, 3), RGB. Out: float32 (B, 3, resize, resize), normalised.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, part: InputPart) -> None:
        super().__init__()
        self.part = part
        self.register_buffer("mean", torch.tensor(part.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(part.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """uint8 (B, patch, patch, 3) to float32 (B, 3, resize, resize). Raises ValueError for any other."""
        part = self.part
        if patches.dtype != torch.uint8 or patches.shape[1:] != (part.patch, part.patch, 3):
            raise ValueError(
                f"patches must be uint8 (B, {part.patch}, {part.patch}, 3), "
                f"not {patches.dtype} {tuple(patches.shape)}"
            )
        start = (part.patch - part.crop) // 2
        x = patches[:, start : start + part.crop, start : start + part.crop]
        x = x.permute(0, 3, 1, 2).float().div_(255)
        if part.crop != part.resize:
            x = interpolate(
                x, size=(part.resize, part.resize), mode=part.interpolation, antialias=part.resize < part.crop
            )
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """A model card's network behind its own input: uint8 patches in, one logit each out.

    In: uint8 (B, patch, patch, 3), RGB at `card.input.mpp`. Out: float32 (B,), the evidence for
    AMF before any prior correction (see `cards.DecisionPart`).
    """

    def __init__(self, card: ModelCard, network: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.input = PatchInput(card.input)
        self.network = network

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """uint8 (B, patch, patch, 3) to logits of AMF, float32 (B,)."""
        x = self.input(patches).contiguous(memory_format=torch.channels_last)
        logits: torch.Tensor = self.network(x)
        logits = logits[:, 0].float()
        return logits if self.card.network.logit_of == "AMF" else -logits


def load_model(name_or_folder: str | Path, *, device: str = "cpu") -> Classifier:
    """Load a shipped model by name, or any model by its folder, ready to classify.

    The weights are hashed before they are parsed, and only safetensors are read: no file of a
    model can run code. Raises UnknownModel, InvalidCard, WeightsMismatch.
    """
    return build_model(find_model(name_or_folder), device=device)


def build_model(card: ModelCard, *, device: str = "cpu") -> Classifier:
    """The network that `card` describes, with its weights, in evaluation mode on `device`."""
    if card.network.architecture not in timm.list_models():
        raise InvalidCard(
            f"{card.folder}: timm {timm.__version__} has no architecture {card.network.architecture!r}"
        )
    network = timm.create_model(card.network.architecture, pretrained=False, num_classes=1)
    try:
        network.load_state_dict(safetensors.torch.load(check_weights(card)))
    except (RuntimeError, safetensors.SafetensorError) as e:
        reason = shorten(str(e), 200)  # of many lines, one for each kind of misfit
        raise WeightsMismatch(
            f"{card.weights_path}: does not fit {card.network.architecture}: {reason}"
        ) from e
    parameters = sum(p.numel() for p in network.parameters())
    if parameters != card.network.parameters:
        raise InvalidCard(
            f"{card.folder}: has {parameters} parameters, the card says {card.network.parameters}"
        )
    model = Classifier(card, network).eval().requires_grad_(requires_grad=False)
    model.network.to(memory_format=torch.channels_last)
    return model.to(device)
