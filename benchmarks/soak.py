"""Does a cohort lose, double or invent a figure, or leave anything behind, whatever happens to it?

    python benchmarks/soak.py --minutes 20

A cohort of drawn slides runs again and again. Every few seconds something goes wrong: a process of the run
is killed, the run itself is killed, interrupted or its terminal closed, a slide or its candidates are
damaged or replaced while they are read, and put right later. When a run has ended it is run again without
faults, and its figures are compared with those of a run that nothing happened to. Counted are figures that
are lost (not in the results), doubled (twice), invented (not among the candidates) or changed (another P
than without faults), slides that state another number than they have, and what is left behind: processes,
shared memory, temporary folders. The memory of the largest process is told for the first runs and for the
last.

Linux only. The seed is printed; what happens when is also up to the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.reading.memory import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

SLIDES, FIGURES = 12, 24
SHARED = Path("/dev/shm")


def draw_slides(folder: Path) -> None:
    folder.mkdir(parents=True)
    for i in range(SLIDES):
        phantom = draw_phantom(width=1200, height=900, figures=FIGURES, seed=i)
        write_slide(phantom, folder / f"s{i:02d}.svs")
        write_candidates(phantom, folder / f"s{i:02d}.geojson")


def command(slides: Path, out: Path) -> list[str]:
    words = ["cohort", str(slides), "--out", str(out), "--model", "lite0", "--jobs", "2", "--workers", "1"]
    return [sys.executable, "-m", "slidemitosis", *words, "--progress", "none"]


def start(slides: Path, out: Path) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command(slides, out), stdout=quiet, stderr=quiet, start_new_session=True)


def processes_of(run: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The run and all that it has started, also what outlives it: they share a session."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == run.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Faults:
    """Something that goes wrong, drawn at random, and what puts it right."""

    def __init__(self, slides: Path, draw: random.Random) -> None:
        self.slides, self.draw = slides, draw
        self.whole = shutil.copytree(slides, slides.with_name("whole"))
        self.counts: Counter[str] = Counter()

    def strike(self, run: subprocess.Popen[bytes]) -> None:
        """Let one thing go wrong."""
        to_run = [
            "kill a process",
            "kill the run",
            "kill all",
            "SIGINT",
            "SIGTERM",
            "SIGHUP",
            "stop and go on",
        ]
        to_files = [
            "damage a slide",
            "cut a slide off",
            "another slide",
            "damage candidates",
            "remove a slide",
        ]
        kind = self.draw.choice([*to_run, *to_files])
        self.counts[kind] += 1
        with contextlib.suppress(OSError, psutil.Error):
            if kind in to_run:
                self._to_run(kind, run)
            else:
                self._to_files(kind, self.slides / self.draw.choice(sorted(self.whole.glob("*.svs"))).name)

    def _to_run(self, kind: str, run: subprocess.Popen[bytes]) -> None:
        if kind == "kill a process":
            found = processes_of(run)
            if found:  # it may just have ended
                self.draw.choice(found).kill()
        elif kind == "kill the run":
            run.kill()
        elif kind == "kill all":
            os.killpg(run.pid, signal.SIGKILL)
        elif kind == "stop and go on":
            os.killpg(run.pid, signal.SIGSTOP)
            time.sleep(1)
            os.killpg(run.pid, signal.SIGCONT)
        else:
            run.send_signal(getattr(signal, kind))

    def _to_files(self, kind: str, slide: Path) -> None:
        if kind == "damage a slide":
            data = bytearray(slide.read_bytes())
            for _ in range(40):
                data[self.draw.randrange(len(data))] = self.draw.randrange(256)
            slide.write_bytes(data)
        elif kind == "cut a slide off":
            os.truncate(slide, slide.stat().st_size // 2)
        elif kind == "another slide":
            others = [p for p in sorted(self.whole.glob("*.svs")) if p.name != slide.name]
            shutil.copyfile(self.draw.choice(others), slide)
        elif kind == "damage candidates":
            slide.with_suffix(".geojson").write_text('{"type": "FeatureCollection", "features": [')
        else:
            slide.unlink()

    def put_right(self) -> None:
        """Bring every file back as it was, with a new time where it had been changed."""
        for path in sorted(self.whole.iterdir()):
            there = self.slides / path.name
            if not there.exists() or there.read_bytes() != path.read_bytes():
                shutil.copyfile(path, there)


def found(out: Path) -> dict[str, list[tuple[str, str]]]:
    """Id and P of each figure, by slide."""
    told = {}
    for table in sorted(out.glob("slides/*/candidates.csv")):
        with table.open(newline="") as file:
            told[table.parent.name] = [(r["object_id"], r["p_atypical"]) for r in csv.DictReader(file)]
    return told


def wrong(out: Path, right: dict[str, list[tuple[str, str]]]) -> Counter[str]:
    """Compare a finished cohort with one that nothing happened to."""
    counts: Counter[str] = Counter()
    now = found(out)
    for name, figures in right.items():
        ids, ids_now = Counter(i for i, _ in figures), Counter(i for i, _ in now.get(name, ()))
        counts["lost"] += (ids - ids_now).total()
        counts["doubled"] += sum(n - 1 for n in ids_now.values() if n > 1)
        counts["invented"] += len(set(ids_now) - set(ids))
        p, p_now = dict(figures), dict(now.get(name, ()))
        counts["changed"] += sum(p[i] != p_now[i] for i in ids if i in p_now)
        summary = json.loads((out / "slides" / name / "summary.json").read_text())
        counts["miscounted"] += summary["counts"]["candidates"] != len(now[name])
    return counts


def left_behind(run: subprocess.Popen[bytes], out: Path) -> Counter[str]:
    """Count processes and temporary folders that are there yet and should not be."""
    for _ in range(100):  # processes whose parent was killed find out by themselves
        if not processes_of(run):
            break
        time.sleep(0.2)
    counts = Counter({"processes": len(processes_of(run))})
    folders = [*out.rglob(".slidemitosis-*"), *out.parent.glob(".slidemitosis-*")]
    counts["temporary folders"] = sum(folder.is_dir() for folder in folders)
    return counts


def struck(run: subprocess.Popen[bytes], faults: Faults, pause: Callable[[], float]) -> int:
    """Let things go wrong until the run has ended; return the memory of its largest process, in bytes."""
    memory, strikes = 0, time.monotonic() + pause()
    while run.poll() is None:
        time.sleep(0.1)
        with contextlib.suppress(psutil.Error):
            memory = max([memory, *(p.memory_info().rss for p in processes_of(run))])
        if time.monotonic() >= strikes:
            faults.strike(run)
            strikes = time.monotonic() + pause()
    return memory


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=20_261)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    print(f"seed {args.seed}")
    with tempfile.TemporaryDirectory() as folder:
        slides, out = Path(folder) / "slides", Path(folder) / "r"
        draw_slides(slides)
        faults, shared = Faults(slides, draw), set(SHARED.glob(f"{PREFIX}*"))
        assert start(slides, Path(folder) / "right").wait() == 0
        right = found(Path(folder) / "right")
        assert {len(v) for v in right.values()} == {FIGURES}
        assert len(right) == SLIDES
        total: Counter[str] = Counter()
        largest: list[int] = []
        codes: Counter[int] = Counter()
        runs, ends = 0, time.monotonic() + 60 * args.minutes
        while time.monotonic() < ends:
            shutil.rmtree(out, ignore_errors=True)
            for _ in range(draw.randint(1, 4)):  # runs that something happens to
                run = start(slides, out)
                runs += 1
                largest.append(struck(run, faults, lambda: draw.expovariate(1 / args.every)))
                codes[run.returncode] += 1
                left = left_behind(run, out)
                # What a killed run leaves in its folder is tidied by the next.
                total["processes"] += left["processes"]
            faults.put_right()
            last = start(slides, out)
            codes[last.wait()] += 1
            runs += 1
            total += wrong(out, right)
            total += left_behind(last, out)
        # Shared memory of runs that were killed whole is removed by the next one a minute later.
        time.sleep(61)
        shutil.rmtree(out)
        assert start(slides, out).wait() == 0
        total["shared memory"] = len(set(SHARED.glob(f"{PREFIX}*")) - shared)
        kinds = ("lost", "doubled", "invented", "changed", "miscounted", "processes", "shared memory")
        print(f"{runs} runs, {sum(faults.counts.values())} faults: {dict(faults.counts)}")
        print(f"exit codes {dict(sorted(codes.items()))}")
        print(", ".join(f"{total[kind]} {kind}" for kind in (*kinds, "temporary folders")))
        few = max(1, len(largest) // 10)
        first, later = (max(part) / 1024**2 for part in (largest[:few], largest[-few:]))
        print(f"largest process {first:.0f} MiB in the first runs, {later:.0f} MiB in the last")


if __name__ == "__main__":
    main()
