"""Build a card's networks, which take uint8 patches and give the model's outputs."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, cast

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import interpolate, logsigmoid

from slidemitosis.errors import InvalidCard, WeightsMismatch
from slidemitosis.labels import HARD, NEGATIVE, POSITIVE, SUBTYPES
from slidemitosis.models.colour import HED_MEAN, HED_STD, rgb_to_hed
from slidemitosis.models.files import check_weights
from slidemitosis.models.networks import Network, build_network
from slidemitosis.models.shipped import find_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.models.card import HeadPart, ModelCard, NetworkPart


class PatchInput(nn.Module):
    """Makes a network's input of patches: crops, resizes, converts colours and normalises."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, part: NetworkPart, *, side: int) -> None:
        super().__init__()
        self.part = part
        self.side = side
        hed = "hed" in part.colours
        for name, rgb, other in (("mean", part.mean, HED_MEAN), ("std", part.std, HED_STD)):
            values = {"rgb": rgb, "hed": other if hed else rgb}
            channels = [v for colour in part.colours for v in values[colour]] * len(part.crops)
            self.register_buffer(name, torch.tensor(channels).view(1, -1, 1, 1), persistent=False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Convert uint8 RGB (B, side, side, 3) to the network's input. Raises ValueError for any other."""
        if patches.dtype != torch.uint8 or patches.shape[1:] != (self.side, self.side, 3):
            raise ValueError(
                f"patches must be uint8 (B, {self.side}, {self.side}, 3), "
                f"not {patches.dtype} {tuple(patches.shape)}"
            )
        return self.of_unit(patches.permute(0, 3, 1, 2).float().div_(255))

    def of_unit(self, x: torch.Tensor) -> torch.Tensor:
        """Convert RGB in 0..1, float32 (B, 3, side, side), to float32 (B, channels, resize, resize)."""
        crops = torch.cat([self._crop(x, crop) for crop in self.part.crops], dim=1)
        return (crops - self.mean) / self.std

    def _crop(self, x: torch.Tensor, crop: int) -> torch.Tensor:
        part, start = self.part, (self.side - crop) // 2
        x = x[:, :, start : start + crop, start : start + crop]
        if crop != part.resize:
            size = (part.resize, part.resize)
            x = interpolate(x, size=size, mode=part.interpolation, antialias=part.resize < crop)
        spaces = {"rgb": lambda: x, "hed": lambda: rgb_to_hed(x)}
        return torch.cat([spaces[colour]() for colour in part.colours], dim=1)


class Classifier(nn.Module):
    """The networks of a model card, each with its input: one row of outputs for each patch.

    In: uint8 (B, side, side, 3), RGB at `card.patch.mpp`. Out: float32 (B, 1 + E). The first column is
    the logit of AMF before any prior correction (see `decision.DecisionPart`); the others are the
    probabilities named by `card.extra_outputs`.

    Probabilities of several networks are averaged, as in the published ensembles (AUCMEDI, Yamagishi and
    Hanaoka); the logit is that of the mean. If one network has several heads for the type, one for each
    expert, their logits are averaged.
    """

    def __init__(self, card: ModelCard, networks: Sequence[Network]) -> None:
        super().__init__()
        self.card = card
        self.inputs = nn.ModuleList(PatchInput(n, side=card.patch.side) for n in card.networks)
        self.networks = nn.ModuleList(networks)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Compute outputs, float32 (B, 1 + E), of uint8 RGB (B, side, side, 3)."""
        answers = [self._answers(i, prepare(patches)) for i, prepare in enumerate(self.inputs)]
        return combine(answers, self.card.extra_outputs)

    def of_unit(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logit of AMF alone, float32 (B,), of RGB in 0..1, float32 (B, 3, side, side)."""
        inputs = cast("Sequence[PatchInput]", self.inputs)
        answers = [self._answers(i, prepare.of_unit(x)) for i, prepare in enumerate(inputs)]
        return combine(answers, ())[:, 0]

    def _answers(self, i: int, x: torch.Tensor) -> list[Answer]:
        """Compute the answers of network number `i` to its own input."""
        outputs = self.networks[i](x.contiguous(memory_format=torch.channels_last))
        return split_heads(outputs.float(), self.card.networks[i].heads)


Answer = tuple["HeadPart", torch.Tensor]
"""A head and its logits, (B, head.width)."""


def split_heads(outputs: torch.Tensor, heads: Sequence[HeadPart]) -> list[Answer]:
    """Split a network's outputs, (B, outputs), by head."""
    columns = torch.split(outputs, [h.width for h in heads], dim=1)
    return list(zip(heads, columns, strict=True))


def log_probabilities(logits: torch.Tensor, head: HeadPart) -> torch.Tensor:
    """Return the log-probability of each class of a head, (B, classes), from its logits, (B, head.width)."""
    if head.kind == "sigmoid":
        return torch.cat([logsigmoid(-logits), logsigmoid(logits)], dim=1)
    return logits.log_softmax(dim=1)


def type_logit(answers: Sequence[Answer]) -> torch.Tensor | None:
    """Return log P(AMF) - log P(NMF) of one network, (B,), as the mean over its heads that tell the type.

    None if no head does.
    """
    logits = [
        _log_share(log_p, head.types, POSITIVE) - _log_share(log_p, head.types, NEGATIVE)
        for head, log_p in ((h, log_probabilities(z, h)) for h, z in answers)
        if head.tells_type
    ]
    return torch.stack(logits).mean(0) if logits else None


def combine(networks: Sequence[Sequence[Answer]], extra_outputs: Sequence[str]) -> torch.Tensor:
    """Combine the networks' answers to (B, 1 + E): the logit of AMF and the extra probabilities."""
    told = [type_logit(answers) for answers in networks]
    logits = torch.stack([t for t in told if t is not None])
    logit = logits[0]
    if len(logits) > 1:
        # The logit of the mean probability, by logarithms: a probability near 0 or 1 would be rounded.
        logit = logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)
    columns = [logit]
    heads = [(h, log_probabilities(z, h)) for answers in networks for h, z in answers]
    if HARD in extra_outputs:
        hard = [
            _log_share(log_p, [c.rpartition(" ")[2] for c in h.classes], HARD).exp()
            for h, log_p in heads
            if h.tells_hardness
        ]
        columns.append(torch.stack(hard).mean(0))
    columns += [_subtype(heads, name, logit) for name in extra_outputs if name in SUBTYPES]
    return torch.stack(columns, dim=1)


def _log_share(log_p: torch.Tensor, labels: Sequence[str], wanted: str) -> torch.Tensor:
    # Not indexed by a list: when traced, it becomes a tensor that stays on the tracing's device.
    picked = [log_p[:, i] for i, label in enumerate(labels) if label == wanted]
    return torch.stack(picked, dim=1).logsumexp(1)


def _subtype(heads: Sequence[Answer], name: str, logit: torch.Tensor) -> torch.Tensor:
    """Return P(subtype), (B,); for a head that knows the subtypes of one type only, times P(type)."""
    found = []
    for head, log_p in heads:
        if head.tells_subtype and name in head.classes:
            p = log_p[:, head.classes.index(name)].exp()
            if not head.tells_type:
                p = p * (logit if name.startswith(POSITIVE) else -logit).sigmoid()
            found.append(p)
    return torch.stack(found).mean(0)


def load_model(name_or_folder: str | Path, *, device: str = "cpu") -> Classifier:
    """Load a shipped model by name, or any model by its folder, ready to classify.

    The weights are hashed before they are parsed, and only safetensors are read, so no file of a model can
    run code. Raises UnknownModel, InvalidCard, WeightsMismatch.
    """
    return build_model(find_model(name_or_folder), device=device)


def build_model(card: ModelCard, *, device: str = "cpu") -> Classifier:
    """Build the networks of `card` with their weights, in evaluation mode, on `device`.

    Raises InvalidCard, WeightsMismatch.
    """
    model = Classifier(card, [_load_network(card.folder, part) for part in card.networks])
    model.eval().requires_grad_(requires_grad=False)
    return model.to(device)


def telling_patches(side: int) -> NDArray[np.uint8]:
    """Return noise and smooth colours, uint8 (8, side, side, 3), to compare a model with its export."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, side, side, 3), np.uint8)
    ramp = np.linspace(0, 1, side)[None, :, None, None] * np.ones((4, 1, side, 1))
    return np.concatenate([noise, (ramp * rng.uniform(100, 255, (4, 1, 1, 3))).astype(np.uint8)])


def empty_network(part: NetworkPart, *, dropout: float = 0.0) -> Network:
    """Build the network of a card with random weights."""
    return build_network(
        part.architecture,
        arguments=part.arguments,
        pooling=part.pooling,
        channels=part.channels,
        input_side=part.resize,
        hidden=part.hidden,
        dropout=dropout,
        outputs=part.outputs,
    )


def _load_network(folder: Path, part: NetworkPart) -> Network:
    try:
        network = empty_network(part)
    except InvalidCard as e:
        raise InvalidCard(f"{folder}: {e}") from None
    path = folder / part.weights
    try:
        network.load_state_dict(safetensors.torch.load(check_weights(folder, part)))
    except (RuntimeError, safetensors.SafetensorError) as e:
        reason = shorten(str(e), 200)  # torch writes many lines, one for each kind of misfit
        raise WeightsMismatch(f"{path}: does not fit {part.architecture}: {reason}") from e
    parameters = sum(p.numel() for p in network.parameters())
    if parameters != part.parameters:
        raise InvalidCard(f"{folder}: has {parameters} parameters, the card says {part.parameters}")
    return network.to(memory_format=torch.channels_last)
