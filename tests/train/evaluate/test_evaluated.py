"""Evaluation folders that cannot be compared: one line says which, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.compare import compare_runs
from tests.train.evaluation_folders import LABELS, NAMES, SLIDES, N, Written, full, logits

if TYPE_CHECKING:
    from pathlib import Path


def refusal(*runs: Path, **of: Any) -> str:
    """The one line with which a comparison is refused."""
    with pytest.raises(InvalidOption) as error:
        compare_runs(runs, **of)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_alone_or_twice_is_refused(tmp_path: Path) -> None:
    run = full(tmp_path / "a")
    assert refusal(run) == "1 run given, and a comparison needs two or more"
    assert "given twice" in refusal(run, tmp_path / "b" / ".." / "a")


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    told = {
        tmp_path / "b": "no report.json here; give a folder that `slidemitosis train`",
        tmp_path / "c": "no such folder",
        tmp_path / "d": "is a file; give the folder that it is in",
        tmp_path / "e": "a training without scores: it is not finished",
        tmp_path / "f": "a model, which has no scores of its own: `slidemitosis evaluate",
    }
    (tmp_path / "d").write_text("")
    for name, file in (("e", "run.json"), ("f", "model.toml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("")
    run = full(tmp_path / "a")
    for folder, why in told.items():
        assert refusal(run, folder).startswith(f"{folder}: {why}")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "format None"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1, "entries": []}', "no test figures were scored"),
        ('{"format": 1, "entries": [3]}', "an entry is no table"),
        ('{"format": 1, "entries": [{"role": "best"}]}', "role must be"),
        ('{"format": 1, "entries": [{"role": "fold", "fold": null}]}', "needs the fold's number"),
        ('{"format": 1, "entries": [{"role": "single"}]}', "an entry has no metrics"),
        ('{"format": 1, "entries": [{"role": "single", "metrics": {}}]}', "model must be text"),
        ('{"format": 1, "family": 3, "entries": [{}]}', "family must be text"),
    ],
)
def test_a_report_of_another_kind_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    runs = [full(tmp_path / "a"), full(tmp_path / "b")]
    (tmp_path / "b" / "report.json").write_text(text, encoding="utf-8")
    said = refusal(*runs)
    assert said.startswith(str(tmp_path / "b" / "report.json"))
    assert wrong in said


def test_several_models_in_one_folder_are_refused(tmp_path: Path) -> None:
    several = Written(tmp_path / "b").add("single", 0.8)
    several.entries.append(several.entries[0] | {"model": "another"})
    said = refusal(full(tmp_path / "a"), several.write())
    assert "several single models on A (single, another); evaluate each into a folder" in said


def test_no_common_data_set_is_refused(tmp_path: Path) -> None:
    other = Written(tmp_path / "b").add("single", 0.8, data="B").write()
    said = refusal(full(tmp_path / "a"), other)
    assert said.startswith("the runs have no data set in common (a: A; b: B)")


def test_other_figures_or_labels_are_refused(tmp_path: Path) -> None:
    a = full(tmp_path / "a")
    fewer = Written(tmp_path / "b").add(
        "single", 0.8, names=NAMES[:-1], labels=LABELS[:-1], slides=SLIDES[:-1], logit=logits(0, 1)[:-1]
    )
    assert "0 are here only and 1 there only, such as f39.png" in refusal(a, fewer.write())
    relabelled = Written(tmp_path / "b").add("single", 0.8, labels=[1, 1, *LABELS[2:]])
    said = refusal(a, relabelled.write())
    assert "1 labels differ" in said
    assert "first that of f1.png" in said


def test_a_fold_on_other_figures_is_refused_and_folds_may_differ_among_themselves(tmp_path: Path) -> None:
    """In a cross-validation each fold has its own figures, and they are the same in every run."""

    def run(name: str, shift: int) -> Path:
        written = Written(tmp_path / name)
        for fold in range(5):
            written.add("fold", 0.8, fold=fold, names=[f"{i}-{fold + shift}" for i in range(N)])
        return written.write()

    (data,) = compare_runs([run("a", 0), run("b", 0)], draws=20).data
    assert (data.figures, len(data.folds)) == (None, 2)
    assert "other figures than in" in refusal(tmp_path / "a", run("b", 1))


def test_folds_of_one_run_and_the_ensemble_of_another_must_see_the_same_figures(tmp_path: Path) -> None:
    folds = Written(tmp_path / "a").folds(0.8, 0.9).write()
    other = Written(tmp_path / "b").add("ensemble", 0.8, names=[f"other {n}" for n in NAMES]).write()
    assert "40 are here only and 40 there only" in refusal(folds, other)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("figure,slide,atypical\nf0,s,1\n", "no column logit"),
        ("figure,slide,atypical,logit\n", "no figures"),
        ("figure,slide,atypical,logit\nf0,s,yes,1\n", "atypical is not 0 or 1"),
        ("figure,slide,atypical,logit\nf0,s,1,high\n", "logit no number"),
        ("figure,slide,atypical,logit\nf0,s,1\n", "logit no number"),
        ("figure,slide,atypical,logit\nf0,s,1,nan\n", "a logit is not finite"),
        ("figure,slide,atypical,logit,slide\n\n", "no figures"),
    ],
)
def test_predictions_that_cannot_be_read_are_refused(tmp_path: Path, text: str, wrong: str) -> None:
    runs = [full(tmp_path / "a"), full(tmp_path / "b")]
    path = tmp_path / "b" / "predictions" / "ensemble--A.csv"
    path.write_text(text, encoding="utf-8")
    said = refusal(*runs)
    assert said.startswith(str(path))
    assert wrong in said
    path.unlink()
    assert "cannot be read" in refusal(*runs)


@pytest.mark.parametrize(
    ("groups", "wrong"),
    [
        ({"x": ["a"]}, "1 group given"),
        ({"x": ["a"], "y": ["q"]}, "group y: q is none of the runs (a, b)"),
        ({"x": ["a"], "y": ["a"]}, "group y: a is in a group already"),
        ({"x": ["a"], "y": []}, "group y: no runs"),
    ],
)
def test_groups_that_name_no_run_or_one_twice_are_refused(
    tmp_path: Path, groups: dict[str, list[str]], wrong: str
) -> None:
    assert wrong in refusal(full(tmp_path / "a"), full(tmp_path / "b"), groups=groups)
