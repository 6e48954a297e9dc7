"""Contact sheets: every patch, in its place, with its name and what was said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.command import refused, run
from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import Path

STEP_X, STEP_Y, GAP = 136, 166, 8


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [position_colours(1000, 800)])


def centres(n: int) -> list[tuple[float, float]]:
    return [(70.0 + i % 40 * 20, 70.0 + i // 40 * 20) for i in range(n)]


def test_inspect_shows_every_candidate_on_as_many_pages_as_it_takes(slide: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", centres(100))
    done = run("inspect", slide, "--points", points, "--sheet", tmp_path / "s.png")
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.glob("s*.png"))
    assert [p.name for p in pages] == ["s-1.png", "s-2.png"]
    for i, (x, y) in enumerate(centres(100)):
        page, k = divmod(i, 72)
        with Image.open(pages[page]) as image:
            place = (GAP + k % 8 * STEP_X, GAP + k // 8 * STEP_Y)
            assert image.getpixel(place) == tuple(position_colours(1000, 800)[int(y) - 64, int(x) - 64])


def test_each_patch_has_a_caption_of_its_own(slide: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", centres(9))
    run("inspect", slide, "--points", points, "--sheet", tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as image:
        captions = {
            image.crop(
                (x := GAP + k % 8 * STEP_X, y := GAP + k // 8 * STEP_Y + 128, x + 128, y + 30)
            ).tobytes()
            for k in range(9)
        }
    assert len(captions) == 9


def test_after_classifying_call_and_p_are_on_it(slide: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", centres(10))
    out = tmp_path / "out"
    assert run("classify", slide, "--points", points, "--out", out, "--model", "lite0").returncode == 0
    done = run("report", out, "--sheet", tmp_path / "s.png")
    assert done.returncode == 0, done.stderr
    run("inspect", slide, "--points", points, "--sheet", tmp_path / "i.png")
    frames = {(163, 71, 0), (0, 92, 145)}
    with Image.open(tmp_path / "s.png") as said, Image.open(tmp_path / "i.png") as plain:
        assert said.size == plain.size
        assert said.getpixel((GAP - 2, GAP + 60)) in frames
        assert plain.getpixel((GAP - 2, GAP + 60)) == (255, 255, 255)


def test_a_page_replaces_nothing_but_a_sheet(slide: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", centres(100))
    (tmp_path / "s-2.png").write_bytes(b"not a sheet")
    assert (
        "s-2.png"
        in refused("inspect", slide, "--points", points, "--sheet", tmp_path / "s.png").split("\n")[-2]
    )
    assert not (tmp_path / "s-1.png").exists()
