"""What does a report cost: seconds of processor, memory and size, beside classifying?

python benchmarks/report.py SLIDE --points FILE [--model lite0] [--turns 3]

Classifies a slide in turns without and with its report, each in a process of its own. Prints for each the
seconds and the peak memory of the classifying process; with the report, also the seconds of keeping patches
and of making the page, and its size. Processor time, since machines are shared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from slidemitosis import SlideClassifier
from slidemitosis.outputs.folder import REPORT
from slidemitosis.report.choice import SOME
from slidemitosis.report.keeper import PatchKeeper
from slidemitosis.report.make import write_report


class TimedKeeper(PatchKeeper):
    """A keeper that adds up its own seconds."""

    seconds = 0.0

    def add(self, *batch: Any) -> None:
        began = time.process_time()
        super().add(*batch)
        self.seconds += time.process_time() - began


def turn(slide: Path, points: Path, model: str, with_report: bool) -> str:
    """Classify once; say what it took."""
    with SlideClassifier(model) as classifier, tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        begun = classifier.begin(slide, points)
        keeper = TimedKeeper.of(begun.prepared, classifier.decision, SOME) if with_report else None
        classifier.finish(begun, keeper=keeper).write_into(Path(folder))
        told, before = "without", time.process_time()
        if keeper is not None:
            write_report(Path(folder), keeper, begun.prepared)
            page = time.process_time() - before
            size = (Path(folder) / REPORT).stat().st_size / 1e6
            told = f"with (keeping {keeper.seconds:.2f} s, page {page:.2f} s, {size:.2f} MB)"
        took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{told}: {took:.2f} s, {peak:.0f} MB"


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("slide", type=Path)
    parser.add_argument("--points", type=Path, required=True)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    for i in range(2 * args.turns):
        print(apart(args.slide, args.points, args.model, i % 2 == 1), flush=True)


def apart(*given: Any) -> str:
    """A turn in a process of its own, which may have reader processes."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
        return one.submit(turn, *given).result()


if __name__ == "__main__":
    main()
