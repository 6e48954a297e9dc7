"""A run: what it leaves, that it goes on where it was killed, and what it does not touch."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from slidemitosis.calibration.thresholds import fit_decision
from slidemitosis.cli import main
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.models.card import read_card
from slidemitosis.models.classifier import load_model
from slidemitosis.train.data.split import folds
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.run import Run, make_ensemble, train_folds, train_single
from tests.train.drawn import read_rows
from tests.train.small_runs import (
    CITATION,
    LEARNING,
    SMALL,
    drawn_data,
    files_of,
    sets,
    small_run,
    write_data,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.models.card import ModelCard

WRITTEN_FIRST = {"recipe.toml", "run.json", "training-figures.csv"}
MODEL_FOLDER = {"model.toml", "type.safetensors", "validation.csv", "training-figures.csv"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[ModelCard]]:
    """A whole run whose networks tell the figures apart."""
    run = small_run(tmp_path_factory.mktemp("runs") / "finished", *LEARNING)
    return run, train_folds(run)


def never(*_: Any) -> None:
    raise AssertionError("something was trained")


def test_a_run_leaves_a_model_folder_for_each_fold_and_one_for_all(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, cards = finished
    assert {p.name for p in run.out.iterdir()} == WRITTEN_FIRST | {"fold-0", "fold-1", "ensemble"}
    for k in (0, 1):
        names = {p.name for p in (run.out / f"fold-{k}").iterdir()}
        assert names == MODEL_FOLDER | {"type-history.csv", "validation-8-views.csv"}
    weights = {f"fold-{k}-type.safetensors" for k in (0, 1)}
    others = MODEL_FOLDER - {"type.safetensors"}
    assert {p.name for p in (run.out / "ensemble").iterdir()} == weights | others
    assert [c.name for c in cards] == ["lite0-fold-0", "lite0-fold-1", "lite0-ensemble"]
    assert cards == [read_card(run.out / name) for name in ("fold-0", "fold-1", "ensemble")]
    assert all(c.citation == (CITATION,) for c in cards)
    for card in cards:
        load_model(card.folder)  # hashes and shapes fit


def test_the_recipe_that_is_written_is_the_one_that_was_run(finished: tuple[Run, list[ModelCard]]) -> None:
    run, _ = finished
    assert load_recipe(str(run.out / "recipe.toml")) == run.recipe


def test_what_the_run_was_made_from_is_written(finished: tuple[Run, list[ModelCard]]) -> None:
    run, _ = finished
    told = json.loads((run.out / "run.json").read_text())
    assert told["data"] == [{"name": "drawn", "training": 32, "test": 12, "hashes": dict(run.data[0].hashes)}]
    assert told["tests"] == {"drawn test": 12}
    expected = ("lite0", "end-to-end", "smoke-cnn", 0, "cpu", [0, 1], False)
    keys = ("recipe", "family", "backbone", "seed", "device", "folds", "smoke")
    assert tuple(told[k] for k in keys) == expected
    assert told["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert set(told["versions"]) >= {"python", "slidemitosis", "source", "timm", "numpy", "scikit-learn"}


def test_the_history_has_a_line_an_epoch_and_marks_the_kept_one(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, _ = finished
    rows = read_rows(run.out / "fold-0" / "type-history.csv")
    assert [int(r["epoch"]) for r in rows] == [1, 2, 3, 4, 5, 6]
    assert [r["kept"] for r in rows] == ["False"] * 5 + ["True"]  # the recipe keeps the last


def test_each_figure_is_validated_by_the_one_member_that_never_saw_it(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, _ = finished
    splits = folds(run.training, run.recipe.split)
    of_fold = [read_predictions(run.out / f"fold-{k}" / "validation.csv") for k in (0, 1)]
    for scored, (training, validation) in zip(of_fold, splits, strict=True):
        assert scored.names == run.training.take(validation).names
        assert not set(scored.names) & set(run.training.take(training).names)
        assert not set(scored.slides) & set(run.training.take(training).slides)
    pooled = read_predictions(run.out / "ensemble" / "validation.csv")
    assert pooled.names == of_fold[0].names + of_fold[1].names
    assert sorted(pooled.names) == sorted(run.training.names)
    assert np.array_equal(pooled.logit, np.concatenate([s.logit for s in of_fold]))


def test_the_out_of_fold_logits_are_those_of_the_members(finished: tuple[Run, list[ModelCard]]) -> None:
    run, cards = finished
    for k, (_, validation) in enumerate(folds(run.training, run.recipe.split)):
        scored = read_predictions(run.out / f"fold-{k}" / "validation.csv")
        with torch.inference_mode():
            logits = load_model(cards[k].folder)(torch.from_numpy(run.training.pixels[validation]))[:, 0]
        assert np.allclose(scored.logit, logits.numpy(), atol=1e-4)


def test_the_ensembles_counts_and_temperature_come_from_out_of_fold_predictions(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, cards = finished
    ensemble = cards[-1]
    pooled = read_predictions(run.out / "ensemble" / "validation.csv")
    share = round(float(run.training.atypical.mean()), 4)
    expected = fit_decision(pooled.logit, pooled.atypical, training_prior=0.5, target_prior=share)
    assert ensemble.decision == expected
    called = ensemble.decision.probability(pooled.logit) >= ensemble.decision.threshold
    truth = pooled.atypical == 1
    v = ensemble.validation
    assert (v.tp, v.fn) == (int((called & truth).sum()), int((~called & truth).sum()))
    assert (v.tn, v.fp) == (int((~called & ~truth).sum()), int((called & ~truth).sum()))
    assert v.tp + v.fn + v.tn + v.fp == len(run.training)
    assert "2 of 2 folds by slide: 32 figures" in v.protocol


def test_doubt_is_calibrated_on_figures_that_were_not_trained_on(tmp_path: Path) -> None:
    run = small_run(tmp_path / "out", *LEARNING, 'network.outputs=["multi-task"]', data=[drawn_data(40)])
    for card in train_folds(run):
        scored = read_predictions(card.folder / "validation.csv")
        assert set(scored.hardness) == {"easy", "hard"}
        assert card.hardness is not None
        stated = card.hardness.probability(scored.extra["hard"], card.decision.probability(scored.logit))
        share = np.mean([h == "hard" for h in scored.hardness])
        assert stated.mean() == pytest.approx(share, abs=0.01)


def test_the_ensemble_is_the_mean_of_the_members_probabilities(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, cards = finished
    patches = torch.from_numpy(run.tests["drawn test"].pixels)
    with torch.inference_mode():
        logits = [load_model(c.folder)(patches)[:, 0].double() for c in cards]
    mean = (logits[0].sigmoid() + logits[1].sigmoid()) / 2
    assert torch.allclose(logits[2].sigmoid(), mean, atol=1e-6)
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_the_same_command_again_trains_nothing_and_leaves_the_same_bytes(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, cards = finished
    before = files_of(run.out)
    assert train_folds(run, progress=never) == cards
    assert files_of(run.out) == before


def test_another_computer_would_find_the_same_weights(
    tmp_path: Path, finished: tuple[Run, list[ModelCard]]
) -> None:
    """The same run elsewhere; nothing of the weights depends on where or when."""
    run, _ = finished
    again = replace(run, out=tmp_path / "deep" / "again")
    train_folds(again, only=[1])
    name = "fold-1/type.safetensors"
    assert (again.out / name).read_bytes() == (run.out / name).read_bytes()
    assert {p.name for p in again.out.iterdir()} == WRITTEN_FIRST | {"fold-1"}  # one is no ensemble


@pytest.mark.parametrize(
    "changed",
    [
        lambda out: small_run(out, *LEARNING, "optimizer.ema=0.7"),
        lambda out: small_run(out, *LEARNING, name="resnet-focal"),
        lambda out: small_run(out, *LEARNING, seed=1),
        lambda out: small_run(out, *LEARNING, data=[drawn_data(seed=5)]),
        lambda out: small_run(out, *LEARNING, data=[drawn_data(30)]),
    ],
    ids=["a value", "the recipe", "the seed", "the pixels", "fewer figures"],
)
def test_another_run_into_the_same_folder_is_refused_and_nothing_is_touched(
    finished: tuple[Run, list[ModelCard]], changed: Callable[[Path], Run]
) -> None:
    run, _ = finished
    before = files_of(run.out)
    with pytest.raises(OutputError, match="holds a run of another recipe, data or seed") as caught:
        train_folds(changed(run.out), progress=never)
    assert "\n" not in str(caught.value)
    assert files_of(run.out) == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files; choose another --out"):
        train_folds(small_run(tmp_path), progress=never)
    assert files_of(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("a file")
    for out in (path, path / "below"):
        with pytest.raises(OutputError, match=r"cannot be written: .*choose another --out"):
            train_folds(small_run(out), progress=never)
    assert path.read_text() == "a file"


def test_a_run_that_never_finished_an_epoch_gives_way_to_another(tmp_path: Path) -> None:
    """Such as one whose pretrained weights were not there; the remedy changes the recipe."""
    out = tmp_path / "out"
    with pytest.raises(InvalidOption, match="nowhere"):
        train_folds(small_run(out, "backbone.pretrained=file:nowhere.safetensors"))
    assert [c.name for c in train_folds(small_run(out), only=[0])] == ["lite0-fold-0"]


@pytest.mark.parametrize("only", [[2], [-1], [0, 7]])
def test_a_fold_out_of_range_is_refused_and_nothing_is_written(tmp_path: Path, only: list[int]) -> None:
    with pytest.raises(InvalidOption, match="folds are numbered 0 to 1, not"):
        train_folds(small_run(tmp_path / "out"), only=only, progress=never)
    with pytest.raises(InvalidOption, match="folds are numbered 0 to 1, not"):
        train_single(small_run(tmp_path / "out"), only[-1])
    assert not (tmp_path / "out").exists()


def test_folds_trained_one_by_one_end_as_those_trained_at_once(tmp_path: Path) -> None:
    at_once, apart = tmp_path / "at-once", tmp_path / "apart"
    train_folds(small_run(at_once, smoke=True))
    for fold in ([1], [0], []):
        cards = train_folds(small_run(apart, smoke=True), only=fold)
    assert len(cards) == 3
    ours, theirs = files_of(apart), files_of(at_once)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith("history.csv"):  # it holds seconds
            assert ours[name] == theirs[name], name


def command(csv_file: Path, out: Path) -> list[str]:
    changes = (*SMALL, "schedule.epochs=3", "sampler.batches=12", "optimizer.learning_rate=5e-3")
    words = ["train", "lite0", "--data", f"csv={csv_file}", "--out", str(out), "--device", "cpu"]
    return [*words, "--progress", "json", *sets(*changes)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_a_training_that_is_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    data, whole, killed = write_data(tmp_path / "data"), tmp_path / "whole", tmp_path / "killed"
    assert main(command(data, whole)) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "slidemitosis", *command(data, killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = killed / "fold-0" / "type-checkpoint.pt"
    try:
        assert process.stderr is not None
        for line in process.stderr:
            told = json.loads(line)
            if checkpoint.exists() and told.get("event") == "progress" and told["done"] > told["total"] // 3:
                break
        process.kill()
        process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGKILL
    state = torch.load(checkpoint, weights_only=True)["state"]
    assert len(state["epochs"]) == 1
    assert not (killed / "fold-0" / "model.toml").exists()
    assert main(command(data, killed)) == 0
    ours, theirs = files_of(killed), files_of(whole)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name.endswith((".safetensors", ".toml")) or "predictions" in name:
            assert ours[name] == theirs[name], name


def say_of_validation(run: Run, fold: int, *, collapsed: bool) -> None:
    """Let the fold's network have given every figure one class, or not."""
    path = run.out / f"fold-{fold}" / "validation.csv"
    scored = read_predictions(path)
    logit = np.linspace(-2, -1 if collapsed else 1, len(scored))
    write_predictions(replace(scored, logit=logit), path)


def test_collapsed_folds_are_left_out_of_the_ensemble_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = small_run(tmp_path, "split.folds=3", data=[drawn_data(48)])
    cards = [c for c in train_folds(run) if "fold" in c.name]
    for fold, collapsed in enumerate((False, True, False)):
        say_of_validation(run, fold, collapsed=collapsed)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "slidemitosis"):
        ensemble = make_ensemble(run, cards)
    assert "1 collapsed fold" in caplog.text
    assert ensemble is not None
    assert [n.weights for n in ensemble.networks] == ["fold-0-type.safetensors", "fold-2-type.safetensors"]
    assert "2 of 3 folds" in ensemble.validation.protocol
    left = {n for k in (0, 2) for n in read_predictions(cards[k].folder / "validation.csv").names}
    assert set(read_predictions(ensemble.folder / "validation.csv").names) == left
    assert {p.name for p in ensemble.folder.glob("*.safetensors")} == {n.weights for n in ensemble.networks}
    say_of_validation(run, 0, collapsed=True)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "slidemitosis"):
        assert make_ensemble(run, cards) is None
    assert "no ensemble: fewer than two folds are left" in caplog.text
    assert not (tmp_path / "ensemble" / "model.toml").exists()


def test_a_run_whose_folds_all_collapse_ends_without_an_ensemble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = small_run(tmp_path, "network.zero_heads=true", "optimizer.learning_rate=1e-12")
    with caplog.at_level(logging.WARNING, "slidemitosis"):
        cards = train_folds(run)
    assert [c.name for c in cards] == ["lite0-fold-0", "lite0-fold-1"]
    assert "fold 0 has collapsed: every validation figure is given one class" in caplog.text
    assert "2 collapsed folds are left out of the ensemble" in caplog.text


def test_figures_that_are_no_test_rows_are_all_trained_or_validated(
    finished: tuple[Run, list[ModelCard]],
) -> None:
    run, _ = finished
    assert set(run.training.names).isdisjoint(run.tests["drawn test"].names)
    for training, validation in folds(run.training, run.recipe.split):
        assert sorted([*training, *validation]) == list(range(32))
