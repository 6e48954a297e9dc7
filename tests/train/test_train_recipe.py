"""Recipes: what a file may say, and what is refused before anything is trained."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest
import timm

from slidemitosis.cards import InputPart
from slidemitosis.errors import InvalidOption
from slidemitosis.train.recipe import RECIPES, Recipe, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (RECIPES / "lite0.toml").read_text(encoding="utf-8")
NAMES = sorted(p.stem for p in RECIPES.glob("*.toml"))


def edited(folder: Path, old: str, new: str) -> str:
    path = folder / "mine.toml"
    assert TEXT.count(old) == 1
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_of_the_package_can_be_trained_and_described_by_a_card(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.architecture in timm.list_models()
    assert 0 <= recipe.warmup_epochs <= recipe.epochs
    InputPart(
        mpp=recipe.mpp,
        patch=recipe.patch,
        crop=recipe.crop,
        resize=recipe.resize,
        interpolation="bilinear",
        mean=(recipe.mean[0], recipe.mean[1], recipe.mean[2]),
        std=(recipe.std[0], recipe.std[1], recipe.std[2]),
    )


def test_a_recipe_is_found_by_its_name_and_by_its_path(tmp_path: Path) -> None:
    path = edited(tmp_path, 'name = "lite0"', 'name = "mine"')
    assert load_recipe(path) == dataclasses.replace(load_recipe("lite0"), name="mine")


def test_an_unknown_recipe_lists_those_known() -> None:
    with pytest.raises(InvalidOption, match=r"recipe 'light0': .*recipes of this package: .*\blite0\b"):
        load_recipe("light0")


def test_a_misspelt_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = edited(tmp_path, "weight_decay =", "weight_decy =")
    with pytest.raises(
        InvalidOption, match=rf"{re.escape(path)}: unknown key 'weight_decy'.* 'weight_decay'\?"
    ):
        load_recipe(path)


def test_missing_keys_are_named(tmp_path: Path) -> None:
    path = edited(tmp_path, "folds = 5\nfold_seed = 42\n", "")
    with pytest.raises(InvalidOption, match=rf"{re.escape(path)}: lacks folds, fold_seed$"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs = 12\nw", 'epochs = "12"\nw'),
        ("epochs = 12\nw", "epochs = 12.5\nw"),
        ("batch_size = 32", "batch_size = true"),
        ("learning_rate = 2e-4", 'learning_rate = "2e-4"'),
        ("mean = [0.5, 0.5, 0.5]", "mean = 0.5"),
        ('name = "lite0"', "name = 3"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(tmp_path: Path, old: str, new: str) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(InvalidOption, match=rf"{re.escape(path)}: \w+ must be of type"):
        load_recipe(path)


def test_a_whole_number_will_do_for_a_float(tmp_path: Path) -> None:
    assert load_recipe(edited(tmp_path, "shift = 4.0", "shift = 4")).shift == 4


@pytest.mark.parametrize("data", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(data)
    with pytest.raises(InvalidOption, match="recipes of this package"):
        load_recipe(str(path))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="recipes of this package"):
        load_recipe(str(tmp_path))


def test_every_key_is_explained_or_explains_itself() -> None:
    """No key of the class is missing from the shipped file, so that each can be looked up there."""
    for field in dataclasses.fields(Recipe):
        assert re.search(rf"^{field.name} = ", TEXT, re.MULTILINE), field.name
