"""How fast is a model computed on the CPU, by what, and how much of that is left in the whole?

python benchmarks/computing.py SLIDE POINTS [--model lite0] [--turns 3] [--first 4000]

In turns, in one run, on the same patches from memory: torch and ONNX Runtime with several numbers of patches
at once, and OpenVINO where it is installed (it is no dependency). Then the whole way from slide to results,
of which the script prints the patches a second and their share of ONNX Runtime's alone.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measured import ratios

from slidemitosis.classify.bench import bench_slide
from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.engines.choose import available_processors
from slidemitosis.engines.onnx_engine import PIECE, OnnxEngine
from slidemitosis.engines.torch_engine import TorchEngine
from slidemitosis.models.classifier import build_model
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ReadOptions
from slidemitosis.reading.prepare import prepare

if TYPE_CHECKING:
    from slidemitosis.models.card import ModelCard

Compute = Callable[[np.ndarray], object]
SECONDS = 4.0


def torch_way(card: ModelCard, piece: int) -> Compute:
    return TorchEngine(build_model(card), piece=piece, views=1, precision="fp32")


def onnx_way(card: ModelCard, piece: int) -> Compute:
    return OnnxEngine(card, piece=piece, views=1, threads=available_processors())


def openvino_way(card: ModelCard, piece: int) -> Compute:
    import openvino  # noqa: PLC0415

    assert card.graph is not None
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(card.folder / card.graph.file, "CPU", options)
    queue = openvino.AsyncInferQueue(model)

    def compute(patches: np.ndarray) -> None:
        for i in range(0, len(patches), piece):
            queue.start_async({0: patches[i : i + piece]})
        queue.wait_all()

    return compute


def rate(compute: Compute, patches: np.ndarray) -> float:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        compute(patches)
        done += len(patches)
    return done / (time.perf_counter() - started)


def some_patches(slide: Path, points: Path, card: ModelCard) -> np.ndarray:
    prepared = prepare(slide, points, ReadOptions(keep_duplicates=True), card.patch)
    with SlideClassifier(card.folder, workers=0) as classifier:
        return next(classifier.read(prepared)).pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("points", type=Path)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--first", type=int, default=4000)
    args = parser.parse_args()
    card = find_model(args.model)
    patches = some_patches(args.slide, args.points, card)
    ways = {f"torch, {n} at once": functools.partial(torch_way, card, n) for n in (8, 64)}
    ways |= {f"ONNX Runtime, {n} at once": functools.partial(onnx_way, card, n) for n in (1, 2, 4, 8, 16)}
    if importlib.util.find_spec("openvino"):
        ways |= {f"OpenVINO, {n} at once": functools.partial(openvino_way, card, n) for n in (4, 8)}
    loaded = {name: make() for name, make in ways.items()}
    rates: dict[str, list[float]] = {name: [] for name in loaded}
    whole: list[float] = []
    alone: list[float] = []
    features = json.loads(args.points.read_text())["features"][: args.first]
    with tempfile.TemporaryDirectory() as folder, SlideClassifier(card.folder, device="cpu") as classifier:
        points = Path(folder) / "points.geojson"
        points.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        for _ in range(args.turns):
            for name, compute in loaded.items():
                compute(patches[:16])
                rates[name].append(rate(compute, patches))
            read = ReadOptions(keep_duplicates=True)
            found = bench_slide(classifier, args.slide, points, read, figures=0)
            whole.append(found.together)
            alone.append(found.computing_alone)
    ours = rates[f"ONNX Runtime, {PIECE} at once"]
    for name, each in rates.items():
        text = ", ".join(f"{r:.0f}" for r in each)
        print(f"{name:<26} {text} patches/s; {ratios(ours, each)} of ours")
    text = ", ".join(f"{r:.0f}" for r in whole)
    print(f"whole way, {len(features)} figures: {text} patches/s; {ratios(alone, whole)} of the engine alone")


if __name__ == "__main__":
    main()
