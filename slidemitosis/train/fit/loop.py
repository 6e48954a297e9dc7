"""The training loop: one network, on the figures of one fold, epoch by epoch.

Everything random in an epoch comes from the seed and the number of the epoch alone. A training
that was interrupted therefore goes on from its last whole epoch to the same weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from slidemitosis.errors import InvalidOption
from slidemitosis.models.classifier import PatchInput, empty_network
from slidemitosis.train.fit.augment import Augmentation
from slidemitosis.train.fit.checkpoint import load_checkpoint, save_checkpoint
from slidemitosis.train.fit.history import Epoch, write_history
from slidemitosis.train.fit.lora import add_adapters, merge_adapters, train_only
from slidemitosis.train.fit.losses import class_weights_of, total_loss
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
    """What is trained: one network of a recipe on one fold."""

    recipe: Recipe
    part: NetworkPart
    """The network's shape; its weights, hash and number of parameters are not looked at."""
    training: Figures
    validation: Figures
    seed: int
    device: str
    workers: int
    fingerprint: str
    """Of everything that the result depends on: a checkpoint of another one is refused."""


def train_network(
    job: Job, *, checkpoint: Path, history: Path, progress: Callable[[int, int], None] | None = None
) -> Fit:
    """Train, or go on from `checkpoint`, which is written after every epoch and belongs to `job`.

    `history` is a CSV, written after every epoch too.
    `progress` is called with (figures seen, figures of all epochs). Raises InvalidOption for a
    checkpoint of another job, pretrained weights that cannot be had, and figures without labels.
    """
    run = _Run(job)
    total = job.recipe.schedule.epochs
    run.restore(checkpoint)
    while run.epochs_done < total and not run.stopped:
        run.epoch(progress)
        run.save(checkpoint)
        write_history(history, run.epochs, kept=run.best)
    write_history(history, run.epochs, kept=run.best)  # of a training that was finished before, too
    return run.finish()


class _Run:
    """The state of one training, all of which a checkpoint holds."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe = job, job.recipe
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
        self.optimizer = optimizer_of(self.network, self.recipe)
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
        self.epochs: list[Epoch] = []
        self.kept: Epoch | None = None
        self.kept_state: dict[str, torch.Tensor] = {}

    @property
    def epochs_done(self) -> int:
        return len(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept so far."""
        assert self.kept is not None
        return self.kept

    @property
    def stopped(self) -> bool:
        """Early stopping: too many epochs since the best one."""
        patience = self.recipe.stopping.patience
        if not patience or not self.epochs:
            return False
        best = max(self.epochs, key=lambda e: (self._value(e), -e.epoch))
        return self.epochs_done - best.epoch >= patience

    def _value(self, epoch: Epoch) -> float:
        """What the recipe watches, larger being better."""
        return -epoch.validation_loss if self.recipe.stopping.monitor == "loss" else epoch.balanced_accuracy

    def epoch(self, progress: Callable[[int, int], None] | None) -> None:
        """Train for an epoch, validate, and keep the weights if they are to be kept."""
        number, started = self.epochs_done, time.monotonic()
        # Dropout and the like draw from here; the sampler and the augmentation have seeds of their own.
        torch.manual_seed(self.job.seed * 1_000_003 + number)
        heads_only = number < self.recipe.schedule.head_epochs
        train_only(self.network, "heads" if heads_only else self.recipe.network.trained)
        batches = draw_order(self.classes, self.recipe.sampler, seed=self.job.seed, epoch=number)
        total, seen, figures = 0.0, 0, sum(len(b) for b in batches)
        for i, (x, rows) in enumerate(self._load(batches, number)):
            self._set_learning_rate(number + i / len(batches))
            total += self._step(self._logits(x), rows) * len(rows)
            seen += len(rows)
            if progress:
                progress(number * figures + seen, self.recipe.schedule.epochs * figures)
        result = self._validate()
        self._record(number + 1, total / seen, result, time.monotonic() - started)
        if self.plateau is not None and not heads_only:
            last = self.epochs[-1]
            loss = self.recipe.stopping.monitor == "loss"
            self.plateau.step(last.validation_loss if loss else last.balanced_accuracy)

    def _take_features(self) -> torch.Tensor | None:
        """Of a frozen backbone without augmentation: what it says of each figure does not change.

        float32 (N, width) on the CPU, the training figures before the validation figures.
        """
        if self.recipe.network.trained != "heads" or self.recipe.augment:
            return None
        features = self._in_context(self.network.features)
        both = (self.training, self.validation)
        return torch.cat([apply_in_pieces(features, self.network, self.input, f) for f in both])

    def _in_context(
        self, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        def compute(x: torch.Tensor) -> torch.Tensor:
            with autocast(self.recipe, self.job.device):
                return function(x)

        return compute

    def _load(
        self, batches: Sequence[NDArray[np.int64]], epoch: int
    ) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of augmented figures, or of features; each figure's randomness has a seed of its own."""
        if self.features is not None:
            return [(self.features[b], torch.from_numpy(b)) for b in batches]
        seeds = np.random.default_rng([self.job.seed, epoch, 1]).integers(2**62, size=sum(map(len, batches)))
        ends = np.cumsum([len(b) for b in batches])
        keys = [
            list(zip(b.tolist(), seeds[end - len(b) : end].tolist(), strict=True))
            for b, end in zip(batches, ends, strict=True)
        ]
        return DataLoader(
            _Augmented(self.training.pixels, Augmentation(self.recipe.augment)),
            batch_sampler=keys,
            num_workers=self.job.workers,
            pin_memory=self.job.device.startswith("cuda"),
        )

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        """Of a batch, with gradients."""
        x = x.to(self.job.device, non_blocking=True)
        if self.features is not None:
            return self._in_context(self.network.answers)(x)
        x = self.input.of_unit(x).contiguous(memory_format=torch.channels_last)
        return self._in_context(self.network)(x)

    def _step(self, logits: torch.Tensor, rows: torch.Tensor) -> float:
        job, spec = self.job, self.recipe.optimizer
        loss = total_loss(
            logits.float(),
            self.targets[rows.to(job.device)],
            heads=job.part.heads,
            spec=self.recipe.loss,
            class_weights=self.class_weights,
        )
        self._check_finite(loss)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if spec.gradient_clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), spec.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return loss.item()

    def _check_finite(self, loss: torch.Tensor) -> None:
        """Raise InvalidOption where the training has run away.

        In float16 single steps overflow, and the scaler leaves them out: there only a row of them counts.
        """
        self.overflows = 0 if torch.isfinite(loss) else self.overflows + 1
        if self.overflows > (MOST_OVERFLOWS if self.scaler.is_enabled() else 0):
            raise InvalidOption(
                f"the loss is {loss.item()} in epoch {self.epochs_done + 1}: "
                "lower the learning rate (--set optimizer.learning_rate=...)"
            )

    @property
    def _judged(self) -> Network:
        """The network that is validated and kept: the averaged one, where there is one."""
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
        self._check_finite(logits.sum())
        return validate(
            logits,
            self.validation,
            self.job.part.heads,
            loss=dataclasses.replace(self.recipe.loss, soft_votes=False),
            class_weights=self.class_weights,
        )

    def _record(self, number: int, loss: float, result: Validation, seconds: float) -> None:
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
        log.info(
            "epoch %d of %d: training loss %.4f, validation loss %.4f, balanced accuracy %.4f, %.0f s",
            number,
            self.recipe.schedule.epochs,
            loss,
            result.loss,
            result.balanced_accuracy,
            seconds,
        )
        last = self.recipe.stopping.keep == "last"
        if last or self.kept is None or self._value(epoch) > self._value(self.kept):
            self.kept = epoch
            self.kept_state = {k: v.cpu().clone() for k, v in self._changing(self._judged).items()}

    def _changing(self, network: Network) -> dict[str, torch.Tensor]:
        """Of the weights, what the training changes: a frozen backbone of gigabytes is not written out."""
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
        self.kept, self.kept_state = self.epochs[state["kept"] - 1], state["kept_state"]
        log.info("going on after epoch %d of %s", self.epochs_done, path)

    def save(self, path: Path) -> None:
        """Write all of the state, whole or not at all."""
        state: dict[str, Any] = {
            "network": self._changing(self.network),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": None if self.averaged is None else self._changing(self._judged),
            "averaged_steps": 0 if self.averaged is None else int(self.averaged.n_averaged),
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
            "epochs": [dataclasses.asdict(e) for e in self.epochs],
            "kept": self.best.epoch,
            "kept_state": self.kept_state,
        }
        save_checkpoint(path, state, fingerprint=self.job.fingerprint)

    def finish(self) -> Fit:
        """The kept weights in a network without adapters."""
        network = self.network.cpu()
        network.load_state_dict(self.kept_state, strict=False)
        merge_adapters(network)
        network.requires_grad_(requires_grad=False)
        return Fit(network.eval(), tuple(self.epochs), self.best)


class _Augmented(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Figures by (row, seed)."""

    def __init__(self, pixels: NDArray[np.uint8], augmentation: Augmentation) -> None:
        self.pixels = pixels
        self.augmentation = augmentation

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        row, seed = key
        patch = torch.from_numpy(self.pixels[row]).permute(2, 0, 1)
        return self.augmentation(patch, seed), torch.tensor(row)


def start_network(part: NetworkPart, recipe: Recipe) -> Network:
    """The recipe's network with its pretrained weights and, for LoRA, its adapters."""
    network = empty_network(part, dropout=recipe.network.dropout)
    load_pretrained(network, recipe.backbone, channels=part.channels)
    if recipe.network.zero_heads:
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
    if recipe.network.trained == "lora":
        add_adapters(network, recipe.lora)
    return network


def autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager[object]:
    """float16 on CUDA and bfloat16 elsewhere where the recipe's precision is mixed."""
    if recipe.precision == "fp32":
        return contextlib.nullcontext()
    kind = device.partition(":")[0]
    return torch.autocast(kind, dtype=torch.float16 if kind == "cuda" else torch.bfloat16)
