"""How much faster and smaller is the whole command than a plain script? Both from the start of Python.

python benchmarks/whole_command.py SLIDE POINTS [--model lite0] [--repeats 3] [--first N]

The plain script and `slidemitosis classify` run in turns, on the first N points; the slide's bytes are in the
system's cache after the first turn, which is not counted. Prints seconds and their ratio, with --memory
megabytes too, and the largest difference of a probability. A model of one network.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import tempfile
from pathlib import Path

from measured import megabytes, ratios, seconds

from slidemitosis.models.shipped import find_model

PLAIN = Path(__file__).with_name("plain_script.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("points", type=Path)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--first", type=int)
    parser.add_argument("--no-warm-up", action="store_true", help="count the first turn too")
    parser.add_argument("--memory", action="store_true", help="one more turn, for the peak of memory")
    args = parser.parse_args()
    features = json.loads(args.points.read_text())["features"][: args.first]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        points = folder / "points.geojson"
        points.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        plain = [
            sys.executable,
            PLAIN,
            args.slide,
            points,
            find_model(args.model).folder,
            folder / "plain.csv",
        ]
        ours = [sys.executable, "-m", "slidemitosis", "classify", args.slide, "--points", points]
        ours += ["--model", args.model, "--out", folder / "out", "--keep-duplicates"]
        if not args.no_warm_up:
            seconds(plain), seconds(ours)
        turns = [(seconds(plain), seconds(ours)) for _ in range(args.repeats)]
        memory = (megabytes(plain), megabytes(ours)) if args.memory else None
        theirs = [float(row[0]) for row in csv.reader((folder / "plain.csv").open())]
        rows = list(csv.DictReader((folder / "out" / "candidates.csv").open()))
        found = [float(r["p_atypical"] or "nan") for r in rows]
    pairs = [(a, b) for a, b in zip(theirs, found, strict=True) if not math.isnan(b)]
    difference = max(abs(a - b) for a, b in pairs)
    print(f"{len(pairs)} of {len(features)} candidates classified, {len(turns)} turns")
    print(f"largest difference of a probability {difference:.1e}")
    for name, each in zip(("plain script", "slidemitosis"), zip(*turns, strict=True), strict=True):
        print(f"{name}: {', '.join(f'{t:.2f}' for t in each)} s")
    print("times as fast", ratios([t[1] for t in turns], [t[0] for t in turns]))
    if memory:
        print(f"memory: {memory[0]:.0f} and {memory[1]:.0f} MB, {memory[0] / memory[1]:.2f} times as much")


if __name__ == "__main__":
    main()
