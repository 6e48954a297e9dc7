"""How long do 725,000 detections take to be read and written, and how much memory, beside the json module?

python benchmarks/geojson_725k.py FOLDER [--count 725000] [--every 1] [--repeats 3]

FOLDER gets the detections, made here as QuPath writes them: a UUID, a polygon of 20 corners with two
decimals, a class, ten measurements; with --every K only one in K is a mitosis. Then three programs in turns,
each a process of its own, from the start of Python to the file written:

ours   read_candidates, the classes told apart, ids, a prediction for each mitosis with all that the shipped
       models tell of one, objects.geojson
dump   json.load of the file, json.dump of it, or of the mitoses where they are a part
dumps  the same with json.dumps and one write, which is quicker and takes more memory

Prints seconds of a processor, megabytes (peak of the resident memory) and the ratios of each turn. Linux.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from measured import alone, ratios

MEASUREMENTS = (
    *("Nucleus: Area µm^2", "Nucleus: Length µm", "Nucleus: Circularity", "Nucleus: Solidity"),
    *("Nucleus: Max diameter µm", "Nucleus: Min diameter µm", "Hematoxylin: Nucleus: Mean"),
    *("Hematoxylin: Nucleus: Std.Dev.", "Eosin: Nucleus: Mean", "Detection probability"),
)
CORNERS = 20
MITOSIS, OTHER = '"name":"Mitosis","color":[200, 0, 0]', '"name":"Tumor","color":[0, 200, 0]'


def make(path: Path, count: int, every: int) -> None:
    rng = np.random.default_rng(725)
    angles = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for number in range(count):
            radius = 12 * (1 + 0.25 * rng.uniform(-1, 1, CORNERS))  # px
            x = rng.uniform(100, 60_000) + radius * np.cos(angles)
            y = rng.uniform(100, 40_000) + radius * np.sin(angles)
            corners = [f"[{two(a)}, {two(b)}]" for a, b in zip(x.tolist(), y.tolist(), strict=True)]
            values = zip(MEASUREMENTS, rng.uniform(0, 100, len(MEASUREMENTS)).tolist(), strict=True)
            file.write(
                f'{"," * bool(number)}{{"type":"Feature","id":"{uuid.UUID(bytes=rng.bytes(16), version=4)}",'
                f'"geometry":{{"type":"Polygon","coordinates":[[{",".join([*corners, corners[0]])}]]}},'
                '"properties":{"objectType":"detection",'
                f'"classification":{{{OTHER if number % every else MITOSIS}}},'
                f'"measurements":{{{",".join(f"{json.dumps(k)}:{v!r}" for k, v in values)}}}}}}}'
            )
        file.write("]}")


def two(value: float) -> str:
    """Two decimals, without trailing zeros, as QuPath writes them."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def plain(source: Path, target: Path, *, at_once: bool) -> None:
    with source.open(encoding="utf-8") as file:
        document: Any = json.load(file)
    features = document["features"]
    kept = [f for f in features if f["properties"]["classification"]["name"] == "Mitosis"]
    document["features"] = kept
    with target.open("w", encoding="utf-8") as file:
        if at_once:
            file.write(json.dumps(document))
        else:
            json.dump(document, file)


def ours(source: Path, target: Path) -> None:
    # Not above: the plain programs are not to pay for it.
    from slidemitosis.candidates import read_candidates, select_candidates  # noqa: PLC0415
    from slidemitosis.candidates.ids import object_ids  # noqa: PLC0415
    from slidemitosis.files import write_parts  # noqa: PLC0415
    from slidemitosis.labels import SUBTYPES  # noqa: PLC0415
    from slidemitosis.outputs.objects import feature_collection, qupath_feature  # noqa: PLC0415
    from slidemitosis.prediction import PlacedCandidate, Prediction, candidate_result  # noqa: PLC0415

    selection = select_candidates(read_candidates(source))
    chosen = selection.candidates
    results = [
        candidate_result(
            PlacedCandidate(c, object_id, c.x, c.y, c.x, c.y, 0.0),
            Prediction(0.25, True, 0.125, {name: n / 36 for n, name in enumerate(SUBTYPES, start=1)}),
        )
        for c, object_id in zip(chosen, object_ids(chosen.items, "a.svs"), strict=True)
    ]
    features = (
        qupath_feature(r, model="m 1", upsampled=False, pixels_per_um=(4, 4), taken=selection.taken)
        for r in results
    )
    write_parts(target, feature_collection(features))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=725_000)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", choices=("ours", "dump", "dumps"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    source = args.folder / f"{args.count}-{args.every}.geojson"
    target = args.folder / "out.geojson"
    if args.alone == "ours":
        return ours(source, target)
    if args.alone:
        return plain(source, target, at_once=args.alone == "dumps")
    args.folder.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        make(source, args.count, args.every)
    print(f"{args.count} detections, one in {args.every} a mitosis, {source.stat().st_size / 1e6:.0f} MB")
    words = [sys.executable, __file__, args.folder, "--count", str(args.count), "--every", str(args.every)]
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", "dump", "dumps")}
    for _ in range(args.repeats):
        for name, found in turns.items():
            found.append(alone([*words, "--alone", name]))
    for name, found in turns.items():
        print(f"{name}: {', '.join(f'{s:.1f} s, {m:,.0f} MB' for s, m in found)}")
    for name in ("dump", "dumps"):
        for what, at in (("seconds", 0), ("memory", 1)):
            mine, theirs = ([turn[at] for turn in turns[of]] for of in ("ours", name))
            print(f"{what} of {name}, times ours: {ratios(mine, theirs)}")
    return None


if __name__ == "__main__":
    main()
