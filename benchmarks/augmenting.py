"""How many figures a second does one core augment, by the steps of each recipe?

    python benchmarks/augmenting.py [RECIPE ...]

Drawn figures of 128 x 128 px in batches of 32, one thread; the best of five turns, in CPU time, and each
step's share by leaving it out.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np
import torch

from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.train.fit.augment.augmentation import Augmentation
from slidemitosis.train.recipe.recipe import load_recipe

BATCH, BATCHES, TURNS = 32, 4, 5


def figures() -> torch.Tensor:
    """Drawn tissue, uint8 (N, 3, 128, 128)."""
    phantom = draw_phantom(width=2048, height=1024, figures=40, seed=1)
    pixels = np.asarray(phantom.pixels)
    cut = [pixels[y : y + 128, x : x + 128] for y in range(0, 1024, 128) for x in range(0, 2048, 128)]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2)


def seconds_a_figure(augmentation: Augmentation, patches: torch.Tensor) -> float:
    found = []
    for _ in range(TURNS):
        started = time.process_time()
        for i in range(BATCHES):
            augmentation(patches[i * BATCH : (i + 1) * BATCH], range(i * BATCH, (i + 1) * BATCH))
        found.append((time.process_time() - started) / (BATCH * BATCHES))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", default=["lite0-multi-task", "benchmark"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    patches = figures()
    for name in args.recipes:
        steps = load_recipe(name).augment
        whole = seconds_a_figure(Augmentation(steps), patches)
        print(f"{name}: {1 / whole:.0f} figures/s, {1000 * whole:.2f} ms each")
        for i, step in enumerate(steps):
            others = [s if k != i else dataclasses.replace(s, probability=0.0) for k, s in enumerate(steps)]
            spent = whole - seconds_a_figure(Augmentation(others), patches)
            print(f"    {step.name:<20} {1000 * spent:.2f} ms")


if __name__ == "__main__":
    main()
