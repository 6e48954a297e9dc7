"""Small cohorts of painted slides, and what is written of them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import Path

MODEL = ("--model", "lite0")


def rows(out: Path, table: str = "cohort.csv") -> dict[str, dict[str, str]]:
    """The rows of a cohort's table by the name of the slide, or by the patient."""
    with (out / table).open(encoding="utf-8", newline="") as file:
        return {row.get("name") or row["patient"]: row for row in csv.DictReader(file)}


def fresh(told: str) -> list[str]:
    """Slides that were classified anew, by the events on standard error."""
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return sorted(e["name"] for e in events if e["event"] == "slide" and e["fresh"])


def paint_slides(folder: Path, names: list[str], *, figures: int = 3) -> Path:
    """Paint slides that differ in their pixels, each beside its candidates; returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = position_colours(400, 300, x0=7 * number)
        write_aperio(folder / f"{name}.svs", [pixels])
        centres = [(60 + 30 * i, 80 + 20 * i + number % 5) for i in range(figures)]
        write_points(folder / f"{name}.geojson", [(float(x), float(y)) for x, y in centres])
    return folder


def result_bytes(out: Path) -> dict[str, bytes]:
    """All that a cohort's folder holds, by path, but for locks, seconds, and workers in summaries."""
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
        if path.name == "cohort.html":  # which is called like its folder
            for title in (f"<title>{out.name}:", f"<h1>{out.name}</h1>"):
                assert title.encode() in data
                data = data.replace(title.encode(), b"")
        found[name] = without_seconds(path, data)
    return found


def table_bytes(out: Path) -> bytes:
    """The table of a cohort without what its slides took."""
    path = out / "cohort.csv"
    return without_seconds(path, path.read_bytes())


def without_seconds(path: Path, data: bytes) -> bytes:
    """A table or a record without what its slides took, in which two runs differ."""
    if path.name == "cohort.csv":
        table = csv.reader(io.StringIO(data.decode(), newline=""))
        names = next(table)
        left_out = names.index("seconds") if "seconds" in names else None
        return repr([names, *([c for i, c in enumerate(row) if i != left_out] for row in table)]).encode()
    if path.name == "cohort.parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path).drop_columns(["seconds"])
        return f"{table.schema}{table.to_pylist()}".encode()
    if path.name in ("cohort.json", "row.json"):
        found = json.loads(data)
        for values in found["slides"] if "slides" in found else [found["values"]]:
            values.pop("seconds", None)
        return json.dumps(found).encode()
    return data
