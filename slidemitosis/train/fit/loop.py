"""Train one network on the figures of one fold, epoch by epoch.

Everything random in an epoch comes from the seed and the number of the epoch alone. An interrupted training
therefore goes on from its last whole epoch to the same weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from slidemitosis.errors import InvalidOption
from slidemitosis.models.classifier import PatchInput, empty_network
from slidemitosis.train.fit.augment.augmentation import Augmentation
from slidemitosis.train.fit.batches import Pixels, augmented_batches
from slidemitosis.train.fit.checkpoint import load_checkpoint, save_checkpoint
from slidemitosis.train.fit.history import Epoch, write_history
from slidemitosis.train.fit.lora import add_adapters, merge_adapters, train_only
from slidemitosis.train.fit.losses import class_weights_of, total_loss
from slidemitosis.train.fit.memory import compute_out_of_place, keep_freed_memory
from slidemitosis.train.fit.pretrained import load_pretrained
from slidemitosis.train.fit.sampler import draw_order
from slidemitosis.train.fit.schedule import learning_rate_factor, optimizer_of, plateau_of
from slidemitosis.train.fit.targets import first_head_classes, targets_of, usable
from slidemitosis.train.fit.validation import Validation, apply_in_pieces, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.models.card import NetworkPart
    from slidemitosis.models.networks import Network
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.recipe.recipe import Recipe

log = logging.getLogger(__name__)

MOST_OVERFLOWS = 10
"""Number of losses in a row that may overflow in float16; with one more the training has run away."""
LOOKED_AT = 100
"""Steps after which losses are looked at, for which an accelerator has to be waited for."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained network."""

    network: Network
    """On the CPU, in evaluation mode, adapters merged."""
    epochs: tuple[Epoch, ...]
    kept: Epoch
    """The epoch whose weights these are."""


@dataclass(frozen=True, slots=True)
class Job:
    """One network of a recipe to be trained on one fold."""

    recipe: Recipe
    part: NetworkPart
    """Shape of the network; its weights, hash and number of parameters are not used."""
    training: Figures
    validation: Figures
    seed: int
    device: str
    workers: int
    fingerprint: str
    """Text that differs if anything differs that the result depends on: then a checkpoint is refused."""


def train_network(
    job: Job, *, checkpoint: Path, history: Path, progress: Callable[[int, int], None] | None = None
) -> Fit:
    """Train a network, from `checkpoint` on if that file is there.

    The checkpoint and `history`, a CSV, are written after every epoch. `progress` is called with (figures
    seen, figures of all epochs). Raises InvalidOption for a checkpoint of another job, for pretrained weights
    that cannot be had, and if no figure has a label.
    """
    training = _Training(job)
    training.restore(checkpoint)
    while not training.is_finished:
        training.train_epoch(progress)
        training.save(checkpoint)
        write_history(history, training.epochs, kept=training.kept)
    write_history(history, training.epochs, kept=training.kept)  # also if it was finished before
    return training.result()


class _Training:
    """The state of one training; a checkpoint holds all of it that changes."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe = job, job.recipe
        if job.device == "cpu":
            keep_freed_memory()
        torch.manual_seed(job.seed)
        self.training = job.training.take(np.flatnonzero(usable(job.training, job.part.heads)))
        self.validation = job.validation.take(np.flatnonzero(usable(job.validation, job.part.heads)))
        for name, figures in (("training", self.training), ("validation", self.validation)):
            if len(figures) == 0:
                raise InvalidOption(f"no {name} figure has a label for {job.part.heads[0].name!r}")
        self.input = PatchInput(job.part, side=self.recipe.input.patch).to(job.device)
        self.network = start_network(job.part, self.recipe).to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        ema = self.recipe.optimizer.ema
        self.averaged = (
            AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True)  # type: ignore[no-untyped-call]
            if ema
            else None
        )
        self.optimizer = optimizer_of(self.network, self.recipe, job.device)
        self.scaler = torch.amp.GradScaler(
            "cuda", enabled=self.recipe.precision == "mixed" and job.device.startswith("cuda")
        )
        self.plateau = plateau_of(self.optimizer, self.recipe)
        heads = job.part.heads
        self.classes = first_head_classes(self.training, heads)
        targets = targets_of(self.training, heads, soft_votes=self.recipe.loss.soft_votes)
        self.targets = torch.from_numpy(targets).to(job.device)
        self.class_weights = [
            w if w is None else w.to(job.device) for w in class_weights_of(targets, heads, self.recipe.loss)
        ]
        self.overflows = 0
        self.features = self._take_features()
        # Worker processes augment on the CPU.
        device = "cpu" if job.workers else job.device
        self.pixels = None if self.features is not None else Pixels(self.training.pixels, device)
        self.epochs: list[Epoch] = []
        self._kept: Epoch | None = None
        self.kept_state: dict[str, torch.Tensor] = {}

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights are kept so far."""
        assert self._kept is not None
        return self._kept

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or too many since the best one (early stopping)."""
        if not self.epochs:
            return False
        best = max(self.epochs, key=lambda e: (self._value(e), -e.epoch))
        done, patience = len(self.epochs), self.recipe.stopping.patience
        return done >= self.recipe.schedule.epochs or 0 < patience <= done - best.epoch

    def _value(self, epoch: Epoch) -> float:
        """Return the value that the recipe monitors; larger is better."""
        return -epoch.validation_loss if self.recipe.stopping.monitor == "loss" else epoch.balanced_accuracy

    def train_epoch(self, progress: Callable[[int, int], None] | None) -> None:
        """Train for an epoch, validate, and keep the weights if the recipe says so."""
        number, started = len(self.epochs), time.monotonic()
        # For dropout and the like; the sampler and the augmentation have seeds of their own.
        torch.manual_seed(self.job.seed * 1_000_003 + number)
        heads_only = number < self.recipe.schedule.head_epochs
        train_only(self.network, "heads" if heads_only else self.recipe.network.trained)
        batches = draw_order(self.classes, self.recipe.sampler, seed=self.job.seed, epoch=number)
        seen, figures = 0, sum(len(b) for b in batches)
        losses: list[float] = []
        waiting: list[torch.Tensor] = []
        for i, (x, rows) in enumerate(self._load(batches, number)):
            self._set_learning_rate(number + i / len(batches))
            waiting.append(self._step(self._logits(x), rows))
            seen += len(rows)
            if len(waiting) == LOOKED_AT or i == len(batches) - 1:
                losses += self._finite(torch.stack(waiting))
                waiting = []
            if progress:
                progress(number * figures + seen, self.recipe.schedule.epochs * figures)
        total = sum(loss * len(b) for loss, b in zip(losses, batches, strict=True))
        result = self._validate()
        self._record(number + 1, total / seen, result, time.monotonic() - started)
        if self.plateau is not None and not heads_only:
            monitors_loss = self.recipe.stopping.monitor == "loss"
            self.plateau.step(result.loss if monitors_loss else result.balanced_accuracy)

    def _take_features(self) -> torch.Tensor | None:
        """Return the backbone's features of every figure if they never change; None if they do.

        They do not change if the backbone is frozen and nothing is augmented. float32 (N, width) on the CPU,
        the training figures before the validation figures.
        """
        if self.recipe.network.trained != "heads" or self.recipe.augment:
            return None
        features = self._in_context(self.network.features)
        both = (self.training, self.validation)
        return torch.cat([apply_in_pieces(features, self.network, self.input, f) for f in both])

    def _in_context(
        self, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function in the recipe's precision."""

        def compute(x: torch.Tensor) -> torch.Tensor:
            with autocast(self.recipe, self.job.device):
                return function(x)

        return compute

    def _load(
        self, batches: Sequence[NDArray[np.int64]], epoch: int
    ) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        """Return (augmented figures or their features, row numbers) of each batch."""
        if self.features is not None:
            return [(self.features[b], torch.from_numpy(b)) for b in batches]
        assert self.pixels is not None
        return augmented_batches(
            self.pixels,
            batches,
            Augmentation(self.recipe.augment),
            seed=self.job.seed,
            epoch=epoch,
            workers=self.job.workers,
        )

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the network's outputs for a batch, with gradients."""
        x = x.to(self.job.device, non_blocking=True)
        if self.features is not None:
            return self._in_context(self.network.answers)(x)
        x = self.input.of_unit(x).contiguous(memory_format=torch.channels_last)
        return self._in_context(self.network)(x)

    def _step(self, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Change the weights once; return the loss of the batch, for which nothing waits."""
        job, spec = self.job, self.recipe.optimizer
        loss = total_loss(
            logits.float(),
            self.targets[rows.to(job.device)],
            heads=job.part.heads,
            spec=self.recipe.loss,
            class_weights=self.class_weights,
        )
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if spec.gradient_clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), spec.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return loss.detach()

    def _finite(self, losses: torch.Tensor) -> list[float]:
        """Return the losses of steps, (N,). Raises InvalidOption if the training has run away.

        In float16 single steps overflow and the scaler skips them: there only many in a row count.
        """
        told: list[float] = losses.tolist()
        for loss in told:
            self.overflows = 0 if math.isfinite(loss) else self.overflows + 1
            if self.overflows > (MOST_OVERFLOWS if self.scaler.is_enabled() else 0):
                raise InvalidOption(
                    f"the loss is {loss} in epoch {len(self.epochs) + 1}: "
                    "lower the learning rate (--set optimizer.learning_rate=...)"
                )
        return told

    @property
    def _judged(self) -> Network:
        """The network that is validated and kept: the averaged one, if there is one."""
        return self.network if self.averaged is None else self.averaged.module  # type: ignore[return-value]

    def _validate(self) -> Validation:
        network = self._judged
        if self.features is None:
            logits = apply_in_pieces(self._in_context(network), network, self.input, self.validation)
        else:
            network.eval()
            with torch.no_grad():
                features = self.features[len(self.training) :].to(self.job.device)
                logits = self._in_context(network.answers)(features).float().cpu()
        self._finite(logits.sum()[None])
        return validate(
            logits,
            self.validation,
            self.job.part.heads,
            loss=dataclasses.replace(self.recipe.loss, soft_votes=False),
            class_weights=self.class_weights,
        )

    def _record(self, number: int, loss: float, result: Validation, seconds: float) -> None:
        """Log an epoch, and keep its weights if the recipe says so."""
        epoch = Epoch(
            epoch=number,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            training_loss=loss,
            validation_loss=result.loss,
            balanced_accuracy=result.balanced_accuracy,
            auroc=result.auroc,
            collapsed=result.collapsed,
            seconds=seconds,
        )
        self.epochs.append(epoch)
        shown = (number, self.recipe.schedule.epochs, loss, result.loss, result.balanced_accuracy, seconds)
        log.info(
            "epoch %d of %d: training loss %.4f, validation loss %.4f, balanced accuracy %.4f, %.0f s", *shown
        )
        last = self.recipe.stopping.keep == "last"
        if last or self._kept is None or self._value(epoch) > self._value(self._kept):
            self._kept = epoch
            self.kept_state = {k: v.cpu().clone() for k, v in self._changing(self._judged).items()}

    def _changing(self, network: Network) -> dict[str, torch.Tensor]:
        """Return the weights that the training changes: a frozen backbone of gigabytes is not saved."""
        state = {k: v.detach() for k, v in network.state_dict().items()}
        if self.recipe.network.trained == "all":
            return state
        return {k: v for k, v in state.items() if ".lora_" in k or not k.startswith("backbone.")}

    def _set_learning_rate(self, epoch: float) -> None:
        if self.plateau is None:
            rate = self.recipe.optimizer.learning_rate * learning_rate_factor(epoch, self.recipe)
            for group in self.optimizer.param_groups:
                group["lr"] = rate

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        state = load_checkpoint(path, fingerprint=self.job.fingerprint)
        if state is None:
            return
        self.network.load_state_dict(state["network"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.averaged is not None:
            self._judged.load_state_dict(state["averaged"], strict=False)
            self.averaged.n_averaged.fill_(state["averaged_steps"])
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])
        self.epochs = [Epoch(**e) for e in state["epochs"]]
        self._kept, self.kept_state = self.epochs[state["kept"] - 1], state["kept_state"]
        log.info("going on after epoch %d of %s", len(self.epochs), path)

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        state: dict[str, Any] = {
            "network": self._changing(self.network),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": None if self.averaged is None else self._changing(self._judged),
            "averaged_steps": 0 if self.averaged is None else int(self.averaged.n_averaged),
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
            "epochs": [dataclasses.asdict(e) for e in self.epochs],
            "kept": self.kept.epoch,
            "kept_state": self.kept_state,
        }
        save_checkpoint(path, state, fingerprint=self.job.fingerprint)

    def result(self) -> Fit:
        """Return the network with the kept weights and without adapters."""
        network = self.network.cpu()
        network.load_state_dict(self.kept_state, strict=False)
        merge_adapters(network)
        network.requires_grad_(requires_grad=False)
        return Fit(network.eval(), tuple(self.epochs), self.kept)


def start_network(part: NetworkPart, recipe: Recipe) -> Network:
    """Return the recipe's network with its pretrained weights and, for LoRA, its adapters."""
    network = empty_network(part, dropout=recipe.network.dropout)
    load_pretrained(network, recipe.backbone, channels=part.channels)
    if recipe.network.zero_heads:
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
    if recipe.network.trained == "lora":
        add_adapters(network, recipe.lora)
    compute_out_of_place(network)
    return network


def autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager[object]:
    """Return a context that computes in float16 on CUDA, bfloat16 elsewhere, if the precision is mixed."""
    if recipe.precision == "fp32":
        return contextlib.nullcontext()
    kind = device.partition(":")[0]
    return torch.autocast(kind, dtype=torch.float16 if kind == "cuda" else torch.bfloat16)
