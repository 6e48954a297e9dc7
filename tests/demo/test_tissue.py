"""The drawn slides: what is known about them must be true of the pixels and of the"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import openslide
import pytest
import tiffslide
from shapely.geometry import shape

from slidemitosis.demo.files import write_candidates, write_slide, write_truth
from slidemitosis.demo.tissue import ATYPICAL_KINDS, FIGURE_SPACING, NORMAL_KINDS, draw_phantom
from slidemitosis.errors import InvalidOption, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.demo.tissue import Figure, Phantom


@pytest.fixture(scope="module")
def drawn() -> Phantom:
    return draw_phantom(width=1100, height=900, figures=12, atypical=0.5, seed=3)


@pytest.fixture(scope="module")
def slide_path(drawn: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "drawn.svs"
    write_slide(drawn, path)
    return path


def disc(drawn: Phantom, figure: Figure, *, low: float, high: float) -> NDArray[np.uint8]:
    """Pixels (n, 3) between two distances (um) from a figure's centre."""
    rows, cols = np.ogrid[: drawn.pixels.shape[0], : drawn.pixels.shape[1]]
    away = np.hypot(rows + 0.5 - figure.y, cols + 0.5 - figure.x) * drawn.mpp
    return drawn.pixels[(away >= low) & (away < high)]


def test_a_seed_gives_the_same_slide_and_another_seed_another() -> None:
    first, again, other = (draw_phantom(width=400, height=300, figures=2, seed=s) for s in (5, 5, 6))
    assert np.array_equal(first.pixels, again.pixels)
    assert first.figures == again.figures
    assert not np.array_equal(first.pixels, other.pixels)


def test_the_share_of_atypical_figures_is_the_one_asked_for(drawn: Phantom) -> None:
    assert len(drawn.figures) == 12
    assert sum(f.atypical for f in drawn.figures) == 6
    assert {f.kind for f in drawn.figures} == {*NORMAL_KINDS, *ATYPICAL_KINDS}
    assert not set(NORMAL_KINDS) & set(ATYPICAL_KINDS)


def test_figures_keep_their_distance_from_each_other_and_from_the_edge(drawn: Phantom) -> None:
    places = np.array([(f.x, f.y) for f in drawn.figures]) * drawn.mpp
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(places), dtype=bool)].min() >= FIGURE_SPACING
    assert places.min() >= 12
    assert (places <= np.array([1100, 900]) * drawn.mpp - 12).all()


def test_figures_lie_on_tissue_and_the_right_border_is_glass(drawn: Phantom) -> None:
    assert drawn.pixels[:, -20:].min() > 230
    for figure in drawn.figures:
        around = disc(drawn, figure, low=0, high=11)
        assert (around.min(axis=1) > 235).mean() < 0.01


def test_each_figure_is_darker_than_its_cell_and_no_nucleus_touches_it(drawn: Phantom) -> None:
    for figure in drawn.figures:
        # Haematoxylin absorbs red, eosin hardly does.
        centre = disc(drawn, figure, low=0, high=6)[:, 0]
        cell = disc(drawn, figure, low=7.5, high=9)[:, 0]
        assert np.percentile(centre, 15) < 80
        assert cell.mean() - centre.mean() > 20
        assert np.percentile(cell, 2) > 110


def test_the_darkest_pixels_are_centred_on_the_figure(drawn: Phantom) -> None:
    for figure in drawn.figures:
        left, top = int(figure.x) - 32, int(figure.y) - 32
        dark = np.argwhere(drawn.pixels[top : top + 64, left : left + 64, 0] < 80) + 0.5
        y, x = dark.mean(axis=0) + np.array([top, left])
        assert np.hypot(x - figure.x, y - figure.y) * drawn.mpp < 2.5


@pytest.mark.parametrize(("width", "height", "figures", "mpp"), [(600, 500, 3, 0.25), (300, 250, 2, 0.5)])
def test_a_small_slide_can_be_drawn(width: int, height: int, figures: int, mpp: float) -> None:
    for seed in range(4):
        drawn = draw_phantom(width=width, height=height, figures=figures, mpp=mpp, seed=seed)
        assert drawn.pixels.shape == (height, width, 3)
        assert drawn.pixels.dtype == np.uint8
        assert len(drawn.figures) == figures


def test_a_slide_without_figures_can_be_drawn() -> None:
    assert draw_phantom(width=100, height=64, figures=0).figures == ()


@pytest.mark.parametrize(
    ("option", "value"),
    [("figures", 500), ("figures", -1), ("atypical", 1.5), ("mpp", 0.0), ("mpp", 2.0), ("width", 10)],
)
def test_an_option_that_cannot_be_met_is_named_in_one_line(option: str, value: float) -> None:
    options = {"width": 600, "height": 500, "figures": 3} | {option: value}
    with pytest.raises(InvalidOption, match=str(value)) as caught:
        draw_phantom(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_openslide_reads_size_resolution_and_levels(drawn: Phantom, slide_path: Path) -> None:
    with openslide.OpenSlide(slide_path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert float(slide.properties["openslide.mpp-x"]) == drawn.mpp
        assert float(slide.properties["openslide.mpp-y"]) == drawn.mpp
        assert slide.level_dimensions == ((1100, 900), (275, 225), (68, 56))
        whole = np.asarray(slide.read_region((0, 0), 0, (1100, 900)).convert("RGB"), np.int16)
    assert np.abs(whole - drawn.pixels).mean() < 5
    assert np.abs(whole.mean((0, 1)) - drawn.pixels.mean((0, 1))).max() < 1


def test_tiffslide_sees_the_same_levels(slide_path: Path) -> None:
    with tiffslide.TiffSlide(slide_path) as slide:
        assert slide.level_dimensions == ((1100, 900), (275, 225), (68, 56))
        assert "thumbnail" in slide.associated_images


def test_the_same_phantom_gives_the_same_bytes(drawn: Phantom, slide_path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.svs"
    write_slide(drawn, again)
    assert again.read_bytes() == slide_path.read_bytes()


def test_candidates_are_closed_circles_around_the_figures_without_the_truth(
    drawn: Phantom, tmp_path: Path
) -> None:
    path = tmp_path / "candidates.geojson"
    write_candidates(drawn, path)
    text = path.read_text()
    assert not any(kind in text for kind in (*NORMAL_KINDS, *ATYPICAL_KINDS, "typical"))
    features = json.loads(text)["features"]
    for feature, figure in zip(features, drawn.figures, strict=True):
        assert feature["properties"]["objectType"] == "detection"
        assert feature["properties"]["classification"]["name"] == "Mitosis"
        ring = feature["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        assert all(value == round(value, 2) for point in ring for value in point)
        circle = shape(feature["geometry"])
        assert (circle.centroid.x, circle.centroid.y) == pytest.approx((figure.x, figure.y), abs=1e-6)
        assert circle.bounds[2] - circle.bounds[0] == pytest.approx(12.5 / drawn.mpp, abs=0.02)


def test_the_truth_names_the_candidates_by_id(drawn: Phantom, tmp_path: Path) -> None:
    write_candidates(drawn, tmp_path / "c.geojson")
    write_truth(drawn, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    features = json.loads((tmp_path / "c.geojson").read_text())["features"]
    assert [row["id"] for row in rows] == [feature["id"] for feature in features]
    assert len({row["id"] for row in rows}) == len(rows)
    for row, figure in zip(rows, drawn.figures, strict=True):
        assert (float(row["x"]), float(row["y"]), row["kind"]) == (figure.x, figure.y, figure.kind)
        assert row["atypical"] == str(int(figure.atypical))


def test_a_path_that_cannot_be_written_is_named(drawn: Phantom, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing.*truth\.csv"):
        write_truth(drawn, tmp_path / "missing" / "truth.csv")
