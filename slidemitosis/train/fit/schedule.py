"""Make the optimizer, and schedule the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

from slidemitosis.train.fit.lora import train_only

if TYPE_CHECKING:
    from slidemitosis.models.networks import Network
    from slidemitosis.train.recipe.recipe import Recipe


def learning_rate_factor(epoch: float, recipe: Recipe) -> float:
    """Return the factor on the learning rate after `epoch` epochs, fractions included; not for "plateau".

    The rate is constant in the heads' own epochs; then it warms up linearly, then it is constant or follows a
    cosine to the recipe's minimum.
    """
    spec = recipe.schedule
    epoch -= spec.head_epochs
    if epoch < 0:
        return 1.0
    if epoch < spec.warmup_epochs:
        return max(epoch / spec.warmup_epochs, 0.01)
    if spec.name == "constant":
        return 1.0
    done = (epoch - spec.warmup_epochs) / max(spec.epochs - spec.head_epochs - spec.warmup_epochs, 1)
    lowest = spec.minimum / recipe.optimizer.learning_rate
    return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def optimizer_of(network: Network, recipe: Recipe, device: str) -> torch.optim.Optimizer:
    """Return the recipe's optimizer, with its weight decay, for all parameters that learn in any epoch."""
    spec = recipe.optimizer
    # Also the parameters that learn only after the heads' own epochs.
    trained = train_only(network, recipe.network.trained)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1 or spec.decay_all]},
        {"params": [p for p in trained if p.ndim <= 1 and not spec.decay_all], "weight_decay": 0.0},
    ]
    # One kernel for all weights, which also sees for itself whether a loss in float16 has overflowed: else
    # the processor would wait for the GPU at every step to be told.
    fused: dict[str, Any] = (
        {"fused": True} if device.startswith("cuda") and spec.name in ("adam", "adamw") else {}
    )
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups, opt=spec.name, lr=spec.learning_rate, weight_decay=spec.weight_decay, **fused
    )
    return optimizer


def plateau_of(
    optimizer: torch.optim.Optimizer, recipe: Recipe
) -> torch.optim.lr_scheduler.ReduceLROnPlateau | None:
    """Return the schedule that is told the monitored value after each epoch; None unless it is "plateau"."""
    spec = recipe.schedule
    if spec.name != "plateau":
        return None
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        # Not the negated value with "min": torch would then take an equal value for a better one.
        mode="min" if recipe.stopping.monitor == "loss" else "max",
        factor=spec.factor,
        patience=spec.patience,
        min_lr=spec.minimum,
    )
