"""Seconds to train the folds of the shipped recipe, and figures a second, printed as a table.

python benchmarks/gpu_training.py [--device cuda] [--data NAME=PATH] [--figures 2611] [--folds 5]
                                  [--limit 150] [--set KEY=VALUE ...]

Real figures cannot travel with the project: without --data it draws as many as AMi-Br has to train on, of as
many slides, and weights are random, since pretrained ones would be downloaded. When the limit, in seconds, is
over, drawing included, the training is ended, and what was done is told. The first fold's time includes the
start of Python; "all" also calibration and evaluation.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drawn import draw_figures

RECIPE = "lite0-multi-task"
SLIDES = 146
RANDOM = ("backbone.pretrained=none",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", help="a real data set, as `train --data` takes it")
    parser.add_argument("--figures", type=int, default=2611)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=150.0)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    over = time.time() + args.limit
    with tempfile.TemporaryDirectory(prefix="slidemitosis-training-") as text:
        folder = Path(text)
        data = args.data or f"csv={draw_figures(folder / 'figures', args.figures, SLIDES)}"
        ended = train(args, data, folder / "run", over)
    sys.exit(ended)


def train(args: argparse.Namespace, data: str, out: Path, over: float) -> int:
    words = [sys.executable, "-m", "slidemitosis", "train", RECIPE, "--data", data, "--out", str(out)]
    words += ["--device", args.device, "--progress", "none"]
    for override in (*RANDOM, *args.overrides):
        words += ["--set", override]
    for k in range(args.folds):
        words += ["--fold", str(k)]
    began = time.time()
    try:
        code = subprocess.run(words, stdout=sys.stderr, check=False, timeout=max(1, over - began)).returncode
        ended = "done" if code == 0 else f"failed, exit code {code}"
    except subprocess.TimeoutExpired:
        code, ended = 0, f"ended after {args.limit:.0f} s"
    seconds = time.time() - began
    # A history is written at each epoch: its last change is the end of its fold's training.
    folds = sorted(out.glob("fold-*/*-history.csv"), key=lambda p: p.stat().st_mtime)
    code = code or int(not folds)  # to have been ended is no failure where there is something to tell
    print("| fold | epochs | figures | seconds | figures/s |\n|---|---|---|---|---|")
    last, epochs_in_all, figures = began, 0, _training_figures(out)
    for path in folds:
        with path.open(newline="") as file:
            epochs = sum(1 for _ in csv.DictReader(file))
        took, last = path.stat().st_mtime - last, path.stat().st_mtime
        of_fold = epochs * figures * (args.folds - 1) // max(args.folds, 1)
        rate = f"{of_fold / took:.0f}" if took > 0 else "-"
        print(f"| {path.parent.name} | {epochs} | {of_fold} | {took:.1f} | {rate} |")
        epochs_in_all += epochs
    seen = epochs_in_all * figures * (args.folds - 1) // max(args.folds, 1)
    print(f"| all: {ended} | {epochs_in_all} | {seen} | {seconds:.1f} | {seen / seconds:.0f} |")
    return code


def _training_figures(out: Path) -> int:
    table = out / "training-figures.csv"
    return sum(1 for _ in table.open()) - 1 if table.exists() else 0


if __name__ == "__main__":
    main()
