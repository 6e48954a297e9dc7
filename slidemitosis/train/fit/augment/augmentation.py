"""Augment batches of figures by the steps of a recipe, each figure from a seed of its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from slidemitosis.errors import InvalidOption
from slidemitosis.toml_tables import nearest
from slidemitosis.train.fit.augment import colours, filters, places
from slidemitosis.train.fit.augment.step import Step, change_rows, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slidemitosis.train.recipe.recipe import AugmentStep

_AT_ONCE = 16
"""Figures that the CPU computes at once: so few stay in its cache from one step to the next."""


class Augmentation:
    """The steps of a recipe, in their order; can be pickled for worker processes.

    Raises InvalidOption for an unknown step, an unknown, missing or impossible value, and a
    probability outside 0..1.
    """

    def __init__(self, steps: Sequence[AugmentStep]) -> None:
        self.steps = [(step.probability, _build(step)) for step in steps]

    def __call__(self, patches: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Augment uint8 (B, 3, S, S) RGB to float32 (B, 3, S, S) in 0..1, on the patches' device.

        Every random number of a figure comes from its seed (0 to 2**64 - 1), so that neither the batch,
        the device nor the process matters. `patches` are not written into. torch's generator of the CPU is
        seeded for it and restored afterwards, which two threads of one process must not do at once.
        """
        at_once = _AT_ONCE if patches.device.type == "cpu" else len(patches)
        with torch.random.fork_rng(devices=[]):
            out = torch.empty(patches.shape, device=patches.device)
            for i in range(0, len(patches), at_once):
                part = slice(i, i + at_once)
                torch.clamp(self._augmented(patches[part], seeds[part]), 0, 1, out=out[part])
        return out

    def _augmented(self, patches: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        x = torch.empty(patches.shape, device=patches.device).copy_(patches).div_(255)
        drawn = self._draw(seeds, side=x.shape[-1])
        for (_, step), of_step in zip(self.steps, drawn, strict=True):
            if of_step:
                x = change_rows(x, list(of_step), _with(step, list(of_step.values())))
        return x

    def _draw(self, seeds: Sequence[int], *, side: int) -> list[dict[int, Any]]:
        """Draw for each step what it does, by the row of the figure; figures that it leaves are not in it."""
        drawn: list[dict[int, Any]] = [{} for _ in self.steps]
        for row, seed in enumerate(seeds):
            # Not torch.manual_seed: it seeds the accelerators too, and takes thirty times as long.
            torch.default_generator.manual_seed(_mixed(seed))
            for (probability, step), of_step in zip(self.steps, drawn, strict=True):
                if uniform(0, 1) < probability:
                    of_step[row] = step.draw(side)
        return drawn


def _with(step: Step, drawn: list[Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: step.apply(x, drawn)


def _mixed(seed: int) -> int:
    """Return 32 bits from all 64 (Knuth's hash): torch seeds its CPU generator with the lowest 32 alone."""
    return (seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32


def _build(step: AugmentStep) -> Step:
    """Return the step that a recipe names. Raises InvalidOption."""
    where = f"augment step {step.name!r}"
    if step.name not in STEPS:
        raise InvalidOption(f"unknown {where}{nearest(step.name, STEPS)}; known: {', '.join(STEPS)}")
    if not 0 <= step.probability <= 1:
        raise InvalidOption(f"{where}: probability must be from 0 to 1, not {step.probability}")
    known = inspect.signature(STEPS[step.name]).parameters
    listed = ", ".join(known) or "none"
    for key, value in step.values.items():
        if key not in known:
            raise InvalidOption(f"{where}: unknown value {key!r}{nearest(key, known)}; known: {listed}")
        if not isinstance(value, (int, float)):
            raise InvalidOption(f"{where}: {key} must be one number, not {value!r}")
    missing = [k for k, p in known.items() if p.default is p.empty and k not in step.values]
    if missing:
        raise InvalidOption(f"{where} lacks {', '.join(missing)}; its values: {listed}")
    try:
        return STEPS[step.name](**step.values)
    except ValueError as e:
        raise InvalidOption(f"{where}: {e}") from e


STEPS: dict[str, Callable[..., Step]] = {
    "flip": places.flip,
    "transpose": places.transpose,
    "dihedral": places.dihedral,
    "rotate": places.rotate,
    "affine": places.affine,
    "resized_crop": places.resized_crop,
    "color_jitter": colours.color_jitter,
    "brightness_contrast": colours.brightness_contrast,
    "contrast": colours.contrast,
    "stain": colours.stain,
    "gaussian_noise": colours.gaussian_noise,
    "gaussian_blur": filters.gaussian_blur,
    "blur": filters.blur,
    "jpeg": colours.jpeg,
    "grid_dropout": places.grid_dropout,
}
"""Constructors of steps by name; their arguments are the step's values."""
