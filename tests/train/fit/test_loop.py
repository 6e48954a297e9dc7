"""The training loop: it learns, it repeats itself, and it goes on where it was interrupted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from slidemitosis.errors import InvalidOption
from slidemitosis.models.classifier import empty_network
from slidemitosis.train.export import network_part
from slidemitosis.train.fit.checkpoint import load_checkpoint, save_checkpoint
from slidemitosis.train.fit.loop import Fit, Job, autocast, start_network, train_network
from slidemitosis.train.fit.lora import train_only
from slidemitosis.train.fit.schedule import learning_rate_factor
from slidemitosis.train.recipe.recipe import AugmentStep, Recipe, load_recipe
from tests.train.drawn import drawn_figures, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.train.data.figures import Figures

FIGURES, VALIDATION = drawn_figures(48), drawn_figures(24, seed=1)
SMALL = ("backbone=smoke-cnn", "input.crops=[64]", "input.resize=32", "sampler.batch_size=8")


def small(name: str = "lite0", *more: str) -> Recipe:
    return load_recipe(name, overrides=[*SMALL, "schedule.epochs=3", *more])


def job(recipe: Recipe, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "recipe": recipe,
        "part": network_part(recipe, recipe.network.outputs[0]),
        "training": FIGURES,
        "validation": VALIDATION,
        "seed": 0,
        "device": "cpu",
        "workers": 0,
        "fingerprint": "one",
    }
    return Job(**values | changes)


def train(
    folder: Path, recipe: Recipe, *, progress: Callable[[int, int], None] | None = None, **changes: Any
) -> Fit:
    folder.mkdir(exist_ok=True)
    return train_network(
        job(recipe, **changes),
        checkpoint=folder / "checkpoint.pt",
        history=folder / "history.csv",
        progress=progress,
    )


def names_changed(folder: Path, recipe: Recipe, *, start: Recipe | None = None) -> set[str]:
    """The weights that training changes; those of `start` have the names of a network without adapters."""
    torch.manual_seed(0)
    part = network_part(recipe, recipe.network.outputs[0])
    before = start_network(part, start or recipe).state_dict()
    after = train(folder, recipe).network.state_dict()
    assert before.keys() == after.keys()
    return {k for k in before if not torch.equal(before[k], after[k])}


def same_weights(a: Fit, b: Fit) -> bool:
    ours, theirs = a.network.state_dict(), b.network.state_dict()
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[k], theirs[k]) for k in ours)


def same_but_for_time(a: Fit, b: Fit) -> bool:
    return [replace(e, seconds=0) for e in a.epochs] == [replace(e, seconds=0) for e in b.epochs]


def test_a_small_network_learns_to_tell_drawn_figures_apart(tmp_path: Path) -> None:
    recipe = small("lite0", "schedule.epochs=10", "optimizer.learning_rate=5e-3", "optimizer.ema=0.8")
    fit = train(tmp_path, recipe)
    assert fit.kept.balanced_accuracy >= 0.9
    assert fit.epochs[-1].training_loss < fit.epochs[0].training_loss
    assert not fit.kept.collapsed
    assert not fit.network.training
    assert not any(p.requires_grad for p in fit.network.parameters())


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(tmp_path: Path) -> None:
    fits = [train(tmp_path / str(i), small(), seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert same_weights(fits[0], fits[1])
    assert same_but_for_time(fits[0], fits[1])
    assert not same_weights(fits[0], fits[2])


class KilledError(Exception):
    """As if the machine went away."""


# What holds state between epochs: averaged weights, moments of three optimizers, a plateau, epochs of
# the heads alone, adapters, dropout.
KINDS = {
    "ema and cosine": small("lite0"),
    "adan, recall loss": small("resnet-recall"),
    "plateau, early stopping": small("benchmark", "schedule.patience=0", "optimizer.learning_rate=0.01"),
    "heads first, then all": small("subtypes", "schedule.head_epochs=1", "sampler.batches=4"),
    "expert heads, dropout": small("expert-heads", "network.hidden=16", "network.dropout=0.5"),
    "adapters": small("benchmark-lora", "backbone=smoke-vit", "input.resize=160", "lora.rank=2"),
    "bfloat16": small("centre-crop", "input.crops=[64]"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, kind: str) -> None:
    recipe = KINDS[kind]
    whole = train(tmp_path, recipe)
    (tmp_path / "checkpoint.pt").unlink()

    def kill_in_the_second_epoch(done: int, total: int) -> None:
        if done > total // 3 + 8:
            raise KilledError

    with pytest.raises(KilledError):
        train(tmp_path, recipe, progress=kill_in_the_second_epoch)
    torch.manual_seed(1234)  # another process has another state
    resumed = train(tmp_path, recipe)
    assert len(resumed.epochs) == len(whole.epochs)
    assert same_but_for_time(resumed, whole)
    assert same_weights(resumed, whole)


def test_progress_counts_up_to_the_figures_of_all_epochs(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    train(tmp_path, small(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (144, 144)  # three epochs of 48
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = train(tmp_path, small())
    seen: list[int] = []
    again = train(tmp_path, small(), progress=lambda done, _: seen.append(done))
    assert not seen
    assert same_weights(first, again)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(tmp_path, small())
    with pytest.raises(InvalidOption, match="belongs to a training of another recipe, data, seed or network"):
        train(tmp_path, small(), fingerprint="another")


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(data)
    with pytest.raises(
        InvalidOption, match=r"checkpoint\.pt: is no state of a training .*delete it"
    ) as caught:
        load_checkpoint(path, fingerprint="one")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_holds_code_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"fingerprint": "one", "state": print}, path)
    with pytest.raises(InvalidOption, match="is no state of a training"):
        load_checkpoint(path, fingerprint="one")


def test_a_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for value in (1, 2):
        save_checkpoint(path, {"value": value}, fingerprint="one")
    assert load_checkpoint(path, fingerprint="one") == {"value": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_early_stopping_ends_after_so_many_epochs_without_a_better_one(tmp_path: Path) -> None:
    # A learning rate of nothing never gets better than its first epoch.
    recipe = small("benchmark", "optimizer.learning_rate=1e-12", "schedule.epochs=9", "stopping.patience=2")
    fit = train(tmp_path, recipe)
    assert len(fit.epochs) == 3
    assert fit.kept == fit.epochs[0]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_kept_epoch_is_the_best_or_the_last(tmp_path: Path, keep: str) -> None:
    recipe = small("lite0", f"stopping.keep={keep}", "stopping.monitor=loss", "schedule.epochs=4")
    fit = train(tmp_path, recipe)
    best = min(fit.epochs, key=lambda e: e.validation_loss)
    assert fit.kept == (best if keep == "best" else fit.epochs[-1])


def test_the_heads_epochs_leave_the_backbone_as_it_was(tmp_path: Path) -> None:
    recipe = small("subtypes", "schedule.head_epochs=3", "sampler.batches=4")
    assert names_changed(tmp_path, recipe) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("trained", ["heads", "all"])
def test_a_linear_probe_leaves_the_backbone_as_it_was(tmp_path: Path, trained: str) -> None:
    recipe = small("benchmark-probe", f"network.trained={trained}")
    assert (names_changed(tmp_path, recipe) == {"head.weight", "head.bias"}) == (trained == "heads")


def test_adapters_end_as_plain_weights_of_the_same_network(tmp_path: Path) -> None:
    recipe = KINDS["adapters"]
    plain = replace(recipe, network=replace(recipe.network, trained="all"))
    changed = names_changed(tmp_path, recipe, start=plain)
    assert changed
    assert all("blocks" in k or k.startswith("head") for k in changed)


def test_a_training_that_runs_away_is_stopped_with_what_to_do(tmp_path: Path) -> None:
    recipe = small("resnet-focal", "optimizer.name=adamw", "optimizer.learning_rate=1e30")
    with pytest.raises(InvalidOption, match=r"the loss is (nan|inf).*lower the learning rate"):
        train(tmp_path, recipe)


def only(figures: Figures, atypical: int) -> Figures:
    return figures.take(np.flatnonzero(figures.atypical == atypical))


def test_a_network_of_one_types_subtypes_is_trained_on_that_type_alone(tmp_path: Path) -> None:
    recipe = small("type-then-subtypes", "schedule.head_epochs=0", "sampler.batches=0")
    part = network_part(recipe, "amf-subtypes")
    seen: list[tuple[int, int]] = []
    train(tmp_path, recipe, part=part, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][1] == 3 * int(FIGURES.atypical.sum())
    with pytest.raises(InvalidOption, match="no training figure has a label for 'subtype'"):
        train(tmp_path / "none", recipe, part=part, training=only(FIGURES, 0))


def test_a_collapsed_training_is_noticed(tmp_path: Path) -> None:
    recipe = small("benchmark", "optimizer.learning_rate=1e-12", "network.zero_heads=true")
    fit = train(tmp_path, recipe)
    assert fit.kept.collapsed
    assert fit.kept.balanced_accuracy == 0.5


def test_the_learning_rate_warms_up_and_falls_to_zero_along_a_cosine() -> None:
    recipe = small("lite0", "schedule.epochs=11", "schedule.warmup_epochs=1")
    at = [learning_rate_factor(e, recipe) for e in (0.0, 0.5, 1.0, 6.0, 11.0)]
    assert at == pytest.approx([0.01, 0.5, 1.0, 0.5, 0.0])  # 6 is half way from 1 to 11


def test_the_schedule_begins_after_the_heads_own_epochs() -> None:
    recipe = small("lite0", "schedule.epochs=12", "schedule.warmup_epochs=0", "schedule.head_epochs=2")
    at = [learning_rate_factor(e, recipe) for e in (0.0, 1.9, 2.0, 7.0, 12.0)]
    assert at == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0])


def test_a_cosine_ends_at_the_lowest_rate() -> None:
    recipe = small("lite0", "schedule.epochs=4", "schedule.warmup_epochs=0", "schedule.minimum=2e-5")
    assert learning_rate_factor(4, recipe) == pytest.approx(0.1)


def test_mixed_precision_computes_in_bfloat16_on_the_cpu_and_keeps_float32_weights(tmp_path: Path) -> None:
    recipe = small("centre-crop", "input.crops=[64]")
    network = start_network(network_part(recipe, "type"), recipe)
    train_only(network, "all")
    with autocast(recipe, "cpu"):
        assert network(torch.zeros(2, 3, 32, 32)).dtype == torch.bfloat16
    fit = train(tmp_path, recipe)
    assert {v.dtype for v in fit.network.state_dict().values()} <= {torch.float32, torch.int64}


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    recipe = small("resnet-recall", "schedule.epochs=1", "network.dropout=0.5")
    alone, helped = (train(tmp_path / name, recipe, workers=n) for name, n in (("a", 0), ("b", 2)))
    assert same_weights(alone, helped)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("kind", ["bfloat16", "ema and cosine"])
def test_a_gpu_trains_and_goes_on(tmp_path: Path, kind: str) -> None:
    fit = train(tmp_path, KINDS[kind], device="cuda")
    assert len(fit.epochs) == 3
    assert next(fit.network.parameters()).device.type == "cpu"


def test_the_history_has_a_row_for_each_epoch_and_marks_the_kept_one(tmp_path: Path) -> None:
    fit = train(tmp_path, small("lite0", "stopping.keep=best"))
    rows = read_rows(tmp_path / "history.csv")
    assert [int(r["epoch"]) for r in rows] == [e.epoch for e in fit.epochs]
    assert [float(r["validation_loss"]) for r in rows] == [e.validation_loss for e in fit.epochs]
    assert [r["epoch"] for r in rows if r["kept"] == "True"] == [str(fit.kept.epoch)]
    (tmp_path / "history.csv").unlink()
    train(tmp_path, small("lite0", "stopping.keep=best"))  # finished before: the log is there all the same
    assert (tmp_path / "history.csv").is_file()


def test_a_probe_that_takes_its_features_once_learns_what_it_learns_from_the_figures(tmp_path: Path) -> None:
    once = small("benchmark-probe", "optimizer.learning_rate=0.01")
    never = (AugmentStep(name="flip", probability=0.0),)
    always = replace(once, augment=never)  # the same figures, but nobody knows beforehand
    a, b = train(tmp_path / "a", once), train(tmp_path / "b", always)
    assert [e.balanced_accuracy for e in a.epochs] == [e.balanced_accuracy for e in b.epochs]
    for k, value in a.network.state_dict().items():
        assert torch.allclose(value, b.network.state_dict()[k], atol=1e-4)
    assert a.epochs[0].training_loss != a.epochs[-1].training_loss


@pytest.mark.parametrize(("kind", "held"), [("adapters", "lora_"), ("ema and cosine", "backbone.")])
def test_a_checkpoint_holds_only_weights_that_can_have_changed(tmp_path: Path, kind: str, held: str) -> None:
    train(tmp_path, KINDS[kind])
    state = load_checkpoint(tmp_path / "checkpoint.pt", fingerprint="one")
    assert state is not None
    names = list(state["network"])
    assert any(held in n for n in names)
    frozen = [n for n in names if n.startswith("backbone.") and "lora_" not in n]
    assert bool(frozen) == (kind != "adapters")


def test_activations_keep_their_input_and_no_value_changes() -> None:
    """In place torch copies what comes in, for the gradient: a twelfth of a step for nothing."""
    recipe = small("lite0", "backbone=tf_efficientnet_lite0", "backbone.pretrained=none")
    part = network_part(recipe, "type")
    torch.manual_seed(0)
    in_place = empty_network(part)
    ours = start_network(part, recipe)
    ours.load_state_dict(in_place.state_dict())
    gradients, copies = [], []
    for network in (in_place.train(), ours.train()):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            network(torch.linspace(0, 1, 6144).reshape(2, 3, 32, 32)).sum().backward()
        gradients.append([p.grad for p in network.parameters()])
        copies.append(sum(e.count for e in profile.key_averages() if e.key == "aten::clone"))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert copies[0] > copies[1]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep freed memory in their own ways")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """In a process of its own: of blocks that were freed few pages are asked of the system again."""
    program = (
        "import resource, torch\n"
        "from slidemitosis.train.fit.memory import keep_freed_memory\n"
        "def step(): return [torch.zeros(n * 300_000).add_(1) for n in range(1, 9)]\n"
        "def faults():\n"
        "    step(); step()\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(10): step()\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "print(faults())\n"
        "keep_freed_memory()\n"
        "print(faults())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    as_ever, kept = map(int, done.stdout.split())
    assert kept * 10 < as_ever
