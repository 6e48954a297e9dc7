"""Patches a second on a GPU, from memory and from a slide, and the share of the time in which it computes.

python benchmarks/gpu.py SLIDE POINTS [--device cuda] [--turns 3] [--first 20000] [--workers 8]

For the shipped models, and for a ConvNeXt V2 Base of random weights that sees the whole patch of 128 px.
"busy" is the time between CUDA events around each batch's work, as a share of the time that all took;
without CUDA there are none.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.models.card import write_card
from slidemitosis.models.classifier import empty_network
from slidemitosis.models.shipped import list_models
from slidemitosis.options import ReadOptions
from slidemitosis.reading.batches import one_ahead
from slidemitosis.reading.prepare import prepare
from slidemitosis.train.export import network_part, new_card, write_network
from slidemitosis.train.recipe.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from slidemitosis.engines.engine import Engine, Outputs


def random_convnext(folder: Path) -> Path:
    overrides = ["backbone.architecture=convnextv2_base", "input.crops=[128]", "input.resize=128"]
    recipe = load_recipe("lite0", overrides=overrides)
    part = network_part(recipe, "type")
    folder.mkdir()
    part = write_network(empty_network(part), part, folder)
    write_card(
        new_card(
            folder, name=folder.name, recipe=recipe, networks=[part], data=(), citation=(), training_prior=0.5
        )
    )
    return folder


READ = ReadOptions(keep_duplicates=True)


class Busy:
    """An `Engine` with CUDA events around what each batch queues."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def submit(self, patches: np.ndarray) -> Callable[[], Outputs]:
        if not self.engine.device.startswith("cuda"):
            return self.engine.submit(patches)
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        outputs = self.engine.submit(patches)
        last.record()
        self.events.append((first, last))
        return outputs

    def share(self, seconds: float) -> str:
        busy = sum(a.elapsed_time(b) for a, b in self.events) / 1000
        return f"busy {100 * busy / seconds:.0f} %" if self.events else "busy unknown"


def timed(engine: Engine, batches: Iterable[np.ndarray]) -> str:
    """Patches a second, one batch begun ahead as in classifying."""
    busy = Busy(engine)
    started = time.perf_counter()
    done = sum(len(batch) for batch, _ in one_ahead(batches, busy.submit))
    seconds = time.perf_counter() - started
    return f"{done / seconds:.0f} patches/s, {busy.share(seconds)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("points", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--first", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        points = Path(text) / "points.geojson"
        features = json.loads(args.points.read_text())["features"][: args.first]
        points.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        folders = [c.folder for c in list_models()] + [random_convnext(Path(text) / "convnextv2_base")]
        for folder in folders:
            options = {"engine": "torch", "device": args.device, "workers": args.workers}
            with SlideClassifier(folder, **options) as classifier:  # type: ignore[arg-type]
                prepared = prepare(args.slide, points, READ, classifier.card.patch)
                kept = [b.pixels for b in classifier.read(prepared)]
                engine = classifier.engine
                engine.submit(kept[0])()
                for _ in range(args.turns):
                    memory = timed(engine, kept)
                    slide = timed(engine, (b.pixels for b in classifier.read(prepared)))
                    print(f"{folder.name}, {engine.precision}: from memory {memory}; from the slide {slide}")


if __name__ == "__main__":
    main()
