"""The example that turns a trained model into one with a name: whole, and with the scores of its reports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from slidemitosis.models.card import read_card
from slidemitosis.models.classifier import load_model
from slidemitosis.train.data.seen import read_seen
from tests.conftest import REPOSITORY
from tests.train.small_runs import call, sets, write_data

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = REPOSITORY / "examples" / "03_ship_a_model.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a run of two folds, its data)."""
    folder = tmp_path_factory.mktemp("shipping")
    data = write_data(folder / "data")
    small = sets("backbone=smoke-cnn", "input.resize=32", "split.folds=2", "schedule.epochs=2")
    words = ["train", "lite0", "--smoke", "--data", f"csv={data}", "--out", folder / "run", "--device", "cpu"]
    assert call(*words, *small) == 0
    return folder / "run", data


def ship(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words), "--version", "3", "--licence", "MIT"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_shipped_model_is_the_trained_one_with_its_scores(run: tuple[Path, Path], tmp_path: Path) -> None:
    out, data = run
    target = tmp_path / "models" / "mine"
    target.mkdir(parents=True)
    (target / "old.safetensors").write_bytes(b"an earlier version's")
    words = ["evaluate", out / "ensemble", "--data", f"csv={data}", "--views", 8, "--out", tmp_path / "eight"]
    assert call(*words, "--device", "cpu") == 0
    reports = ["--report", out / "evaluation", "--report", tmp_path / "eight"]
    done = ship(out / "ensemble", target, *reports)
    assert done.returncode == 0, done.stderr
    card, trained = read_card(target), read_card(out / "ensemble")
    assert (card.name, card.version, card.licence) == ("mine", "3", "MIT")
    assert card.decision == trained.decision
    assert [s.views for s in card.scores] == [1, 8]
    assert card.scores[:1] == trained.scores
    assert not (target / "old.safetensors").exists()
    histories = {f"fold-{k}-type-history.csv" for k in (0, 1)}
    assert {p.name for p in target.glob("*.csv")} == histories | {"training-figures.csv"}
    lists = [read_seen(folder / "training-figures.csv") for folder in (target, out)]
    assert lists[0] == lists[1]
    patches = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    both = [load_model(folder)(torch.from_numpy(patches)).numpy() for folder in (target, out / "ensemble")]
    np.testing.assert_array_equal(*both)


@pytest.mark.slow
def test_a_model_of_an_earlier_run_gets_the_list_of_the_run_and_none_is_shipped_without(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(run[0], tmp_path / "run")
    words = [out / "fold-0", tmp_path / "mine", "--report", out / "evaluation"]
    (out / "fold-0" / "training-figures.csv").unlink()
    assert ship(*words).returncode == 0
    assert (tmp_path / "mine/training-figures.csv").read_text().startswith("slide,sha256\n")
    (out / "training-figures.csv").unlink()
    shutil.rmtree(tmp_path / "mine")
    done = ship(*words)
    assert done.returncode == 1
    assert "neither it nor its run has training-figures.csv" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
def test_nothing_is_replaced_where_model_or_report_are_wrong(run: tuple[Path, Path], tmp_path: Path) -> None:
    out, _ = run
    kept = tmp_path / "kept.safetensors"
    kept.write_bytes(b"precious")
    other = json.loads((out / "evaluation" / "report.json").read_text())
    other["entries"] = [e for e in other["entries"] if e["role"] == "fold"]
    (tmp_path / "report.json").write_text(json.dumps(other))
    for model, report, said in (
        (out / "no-such", out / "evaluation", "not a model"),
        (out / "ensemble", out / "fold-0", "cannot be read as a report"),
        (out / "ensemble", tmp_path, "does not score lite0-ensemble"),
    ):
        done = ship(model, tmp_path, "--report", report)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert kept.read_bytes() == b"precious"
