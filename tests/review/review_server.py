"""Results to review, and the real command that serves their page."""

from __future__ import annotations

import contextlib
import csv
import http.client
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.command import run, running
from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

SIDE = 2048  # px, of the slide
MPP = 0.3125  # um/px: the two pictures are of 160 and 800 px of level 0, and so are sent as they are
CENTRES = [(300.0 + 290 * i + 7 * j, 330.0 + 280 * j + 5 * i) for i in range(6) for j in range(5)]
"""Of 30 figures, level-0 px."""


def make_results(folder: Path, name: str = "colours.svs") -> Path:
    """Classify 30 figures of a slide in which colour encodes position; return the folder of results."""
    pixels = position_colours(SIDE, SIDE)
    slide = write_aperio(folder / name, [pixels, pixels[::4, ::4]], mpp=MPP, tile=256)
    points = write_points(folder / "points.geojson", CENTRES)
    done = run("classify", slide, "--points", points, "--model", "lite0", "--workers", "0")
    assert done.returncode == 0, done.stderr
    return folder / f"{slide.stem}.slidemitosis"


def copied(results: Path, to: Path) -> Path:
    """Copy a folder of results, which names its slide by a whole path."""
    return shutil.copytree(results, to / results.name)


def rows(results: Path) -> list[dict[str, str]]:
    """All rows of `review.csv`; none where it is not there."""
    path = results / "review.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def figure_at(results: Path) -> dict[str, tuple[float, float]]:
    """The centre of each figure, level-0 px, by its id."""
    with (results / "candidates.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["status"] for row in table} == {"classified"}
    return {row["object_id"]: (float(row["level0_x"]), float(row["level0_y"])) for row in table}


@dataclass(frozen=True)
class Review:
    """A running review."""

    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def token(self) -> str:
        """What every path begins with."""
        return urlsplit(self.url).path.strip("/")

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Send one request with these headers and no others but Host; return status and text."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        data = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json"} if data else {}
        connection.request(method, path, data, sent | (headers or {}))
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        connection.close()
        return response.status, text

    def get(self, path: str) -> Any:
        """Get a value below the token."""
        status, text = self.request("GET", f"/{self.token}/{path}")
        assert status == 200, text
        return json.loads(text)

    def post(self, path: str, body: object) -> Any:
        """Post as the page does."""
        headers = {"Origin": f"http://{self.address}"}
        status, text = self.request("POST", f"/{self.token}/{path}", body, headers)
        assert status == 200, text
        return json.loads(text)

    def finish(self) -> str:
        """End the review as its page does; return what the command said on standard output at the end."""
        self.post("finish", {})
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return out


@contextlib.contextmanager
def reviewing(results: Path, *words: str) -> Iterator[Review]:
    """Run the command until its page can be asked for."""
    with running("review", results, "--no-browser", *words) as process:
        assert process.stdout is not None
        told = {}
        for line in process.stdout:
            name, _, text = line.strip().partition(" ")
            told[name] = text.strip()
            if name == "finish":
                break
        assert "page" in told, process.stderr.read() if process.stderr else ""
        yield Review(process, told["page"])
