"""Recipes: data, checked key by key, and changed from the command line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.toml_tables import build, dump
from slidemitosis.train.export import network_part
from slidemitosis.train.fit.augment.augmentation import Augmentation
from slidemitosis.train.fit.losses import check_loss
from slidemitosis.train.recipe.recipe import Recipe, load_recipe, recipe_names

if TYPE_CHECKING:
    from pathlib import Path

SHORT = """
description = "short"
source = "ours"
family = "end-to-end"
backbone = "smoke-cnn"

[schedule]
epochs = 2
"""


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    Augmentation(recipe.augment)
    check_loss(recipe.loss)
    for layout in recipe.network.outputs:
        network_part(recipe, layout)
    for key, span in recipe.tune.items():
        assert span.low < span.high
        load_recipe(name, overrides=[f"{key}={span.low}"])


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_written_and_read_back_equal(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert build(Recipe, tomllib.loads(dump(recipe)), where="the top level") == recipe
    path = tmp_path / "again.toml"
    path.write_text(dump(recipe), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


def test_the_numbers_of_the_published_protocol_stand_in_its_recipe() -> None:
    """Adam, 5e-5, 1e-5, batch 8, plateau 0.5, patience 3, from 1e-7, 100 epochs, patience 15 (LoRA 10)."""
    r = load_recipe("benchmark")
    assert (r.optimizer.name, r.optimizer.learning_rate, r.optimizer.weight_decay) == ("adam", 5e-5, 1e-5)
    assert (r.sampler.name, r.sampler.batch_size) == ("inverse-frequency", 8)
    s = r.schedule
    assert (s.name, s.factor, s.patience, s.minimum, s.epochs) == ("plateau", 0.5, 3, 1e-7, 100)
    assert (r.stopping.monitor, r.stopping.patience) == ("balanced accuracy", 15)
    assert (r.split.folds, r.split.group, r.split.seed) == (5, "slide", 42)
    assert r.input.resize == 224
    lora = load_recipe("benchmark-lora")
    assert lora.stopping.patience == 10
    assert (lora.lora.rank, lora.lora.alpha, lora.lora.dropout) == (8, 16, 0.3)
    assert lora.lora.targets == ("qkv", "proj", "fc1", "fc2")
    # Text, and six of the authors' seven scripts of probes.
    assert load_recipe("benchmark-probe").optimizer == r.optimizer == lora.optimizer


def test_virchow2_with_lora_is_pooled_and_normalised_as_by_its_authors_script() -> None:
    """Class token alone, and 0.5; the probe has the mean of the patches too, and the weights' statistics."""
    lora, probe = load_recipe("benchmark-lora").backbone, load_recipe("benchmark-probe").backbone
    half = (0.5, 0.5, 0.5)
    assert (lora.pooling, lora.mean, lora.std) == ("network", half, half)
    assert lora == replace(probe, pooling="network", mean=half, std=half)
    # The name pairs the two in a comparison.
    assert lora.name == "virchow2"
    other = load_recipe("benchmark-lora", overrides=["backbone.pooling=network", "backbone=virchow"])
    assert other.backbone == replace(
        load_recipe("benchmark-probe", overrides=["backbone=virchow"]).backbone, pooling="network"
    )


def test_a_recipe_takes_from_its_base_what_it_does_not_say() -> None:
    base, focal = load_recipe("resnet-recall"), load_recipe("resnet-focal")
    assert (base.loss.name, focal.loss.name) == ("recall", "focal")
    assert focal.augment == base.augment
    assert focal.loss.gamma == base.loss.gamma
    # A list is replaced, not joined.
    assert load_recipe("benchmark").augment
    assert load_recipe("benchmark-probe").augment == ()


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("schedule.epochs=7", "epochs", 7),
        ('schedule.name="cosine"', "name", "cosine"),
        ("schedule.name=cosine", "name", "cosine"),
        ("schedule.minimum=1e-6", "minimum", 1e-6),
        (" schedule.epochs = 7", "epochs", 7),
    ],
)
def test_a_key_is_set_from_the_command_line(short: Path, override: str, key: str, value: object) -> None:
    assert getattr(load_recipe(str(short), overrides=[override]).schedule, key) == value


def test_a_list_is_set_whole(short: Path) -> None:
    recipe = load_recipe(str(short), overrides=["input.crops=[128, 80]", 'network.outputs=["experts"]'])
    assert recipe.input.crops == (128, 80)
    assert recipe.network.outputs == ("experts",)


@pytest.mark.parametrize("order", [0, 1])
def test_a_key_of_the_backbone_is_set_whatever_stands_first(short: Path, order: int) -> None:
    overrides = ["backbone.pretrained=file:/weights", "backbone=resnet34d"]
    recipe = load_recipe(str(short), overrides=overrides[::-1] if order else overrides)
    assert recipe.backbone.architecture.startswith("resnet34d")
    assert recipe.backbone.pretrained == "file:/weights"


def test_a_backbone_can_be_described_in_the_recipe_itself(tmp_path: Path) -> None:
    own = (
        '[backbone]\narchitecture = "test_resnet"\npretrained = "none"\n'
        "mean = [0, 0, 0]\nstd = [1, 1, 1]\narguments = { depth = 2 }\n"
    )
    path = tmp_path / "own.toml"
    path.write_text(SHORT.replace('backbone = "smoke-cnn"\n', "") + own)
    backbone = load_recipe(str(path)).backbone
    assert backbone.architecture == "test_resnet"
    assert backbone.mean == (0.0, 0.0, 0.0)
    assert backbone.arguments == {"depth": 2}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.epoch=3", r"unknown key 'epoch' in \[schedule\]; did you mean 'epochs'\?"),
        ("shedule.epochs=3", r"unknown key 'shedule' in the top level; did you mean 'schedule'\?"),
        ("epochs=3", r"--set epochs: unknown key .*; did you mean 'schedule.epochs'\?"),
        ("lr=3", r"--set lr: unknown key .*; did you mean 'optimizer.learning_rate'\?$"),
        ("xy=3", r"--set xy: unknown key 'xy' in the top level$"),
        ("schedule.epochs=three", r"'epochs' in \[schedule\] must be of type int, not 'three'"),
        ("schedule.epochs=true", r"'epochs' in \[schedule\] must be of type int"),
        ("schedule.epochs=2.5", r"'epochs' in \[schedule\] must be of type int"),
        ("schedule.name=linear", r"'name' in \[schedule\] must be one of 'constant', 'cosine', 'plateau'"),
        ("input.crops=80", r"'crops' in \[input\] must be a list"),
        ("backbone=resnet34", r"no backbone 'resnet34'; did you mean 'resnet34d'\?; known: .*uni2-h"),
        ("schedule.epochs", "must be key=value"),
        ("=3", "must be key=value"),
        ("description.x=3", "description is not a table"),
        ("sampler.batch_size=nan", r"'batch_size' in \[sampler\] must be of type int"),
        ("schedule.epochs=0", "schedule.epochs must be 1 or more"),
        ("schedule.warmup_epochs=-1", "schedule: warmup_epochs, .* must be 0 or more"),
        ("schedule.factor=1", "schedule.factor must lie between 0 and 1"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate must be above 0"),
        ("optimizer.ema=2", "optimizer.ema must lie in 0 to 1"),
        ("network.dropout=2", "network.dropout must lie in 0 to 1"),
        ("network.hidden=-3", "network.hidden must be 0 or more"),
        ("split.seed=-1", "split.seed must be 0 or more"),
        ("stopping.patience=-1", "stopping.patience must be 0 or more"),
        ("lora.rank=0", "lora.rank and lora.alpha must be 1 or more"),
    ],
)
def test_a_wrong_override_is_one_line_that_says_what_is_known(
    short: Path, override: str, message: str
) -> None:
    with pytest.raises(InvalidOption, match=message) as caught:
        load_recipe(str(short), overrides=[override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 2", "epoch = 2", r"unknown key 'epoch' in \[schedule\]; did you mean 'epochs'\?"),
        ("epochs = 2", "", r"\[schedule\] lacks epochs"),
        ('source = "ours"\n', "", "the top level lacks source"),
        ('source = "ours"', "source = ours", "recipe .*Invalid value"),
        ('source = "ours"', 'source = "ours"\nbase = 3', "base must name another recipe"),
        ('source = "ours"', 'source = "ours"\nbase = "no-such"', "no-such.*recipes of this package"),
        ("epochs = 2", "epochs = 2\n[[augment]]\nnane = 1", r"unknown key 'nane' in \[\[augment\]\] 1"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_says_what_is_wrong(
    short: Path, old: str, new: str, message: str
) -> None:
    short.write_text(SHORT.replace(old, new))
    with pytest.raises(InvalidOption, match=message) as caught:
        load_recipe(str(short))
    assert "\n" not in str(caught.value)


def test_recipes_that_are_each_others_base_are_refused(short: Path) -> None:
    other = short.with_name("other.toml")
    other.write_text(f'base = "{short.as_posix()}"\n')
    short.write_text(f'base = "{other.as_posix()}"\n')
    with pytest.raises(InvalidOption, match="base must name another recipe"):
        load_recipe(str(short))


def test_an_unknown_recipe_lists_those_known() -> None:
    with pytest.raises(InvalidOption, match=r"recipe 'benchmrk': .*recipes of this package: .*benchmark"):
        load_recipe("benchmrk")


def test_a_warm_up_that_a_plateau_would_ignore_is_refused() -> None:
    with pytest.raises(InvalidOption, match="a plateau has no warm-up"):
        load_recipe("benchmark", overrides=["schedule.warmup_epochs=2"])
