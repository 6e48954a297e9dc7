"""The programs in examples/ say what they want, and do what they say."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.command import PATIENCE, run
from tests.conftest import REPOSITORY, position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))


def example(path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(path), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_an_example_without_arguments_says_what_it_wants(path: Path) -> None:
    if path.name == "03_ship_a_model.py":
        pytest.importorskip("sklearn")
    done = example(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    assert f"python examples/{path.name}" in done.stdout


def test_a_container_without_its_input_is_one_line() -> None:
    path = REPOSITORY / "examples" / "06_midog25_container" / "inference.py"
    done = example(path, "--input", "not-there")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")


def test_the_examples_classify_and_draw(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200), (600, 400)])
    first, second = (next(p for p in EXAMPLES if p.name.startswith(n)) for n in ("01", "02"))
    done = example(first, slide, points)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("P(atypical)") == 3
    assert run("classify", slide, "--points", points, "--out", tmp_path / "out").returncode == 0
    words = (tmp_path / "out" / "objects.geojson", tmp_path / "picture.png", 50, 60, 200, 150)
    drawn = example(second, slide, *words)
    assert drawn.returncode == 0, drawn.stderr
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (200, 150)
    wrong = example(first, tmp_path / "none.svs", points)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
