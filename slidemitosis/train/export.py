"""Write trained networks into a model folder that `slidemitosis classify` uses."""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import TYPE_CHECKING

import safetensors.torch
import torch

from slidemitosis.files import whole_file
from slidemitosis.models.card import FORMAT, TASK, ModelCard, NetworkPart, PatchPart
from slidemitosis.models.decision import DecisionPart, ValidationPart
from slidemitosis.models.files import file_sha256
from slidemitosis.train.fit.targets import heads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from slidemitosis.models.looks import LooksPart
    from slidemitosis.models.networks import Network
    from slidemitosis.train.recipe.recipe import Recipe

_FLOAT16_MAX = torch.finfo(torch.float16).max
INTENDED_USE = (
    "Research use only, not for diagnosis. For candidate mitotic figures on H&E slides scanned at about "
    "{mpp:g} um/px."
)


def network_part(recipe: Recipe, layout: str) -> NetworkPart:
    """Return the card's part for the recipe's network of one layout, without hash and number of parameters.

    Raises InvalidOption for an unknown layout, InvalidCard for values of which no model can be made.
    """
    backbone, spec = recipe.backbone, recipe.input
    return NetworkPart(
        architecture=backbone.architecture,
        weights=f"{layout}.safetensors",
        sha256="0" * 64,
        parameters=0,
        crops=spec.crops,
        resize=spec.resize,
        interpolation=spec.interpolation,
        mean=backbone.mean,
        std=backbone.std,
        colours=spec.colours,
        pooling=backbone.pooling,
        hidden=recipe.network.hidden,
        arguments=backbone.arguments,
        heads=heads_of(layout),
    )


def write_network(network: Network, part: NetworkPart, folder: Path) -> NetworkPart:
    """Write the weights into `folder`; return the part with their hash and number of parameters.

    Tensors of two or more dimensions (the weights of layers, embeddings of positions) are rounded to
    float16, which halves the file; biases, normalisation and its statistics stay as they are. Scores of the
    model must be computed from the weights as written.
    """
    path = folder / part.weights
    state = {k: _stored(v).contiguous() for k, v in network.state_dict().items()}
    with whole_file(path) as partial:
        safetensors.torch.save_file(state, partial)
    return dataclasses.replace(
        part, sha256=file_sha256(path), parameters=sum(p.numel() for p in network.parameters())
    )


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """Return matrices and kernels as float16, if it can hold them; other tensors as they are."""
    if tensor.dtype != torch.float32 or tensor.ndim < 2 or not tensor.numel():
        return tensor
    return tensor.half() if bool(tensor.abs().max() < _FLOAT16_MAX) else tensor


def new_card(
    folder: Path,
    *,
    name: str,
    recipe: Recipe,
    networks: Sequence[NetworkPart],
    data: Sequence[str],
    citation: Iterable[str],
    training_prior: float,
    looks: LooksPart | None = None,
) -> ModelCard:
    """Return the card of a model that is not calibrated yet; nothing is written."""
    return ModelCard(
        format=FORMAT,
        name=name,
        version="1",
        task=TASK,
        description=recipe.description,
        intended_use=INTENDED_USE.format(mpp=recipe.input.mpp),
        data=tuple(data),
        licence="as the data and the pretrained weights allow",
        citation=tuple(citation),
        patch=PatchPart(mpp=recipe.input.mpp, side=recipe.input.patch),
        decision=DecisionPart(
            training_prior=training_prior, target_prior=training_prior, temperature=1.0, threshold=0.5
        ),
        validation=ValidationPart(protocol="none", tp=0, fn=0, tn=0, fp=0),
        looks=looks,
        networks=tuple(networks),
        folder=folder,
    )


def gather_networks(members: Sequence[ModelCard], folder: Path) -> tuple[NetworkPart, ...]:
    """Put the weights of several models into `folder`; return the parts of their networks."""
    parts = []
    for member in members:
        for part in member.networks:
            name = f"{member.folder.name}-{part.weights}"
            _link(member.folder / part.weights, folder / name)
            parts.append(dataclasses.replace(part, weights=name))
    return tuple(parts)


def _link(source: Path, target: Path) -> None:
    """Link `target` to `source`, or copy it where the disk has no links: weights can have gigabytes."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
