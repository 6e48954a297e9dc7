"""Small cohorts of painted slides."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "slidemitosis"]


def run(*words: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """A real `slidemitosis` with these words."""
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=timeout
    )


def paint_slides(folder: Path, names: list[str], *, figures: int = 3) -> None:
    """Slides that differ in their pixels, each beside its candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = position_colours(400, 300, x0=7 * number)
        write_aperio(folder / f"{name}.svs", [pixels])
        centres = [(60 + 30 * i, 80 + 20 * i + number % 5) for i in range(figures)]
        write_points(folder / f"{name}.geojson", [(float(x), float(y)) for x, y in centres])


def result_bytes(out: Path) -> dict[str, bytes]:
    """All that a cohort's folder holds, by path, but for locks, and for seconds and workers in summaries."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = path.relative_to(out).as_posix()
        if name.startswith("locks/"):
            continue
        data = path.read_bytes()
        if path.name == "summary.json":
            summary = json.loads(data)
            del summary["seconds"], summary["options"]["workers"]
            data = json.dumps(summary).encode()
        found[name] = data
    return found
