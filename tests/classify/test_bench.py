"""`slidemitosis bench`: the parts of a real run, and a hint that follows from them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis.classify.bench import SlideBench, bench_slide
from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.cli import main
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import InvalidOption
from slidemitosis.options import ComputeOptions, ReadOptions
from tests.conftest import write_aperio, write_points, write_scn

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = {"preparing": 0.1, "loading": 0.2, "reading": 3.0, "waiting": 1.0, "computing": 9.0, "writing": 0.1}
FOUND = SlideBench(
    figures=1000,
    drawn=True,
    not_direct=None,
    engine="onnx",
    device="cpu",
    workers=1,
    processors=2,
    model="lite0-ensemble",
    reading_alone=3000.0,
    computing_alone=110.0,
    seconds=SECONDS,
)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [draw_phantom().pixels[:800, :1000]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "computing; more processors or a GPU would help; --model lite0"),
        ({"model": "mine"}, "computing; more processors or a GPU would help$"),
        ({"device": "cuda"}, "computing; a larger --batch-size"),
        (
            {"seconds": SECONDS | {"waiting": 12.0}},
            r"reading; more --workers may help \(now 1, of 2 proc",
        ),
        ({"seconds": SECONDS | {"waiting": 12.0}, "workers": 2}, "reading; more processors would help$"),
        ({"reading_alone": 90.0, "not_direct": "JPEG 2000"}, "reading; .* not decoded directly: JPEG 2000"),
        ({"seconds": SECONDS | {"loading": 20.0}}, "starting and writing"),
    ],
)
def test_the_hint_names_what_limits(changes: dict[str, Any], words: str) -> None:
    assert re.search(f"^what limits: {words}", replace(FOUND, **changes).hint)


def test_both_together_are_as_fast_as_waiting_and_computing_allow() -> None:
    assert FOUND.together == pytest.approx(100)


def test_a_bench_measures_the_same_candidates_that_are_classified(slide: Path, tmp_path: Path) -> None:
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200), (5000, 5000)])
    before = sorted(p.name for p in tmp_path.iterdir())
    with SlideClassifier("lite0", compute=ComputeOptions(device="cpu", workers=1)) as classifier:
        found = bench_slide(classifier, slide, points, ReadOptions(), figures=5)
    assert (found.figures, found.drawn, found.engine, found.workers) == (2, False, "onnx", 1)
    assert found.reading_alone > 0
    assert found.computing_alone > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_without_points_places_are_drawn(slide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", str(slide), "--figures", "70", "--model", "lite0", "--device", "cpu", "--workers", "0"]
    assert main(words) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["figures"] == "70, at places drawn at random"
    assert rows["hint"].startswith("what limits: ")
    assert {"read", "wait", "compute", "write", "total"} <= rows.keys()


@pytest.mark.parametrize("figures", ["0", "-1", "1000001"])
def test_a_number_of_figures_that_makes_no_sense_is_refused(
    slide: Path, capsys: pytest.CaptureFixture[str], figures: str
) -> None:
    assert main(["bench", str(slide), "--figures", figures]) == 2
    assert "--figures must be 1 to 1,000,000" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [("--unit", "px"), ("--candidate-class", "M"), ("--origin", "level0"), ("--viewer-size", "768x512")],
)
def test_how_to_understand_points_is_not_said_without_any(
    slide: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    assert main(["bench", str(slide), *option]) == 2
    assert "give --points too" in capsys.readouterr().err


def test_nothing_to_classify_is_nothing_to_measure(slide: Path, tmp_path: Path) -> None:
    points = tmp_path / "p.csv"
    points.write_text("x,y\n")
    with (
        SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as classifier,
        pytest.raises(InvalidOption, match="no candidate"),
    ):
        bench_slide(classifier, slide, points, ReadOptions(unit="px"), figures=1)


@pytest.mark.slow
def test_a_slide_with_bounds_can_be_measured(tmp_path: Path) -> None:
    region = draw_phantom().pixels[:400, :600]
    path = write_scn(tmp_path / "a.scn", np.ascontiguousarray(region), at=(256, 512), collection=(2000, 2000))
    with SlideClassifier("lite0", compute=ComputeOptions(workers=0)) as classifier:
        assert bench_slide(classifier, path, None, ReadOptions(), figures=9).figures == 9
