"""What do a second worker and a long list of slides cost or save?

python benchmarks/cohort.py SLIDE [--slides 40] [--figures 400] [--model lite0] [--repeats 3] [--listed 10000]

One worker against two, each with one thread that reads and computes: processes of `slidemitosis cohort`, and
workers of a Dask cluster that it starts. Whole commands in turns, from the start of Python to the tables; a
turn that is not counted comes first. Then `--collect` for a list of many slides that are done, of few and of
many candidates: seconds and peak megabytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from measured import megabytes, ratios, seconds

from slidemitosis.slides.open import open_slide

COHORT = [sys.executable, "-m", "slidemitosis", "cohort"]


def paint(folder: Path, slide: Path, *, slides: int, figures: int) -> Path:
    """A folder of pairs: the slide under many names, with places drawn at random."""
    folder.mkdir()
    with open_slide(slide) as opened:
        size = opened.info.size
    draw = np.random.default_rng(0)
    for i in range(slides):
        os.link(slide, folder / f"s{i:05d}{slide.suffix}")
        xy = draw.uniform((0, 0), size, (figures, 2))
        points = folder / f"s{i:05d}.csv"
        np.savetxt(points, xy, "%.1f", delimiter=",", header="x_px,y_px", comments="")
    return folder


def workers(folder: Path, pairs: Path, *, model: str, repeats: int) -> None:
    def took(jobs: int, *more: str) -> float:
        out = folder / "results"
        shutil.rmtree(out, ignore_errors=True)
        words = [*COHORT, pairs, "--out", out, "--model", model, "--keep-duplicates", "--workers", "0"]
        given = ["env", f"OMP_NUM_THREADS={jobs}"]
        return seconds([*given, *words, "--jobs", str(jobs), *more])

    for name, more in (("processes", ()), ("dask", ("--executor", "dask"))):
        took(2, *more)
        turns = [(took(1, *more), took(2, *more)) for _ in range(repeats)]
        one, two = zip(*turns, strict=True)
        for jobs, each in (("one", one), ("two", two)):
            print(f"{name}, {jobs}: {', '.join(f'{t:.1f}' for t in each)} s")
        print(f"{name}: two are {ratios(two, one)} times as fast as one", flush=True)


def collecting(folder: Path, slide: Path, *, listed: int, candidates: int, model: str, repeats: int) -> None:
    """The recorded results of one real slide, under many names."""
    one = paint(folder / f"one{candidates}", slide, slides=1, figures=candidates)
    out = folder / f"listed{candidates}"
    seconds([*COHORT, one, "--out", out, "--model", model, "--keep-duplicates"])
    pairs = folder / f"pairs{candidates}"
    pairs.mkdir()
    done = out / "slides/s00000"
    for i in range(listed):
        name = f"s{i:05d}"
        os.link(slide, pairs / f"{name}{slide.suffix}")
        os.link(one / "s00000.csv", pairs / f"{name}.csv")
        if i:
            (out / "slides" / name).mkdir()
            for file in done.iterdir():
                os.link(file, out / "slides" / name / file.name)
    words = [*COHORT, pairs, "--out", out, "--collect"]
    times = [seconds(words) for _ in range(repeats)]
    counts = json.loads((done / "summary.json").read_text())["counts"]
    print(
        f"--collect, {listed} slides of {counts['candidates']} candidates: "
        f"{', '.join(f'{t:.1f}' for t in times)} s, {megabytes(words):.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--slides", type=int, default=40)
    parser.add_argument("--figures", type=int, default=400)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--listed", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="for temporary files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as text:
        folder = Path(text)
        slide = Path(shutil.copy(args.slide, folder))  # links cannot lead to another file system
        pairs = paint(folder / "pairs", slide, slides=args.slides, figures=args.figures)
        workers(folder, pairs, model=args.model, repeats=args.repeats)
        for candidates in (10, 10_000):
            collecting(
                folder,
                slide,
                listed=args.listed,
                candidates=candidates,
                model=args.model,
                repeats=args.repeats,
            )


if __name__ == "__main__":
    main()
