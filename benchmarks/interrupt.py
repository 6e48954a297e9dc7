"""How long does it take from Ctrl-C to the last process gone?

python benchmarks/interrupt.py [--repeats 20] [--workers 2] [--model lite0]

`slidemitosis classify` on the demo's slide with 20,000 places gets a Ctrl-C, as a terminal sends it to all of
its processes: as soon as the reader processes have been started, while libraries and the model are loaded;
and after the first candidates are classified. Prints median and maximum of the seconds. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from slidemitosis.demo.files import write_demo
from slidemitosis.slides.open import open_slide


def alive(session: int) -> int:
    """Number of the processes of a session that have not ended."""
    stats = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stats.append((folder / "stat").read_text().rpartition(")")[2].split())
        except OSError:  # ended meanwhile
            continue
    return sum(int(stat[3]) == session and stat[0] != "Z" for stat in stats)


def interrupted(words: list[str], *, when: str, workers: int) -> float:
    """Seconds from Ctrl-C to the last process gone."""
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        if when == "classifying":
            events = map(json.loads, process.stderr)
            assert any(e["event"] == "progress" and e["done"] for e in events)
        while when == "loading" and alive(process.pid) < workers + 2:  # and one that watches shared memory
            assert process.poll() is None
            time.sleep(0.01)
        sent = time.perf_counter()
        os.killpg(process.pid, signal.SIGINT)
        while process.poll() is None or alive(process.pid):
            time.sleep(0.01)
        took = time.perf_counter() - sent
    assert process.returncode == 130, process.returncode
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default="lite0")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        slide, _ = write_demo(Path(text))
        with open_slide(slide) as opened:
            xy = np.random.default_rng(0).uniform((0, 0), opened.info.size, (20_000, 2))
        points = slide.with_suffix(".csv")
        np.savetxt(points, xy, "%.1f", delimiter=",", header="x_px,y_px", comments="")
        words = [sys.executable, "-m", "slidemitosis", "classify", str(slide), "--points", str(points)]
        words += ["--keep-duplicates", "--progress", "json", "--model", args.model]
        words += ["--workers", str(args.workers)]
        for when in ("loading", "classifying"):
            took = [interrupted(words, when=when, workers=args.workers) for _ in range(args.repeats)]
            print(f"{when}: median {statistics.median(took):.2f} s, maximum {max(took):.2f} s", flush=True)


if __name__ == "__main__":
    main()
