"""Shrink a recipe and its data for `--smoke`: every step runs in about a minute; the scores mean nothing."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slidemitosis.train.data.figures import Figures, LabelledData
    from slidemitosis.train.recipe.recipe import Recipe

FOLDS, EPOCHS, BATCH = 2, 2, 8
OF_A_KIND, TEST = 2, 12
TRANSFORMER_BLOCKS, SMOKE_SIDE = 2, 112


def smoke_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with two folds and two epochs, from random weights.

    Vision transformers keep two blocks, and inputs of 224 px half the side.
    """
    arguments = dict(recipe.backbone.arguments)
    if recipe.backbone.architecture.startswith("vit_"):
        arguments["depth"] = TRANSFORMER_BLOCKS
    schedule, side = recipe.schedule, recipe.input.resize
    # A multiple of every transformer's patch, of 14 and 16 px, with a quarter of the pixels of 224 px.
    side = SMOKE_SIDE if side % SMOKE_SIDE == 0 else side
    return dataclasses.replace(
        recipe,
        input=dataclasses.replace(recipe.input, resize=side),
        backbone=dataclasses.replace(recipe.backbone, pretrained="none", arguments=arguments),
        split=dataclasses.replace(recipe.split, folds=FOLDS),
        schedule=dataclasses.replace(
            schedule, epochs=EPOCHS, head_epochs=min(schedule.head_epochs, 1), warmup_epochs=0.0
        ),
        sampler=dataclasses.replace(
            recipe.sampler, batch_size=min(recipe.sampler.batch_size, BATCH), batches=0
        ),
    )


def smoke_data(data: LabelledData) -> LabelledData:
    """Return a few dozen figures, of every kind (type, hardness, subtype) that the data set has."""
    return dataclasses.replace(
        data,
        training=few_figures(data.training, of_a_kind=OF_A_KIND),
        test=None if data.test is None else smoke_test(data.test),
    )


def smoke_test(figures: Figures) -> Figures:
    """Return up to a dozen figures to be scored."""
    few = few_figures(figures, of_a_kind=OF_A_KIND)
    return few.take(range(min(len(few), TEST)))


def few_figures(figures: Figures, *, of_a_kind: int) -> Figures:
    """Return up to `of_a_kind` figures of each kind, from as many slides as possible, kinds in turn."""
    by_kind: dict[tuple[int, bool, str], list[int]] = defaultdict(list)
    for i, hard in enumerate(figures.hard):
        subtype = figures.subtypes[i][0] if figures.subtypes[i] else ""
        by_kind[int(figures.atypical[i]), bool(hard), subtype].append(i)
    rows: list[int] = []
    seen: dict[str, int] = defaultdict(int)
    for turn in range(of_a_kind):
        for kind in sorted(by_kind):
            left = [i for i in by_kind[kind] if i not in rows]
            if len(by_kind[kind]) > turn and left:
                # The slide that was drawn least often, so that folds by slide can be made.
                row = min(left, key=lambda i: (seen[figures.slides[i]], i))
                seen[figures.slides[row]] += 1
                rows.append(row)
    return figures.take(rows)
