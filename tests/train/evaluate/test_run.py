"""Evaluation: the numbers of report, card and README are those of the models, and runs can be compared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from slidemitosis.cli import main
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.models.card import read_card, write_card
from slidemitosis.models.classifier import load_model
from slidemitosis.train.data.split import folds
from slidemitosis.train.evaluate.compare import compare_runs
from slidemitosis.train.evaluate.report import Spread
from slidemitosis.train.evaluate.report_files import read_predictions, read_report, write_predictions
from slidemitosis.train.evaluate.run import (
    Member,
    evaluate_models,
    evaluate_run,
    find_models,
    run_members,
    score_figures,
)
from slidemitosis.train.run import train_folds
from tests.train.drawn import drawn_figures, write_figures
from tests.train.small_runs import (
    LEARNING,
    assert_refused,
    call,
    drawn_data,
    files_of,
    of_other_slides,
    small_run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.evaluate.report import EvaluationReport
    from slidemitosis.train.run import Run

Evaluated = tuple["Run", "EvaluationReport"]


def evaluated(run: Run) -> Evaluated:
    train_folds(run)
    report = evaluate_run(run.out, run.recipe, run.tests)
    assert report is not None
    return run, report


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """A run whose networks tell the figures apart, scored on 30 figures."""
    # With less training than they could have, so that not every score is 1.
    data = drawn_data(32, test=30)
    sets = (*LEARNING, "schedule.epochs=3", "network.zero_heads=false")
    return evaluated(small_run(tmp_path_factory.mktemp("runs") / "learned", *sets, data=[data]))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """A run of another family on the same figures."""
    data = drawn_data(32, test=30)
    out = tmp_path_factory.mktemp("runs") / "other"
    sets = (*LEARNING, "family=another family", "schedule.epochs=4", "stopping.keep=last")
    return evaluated(small_run(out, *sets, name="resnet-focal", data=[data]))


def directly(card: ModelCard, figures: Figures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, probabilities and calls, by the model itself."""
    with torch.inference_mode():
        logit = load_model(card.folder)(torch.from_numpy(figures.pixels))[:, 0].double().numpy()
    d, fitted = card.decision, card.calibrations
    if fitted:
        odds, threshold = fitted[0].slope * logit + fitted[0].intercept, fitted[0].balanced.threshold
    else:
        odds = (logit - np.log(d.training_prior / (1 - d.training_prior))) / d.temperature
        odds, threshold = odds + np.log(d.target_prior / (1 - d.target_prior)), d.threshold
    p = 1 / (1 + np.exp(-odds))
    return logit, p, p >= threshold


def test_the_scores_are_those_of_a_direct_computation(learned: Evaluated) -> None:
    run, report = learned
    assert [(e.role, e.fold) for e in report.entries] == [("fold", 0), ("fold", 1), ("ensemble", None)]
    for entry, name in zip(report.entries, ("fold-0", "fold-1", "ensemble"), strict=True):
        figures = run.tests["drawn test"]
        y = figures.atypical
        logit, p, called = directly(read_card(run.out / name), figures)
        m = entry.metrics
        assert (m.figures, m.atypical) == (30, 10)
        assert m.sensitivity == called[y == 1].mean()
        assert m.specificity == (~called)[y == 0].mean()
        assert m.balanced_accuracy == pytest.approx((called[y == 1].mean() + (~called)[y == 0].mean()) / 2)
        half = ((logit >= 0)[y == 1].mean() + (logit < 0)[y == 0].mean()) / 2
        assert m.balanced_accuracy_at_half == pytest.approx(half)
        assert m.auroc == pytest.approx(roc_auc_score(y, logit), abs=1e-9)
        assert m.average_precision == pytest.approx(average_precision_score(y, logit), abs=1e-9)
        assert m.brier == pytest.approx(brier_score_loss(y, p), abs=1e-5)
        card = read_card(run.out / name)
        assert bool(card.calibrations) == (name != "ensemble")
        assert entry.threshold == card.decision_for(views=1, point="balanced").threshold
        # An ensemble has operating points where `--nested` has calibrated it.
        assert [p.point for p in entry.points] == (["counting", "balanced"] if card.calibrations else [])
        for point in entry.points:
            calls = p >= point.threshold
            assert (point.called, point.labelled) == (calls.sum(), y.sum())
            assert point.expected == pytest.approx(p.sum(), abs=1e-3)
            assert point.sensitivity == pytest.approx(calls[y == 1].mean())
            assert point.specificity == pytest.approx((~calls)[y == 0].mean())
        assert [d.name for d in entry.domains] == ["breast", "lung"]


def test_the_predictions_are_written_figure_by_figure(learned: Evaluated) -> None:
    run, _ = learned
    figures = run.tests["drawn test"]
    for name in ("fold-0", "ensemble"):
        path = run.out / "evaluation" / "predictions" / f"lite0-{name}--drawn-test.csv"
        scored = read_predictions(path)
        logit, p, called = directly(read_card(run.out / name), figures)
        assert scored.names == figures.names
        assert scored.slides == figures.slides
        assert np.allclose(scored.logit, logit, atol=1e-4)
        assert np.allclose(scored.probability, p, atol=1e-4)
        assert np.array_equal(scored.called, called)


def test_report_card_and_readme_tell_the_same_scores(learned: Evaluated) -> None:
    run, report = learned
    assert read_report(run.out / "evaluation" / "report.json") == report
    for entry, name in zip(report.entries, ("fold-0", "fold-1", "ensemble"), strict=True):
        (score,) = read_card(run.out / name).scores
        m = entry.metrics
        assert m.balanced_accuracy is not None
        assert m.balanced_accuracy_at_half is not None
        assert m.auroc is not None
        assert (score.data, score.figures, score.atypical, score.views) == ("drawn test", 30, 10, 1)
        assert score.balanced_accuracy == round(m.balanced_accuracy, 4)
        assert score.balanced_accuracy_at_half == round(m.balanced_accuracy_at_half, 4)
        assert score.auroc == round(m.auroc, 4)
        numbers = (
            m.balanced_accuracy,
            m.balanced_accuracy_at_half,
            m.sensitivity,
            m.specificity,
            m.auroc,
        )
        row = " | ".join(f"{x:.4f}" for x in numbers if x is not None)
        readme = (run.out / name / "README.md").read_text()
        assert f"| drawn test | 30 (10) | {row} |" in readme
        assert f"{m.balanced_accuracy:.4f}" in (run.out / "evaluation" / "report.md").read_text()
        card = read_card(run.out / name)
        v = card.validation
        assert f"TP {v.tp}, FN {v.fn}, TN {v.tn}, FP {v.fp}" in readme
        assert run.recipe.source in readme
        assert "{" not in readme


def test_mean_and_sd_of_the_folds_are_told_apart_from_the_ensemble(learned: Evaluated) -> None:
    run, report = learned
    a, b = (e.metrics.auroc for e in report.entries if e.role == "fold")
    assert a is not None
    assert b is not None
    whole = next(f for f in report.folds if f.domain is None)
    assert whole.folds == 2
    spread = whole.measures["auroc"]
    assert spread.mean == pytest.approx((a + b) / 2)
    assert spread.sd == pytest.approx(abs(a - b) / 2)  # of two values, divided by their number
    text = (run.out / "evaluation" / "report.md").read_text()
    assert f"{spread.mean:.4f} ± {spread.sd:.4f}" in text
    assert "| ensemble: lite0-ensemble |" in text
    told = json.loads((run.out / "evaluation" / "report.json").read_text())
    assert (told["family"], told["recipe"], told["backbone"]) == ("end-to-end", "lite0", "smoke-cnn")


def test_the_folds_are_scored_on_what_they_were_validated_with(learned: Evaluated) -> None:
    run, report = learned
    assert [(v.run, v.model, v.fold) for v in report.validation] == [
        ("", "lite0-fold-0", 0),
        ("", "lite0-fold-1", 1),
    ]
    aurocs = []
    for told, (_, rows) in zip(report.validation, folds(run.training, run.recipe.split), strict=True):
        figures = run.training.take(rows)
        logit, _, _ = directly(read_card(run.out / f"fold-{told.fold}"), figures)
        y = figures.atypical
        assert (told.figures, told.atypical, told.collapsed) == (len(y), y.sum(), False)
        half = ((logit >= 0)[y == 1].mean() + (logit < 0)[y == 0].mean()) / 2
        assert told.balanced_accuracy_at_half == pytest.approx(half)
        aurocs.append(roc_auc_score(y, logit))
        assert told.auroc == pytest.approx(aurocs[-1], abs=1e-9)
    (found,) = report.cross_validation
    assert (found.folds, found.converged_folds, found.converged) == (2, 2, found.measures)
    assert found.measures["auroc"].mean == pytest.approx(np.mean(aurocs))
    assert found.measures["auroc"].sd == pytest.approx(np.std(aurocs))


def test_a_collapsed_fold_is_left_out_of_the_converged_ones(tmp_path: Path, learned: Evaluated) -> None:
    """A run without test figures is reported, too: its validation is all there is."""
    run, report = learned
    shutil.copytree(run.out, tmp_path / "run")
    path = tmp_path / "run" / "fold-1" / "validation.csv"
    write_predictions(dataclasses.replace(s := read_predictions(path), logit=s.logit - 99), path)
    found = evaluate_run(tmp_path / "run", run.recipe, {})
    assert found is not None
    assert found.entries == ()
    assert [v.collapsed for v in found.validation] == [False, True]
    assert found.validation[0] == report.validation[0]
    (summary,) = found.cross_validation
    assert (summary.folds, summary.converged_folds) == (2, 1)
    assert summary.converged["auroc"] == Spread(mean=report.validation[0].auroc or 0, sd=0)
    assert read_report(tmp_path / "run" / "evaluation" / "report.json") == found
    with pytest.raises(InvalidOption, match="no test figures were scored; evaluate the run on labelled"):
        compare_runs([run.out, tmp_path / "run"])


def test_evaluating_again_changes_nothing(learned: Evaluated) -> None:
    run, report = learned
    before = files_of(run.out)
    assert evaluate_run(run.out, run.recipe, run.tests) == report
    after = files_of(run.out)
    assert after.keys() == before.keys()
    same = [name for name in after if not name.endswith((".png", ".svg"))]
    assert [name for name in same if after[name] != before[name]] == []


def test_a_run_and_a_single_model_are_found_by_their_folders(learned: Evaluated, other: Evaluated) -> None:
    run, second = learned[0].out, other[0].out
    whole = find_models([str(run)])
    assert [(m.role, m.fold, m.run) for m in whole] == [
        ("fold", 0, ""),
        ("fold", 1, ""),
        ("ensemble", None, ""),
    ]
    single = find_models([str(run / "fold-1")])
    assert [(m.card.name, m.role, m.fold) for m in single] == [("lite0-fold-1", "single", None)]
    mixed = find_models([str(run), "lite0", str(second)])
    assert [m.run for m in mixed] == ["learned"] * 3 + [""] + ["other"] * 3
    assert [m.card.name for m in mixed][3:5] == ["lite0", "resnet-focal-fold-0"]


def test_folds_are_in_the_order_of_their_numbers(tmp_path: Path, learned: Evaluated) -> None:
    for k in (10, 2):
        folder = tmp_path / f"fold-{k}"
        shutil.copytree(learned[0].out / "fold-0", folder)
        write_card(dataclasses.replace(read_card(folder), name=f"fold-{k}"))
    assert [m.fold for m in run_members(tmp_path)] == [2, 10]


def test_a_run_with_one_fold_is_a_single_model_and_one_with_none_is_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path / "out", smoke=True)
    train_folds(run, only=[1])
    assert [(m.role, m.fold) for m in run_members(run.out)] == [("single", None)]
    shutil.rmtree(run.out / "fold-1")
    with pytest.raises(InvalidOption, match="no fold of this run is trained yet"):
        find_models([str(run.out)])


def test_two_models_of_one_name_are_refused(learned: Evaluated) -> None:
    """Their predictions would be one file."""
    run = learned[0].out
    with pytest.raises(InvalidOption, match="two of the models are called 'lite0-fold-0'"):
        find_models([str(run), str(run / "fold-0")])


def test_patches_of_another_size_are_refused_and_nothing_is_written(
    tmp_path: Path, learned: Evaluated
) -> None:
    members = find_models([str(learned[0].out)])
    sets = {
        "right": of_other_slides(drawn_figures(6, seed=9), mark="u"),
        "small": of_other_slides(drawn_figures(6, side=64), mark="u"),
    }
    with pytest.raises(InvalidOption, match="small: patches are 64 px, the model lite0-fold-0 sees 128"):
        evaluate_models(members, sets, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path, learned: Evaluated) -> None:
    path = tmp_path / "file"
    path.write_text("a file")
    members = find_models([str(learned[0].out / "fold-0")])
    sets = {"a": of_other_slides(drawn_figures(6, seed=9), mark="u")}
    for out in (path, path / "below"):
        with pytest.raises(OutputError, match=r"cannot be written: .*choose another --out"):
            evaluate_models(members, sets, out=out)
    assert path.read_text() == "a file"


def test_figures_of_slides_that_were_trained_on_are_refused_or_said(
    tmp_path: Path, learned: Evaluated
) -> None:
    members = find_models([str(learned[0].out)])
    seen = {"a": drawn_figures(6, seed=3)}  # other figures of the same slides
    names = "lite0-fold-0, lite0-fold-1, lite0-ensemble"
    with pytest.raises(InvalidOption, match=rf"^{names} saw 6 of the 6 figures of a .*--allow-leaks"):
        evaluate_models(members, seen, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()
    report = evaluate_models(members, seen, out=tmp_path / "report", allow_leaks=True)
    assert "these scores flatter" in " ".join(report.notes)


@pytest.mark.parametrize("name", ["fold-0", "fold-1", "ensemble"])
def test_a_model_that_left_its_run_is_refused_on_what_any_fold_saw(
    tmp_path: Path, learned: Evaluated, name: str
) -> None:
    run, _ = learned
    model = shutil.copytree(run.out / name, tmp_path / "elsewhere" / "mine")
    # A fold's own validation figures, too: its epoch and threshold were chosen on them.
    sets = {"a": of_other_slides(run.training)}
    with pytest.raises(InvalidOption, match=rf"lite0-{name} saw 32 of the 32 figures of a .*--allow-leaks"):
        evaluate_models(find_models([str(model)]), sets, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()
    report = evaluate_models(find_models([str(model)]), sets, out=tmp_path / "report", allow_leaks=True)
    assert f"lite0-{name} saw 32 of the 32" in report.notes[0]
    assert "these scores flatter" in (tmp_path / "report" / "report.md").read_text()
    report = evaluate_models(find_models([str(model)]), run.tests, out=tmp_path / "tests")
    assert report.notes == ()


def test_the_command_refuses_figures_that_a_model_saw_and_a_damaged_list_in_one_line(
    tmp_path: Path, learned: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = learned
    model = shutil.copytree(run.out / "ensemble", tmp_path / "mine")
    data = write_figures(tmp_path / "data", run.training)
    words = ["evaluate", model, "--data", f"csv={data}", "--out", tmp_path / "report", "--device", "cpu"]
    assert_refused(capsys, tmp_path, r"lite0-ensemble saw 32 of the 32 figures of .*--allow-leaks", *words)
    assert call(*words, "--allow-leaks") == 0
    (model / "training-figures.csv").write_text("slide,sha256\nslide0,0123")
    assert_refused(capsys, tmp_path, r"training-figures\.csv: cannot be read as a list of training", *words)


def test_eight_views_are_the_mean_logit_of_rotations_and_mirrors(learned: Evaluated) -> None:
    run, _ = learned
    figures = run.tests["drawn test"].take(range(5))
    card = read_card(run.out / "fold-0")
    turned = []
    for flip in (False, True):
        for turns in range(4):
            pixels = np.rot90(figures.pixels[:, :, ::-1] if flip else figures.pixels, turns, axes=(1, 2))
            turned.append(
                directly(card, dataclasses.replace(figures, pixels=np.ascontiguousarray(pixels)))[0]
            )
    scored = score_figures(card, figures, data="a", views=8)
    assert np.allclose(scored.logit, np.mean(turned, axis=0), atol=1e-4)


def test_figures_of_one_class_have_no_score_that_needs_two(tmp_path: Path, learned: Evaluated) -> None:
    run, _ = learned
    figures = run.tests["drawn test"]
    normal = figures.take(np.flatnonzero(figures.atypical == 0))
    shutil.copytree(run.out, tmp_path / "run")
    report = evaluate_run(tmp_path / "run", run.recipe, {"normal": normal})
    assert report is not None
    assert report.entries[0].metrics.auroc is None
    assert report.entries[0].metrics.specificity is not None
    assert read_card(tmp_path / "run" / "fold-0").scores == ()
    assert "| normal | 20 (0) | none | none | none |" in (tmp_path / "run/fold-0/README.md").read_text()


def test_subtypes_are_scored_class_by_class(tmp_path: Path) -> None:
    run = small_run(tmp_path / "out", "input.resize=32", name="subtypes", smoke=True, data=[drawn_data(48)])
    _, report = evaluated(run)
    ensemble = next(e for e in report.entries if e.role == "ensemble")
    assert len(ensemble.classes) == 8
    assert np.array(ensemble.confusion).sum() == 12 == sum(s.figures for s in ensemble.subtypes)
    names = {p.name for p in (run.out / "evaluation").iterdir()}
    assert {"confusion-subtypes-ensemble--drawn-test.png", "roc-drawn-test.svg"} <= names
    assert not any("confusion-subtypes-fold" in n for n in names)
    scored = read_predictions(run.out / "evaluation/predictions/subtypes-ensemble--drawn-test.csv")
    assert np.allclose(sum(scored.extra.values()), 1, atol=1e-5)


def test_models_of_no_run_are_evaluated_side_by_side(tmp_path: Path, learned: Evaluated) -> None:
    members = [Member(read_card(learned[0].out / name)) for name in ("fold-0", "ensemble")]
    figures = of_other_slides(drawn_figures(9, seed=4))
    report = evaluate_models(members, {"a": figures, "b c": figures.take(range(6))}, out=tmp_path)
    assert [(e.model, e.data) for e in report.entries] == [
        ("lite0-fold-0", "a"),
        ("lite0-ensemble", "a"),
        ("lite0-fold-0", "b c"),
        ("lite0-ensemble", "b c"),
    ]
    assert report.folds == ()
    assert report.validation == ()
    assert {p.name for p in (tmp_path / "predictions").iterdir()} == {
        f"{m}--{d}.csv" for m in ("lite0-fold-0", "lite0-ensemble") for d in ("a", "b-c")
    }


def test_two_runs_are_compared_by_what_training_wrote(
    learned: Evaluated, other: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    (run, report), (second, second_report) = learned, other
    result = compare_runs([run.out, second.out], draws=200)
    assert result.runs == ("learned", "other")
    (compared,) = result.data
    assert (compared.data, compared.figures, compared.atypical, compared.slides) == ("drawn test", 30, 10, 8)
    for row, told in zip(compared.rows, (report, second_report), strict=True):
        a, b = (e.metrics.auroc for e in told.entries if e.role == "fold")
        assert a is not None
        assert b is not None
        assert row.mean_sd["auroc"] == pytest.approx(((a + b) / 2, abs(a - b) / 2))
        assert row.whole == "ensemble"
        assert row.whole_scores["auroc"] == told.entries[-1].metrics.auroc
    (test,) = compared.aurocs
    assert test.difference == pytest.approx(test.auroc_a - test.auroc_b)
    assert main(["compare", str(run.out), str(second.out)]) == 0
    said = capsys.readouterr().out
    assert "| learned | end-to-end | smoke-cnn |" in said
    assert "| other | another family | smoke-cnn |" in said
