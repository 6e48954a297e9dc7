"""Prepare a run from the options of `slidemitosis train` and `tune`: recipe, figures, device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.engines.torch_engine import choose_device
from slidemitosis.errors import InvalidCard, InvalidOption
from slidemitosis.train.data.gather import gather_figures
from slidemitosis.train.export import network_part, new_card
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.run import Run
from slidemitosis.train.smoke import smoke_data, smoke_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.train.data.figures import LabelledData
    from slidemitosis.train.data.gather import Leaks
    from slidemitosis.train.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options that `slidemitosis train` and `tune` share."""

    recipe: str
    """Name of a recipe of this package, or path of any."""
    overrides: Sequence[str] = ()
    """Changes to the recipe, as `load_recipe` takes them."""
    data: Sequence[LabelledData]
    held_out: Sequence[LabelledData] = ()
    """Data sets for scores alone."""
    out: Path
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    """Processes that augment; 0: none."""
    smoke: bool = False
    leaks: Leaks = "refuse"


def prepare_run(options: TrainOptions) -> Run:
    """Return the run, its recipe, figures and device checked; write nothing. Raises InvalidOption."""
    recipe = load_recipe(options.recipe, overrides=options.overrides)
    _check_model(recipe, options.recipe)
    data, held_out = options.data, options.held_out
    if options.smoke:
        recipe = smoke_recipe(recipe)
        data, held_out = [smoke_data(d) for d in data], [smoke_data(d) for d in held_out]
    training, tests = gather_figures(data, held_out, leaks=options.leaks)
    for what, figures in {"the training figures": training, **tests}.items():
        if figures.pixels.shape[1] != recipe.input.patch:
            raise InvalidOption(
                f"{what}: patches are {figures.pixels.shape[1]} px, the recipe's {recipe.input.patch} px: "
                "give patches of that size, or --set input.patch and input.crops"
            )
    return Run(
        recipe=recipe,
        name=Path(options.recipe).stem,
        data=data,
        training=training,
        tests=tests,
        out=options.out,
        seed=options.seed,
        device=choose_device(options.device),
        workers=options.workers,
        smoke=options.smoke,
        leaks=options.leaks,
    )


def _check_model(recipe: Recipe, name: str) -> None:
    """Raise InvalidOption, before the training, for a recipe whose model no card could describe."""
    outputs = recipe.network.outputs
    if len(set(outputs)) < len(outputs):
        raise InvalidOption(f"recipe {name}: network.outputs names a layout twice: {', '.join(outputs)}")
    try:
        parts = [network_part(recipe, layout) for layout in recipe.network.outputs]
        new_card(Path(), name=name, recipe=recipe, networks=parts, data=(), citation=(), training_prior=0.5)
    except InvalidCard as e:
        raise InvalidOption(f"recipe {name}: {e}") from e
