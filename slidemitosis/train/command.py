"""From the words of `slidemitosis train` and `tune` to a run: recipe, figures, device, leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.engines.torch_engine import choose_device
from slidemitosis.errors import InvalidCard, InvalidOption
from slidemitosis.train.export import network_part, new_card
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.recipe.smoke import smoke_data, smoke_recipe
from slidemitosis.train.run import Run, gather_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.train.data.figures import LabelledData
    from slidemitosis.train.recipe.recipe import Recipe
    from slidemitosis.train.run import Leaks


def prepare_run(
    name: str,
    *,
    overrides: Sequence[str],
    data: Sequence[LabelledData],
    held_out: Sequence[LabelledData],
    out: Path,
    seed: int,
    device: str,
    workers: int,
    smoke: bool,
    leaks: Leaks,
) -> Run:
    """Everything settled, and nothing written. Raises InvalidOption."""
    recipe = load_recipe(name, overrides=overrides)
    _check_model(recipe, name)
    if smoke:
        recipe = smoke_recipe(recipe)
        data, held_out = [smoke_data(d) for d in data], [smoke_data(d) for d in held_out]
    training, tests = gather_figures(data, held_out, leaks=leaks)
    for what, figures in {"the training figures": training, **tests}.items():
        if figures.pixels.shape[1] != recipe.input.patch:
            raise InvalidOption(
                f"{what}: patches are {figures.pixels.shape[1]} px, the recipe's {recipe.input.patch} px: "
                "give patches of that size, or --set input.patch and input.crops"
            )
    return Run(
        recipe=recipe,
        name=Path(name).stem,
        data=data,
        training=training,
        tests=tests,
        out=out,
        seed=seed,
        device=choose_device(device),
        workers=workers,
        smoke=smoke,
        leaks=leaks,
    )


def _check_model(recipe: Recipe, name: str) -> None:
    """What a model's card would refuse after the training is refused before it."""
    outputs = recipe.network.outputs
    if len(set(outputs)) < len(outputs):
        raise InvalidOption(f"recipe {name}: network.outputs names a layout twice: {', '.join(outputs)}")
    try:
        parts = [network_part(recipe, layout) for layout in recipe.network.outputs]
        new_card(Path(), name=name, recipe=recipe, networks=parts, data=(), citation=(), training_prior=0.5)
    except InvalidCard as e:
        raise InvalidOption(f"recipe {name}: {e}") from e
