"""Measures, against scikit-learn and against numbers worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import AMF_SUBTYPES, NMF_SUBTYPES
from slidemitosis.train.evaluate.metrics import (
    MEASURES,
    Doubt,
    Scored,
    bins_of,
    calibration_error,
    collapsed,
    confusion,
    doubt,
    first_expert_accuracy,
    metrics_of,
    subtype_table,
)
from tests.train.scores import random_scored, scored

if TYPE_CHECKING:
    from collections.abc import Sequence

# Few values, so that figures of both classes share some.
labelled = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 1)), min_size=2, max_size=30).filter(
    lambda rows: len({y for _, y in rows}) == 2
)


def test_six_figures_by_hand() -> None:
    """Logits 3 1 -1 of AMF and 2 -1 -2 of NMF; calibrated 0.8 0.4 0.3 and 0.6 0.3 0.1, threshold 0.35."""
    s = scored(
        [3, 1, -1, 2, -1, -2],
        [1, 1, 1, 0, 0, 0],
        probability=np.array([0.8, 0.4, 0.3, 0.6, 0.3, 0.1]),
        threshold=0.35,
    )
    m = metrics_of(s)
    assert (m.figures, m.atypical) == (6, 3)
    # Called at 0.35: 0.8, 0.4 of AMF (TP 2, FN 1); 0.6 of NMF (FP 1, TN 2).
    assert m.sensitivity == pytest.approx(2 / 3)
    assert m.specificity == pytest.approx(2 / 3)
    assert m.balanced_accuracy == pytest.approx(2 / 3)
    assert m.f1 == pytest.approx(4 / 6)  # 2 * 2 / (2 * 2 + 1 + 1)
    # Logits of 0 or more: 3, 1 and 2: the same calls.
    assert m.balanced_accuracy_at_half == pytest.approx(2 / 3)
    # Pairs: 3 beats 2, -1, -2; 1 beats -1, -2; -1 beats -2 and ties with -1: (3 + 2 + 1.5) / 9.
    assert m.auroc == pytest.approx(6.5 / 9)
    # From above: 3 (1/1), 2, 1 (2/3), then -1 twice (3/5), each a third of the recall.
    assert m.average_precision == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # .2^2 + .6^2 + .7^2 + .6^2 + .3^2 + .1^2 = .04 + .36 + .49 + .36 + .09 + .01 = 1.35
    assert m.brier == pytest.approx(1.35 / 6)
    # Bins of 1/15: .8 (-.2), .4 (-.6), .3 and .3 (-.7 + .3 = -.4), .6 (+.6), .1 (+.1).
    assert m.ece == pytest.approx((0.2 + 0.6 + 0.4 + 0.6 + 0.1) / 6)


def test_the_call_at_the_threshold_itself_is_atypical() -> None:
    s = scored([0.0, -1.0], [1, 0], probability=np.array([0.25, 0.2]), threshold=0.25)
    assert s.called.tolist() == [True, False]
    assert metrics_of(s).balanced_accuracy_at_half == 1  # a logit of 0 is a sigmoid of 0.5


def test_the_threshold_and_one_half_are_told_apart() -> None:
    """All below a logit of 0, which the benchmark's threshold calls normal; the own threshold parts them."""
    m = metrics_of(scored([-1, -2], [1, 0], threshold=0.2))
    assert (m.balanced_accuracy, m.balanced_accuracy_at_half) == (1.0, 0.5)


@given(labelled)
def test_scikit_learn_says_the_same(rows: list[tuple[int, int]]) -> None:
    z, y = zip(*rows, strict=True)
    s = scored(z, y, threshold=0.3)
    m = metrics_of(s)
    assert m.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(y, s.called))
    assert m.balanced_accuracy_at_half == pytest.approx(sk.balanced_accuracy_score(y, np.array(z) >= 0))
    assert m.f1 == pytest.approx(sk.f1_score(y, s.called, zero_division=0))
    assert m.auroc == pytest.approx(sk.roc_auc_score(y, z))
    assert m.average_precision == pytest.approx(sk.average_precision_score(y, z))
    assert m.brier == pytest.approx(sk.brier_score_loss(y, s.probability))


@given(labelled)
def test_ranking_measures_do_not_change_under_a_rising_function(rows: list[tuple[int, int]]) -> None:
    z, y = zip(*rows, strict=True)
    before, after = metrics_of(scored(z, y)), metrics_of(scored([math.atan(v) + v**3 / 9 for v in z], y))
    assert (before.auroc, before.average_precision) == pytest.approx((after.auroc, after.average_precision))


@pytest.mark.parametrize(
    ("labels", "known"),
    [((1, 1), {"sensitivity", "brier", "ece"}), ((0, 0), {"specificity", "brier", "ece"}), ((), set())],
)
def test_what_an_absent_class_would_tell_is_none(labels: Sequence[int], known: set[str]) -> None:
    m = metrics_of(scored([0.5, -0.5][: len(labels)], labels))
    assert {name for name in MEASURES if getattr(m, name) is not None} == known


def test_all_ties_are_chance() -> None:
    m = metrics_of(scored([1, 1, 1, 1], [1, 0, 0, 0]))
    assert m.auroc == 0.5
    assert m.average_precision == 0.25


def test_bins_hold_their_upper_edge_and_the_first_holds_zero() -> None:
    assert bins_of(np.array([0.0, 0.2, 0.21, 0.4, 1.0]), bins=5).tolist() == [0, 0, 1, 1, 4]


def test_a_calibrated_model_has_no_calibration_error() -> None:
    p, y = np.repeat([0.25, 0.75], 4), np.array([1, 0, 0, 0, 1, 1, 1, 0])
    assert calibration_error(p, y) == pytest.approx(0)
    # A confidence of 0.75 in the class that is called would be the same bin twice: here they are two.
    assert calibration_error(p, 1 - y) == pytest.approx(0.5)


def test_a_collapse_is_one_class_for_every_figure() -> None:
    assert collapsed(np.array([0.5, 0.9]))
    assert collapsed(np.array([False, False]))
    assert not collapsed(np.array([0.49, 0.5]))
    assert not collapsed(np.array([]))
    # The raw logits tell, not the probabilities for a low prior.
    assert not scored([1, -1], [1, 0], probability=np.array([0.2, 0.1])).collapsed
    assert scored([-1, -2], [1, 0]).collapsed


A, B, C = "NMF metaphase", "AMF other", "AMF multipolar"


def subtyped() -> Scored:
    """Truth A A B B C; called A B B B A, and one figure without, one with an unknown subtype."""
    p = np.array([[8, 1, 1], [3, 6, 1], [2, 7, 1], [1, 5, 4], [6, 1, 3], [1, 8, 1], [0, 0, 10]]) / 10
    truth = (A, A, B, B, C, "", "NMF ring shape")
    logit, extra = [-1, 1, 1, 1, -1, 1, 1], {C: p[:, 2], A: p[:, 0], B: p[:, 1]}
    return scored(logit, [0, 0, 1, 1, 1, 0, 0], extra=extra, subtypes=truth)


def test_the_confusion_matrix_by_hand() -> None:
    classes, matrix = confusion(subtyped())
    assert classes == (A, B, C)
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_a_subtype_is_called_within_the_type_that_is_called() -> None:
    p = np.array([[0.6, 0.1, 0.3]] * 2)
    s = scored([1, -1], [1, 0], extra={A: p[:, 0], B: p[:, 1], C: p[:, 2]}, subtypes=(C, A))
    assert confusion(s)[1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_doubt_is_measured_on_figures_with_votes() -> None:
    words = ("hard", "easy", "", "easy", "hard")
    s = scored([0] * 5, [0] * 5, extra={"hard": np.array([0.9, 0.2, 1.0, 0.4, 0.3])}, hardness=words)
    # .9 beats both easy ones, .3 beats one: 3 of 4.
    told = doubt(s)
    assert told == Doubt(figures=4, hard=2, expected=told.expected if told else 0, auroc=0.75)
    assert told.expected == pytest.approx(1.8)
    told = doubt(s.take([0, 4]))
    assert told is not None
    assert told.auroc is None
    assert doubt(s.take([2])) is None
    assert doubt(scored([0], [0], hardness=("hard",))) is None


def test_the_subtype_table_by_hand() -> None:
    rows = {r.name: r for r in subtype_table(subtyped())}
    a, b, c = rows[A], rows[B], rows[C]
    assert (a.figures, b.figures, c.figures) == (2, 2, 1)
    # A: .8 .3 against .2 .1 .6: .8 beats three, .3 beats two, of 6.
    assert a.auroc == pytest.approx(5 / 6)
    assert (a.sensitivity, a.specificity, a.ppv, a.npv) == pytest.approx((1 / 2, 2 / 3, 1 / 2, 2 / 3))
    # B: .7 .5 against .1 .6 .1: .7 beats three, .5 beats two. Called: TP 2, FP 1, TN 2.
    assert b.auroc == pytest.approx(5 / 6)
    assert (b.sensitivity, b.specificity, b.ppv, b.npv) == pytest.approx((1, 2 / 3, 2 / 3, 1))
    # C is never called: .3 against .1 .1 .1 .4.
    assert c.auroc == pytest.approx(3 / 4)
    assert (c.sensitivity, c.specificity, c.ppv) == (0, 1, None)
    assert c.npv == pytest.approx(4 / 5)


def test_an_absent_subtype_has_neither_auroc_nor_sensitivity() -> None:
    s = subtyped().take([0, 1, 2])
    row = {r.name: r for r in subtype_table(s)}[C]
    assert (row.figures, row.auroc, row.sensitivity) == (0, None, None)


def test_the_subtype_table_agrees_with_scikit_learn() -> None:
    s = random_scored()
    classes, matrix = confusion(s)
    p = np.stack([s.extra[c] for c in classes], axis=1)
    atypical = np.array([c.startswith("AMF") for c in classes])
    within = np.where(atypical[None, :] == s.called[:, None], p, -1.0)
    called = [classes[i] for i in within.argmax(axis=1)]
    assert (matrix == sk.confusion_matrix(s.subtypes, called, labels=classes)).all()
    for i, row in enumerate(subtype_table(s)):
        truth = np.array(s.subtypes) == row.name
        says = np.array(called) == row.name
        assert row.auroc == pytest.approx(sk.roc_auc_score(truth, p[:, i]))
        assert row.ppv == pytest.approx(sk.precision_score(truth, says))
        assert row.npv == pytest.approx(sk.precision_score(~truth, ~says))
        assert row.sensitivity == pytest.approx(sk.recall_score(truth, says))
        assert row.specificity == pytest.approx(sk.recall_score(~truth, ~says))


def test_without_subtypes_there_is_no_table() -> None:
    classes, matrix = confusion(scored([1], [1]))
    assert (classes, matrix.shape) == ((), (0, 0))
    assert subtype_table(scored([1], [1])) == ()


def test_taken_rows_keep_everything_of_a_figure() -> None:
    s = random_scored(20)
    t = s.take([7, 3])
    assert len(t) == 2
    assert (t.names, t.slides) == ((s.names[7], s.names[3]), (s.slides[7], s.slides[3]))
    assert t.logit.tolist() == [s.logit[7], s.logit[3]]
    assert t.extra[A].tolist() == [s.extra[A][7], s.extra[A][3]]
    assert t.subtypes == (s.subtypes[7], s.subtypes[3])


def test_joined_parts_are_the_whole() -> None:
    s = random_scored(30)
    joined = Scored.join([s.take(range(10)), s.take(range(10, 30))])
    assert metrics_of(joined) == metrics_of(s)
    assert (joined.names, joined.model, joined.data) == (s.names, "m", "d")
    assert subtype_table(joined) == subtype_table(s)


def test_scores_that_do_not_belong_together_are_not_joined() -> None:
    for parts in ([scored([1], [1]), scored([1], [1], extra={"hard": np.array([0.1])})], []):
        with pytest.raises(InvalidOption, match="the same outputs"):
            Scored.join(parts)


def test_models_that_were_calibrated_apart_are_joined_at_one_half() -> None:
    parts = [scored([1, -1], [1, 0], threshold=t) for t in (0.2, 0.4)]
    assert Scored.join(parts).threshold == 0.5
    assert Scored.join([parts[1], parts[1]]).threshold == 0.4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"slides": ("a",)}, "not as many slides"),
        ({"extra": {"hard": np.zeros(3)}}, "not as many hard"),
        ({"atypical": np.array([0, 2])}, "0 or 1"),
        ({"logit": np.array([0, np.nan])}, "no finite number"),
        ({"probability": np.array([0, 1.5])}, "0 to 1"),
        ({"threshold": math.nan}, "0 to 1"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        dataclasses.replace(scored([1, 2], [0, 1]), **wrong)


def test_a_model_of_subtypes_is_measured_against_the_expert_it_learned_from() -> None:
    # Called: first and third. Of the expert's AMF one of two, of the NMF one of two not; the majority's all.
    figures = scored([1, -1, 2, -2], [1, 0, 1, 0], subtypes=(*AMF_SUBTYPES[:2], *NMF_SUBTYPES[:2]))
    assert first_expert_accuracy(figures) == 0.5
    assert metrics_of(figures).balanced_accuracy_at_half == 1
    assert first_expert_accuracy(scored([1, 2], [1, 0])) is None
    assert first_expert_accuracy(scored([1, 2], [1, 0], subtypes=(AMF_SUBTYPES[0], ""))) is None
