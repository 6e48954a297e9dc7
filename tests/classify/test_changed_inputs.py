"""A run whose slide, candidates or model change under it fails with one line, and writes nothing."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slidemitosis import ComputeOptions, SlideClassifier
from slidemitosis.cli import main
from slidemitosis.cli.report import Report
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import SlideMitosisError, UnreadableCandidates, UnreadableSlide, WeightsMismatch
from slidemitosis.models.shipped import find_model

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for seed, name in ((5, "a"), (6, "other")):
        phantom = draw_phantom(width=1200, height=900, figures=14, seed=seed)
        write_slide(phantom, folder / f"{name}.svs")
        write_candidates(phantom, folder / f"{name}.geojson")
    return folder


@pytest.fixture
def inputs(drawn: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A slide, its points and its model, for this test alone."""
    shutil.copytree(find_model("lite0").folder, tmp_path / "model")
    slide, points = (Path(shutil.copy2(drawn / name, tmp_path)) for name in ("a.svs", "a.geojson"))
    return slide, points, tmp_path / "model"


def classify(inputs: tuple[Path, Path, Path], change: Callable[[], object]) -> int:
    """Classify; `change` happens when reading has begun. Return how many figures were classified."""
    slide, points, model = inputs
    done: list[int] = []

    def progress(number: int, _: int) -> None:
        if not done:
            change()
        done.append(number)

    with SlideClassifier(model, compute=ComputeOptions(workers=0, engine="onnx")) as classifier:
        return classifier.classify(slide, points, progress=progress).rate.classified


def overwrite(path: Path, other: Path) -> None:
    """Other bytes in the same file, of the same size and time, as a copy that keeps times leaves them."""
    times, size = path.stat(), path.stat().st_size
    with path.open("r+b") as file:
        file.write(other.read_bytes()[:size].ljust(size, b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(path: Path, other: Path) -> None:
    shutil.copy2(other, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def append(path: Path, _: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def touch(path: Path, _: Path) -> None:
    os.utime(path)


def remove(path: Path, _: Path) -> None:
    path.unlink()


CHANGES = [overwrite, replace, append, touch, remove]


@pytest.mark.parametrize("change", CHANGES)
def test_a_slide_that_changes_while_it_is_read_is_refused(
    inputs: tuple[Path, Path, Path], drawn: Path, change: Callable[[Path, Path], None]
) -> None:
    slide, *_ = inputs
    with pytest.raises(UnreadableSlide, match=r"a\.svs: .*changed while it was read"):
        classify(inputs, partial(change, slide, drawn / "other.svs"))


@pytest.mark.parametrize("change", CHANGES)
def test_points_that_change_are_refused(
    inputs: tuple[Path, Path, Path], drawn: Path, change: Callable[[Path, Path], None]
) -> None:
    _, points, _ = inputs
    with pytest.raises(UnreadableCandidates, match=r"a\.geojson: .*changed while"):
        classify(inputs, partial(change, points, drawn / "other.geojson"))


@pytest.mark.parametrize("name", ["model.toml", "multi-task.safetensors", "graph.onnx"])
@pytest.mark.parametrize("change", [append, remove])
def test_a_model_that_changes_is_refused(
    inputs: tuple[Path, Path, Path], change: Callable[[Path, Path], None], name: str
) -> None:
    *_, model = inputs
    with pytest.raises(WeightsMismatch, match=f"{name}: was changed or removed"):
        classify(inputs, partial(change, model / name, model / name))


def test_files_that_are_replaced_by_themselves_are_the_same(inputs: tuple[Path, Path, Path]) -> None:
    slide, points, model = inputs

    def again() -> None:
        for path in (slide, points, model / "model.toml"):
            replace(path, path)

    assert classify(inputs, again) > 0


@pytest.mark.parametrize("change", [replace, remove])
def test_a_command_whose_slide_changes_ends_with_one_line_and_no_results(
    inputs: tuple[Path, Path, Path],
    drawn: Path,
    change: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slide, points, model = inputs
    out = slide.parent / "out"
    asked: list[int] = []

    def progress(_: Report, done: int, total: int) -> None:
        if not asked:
            change(slide, drawn / "other.svs")
        asked.append(done)

    monkeypatch.setattr(Report, "progress", progress)
    how = ["--model", str(model), "--workers", "0", "--out", str(out)]
    assert main(["classify", str(slide), "--points", str(points), *how]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in told if "error" in line]) == 1
    assert "changed while it was read" in told[-1]
    assert not out.exists()


def test_the_cause_is_said_where_nothing_can_be_read_any_more(inputs: tuple[Path, Path, Path]) -> None:
    slide, *_ = inputs
    with pytest.raises(SlideMitosisError, match="changed while it was read"):
        classify(inputs, lambda: slide.write_bytes(b"II*\0"))
