"""A slide whose colours name their place, classified once, and a browser to look at its report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.browser import chromium
from tests.command import run
from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

NAME = "<b id=run>A&B</b>'\".svs".replace("/", "_")
"""A slide's name that is markup where it is not escaped."""
WIDTH, HEIGHT = 1600, 1200


@dataclass(frozen=True)
class Classified:
    """A slide, its candidates and the folder of its results."""

    slide: Path
    points: Path
    folder: Path
    centres: list[tuple[float, float]]

    @property
    def page(self) -> Path:
        return self.folder / "report.html"


def figure_places() -> list[tuple[float, float]]:
    """Whole pixels whose colours are far from the jump of the low eight bits."""
    return [
        (float(x), float(y))
        for y in range(128, 1100, 256)
        for x in range(100, 1500, 128)
        if 40 < x % 256 < 215
    ]


def classify(folder: Path, *options: str) -> Classified:
    """Classify figures of which one is blank, one off the slide, and one a duplicate."""
    pixels = position_colours(WIDTH, HEIGHT)
    pixels[1000:1200, 1400:1600] = 240
    slide = write_aperio(folder / NAME, [pixels, np.ascontiguousarray(pixels[::2, ::2])])
    centres = [*figure_places(), (1500.0, 1100.0), (5000.0, 100.0), (101.0, 128.0)]
    points = write_points(folder / "points.geojson", centres)
    out = folder / "results"
    done = run(
        "classify", slide, "--points", points, "--out", out, "--model", "lite0", "--workers", "0", *options
    )
    assert done.returncode == 0, done.stderr
    return Classified(slide, points, out, centres)


@pytest.fixture(scope="package")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Classified:
    """Not to be changed."""
    return classify(tmp_path_factory.mktemp("classified"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    with chromium() as found:
        yield found


def summary_of(folder: Path) -> dict[str, object]:
    """Read `summary.json`."""
    found: dict[str, object] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found
