"""The same figures, whatever their coordinates count from: from real files to real files."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis import ComputeOptions, SlideClassifier, Viewer
from slidemitosis.candidates import read_candidates
from slidemitosis.cli import main
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.slides.open import open_slide
from tests.classify.written import classify, objects_of, rows_of
from tests.conftest import write_features, write_points, write_scn
from tests.slides.mirax import write_mirax

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Drawn:
    """A slide with bounds, and the centres of its figures from the bounds' corner."""

    path: Path
    size: tuple[int, int]
    corner: tuple[int, int]
    bounds: tuple[int, int]
    centres: list[tuple[float, float]]

    @property
    def shows_bounds(self) -> Viewer:
        return Viewer(*self.bounds, "OpenSlide")

    @property
    def shows_all(self) -> Viewer:
        return Viewer(*self.size, "OpenSlide")


@pytest.fixture(scope="module", params=["scn", "mrxs"])
def slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    phantom = draw_phantom(width=768, height=512, figures=6, seed=5)
    centres = [(f.x, f.y) for f in phantom.figures]
    folder = tmp_path_factory.mktemp("slide")
    pixels = np.ascontiguousarray(phantom.pixels)
    if request.param == "scn":
        path = write_scn(folder / "a.scn", pixels, at=(128, 64), collection=(2000, 1500))
        return Drawn(path, (2000, 1500), (128, 64), (768, 512), centres)
    path = write_mirax(folder / "a.mrxs", pixels, at=(512 + 37, 256 + 21), photos=(8, 6))
    return Drawn(path, (2048, 1536), (549, 277), (768, 512), centres)


@pytest.fixture(scope="module")
def classifier() -> Iterator[SlideClassifier]:
    with SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as opened:
        yield opened


def shapes(drawn: Drawn) -> list[dict[str, Any]]:
    """Each figure as another kind of object, in px from the bounds' corner, two decimals as QuPath writes."""

    def ring(x: float, y: float, r: float) -> list[list[float]]:
        corners = [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r), (x - r, y - r)]
        return [[round(a, 2), round(b, 2)] for a, b in corners]

    features = []
    for i, (x, y) in enumerate((round(x, 2), round(y, 2)) for x, y in drawn.centres):
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": [ring(x, y, 20)]}
        more: dict[str, Any] = {}
        if i % 3 == 1:
            geometry = {"type": "Point", "coordinates": [x, y, 0]}
            more = {"bbox": [x, y, x, y]}
        elif i % 3 == 2:
            geometry["isEllipse"] = True
            more = {"nucleusGeometry": {"type": "MultiPolygon", "coordinates": [[ring(x, y, 9)]]}}
        features.append(
            {
                "type": "Feature",
                "id": f"00000000-0000-4000-8000-{i:012d}",
                "geometry": geometry,
                **more,
                "properties": {"objectType": "cell" if more.get("nucleusGeometry") else "annotation"},
            }
        )
    return features


def moved(features: list[dict[str, Any]], by: tuple[int, int]) -> list[dict[str, Any]]:
    """Move features by (x, y) px in their text, which is another way than that of the code under test."""

    def move(position: re.Match[str]) -> str:
        x, y = (round(float(n) + d, 2) for n, d in zip(position.groups(), by, strict=True))
        return f"[{x}, {y}"

    text = re.sub(r"\[([\d.]+), ([\d.]+)", move, json.dumps(features))
    found: list[dict[str, Any]] = json.loads(text)
    for f in found:
        if "bbox" in f:
            x, y = f["geometry"]["coordinates"][:2]
            f["bbox"] = [x, y, x, y]
    return found


def geometries(features: list[dict[str, Any]]) -> list[Any]:
    return [[f["geometry"], f.get("nucleusGeometry"), f.get("bbox")] for f in features]


def test_openslide_states_the_bounds_that_were_built(slide: Drawn) -> None:
    import openslide

    properties = openslide.OpenSlide(slide.path).properties
    stated = [int(properties[f"openslide.bounds-{k}"]) for k in ("x", "y", "width", "height")]
    assert stated == [*slide.corner, *slide.bounds]
    with open_slide(slide.path) as opened:
        assert opened.info.size == slide.size
        region = opened.read(0, *slide.corner, 64, 64)
    want = draw_phantom(width=768, height=512, figures=6, seed=5).pixels[:64, :64]
    assert np.abs(region.astype(int) - want).mean() < 3  # JPEG of the MIRAX


def test_the_same_figures_give_the_same_probabilities_in_every_frame(
    slide: Drawn, classifier: SlideClassifier, tmp_path: Path
) -> None:
    in_bounds = shapes(slide)
    in_slide = moved(in_bounds, slide.corner)
    from_bounds = write_features(tmp_path / "bounds.geojson", in_bounds)
    from_corner = write_features(tmp_path / "level0.geojson", in_slide)
    # points, origin, viewer -> where the objects must lie
    cases: list[tuple[Path, Any, Viewer | None, list[dict[str, Any]]]] = [
        (from_bounds, "auto", slide.shows_bounds, in_bounds),
        (from_bounds, "bounds", None, in_bounds),
        (from_bounds, "bounds", slide.shows_bounds, in_bounds),
        (from_bounds, "bounds", slide.shows_all, in_slide),
        (from_corner, "auto", slide.shows_all, in_slide),
        (from_corner, "level0", None, in_slide),
        (from_corner, "level0", slide.shows_all, in_slide),
        (from_corner, "level0", slide.shows_bounds, in_bounds),
    ]
    found = []
    for i, (points, origin, viewer, objects) in enumerate(cases):
        result = classify(
            slide.path, points, classifier=classifier, origin=origin, viewer=viewer, out=tmp_path / str(i)
        )
        assert geometries(objects_of(result)) == geometries(objects), (points.name, origin, viewer)
        found.append([p.probability for p in result.candidates])
        reading = result.summary["reading"]
        assert reading["objects_frame"] == ("bounds" if objects is in_bounds else "level0")
        assert reading["offset_px"] == list(slide.corner if points is from_bounds else (0, 0))
        assert reading["objects_offset_px"] == list(slide.corner if objects is in_bounds else (0, 0))
        for row, (x, y) in zip(rows_of(result), slide.centres, strict=True):
            file = slide.corner if points is from_corner else (0, 0)
            assert float(row["x"]) == pytest.approx(x + file[0], abs=0.02)
            assert float(row["level0_x"]) == pytest.approx(x + slide.corner[0], abs=0.02)
            assert float(row["level0_y"]) == pytest.approx(y + slide.corner[1], abs=0.02)
    assert None not in found[0]
    assert all(f == found[0] for f in found)


def test_objects_of_a_table_are_drawn_where_the_viewer_shows_them(
    slide: Drawn, classifier: SlideClassifier, tmp_path: Path
) -> None:
    points = tmp_path / "p.csv"
    whole = [(round(x), round(y)) for x, y in slide.centres]
    rows = [f"{x + slide.corner[0]},{y + slide.corner[1]}" for x, y in whole]
    points.write_text("\n".join(["x_px,y_px", *rows]))
    result = classify(slide.path, points, classifier=classifier, origin="level0", viewer=slide.shows_bounds)
    for drawn, (x, y) in zip(objects_of(result), whole, strict=True):
        ring = np.array(drawn["geometry"]["coordinates"][0][:-1])
        assert ring.mean(axis=0) == pytest.approx([x, y], abs=0.01)
    plain = classify(slide.path, points, classifier=classifier, origin="level0", out=tmp_path / "plain")
    for a, b in zip(objects_of(plain), objects_of(result), strict=True):
        differences = np.array(a["geometry"]["coordinates"]) - np.array(b["geometry"]["coordinates"])
        assert differences == pytest.approx(np.broadcast_to(slide.corner, differences.shape), abs=0.001)


def test_a_format_that_counts_from_the_corner_needs_no_origin(
    slide: Drawn, classifier: SlideClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects are moved to where the viewer shows them; without one they stay, and that is said."""
    in_bounds = shapes(slide)
    in_slide = moved(in_bounds, slide.corner)
    points = write_features(tmp_path / "p.geojson", in_slide)
    candidates = replace(read_candidates(points), frame="level0")
    monkeypatch.setattr("slidemitosis.reading.prepare.read_candidates", lambda *_, **__: candidates)
    for viewer, objects in ((slide.shows_bounds, in_bounds), (slide.shows_all, in_slide), (None, in_slide)):
        result = classify(slide.path, points, classifier=classifier, viewer=viewer)
        assert geometries(objects_of(result)) == geometries(objects)
        assert result.summary["reading"]["offset_px"] == [0, 0]
        assert result.summary["counts"]["classified"] == 6


def test_the_size_of_another_image_is_refused_and_nothing_written(
    slide: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = write_points(tmp_path / "p.geojson", slide.centres)
    width, height = slide.bounds
    for size in (f"{width + 1}x{height}", f"{height}x{width}", "46000x32914"):
        assert main(["classify", str(slide.path), "--points", str(points), "--viewer-size", size]) == 2
        said = capsys.readouterr().err
        assert re.fullmatch(r"slidemitosis: error: .+\n", said)
        for w, h in (slide.size, slide.bounds, size.split("x")):
            assert f"{w} x {h} px" in said
    assert sorted(tmp_path.iterdir()) == [points]


def test_inspect_says_what_settled_the_origin(
    slide: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = write_points(tmp_path / "p.geojson", [(600, 300)])  # in both frames on the slide
    size = "{}x{}".format(*slide.bounds)
    words = ["inspect", str(slide.path), "--points", str(points), "--viewer-size", size]
    assert main(words) == 0
    shown = capsys.readouterr().out
    origin = f"origin      level 0 = file + {slide.corner} px: the viewer's size is that of the bounds"
    assert origin in shown
    assert "to write" not in shown
    assert main([*words, "--origin", "level0"]) == 0
    shown = capsys.readouterr().out
    assert "origin      level 0 = file + (0, 0) px: --origin level0" in shown
    assert f"to write    level 0 = objects.geojson + {slide.corner} px: the viewer's size" in shown


def test_a_server_without_a_size_is_half_of_a_statement(
    slide: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = write_points(tmp_path / "p.geojson", slide.centres)
    words = ["classify", str(slide.path), "--points", str(points), "--viewer-server", "OpenSlide"]
    assert main(words) == 2
    assert "--viewer-size" in capsys.readouterr().err


def test_photos_that_hang_over_the_slides_edge_have_bounds_that_end_there(
    classifier: SlideClassifier, tmp_path: Path
) -> None:
    """MIRAX states as many pixels as the photos have, and moves the photos: as large, but elsewhere.

    OpenSlide cuts the bounds at the slide's edge, so that they never have the slide's size.
    """
    pixels = np.ascontiguousarray(draw_phantom(width=512, height=512, figures=1, seed=5).pixels)
    path = write_mirax(tmp_path / "a.mrxs", pixels, at=(37, 21), photos=(2, 2))
    points = write_points(tmp_path / "p.geojson", [(250, 250)])
    result = classify(path, points, classifier=classifier, viewer=Viewer(512 - 37, 512 - 21))
    assert result.summary["reading"]["objects_offset_px"] == [37, 21]
    result = classify(path, points, classifier=classifier, viewer=Viewer(512, 512))
    assert result.summary["reading"]["objects_offset_px"] == [0, 0]


def test_the_input_is_left_as_it_was(slide: Drawn, classifier: SlideClassifier, tmp_path: Path) -> None:
    features = shapes(slide)
    before = copy.deepcopy(features)
    points = write_features(tmp_path / "p.geojson", moved(features, slide.corner))
    text = points.read_bytes()
    result = classify(slide.path, points, classifier=classifier, origin="level0", viewer=slide.shows_bounds)
    assert points.read_bytes() == text
    candidates = [p.placed.candidate.feature for p in result.candidates]
    assert [c["geometry"] for c in candidates if c] == [f["geometry"] for f in moved(before, slide.corner)]
