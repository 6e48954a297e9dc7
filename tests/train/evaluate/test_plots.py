"""Plots of an evaluation: valid files that tell what they show, the same bytes every time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.labels import SUBTYPES
from slidemitosis.train.evaluate.metrics import metrics_of
from slidemitosis.train.evaluate.plots import confusion_plot, reliability_plot, roc_plot
from tests.train.scores import random_scored, scored

if TYPE_CHECKING:
    from pathlib import Path


def check_plot(paths: tuple[Path, Path], *words: str) -> None:
    png, svg = paths
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert min(image.size) > 500
        assert len(image.convert("L").getcolors() or ()) > 2  # something is drawn
    text = " ".join(ET.parse(svg).getroot().itertext())
    assert [w for w in words if w not in text] == []


def test_a_roc_plot_tells_models_figures_and_auroc(tmp_path: Path) -> None:
    a, b = random_scored(model="first"), random_scored(model="_$second", seed=1)
    paths = roc_plot([a, b], tmp_path / "roc-A v1.5")
    assert [p.name for p in paths] == ["roc-A v1.5.png", "roc-A v1.5.svg"]
    words = ("first", "_$second", "n = 200 (50 AMF)", "1 - specificity", "sensitivity", "ROC, d")
    check_plot(paths, *words, *(f"AUROC {metrics_of(s).auroc:.3f}" for s in (a, b)))


@pytest.mark.parametrize("models", [1, 2, 9])
def test_a_reliability_plot_tells_models_figures_and_error(models: int, tmp_path: Path) -> None:
    curves = [random_scored(model=f"m{i}", seed=i) for i in range(models)]
    words = [f"m{i}" for i in range(models)] + [f"ECE {metrics_of(s).ece:.3f}" for s in curves]
    check_plot(reliability_plot(curves, tmp_path / "r"), *words, "calibrated P(AMF)", "share that is AMF")


def test_a_confusion_plot_names_the_subtypes(tmp_path: Path) -> None:
    check_plot(confusion_plot(random_scored(), tmp_path / "c"), *SUBTYPES, "n = 200", "first expert")


def test_curves_of_several_data_sets_say_which(tmp_path: Path) -> None:
    curves = [random_scored(data="A"), random_scored(data="B")]
    check_plot(roc_plot(curves, tmp_path / "r"), "m on A", "m on B")


def test_one_class_has_no_curve_and_the_legend_says_so(tmp_path: Path) -> None:
    check_plot(roc_plot([scored([1, 2], [1, 1])], tmp_path / "r"), "one class only")
    check_plot(reliability_plot([scored([1, 2], [0, 0])], tmp_path / "s"), "n = 2 (0 AMF)")


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    s = random_scored()

    def draw(name: str) -> list[bytes]:
        paths = [*roc_plot([s], tmp_path / name), *reliability_plot([s], tmp_path / f"{name}r")]
        paths += confusion_plot(s, tmp_path / f"{name}c")
        return [p.read_bytes() for p in paths]

    assert draw("a") == draw("b")


def test_a_plot_of_nothing_is_refused(tmp_path: Path) -> None:
    for draw in (roc_plot, reliability_plot):
        with pytest.raises(InvalidOption, match="one model or more"):
            draw([], tmp_path / "a")
    with pytest.raises(InvalidOption, match="no subtypes"):
        confusion_plot(scored([1], [1]), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        roc_plot([random_scored()], tmp_path / "nowhere" / "roc")
