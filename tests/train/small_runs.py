"""Runs of a small network on drawn figures, and the command line, for the tests of what trains."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slidemitosis.cli import main
from slidemitosis.train.command import TrainOptions, prepare_run
from slidemitosis.train.data.figures import LabelledData, join
from slidemitosis.train.data.patches import pixels_sha256
from tests.train.drawn import drawn_figures, write_figures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.run import Run

CITATION = "Drawn and Others. Figures that are no figures. 2025."
SMALL = (
    "backbone=smoke-cnn",
    "input.crops=[64]",
    "input.resize=32",
    "sampler.batch_size=8",
    "split.folds=2",
    "schedule.epochs=2",
)
LEARNING = (
    "schedule.epochs=6",
    "sampler.batches=12",
    "optimizer.learning_rate=5e-3",
    "optimizer.ema=0.8",
)
"""With these a network learns to tell the drawn figures apart, within two seconds a fold."""


def of_other_slides(figures: Figures, *, mark: str = "t") -> Figures:
    """The same figures, but of slides and patients that no others are of."""
    return replace(
        figures,
        slides=tuple(mark + s for s in figures.slides),
        patients=tuple(mark + p for p in figures.patients),
    )


def drawn_data(n: int = 32, *, test: int = 12, seed: int = 0, name: str = "drawn") -> LabelledData:
    """`n` figures to train on and `test` of other slides, each three of them one AMF."""
    training = drawn_figures(n, seed=seed)
    held_out = of_other_slides(drawn_figures(test, seed=seed + 1)) if test else None
    hashes = {"pixels": pixels_sha256([training, held_out])}
    return LabelledData(name, training, held_out, hashes, (CITATION,))


def write_data(folder: Path, n: int = 32, *, test: int = 12, seed: int = 0) -> Path:
    """The same as a "csv" data set; the CSV."""
    data = drawn_data(n, test=test, seed=seed)
    parts = [data.training] if data.test is None else [data.training, data.test]
    return write_figures(folder, join(parts), test=test)


def small_run(
    out: Path, *sets: str, name: str = "lite0", data: Sequence[LabelledData] = (), **changes: Any
) -> Run:
    """A run with a small network, two folds and two epochs, where `sets` do not say otherwise."""
    options = TrainOptions(
        recipe=name, overrides=[*SMALL, *sets], data=data or [drawn_data()], out=out, device="cpu"
    )
    return prepare_run(replace(options, **changes))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path there."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def sets(*pairs: str) -> list[str]:
    """Words of the command line that change keys of the recipe."""
    return [word for pair in pairs for word in ("--set", pair)]


def call(*words: object) -> int:
    """The exit code of the command of these words, whether it ends by itself or in argparse."""
    try:
        return main([*map(str, words)])
    except SystemExit as e:  # argparse
        return int(e.code or 0)


def assert_one_line(said: str, message: str) -> None:
    """Standard error is one line, of an error that `message` matches."""
    assert re.fullmatch(r"slidemitosis: error: .+\n", said), said
    assert re.search(message, said), said


def assert_refused(capsys: pytest.CaptureFixture[str], untouched: Path, message: str, *words: object) -> None:
    """The command of these words ends with code 2 and one line, and no file below `untouched` changes."""
    before = files_of(untouched)
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err, message)
    assert files_of(untouched) == before
