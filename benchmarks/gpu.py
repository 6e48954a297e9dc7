"""Patches a second on a GPU: from memory, from a slide, by a plain script; and whether fp16 says the same.

python benchmarks/gpu.py [--device cuda] [--figures 20000] [--seconds 20] [--turns 3] [--workers N]

It draws its own slide. For the two shipped models, and for a ConvNeXt V2 Base of random weights, it measures
in turns, each in a steady state of so many seconds. "card" is the share of the time from the first kernel of
each batch to its last, by CUDA events, and by nvidia-smi; without CUDA there is none. One table is printed.
"""

# Reader processes import this file anew: what is heavy is imported where it is used.

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steady import Rate

MODELS = ("lite0", "lite0-ensemble", "convnextv2_base")
NAMES = ("model", "from memory", "from the slide", "card: memory", "card: slide", "main process")
NAMES += (
    "reading alone",
    "what limits",
    "plain script",
    "times plain",
    "largest dP",
    "calls that differ",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--figures", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--others", type=float, help="seconds of all but 'from the slide' (default: as many)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, help="readers (default: as classify chooses)")
    parser.add_argument("--compare", type=int, default=500, help="figures that the CPU computes, too")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    args = parser.parse_args()
    rows: dict[str, defaultdict[str, list[Rate]]] = {name: defaultdict(list) for name in args.models}
    told = {}
    with tempfile.TemporaryDirectory(prefix="slidemitosis-gpu-") as folder:
        for turn in range(args.turns):
            for name in args.models:
                told |= measure(args, Path(folder), name, rows[name], compare=turn == 0)
                # So that a run that is ended early has not been for nothing.
                print(name, *cells(rows[name], told[name]), sep=" | ", file=sys.stderr, flush=True)
    print(hardware(args.device, told), end="\n\n")
    print(table([NAMES, *([name, *cells(rows[name], told[name])] for name in args.models)]))


def measure(
    args: argparse.Namespace, folder: Path, name: str, found: dict[str, list[Rate]], *, compare: bool
) -> dict:
    """One turn of one model; returns what is the same in all turns."""
    import numpy as np  # noqa: PLC0415
    import steady  # noqa: PLC0415
    from drawn import draw_slide  # noqa: PLC0415
    from plain_gpu import plain_rate  # noqa: PLC0415

    from slidemitosis.candidates import Candidates  # noqa: PLC0415
    from slidemitosis.classify.classifier import SlideClassifier  # noqa: PLC0415
    from slidemitosis.options import ComputeOptions, ReadOptions  # noqa: PLC0415
    from slidemitosis.reading.prepare import prepare_candidates  # noqa: PLC0415

    slide, places = folder / "drawn.svs", folder / "places.npy"
    if not slide.exists():
        np.save(places, draw_slide(slide, args.figures))
    xy = np.load(places)
    model: str | Path = name
    if name == "convnextv2_base":
        model = folder / name if (folder / name).exists() else steady.random_convnext(folder / name)
    others = args.others or args.seconds
    options = ComputeOptions(engine="torch", device=args.device, workers=args.workers)
    read = ReadOptions(keep_duplicates=True)
    with SlideClassifier(model, compute=options) as classifier:
        prepared = prepare_candidates(slide, Candidates.from_xy(xy), read, classifier.card.patch)
        engine, workers = classifier.engine, classifier.compute.workers
        patches = steady.some_patches(classifier, prepared, max(2048, args.compare))
        found["memory"].append(steady.from_memory(engine, patches[:2048], others))
        found["slide"].append(steady.end_to_end(classifier, prepared, args.seconds))
        found["reading"].append(steady.reading_alone(classifier, prepared, others))
        told = {"workers": workers, name: None}
        told[f"{name}, at once"] = engine.piece
        if compare:
            told[name] = steady.against_cpu(classifier, patches[: args.compare])
        else:
            del told[name]
        card = classifier.card.folder
    plain = plain_rate(slide, xy, card, device=args.device, workers=max(1, workers or 0), seconds=others)
    found["plain"].append(steady.Rate(plain, None, None, 0.0))
    return told


def cells(found: dict[str, list[Rate]], compared: tuple[float, int]) -> list[str]:
    memory, slide, reading, plain = (
        [r.patches for r in found[k]] for k in ("memory", "slide", "reading", "plain")
    )
    ratios = [ours / theirs for ours, theirs in zip(slide, plain, strict=True)]
    middle = {k: statistics.median(v) for k, v in (("m", memory), ("s", slide), ("r", reading))}
    return [
        spread(memory),
        spread(slide),
        card(found["memory"]),
        card(found["slide"]),
        percent([r.main for r in found["slide"]]),
        spread(reading),
        limit(middle["m"], middle["r"], middle["s"]),
        spread(plain),
        spread(ratios, digits=2),
        f"{compared[0]:.5f}",
        str(compared[1]),
    ]


def limit(memory: float, reading: float, together: float) -> str:
    """What is slower alone; where both together are slower still, the process between them."""
    slower = "reading" if reading < memory else "computing"
    return slower if together > 0.85 * min(memory, reading) else f"the main process, then {slower}"


def spread(values: Sequence[float], *, digits: int = 0) -> str:
    low, middle, high = (f"{f(values):,.{digits}f}" for f in (min, statistics.median, max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def percent(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{100 * statistics.median(known):.0f} %" if known else "-"


def card(rates: Sequence[Rate]) -> str:
    events, smi = percent([r.busy for r in rates]), percent([r.told for r in rates])
    return events if smi == "-" else f"{events}; nvidia-smi {smi}"


def table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def hardware(device: str, told: dict) -> str:
    import torch  # noqa: PLC0415

    from slidemitosis.engines.choose import available_processors  # noqa: PLC0415

    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    at_once = ", ".join(f"{k.split(',')[0]} {v}" for k, v in told.items() if k.endswith("at once"))
    versions = f"torch {torch.__version__}, timm {importlib.metadata.version('timm')}"
    return (
        f"{gpu}; {available_processors()} of {os.cpu_count()} processors, {told['workers']} readers; "
        f"at once: {at_once}; {versions}, Python {platform.python_version()}. Patches a second."
    )


if __name__ == "__main__":
    main()
