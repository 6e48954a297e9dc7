"""A cohort that is killed again and again ends as one that never was."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.cohort.cohort_slides import paint_slides, result_bytes, rows
from tests.command import COMMAND, run
from tests.conftest import write_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 20_260
SLIDES, KILLS = 200, 10
FIGURES = 40

# What is wrong with five of the slides, and what is to be said of them.
BROKEN = {
    "s020": ("slide", "not a slide"),
    "s060": ("slide", "cut off"),
    "s100": ("candidates", "no such file"),
    "s140": ("candidates", "not valid JSON"),
    "s180": ("candidates", "lie off the slide"),
}


def paint(folder: Path) -> Path:
    """The slides, and a table of them."""
    names = [f"s{i:03d}" for i in range(SLIDES)]
    paint_slides(folder, names, figures=FIGURES)
    (folder / "s020.svs").write_bytes(b"not a slide")
    whole = (folder / "s060.svs").read_bytes()
    (folder / "s060.svs").write_bytes(whole[: len(whole) // 3])
    (folder / "s100.geojson").unlink()
    (folder / "s140.geojson").write_text('{"type": "FeatureCollection", "features": [')
    write_points(folder / "s180.geojson", [(9_000.0, 9_000.0), (9_100.0, 9_000.0)])
    table = folder / "slides.csv"
    lines = ["slide,points,site", *(f"{n}.svs,{n}.geojson,site {i % 3}" for i, n in enumerate(names))]
    table.write_text("\n".join(lines) + "\n")
    return table


def finished(out: Path) -> dict[str, tuple[int, int, int]]:
    """By slide: inode and time of its last file, and time of its first, where its results are whole."""
    found = {}
    for summary in out.glob("slides/*/summary.json"):
        with contextlib.suppress(FileNotFoundError):
            last, first = summary.stat(), (summary.parent / "candidates.csv").stat()
            found[summary.parent.name] = (last.st_ino, last.st_mtime_ns, first.st_mtime_ns)
    return found


def endings(lines: Iterator[str]) -> Iterator[tuple[str, bool]]:
    """Name, and whether it was done anew, of the slides that are done, as they end."""
    for line in lines:
        event = json.loads(line)
        if event["event"] == "slide" and event["status"] == "done":
            yield event["name"], event["fresh"]


@pytest.mark.slow
@pytest.mark.alone
def test_kills_at_any_moment_change_nothing_and_cost_no_finished_slide(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    draw = random.Random(SEED)
    table, out = paint(tmp_path / "slides"), tmp_path / "r"
    words = ["cohort", str(table), "--out", str(out), "--model", "lite0", "--jobs", "2", "--progress", "json"]
    done_before: dict[str, tuple[int, int, int]] = {}
    for kill in range(KILLS):
        process = subprocess.Popen(
            [*COMMAND, *words],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        wanted, anew = draw.randrange(20), 0
        for name, fresh in endings(process.stderr) if wanted > 2 else ():
            assert not (fresh and name in done_before), f"{name} was finished, and done again"
            anew += fresh
            if anew == wanted:
                break
        # Some end while they are still starting.
        time.sleep(draw.uniform(0, 0.4 if wanted > 2 else 1.5))
        if kill % 3 == 2:
            # Its processes find out by themselves, while the next run has begun.
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        # Processes that outlive their parent may still finish a slide; what is finished stays as it is.
        now = finished(out)
        assert {n: now.get(n) for n in done_before} == done_before, f"kill {kill}"
        done_before = now
    print(f"{len(done_before)} slides were finished by the runs that were killed")
    assert 10 < len(done_before) < SLIDES - len(BROKEN)  # else nothing was shown

    last = run(*words)
    assert last.returncode == 3
    assert f"{SLIDES}: {SLIDES - len(BROKEN)} done, {len(BROKEN)} failed" in last.stdout
    again = {n for n, fresh in endings(iter(last.stderr.splitlines())) if fresh}
    assert not again & set(done_before)
    now = finished(out)
    assert {n: now[n] for n in done_before} == done_before
    told = rows(out)
    assert {n for n, row in told.items() if row["status"] != "done"} == set(BROKEN)
    for name, (step, cause) in BROKEN.items():
        assert told[name]["step"] == step
        assert cause in told[name]["cause"]
        assert f"{name} failed ({step})" in last.stderr

    unbroken = tmp_path / "unbroken"
    assert run(*words[:3], str(unbroken), *words[4:]).returncode == 3
    theirs, ours = result_bytes(unbroken), result_bytes(out)
    for name, data in itertools.chain(theirs.items(), ours.items()):
        assert theirs.get(name) == ours.get(name) == data, name
