"""What do time and memory cost with more candidates, and on larger slides?

python benchmarks/scaling.py SLIDE [SLIDE ...] [--largest 1000000]

For 100, 1,000, ... candidates at places drawn over the slide, each in a new process with two reader
processes: the table alone (read, checked, placed: all that is held for each candidate), and then with all
patches read. Prints seconds and peak megabytes, reader processes included, bytes a candidate of the table,
and what reading needs besides the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from measured import megabytes, seconds

from slidemitosis.models.card import PatchPart
from slidemitosis.options import ReadOptions
from slidemitosis.reading.pool import ReaderPool
from slidemitosis.reading.prepare import prepare
from slidemitosis.slides.open import open_slide

PATCH = PatchPart(mpp=0.25, side=128)


def child(slide: Path, points: Path, *, read: bool) -> None:
    prepared = prepare(slide, points, ReadOptions(keep_duplicates=True), PATCH)
    if read:
        with ReaderPool(patch=PATCH.side, batch_size=64, workers=2) as pool:
            for _ in pool.read(prepared.open_slide, prepared.windows):
                pass


def main() -> None:
    if sys.argv[1] == "--child":
        child(Path(sys.argv[2]), Path(sys.argv[3]), read=sys.argv[4] == "read")
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--largest", type=int, default=1_000_000)
    args = parser.parse_args()
    for path in args.slides:
        with open_slide(path) as slide:
            size = slide.info.size
        print(f"{path.name}, {size[0]} x {size[1]} px")
        empty = 0.0
        for n in [10**k for k in range(2, 8) if 10**k <= args.largest]:
            with tempfile.TemporaryDirectory() as folder:
                points = Path(folder) / "points.csv"
                xy = np.random.default_rng(0).uniform((0, 0), size, (n, 2))
                np.savetxt(points, xy, "%.1f", delimiter=",", header="x_px,y_px", comments="")
                words = [
                    [sys.executable, __file__, "--child", path, points, how] for how in ("table", "read")
                ]
                (table, whole), (table_mb, whole_mb) = ([f(w) for w in words] for f in (seconds, megabytes))
            empty = empty or table_mb
            each = (table_mb - empty) / n * 1e6
            print(
                f"  {n:>9,} candidates: table {table:.1f} s, {table_mb:.0f} MB ({each:,.0f} bytes each);"
                f" read {whole:.1f} s, {whole_mb:.0f} MB,"
                f" {whole_mb - (table_mb - empty):.0f} MB without the table"
            )


if __name__ == "__main__":
    main()
