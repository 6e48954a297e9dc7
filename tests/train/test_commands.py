"""The commands for model builders: every recipe to a classified slide, and goes on after Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.models.card import read_card
from slidemitosis.train.recipe.recipe import load_recipe, recipe_names
from slidemitosis.train.smoke import smoke_recipe
from tests.conftest import needs_shared
from tests.train.drawn import drawn_figures, read_rows, write_figures
from tests.train.small_runs import SMALL, assert_one_line, call, files_of, of_other_slides, sets, write_data

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


def probabilities(folder: Path) -> list[float]:
    return [float(row["p_atypical"]) for row in read_rows(folder / "candidates.csv")]


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
    assert "was trained with --smoke: its scores mean nothing" in said.out
    assert re.search(r"^scores      figures test, .*-ensemble: BA at 0\.5 \d\.\d{4}, AUROC", said.out, re.M)
    assert re.search(r"^scores      figures test, mean of 2 folds: BA at 0\.5 .* ± ", said.out, re.M)
    assert "| mean ± SD of 2 folds |" in (out / "evaluation" / "report.md").read_text()
    assert f"report      {out / 'evaluation' / 'report.md'}\n" in said.out
    assert "\n|" not in said.out  # a summary, and not the report's tables
    assert re.search(rf"^model       {re.escape(str(out))}/ensemble$", said.out, re.M)
    assert "error" not in said.err


@pytest.mark.parametrize("recipe", recipe_names())
def test_smoke_changes_how_much_is_computed_and_nothing_of_what(recipe: str) -> None:
    whole = load_recipe(recipe)
    smoke = smoke_recipe(whole)
    assert smoke.input.resize == {224: 112}.get(whole.input.resize, whole.input.resize)
    assert (smoke.split.folds, smoke.schedule.epochs, smoke.backbone.pretrained) == (2, 2, "none")
    kept = ("network", "loss", "optimizer", "stopping", "augment", "precision", "lora")
    assert [getattr(smoke, k) for k in kept] == [getattr(whole, k) for k in kept]
    assert smoke.backbone.architecture == whole.backbone.architecture


# Recipes whose network another one has, too; with a small backbone all are run above.
SAME_NETWORK = {"resnet-focal", "resnet-focal-recall", "type-then-subtypes"}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [r for r in recipe_names() if r not in SAME_NETWORK])
def test_recipes_run_with_their_own_backbone_on_real_figures(
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
    more = sets("split.folds=2", "split.group=slide")
    assert call("data", "check", f"csv={data}", "--recipe", "subtypes", *more) == 0
    assert "each of 2 folds by slide, stratified by subtype" in capsys.readouterr().out


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
    assert set(first) == set(load_recipe("expert-heads").tune)
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
    before = files_of(tmp_path / "out")
    for more in (["--seed", "1"], ["--set", "network.hidden=8"], ["--fold", "1"]):
        capsys.readouterr()
        assert call(*words, "--device", "cpu", *more) == 2
        assert_one_line(capsys.readouterr().err, "holds trials of another recipe, data, seed or fold")
    assert files_of(tmp_path / "out") == before  # the journal of the trials, too


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
    other = write_figures(tmp_path / "other", of_other_slides(drawn_figures(9, seed=9), mark="u"))
    for run in runs:
        evaluated = tmp_path / f"{run.name}-other"
        words = ["evaluate", run, "--data", f"csv={other}", "--out", evaluated, "--views", "8"]
        assert call(*words, "--device", "cpu", "--progress", "none") == 0
        assert "9 figures (3 AMF); views: 8" in capsys.readouterr().out
    assert call("compare", *(tmp_path / f"{r.name}-other" for r in runs)) == 0
    assert "figures" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other ones there")
def test_ctrl_c_says_that_the_same_command_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["train", "lite0", "--data", f"csv={data}", "--out", str(out), "--device", "cpu"]
    words += [*sets(*SMALL, "schedule.epochs=500"), "--progress", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "slidemitosis", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while not (out / "fold-0" / "type-checkpoint.pt").exists():
            assert process.stderr.readline(), "the training ended by itself"
        process.send_signal(signal.SIGINT)
        said, err = process.communicate(timeout=120)
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


def test_figures_without_test_rows_are_trained_on_and_only_validated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = write_figures(tmp_path / "data", drawn_figures(36))
    words = ["train", "lite0", "--smoke", "--data", f"csv={alone}", "--out", tmp_path / "out"]
    small = sets("backbone=smoke-cnn", "input.resize=32")
    assert call(*words, *small, "--device", "cpu", "--progress", "none") == 0
    said = capsys.readouterr().out
    assert re.search(r"^folds       on their own validation figures, mean of 2: BA at 0\.5 .* ± ", said, re.M)
    report = (tmp_path / "out" / "evaluation" / "report.md").read_text()
    assert "No test figures: nothing was scored but the folds' own validation figures." in report
    assert re.search(r"^\| lite0-fold-1 .*\n\| mean ± SD of 2 folds ", report, re.M)
    assert "## Scores" in (tmp_path / "out" / "ensemble" / "README.md").read_text()
