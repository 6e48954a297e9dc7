"""Comparison of evaluation folders whose scores are known beforehand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.compare import compare_runs
from slidemitosis.train.evaluate.comparison_text import comparison_markdown
from slidemitosis.train.evaluate.statistics import auroc, delong
from tests.train.evaluate.test_statistics import by_slides
from tests.train.evaluation_folders import FOLDS, LABELS, NAMES, SLIDES, N, Written, full, logits

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.train.evaluate.comparison import Comparison, DataComparison


def only(comparison: Comparison) -> DataComparison:
    (data,) = comparison.data
    return data


def test_the_table_keeps_folds_and_ensemble_apart(tmp_path: Path) -> None:
    data = only(compare_runs([full(tmp_path / "a"), full(tmp_path / "b", lead=0.01)], draws=20))
    a, b = data.rows
    assert (a.run, a.family, a.backbone, a.folds) == ("a", "end-to-end", "resnet", (0, 1, 2, 3, 4))
    # Of 0.80 to 0.84 in steps of 0.01 the mean is 0.82 and the SD with ddof 0 is 0.01 sqrt 2.
    assert a.mean_sd["balanced_accuracy_at_half"] == pytest.approx((0.82, 0.01 * 2**0.5))
    assert a.mean_sd["auroc"] == pytest.approx((0.92, 0.01 * 2**0.5))
    assert b.mean_sd["auroc"] == pytest.approx((0.93, 0.01 * 2**0.5))
    assert (a.whole, dict(a.whole_scores)) == ("ensemble", {"balanced_accuracy_at_half": 0.9, "auroc": 1.0})
    assert (data.figures, data.atypical, data.slides) == (40, 10, 8)


def test_two_runs_are_paired_by_fold_and_five_folds_say_that_they_are_few(tmp_path: Path) -> None:
    data = only(compare_runs([full(tmp_path / "a"), full(tmp_path / "b", lead=0.01)], draws=20))
    ba, area = data.folds
    assert (ba.a, ba.b, ba.metric) == ("a", "b", "balanced_accuracy_at_half")
    assert (ba.test, ba.sizes) == ("Wilcoxon signed-rank", (5, 5))
    assert (ba.p, ba.p_holm, ba.smallest_p, ba.statistic) == (0.0625, 0.125, 0.0625, 0)
    assert ba.difference == pytest.approx(-0.01)
    assert "0.0625" in ba.note
    assert area.p == 0.0625


def test_runs_of_other_folds_are_not_paired(tmp_path: Path) -> None:
    three = Written(tmp_path / "b").folds(0.7, 0.8, 0.9).write()
    assert not only(compare_runs([full(tmp_path / "a"), three], draws=20)).folds


def test_fewer_than_five_folds_are_said_to_be_too_few(tmp_path: Path) -> None:
    runs = [
        Written(tmp_path / name).folds(*scores).write()
        for name, scores in (("a", (0.7, 0.8, 0.9)), ("b", (0.6, 0.7, 0.7)))
    ]
    test = only(compare_runs(runs, draws=20)).folds[0]
    assert (test.p, test.p_holm, test.note) == (None, None, "3 pairs of scores: the test needs 5 or more")


def test_groups_of_the_same_backbones_and_folds_are_paired(tmp_path: Path) -> None:
    """Probe against LoRA of two backbones: ten pairs, all in favour of LoRA; p = 2 / 2^10."""
    runs = [
        full(tmp_path / f"{family} {backbone}", family=family, backbone=backbone, lead=lead)
        # The runs of the second family come in another order, with another lead each.
        for family, backbone, lead in (
            ("linear probe", "uni", -0.2),
            ("linear probe", "virchow", -0.1),
            ("LoRA", "virchow", 0.05),
            ("LoRA", "uni", 0),
        )
    ]
    found = compare_runs(runs, draws=20)
    test, _ = only(found).groups
    assert (test.a, test.b) == ("linear probe", "LoRA")
    assert (test.test, test.sizes) == ("Wilcoxon signed-rank", (10, 10))
    assert (test.p, test.p_holm, test.note) == (2 / 1024, 4 / 1024, "")
    assert test.difference == pytest.approx(-0.175)  # -0.2 of uni and -0.15 of virchow, five each
    assert found.groups == {
        "linear probe": ("linear probe uni", "linear probe virchow"),
        "LoRA": ("LoRA virchow", "LoRA uni"),
    }


@pytest.mark.parametrize("backbones", [("uni", "resnet"), (None, None)])
def test_other_groups_are_compared_unpaired(tmp_path: Path, backbones: tuple[str | None, str | None]) -> None:
    """Five scores against five others that are all lower: p = 2 / C(10, 5)."""
    runs = [
        full(tmp_path / "a", family="end-to-end", backbone=backbones[0]),
        full(tmp_path / "b", family="linear probe", backbone=backbones[1], lead=-0.3),
    ]
    test = only(compare_runs(runs, draws=20)).groups[0]
    assert (test.test, test.sizes, test.statistic) == ("Mann-Whitney U", (5, 5), 25)
    assert test.p == pytest.approx(2 / 252)
    assert test.p_holm == pytest.approx(4 / 252)


def test_groups_can_be_named_and_leave_runs_out(tmp_path: Path) -> None:
    runs = [full(tmp_path / name, backbone=name, lead=i / 50) for i, name in enumerate("abcd")]
    found = compare_runs(runs, groups={"x": ["a", str(runs[1])], "y": [f"{runs[2]}/"]}, draws=20)
    assert found.groups == {"x": ("a", "b"), "y": ("c",)}
    assert only(found).groups[0].sizes == (10, 5)
    assert len(only(found).rows) == 4


def test_single_networks_count_in_a_group_and_ensembles_do_not(tmp_path: Path) -> None:
    one = [Written(tmp_path / f"s{i}", family="x").add("single", 0.7 + i / 100).write() for i in range(3)]
    other = [full(tmp_path / "b", family="y")]
    data = only(compare_runs(one + other, draws=20))
    assert data.groups[0].sizes == (3, 5)
    assert [row.whole for row in data.rows] == ["single"] * 3 + ["ensemble"]
    lonely = Written(tmp_path / "e", family="x").add("ensemble", 0.7).write()
    test = only(compare_runs([lonely, *other], draws=20)).groups[0]
    assert (test.sizes, test.p, test.note) == ((0, 5), None, "no scores of folds or single networks")


def test_one_family_alone_makes_no_groups(tmp_path: Path) -> None:
    found = compare_runs([full(tmp_path / "a"), full(tmp_path / "b")], draws=20)
    assert not only(found).groups
    assert "fewer than two families" in found.notes[0]


def test_aurocs_are_tested_on_the_ensembles_and_corrected_together(tmp_path: Path) -> None:
    gains = {"a": 0.2, "b": 2.5, "c": 2.6}
    runs = [full(tmp_path / name, gain=gain, seed=i) for i, (name, gain) in enumerate(gains.items())]
    tests = only(compare_runs(runs, draws=50, seed=4)).aurocs
    assert [(t.a, t.b) for t in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = tests[0]
    a, b = logits(0, 0.2), logits(1, 2.5)
    known, by_slide = delong(LABELS, a, b), by_slides(LABELS, a, b, SLIDES, draws=50, seed=4)
    assert (first.auroc_a, first.auroc_b) == (auroc(LABELS, a), auroc(LABELS, b))
    assert (first.p, first.z, first.interval) == (known.p, known.z, known.interval)
    assert first.interval_by_slide == by_slide.interval
    raw = sorted(t.p for t in tests if t.p is not None)
    adjusted = sorted(t.p_holm for t in tests if t.p_holm is not None)
    assert adjusted[0] == pytest.approx(3 * raw[0])
    assert adjusted[1] == pytest.approx(max(2 * raw[1], 3 * raw[0]))


def test_figures_in_another_order_are_put_in_one(tmp_path: Path) -> None:
    a, b = logits(1, 1), logits(2, 1)
    first = Written(tmp_path / "a").add("single", 0.8, logit=a).write()
    order = np.random.default_rng(0).permutation(N)
    shuffled = [[values[i] for i in order] for values in (NAMES, LABELS, SLIDES)]
    second = Written(tmp_path / "b")
    second.add(
        "single", 0.8, logit=[b[i] for i in order], names=shuffled[0], labels=shuffled[1], slides=shuffled[2]
    )
    (test,) = only(compare_runs([first, second.write()], draws=20)).aurocs
    assert (test.auroc_b, test.p) == (auroc(LABELS, b), delong(LABELS, a, b).p)


def test_names_that_repeat_are_taken_in_their_order(tmp_path: Path) -> None:
    """AtNorM-Br numbers the figures of each class from one."""
    names = [f"{i % 20}.png" for i in range(N)]
    runs = [Written(tmp_path / n).add("single", 0.8, names=names).write() for n in "ab"]
    assert only(compare_runs(runs, draws=20)).figures == N
    Written(tmp_path / "b").add("single", 0.8, names=names[1:] + names[:1]).write()
    with pytest.raises(InvalidOption, match=r"names of figures repeat, in another order"):
        compare_runs(runs)


def test_without_slides_there_is_no_interval_by_slide(tmp_path: Path) -> None:
    runs = [Written(tmp_path / n).add("single", 0.8, slides=[""] * N).write() for n in "ab"]
    data = only(compare_runs(runs))
    assert (data.slides, data.aurocs[0].interval_by_slide, data.aurocs[0].p) == (None, None, 1)
    assert any("no interval by slide" in note for note in data.notes)


def test_runs_of_folds_alone_are_left_out_of_the_tests_of_aurocs(tmp_path: Path) -> None:
    runs = [full(tmp_path / "a"), full(tmp_path / "b"), Written(tmp_path / "c").folds(*FOLDS).write()]
    data = only(compare_runs(runs, draws=20))
    assert [(t.a, t.b) for t in data.aurocs] == [("a", "b")]
    assert any(note.startswith("c: folds alone") for note in data.notes)
    assert len(data.folds) == 3 * 2


def test_one_class_alone_has_no_auroc_and_breaks_nothing(tmp_path: Path) -> None:
    runs = []
    for name in "ab":
        run = Written(tmp_path / name)
        for fold in range(5):
            run.add("fold", None, fold=fold, labels=[0] * N)
        runs.append(run.add("ensemble", None, labels=[0] * N).write())
    found = compare_runs(runs)
    data = only(found)
    assert not data.aurocs
    assert data.rows[0].mean_sd["auroc"] is None
    assert (data.folds[0].p, data.folds[0].note) == (None, "a score is missing")
    assert "Fewer than two figures of a class" in comparison_markdown(found)


def test_only_shared_data_sets_are_compared_and_the_others_named(tmp_path: Path) -> None:
    a = Written(tmp_path / "a").add("single", 0.8).add("single", 0.7, data="B").add("single", 0.6, data="C")
    b = Written(tmp_path / "b").add("single", 0.8).add("single", 0.7, data="C")
    found = compare_runs([a.write(), b.write()], draws=20)
    assert [d.data for d in found.data] == ["A", "C"]
    assert found.notes[0] == "Left out, since not every run was evaluated on it: B."


def test_folders_of_one_name_are_told_apart_by_those_above(tmp_path: Path) -> None:
    runs = [full(tmp_path / name / "evaluation") for name in "ab"]
    found = compare_runs(runs, groups={"x": ["a/evaluation"], "y": [str(runs[1])]}, draws=20)
    assert found.runs == ("a/evaluation", "b/evaluation")
    with pytest.raises(InvalidOption, match=r"^group x: evaluation is none of the runs"):
        compare_runs(runs, groups={"x": ["evaluation"], "y": ["b/evaluation"]})


def test_markdown_shows_both_p_and_says_what_limits_them(tmp_path: Path) -> None:
    runs = [full(tmp_path / "a|1", family="x", gain=0.2), full(tmp_path / "b", family="y", gain=3, lead=0.05)]
    text = comparison_markdown(compare_runs(runs, draws=50))
    assert "# Comparison of 2 runs" in text
    assert "40 figures, of which 10 AMF; 8 slides." in text
    row = r"| a\|1 | x | resnet | 5 | 0.8200 ± 0.0141 | 0.9200 ± 0.0141 | ensemble | 0.9000 | 1.0000 |"
    assert row in text.splitlines()
    fold_row = next(line for line in text.splitlines() if line.startswith(r"| a\|1 | b | BA at 0.5"))
    assert "| 5 pairs | -0.0500 | 0 | 0.0625 | 0.1250 | p cannot be below 0.0625" in fold_row
    assert "With five folds the smallest two-sided p is 0.0625" in text
    assert "too narrow" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace(r"\|", "").count("|") in {10, 11} for line in tables)


def test_json_holds_the_same(tmp_path: Path) -> None:
    found = compare_runs([full(tmp_path / "a"), full(tmp_path / "b", lead=0.01)], draws=20)
    read = json.loads(found.to_json())
    assert (read["format"], read["runs"]) == (1, ["a", "b"])
    assert read["data"][0]["folds"][0]["p_holm"] == 0.125
    assert read["data"][0]["rows"][0]["mean_sd"]["auroc"] == pytest.approx([0.92, 0.01 * 2**0.5])


def test_the_same_folders_give_the_same_bytes(tmp_path: Path) -> None:
    runs = [full(tmp_path / "a"), full(tmp_path / "b", gain=2)]
    assert compare_runs(runs, draws=30).to_json() == compare_runs(runs, draws=30).to_json()
