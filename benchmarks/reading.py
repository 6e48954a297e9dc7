"""How fast are patches read, beside OpenSlide, tiffslide, and the bound that decoding sets?

python benchmarks/reading.py SLIDE POINTS [--repeats 3] [--workers 1 --workers 2 --workers 4]

In turns, in one run: OpenSlide in one process in the file's order; the same in reading order; tiffslide on a
tenth of the patches; every tile that a patch touches decoded once and thrown away, by 1 and by 2 processes
(the bound: no reader that decodes tiles can be faster); and our reader processes, with the start of the
processes and the way of the pixels to this process. Prints patches a second and ratios.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import tifffile
from measured import ratios

from slidemitosis.models.card import PatchPart
from slidemitosis.options import ReadOptions
from slidemitosis.reading.pool import ReaderPool
from slidemitosis.reading.prepare import Prepared, prepare
from slidemitosis.reading.worker import read_patch
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable

PATCH = PatchPart(mpp=0.25, side=128)


def library(prepared: Prepared, reader: str, rows: list[int]) -> None:
    with open_slide(prepared.slide.path, reader=reader) as slide:  # type: ignore[arg-type]
        for row in rows:
            read_patch(slide, prepared.windows[row], PATCH.side)


def needed_tiles(prepared: Prepared) -> list[int]:
    """Index of every tile of level 0 that a patch touches, in the order in which they are first needed."""
    with tifffile.TiffFile(prepared.slide.path) as tif:
        page = tif.pages[0]
        across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
        size = np.array([page.tilewidth, page.tilelength])
    needed: dict[int, None] = {}
    for w in prepared.windows:
        x0, y0 = np.maximum((w.x, w.y) // size, 0)
        x1, y1 = np.minimum((w.x + w.width - 1, w.y + w.height - 1) // size, (across - 1, down - 1))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                needed[y * across + x] = None
    return list(needed)


def decode(path: Path, tiles: list[int]) -> None:
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        tables, offsets, counts = page.jpegtables, page.dataoffsets, page.databytecounts
    with path.open("rb") as f:
        for i in tiles:
            f.seek(offsets[i])
            data = f.read(counts[i])
            simplejpeg.decode_jpeg(tables[:-2] + data[2:] if tables else data)


def bound(path: Path, tiles: list[int], processes: int) -> None:
    context = multiprocessing.get_context("spawn")
    parts = [tiles[len(tiles) * k // processes : len(tiles) * (k + 1) // processes] for k in range(processes)]
    running = [context.Process(target=decode, args=(path, part)) for part in parts]
    for process in running:
        process.start()
    for process in running:
        process.join()


def ours(prepared: Prepared, workers: int) -> None:
    with ReaderPool(patch=PATCH.side, batch_size=64, workers=workers) as pool:
        read = sum(len(b.indices) for b in pool.read(prepared.open_slide, prepared.windows))
    assert read == len(prepared.windows)


def rate(patches: int, action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return patches / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("points", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, action="append", default=[])
    args = parser.parse_args()
    prepared = prepare(args.slide, args.points, ReadOptions(keep_duplicates=True), PATCH)
    n = len(prepared.windows)
    tiles = needed_tiles(prepared)
    print(f"{n} patches, {len(tiles)} tiles; not decoded directly: {prepared.slide.not_direct[0]}")
    in_file_order = np.argsort(prepared.to_read).tolist()
    some = list(range(n // 10))
    ways: dict[str, tuple[int, Callable[[], None]]] = {
        "OpenSlide, file order": (n, functools.partial(library, prepared, "openslide", in_file_order)),
        "OpenSlide, reading order": (n, functools.partial(library, prepared, "openslide", list(range(n)))),
        "tiffslide, reading order": (len(some), functools.partial(library, prepared, "tiffslide", some)),
        "bound, 1 process": (n, functools.partial(bound, args.slide, tiles, 1)),
        "bound, 2 processes": (n, functools.partial(bound, args.slide, tiles, 2)),
        **{
            f"ours, {w} workers": (n, functools.partial(ours, prepared, w))
            for w in args.workers or [0, 1, 2, 4]
        },
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        for name, (patches, action) in ways.items():
            rates[name].append(rate(patches, action))
    for name, found in rates.items():
        by_openslide = ratios(rates["OpenSlide, file order"], found)
        by_bound = ratios(rates["bound, 2 processes"], found)
        each = ", ".join(f"{r:.0f}" for r in found)
        print(f"{name:<26} {each} patches/s; {by_openslide} of OpenSlide; {by_bound} of the bound")


if __name__ == "__main__":
    main()
