"""Intervals by slide: the weights give scikit-learn's numbers, and the intervals hold what they promise."""

from __future__ import annotations

import time
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.bootstrap import intervals, weighted_metrics
from slidemitosis.train.evaluate.metrics import MEASURES, metrics_of
from tests.train.scores import random_scored, scored

# (logit, label, weight), ties and weights of 0 among them; of each class some weight is left.
weighed = st.lists(
    st.tuples(st.integers(-4, 4), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=25
).filter(lambda rows: {y for _, y, w in rows if w} == {0, 1})


@given(weighed)
def test_weights_count_as_in_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    z, y, w = (list(v) for v in zip(*rows, strict=True))
    s = scored(z, y, threshold=0.3)
    found = {k: v[0] for k, v in weighted_metrics(s, np.array([w])).items()}
    weigh = {"sample_weight": w}
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(y, z, **weigh))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, z, **weigh))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, s.called, **weigh))
    assert found["sensitivity"] == pytest.approx(sk.recall_score(y, s.called, **weigh))
    assert found["f1"] == pytest.approx(sk.f1_score(y, s.called, zero_division=0, **weigh))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, s.probability, **weigh))


@given(weighed)
def test_a_weight_is_so_many_copies_of_the_figure(rows: list[tuple[int, int, int]]) -> None:
    z, y, w = (list(v) for v in zip(*rows, strict=True))
    s = scored(z, y, threshold=0.3)
    found = weighted_metrics(s, np.array([w]))
    copies = metrics_of(s.take(np.repeat(np.arange(len(w)), w)))
    assert {k: v[0] for k, v in found.items()} == pytest.approx({k: getattr(copies, k) for k in MEASURES})


def test_unit_weights_give_the_point_estimates() -> None:
    s = random_scored(150)
    found = weighted_metrics(s, np.ones((1, 150)))
    point = asdict(metrics_of(s))
    assert {k: v[0] for k, v in found.items()} == pytest.approx({k: point[k] for k in MEASURES})


def test_what_an_absent_class_would_tell_is_no_number() -> None:
    s = scored([1, -1, 2], [1, 0, 1])
    found = weighted_metrics(s, np.array([[1, 0, 2], [0, 1, 0]]))
    no_nmf = {k for k, v in found.items() if np.isnan(v[0])}
    no_amf = {k for k, v in found.items() if np.isnan(v[1])}
    both = {"balanced_accuracy", "balanced_accuracy_at_half", "f1", "auroc", "average_precision"}
    assert no_nmf == both | {"specificity"}
    assert no_amf == both | {"sensitivity"}


@given(st.integers(0, 10_000))
def test_the_interval_holds_the_point_estimate(seed: int) -> None:
    """But that of the ECE, which scatter within the bins of a draw can only raise."""
    s = random_scored(200, slides=40, seed=seed)
    found, point = intervals(s, draws=200).bounds, metrics_of(s)
    assert set(found) == set(MEASURES)
    for name in set(MEASURES) - {"ece"}:
        low, high = found[name]
        assert low <= getattr(point, name) <= high


def test_the_interval_by_hand() -> None:
    """Two slides, one right and one wrong: the sensitivity is 0, 1/2 or 1 in 1, 2 and 1 of 4 draws."""
    s = scored([1, 1, -1, -1, -1, 1], [1, 1, 1, 1, 0, 0], slides=("a", "a", "b", "b", "a", "b"))
    assert intervals(s, draws=4000, level=0.4).bounds["sensitivity"] == (0.5, 0.5)
    assert intervals(s, draws=4000, level=0.6).bounds["sensitivity"] == (0.0, 1.0)


def test_one_seed_gives_one_interval_and_another_another() -> None:
    s = random_scored()
    assert intervals(s, draws=50, seed=1) == intervals(s, draws=50, seed=1)
    assert intervals(s, draws=50, seed=1) != intervals(s, draws=50, seed=2)


def test_pieces_of_the_draws_are_no_part_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    s = random_scored()
    whole = intervals(s, draws=50)
    monkeypatch.setattr("slidemitosis.train.evaluate.bootstrap._PIECE", 7 * len(s))
    assert intervals(s, draws=50) == whole


def test_the_order_of_the_figures_is_no_part_of_what_is_drawn() -> None:
    """Slides keep their numbers as long as their first figures keep their order."""
    s = random_scored(60, slides=5)
    order = sorted(range(60), key=lambda i: s.slides.index(s.slides[i]))
    a, b = (intervals(t, draws=50).bounds for t in (s, s.take(order)))
    assert {k: v for k, (v, _) in a.items()} == pytest.approx({k: v for k, (v, _) in b.items()})


def test_the_result_says_what_was_drawn() -> None:
    s = scored([1, -1, 2, -2], [1, 0, 1, 0], slides=("a", "a", "b", ""))
    assert (intervals(s).unit, intervals(s).units) == ("slide or figure", 3)
    known, unknown = s.take([0, 1, 2]), s.take([3, 3])
    assert (intervals(known).unit, intervals(known).units) == ("slide", 2)
    assert (intervals(unknown).unit, intervals(unknown).units) == ("figure", 2)


def test_one_slide_has_no_interval() -> None:
    found = intervals(scored([1, -1], [1, 0], slides=("a", "a")))
    assert (found.units, found.bounds, found.left_out) == (1, {}, 0)
    assert intervals(scored([], [])).bounds == {}


def test_draws_without_a_class_are_left_out_and_counted() -> None:
    """Three slides, one with all AMF: it is missing from (2/3)^3 = 8/27 of the draws, NMF from 1/27."""
    s = scored([1, 2, -1, 0.5], [1, 1, 0, 0], slides=("a", "a", "b", "c"))
    found = intervals(s, draws=5000)
    assert found.left_out / 5000 == pytest.approx(9 / 27, abs=0.02)
    assert found.bounds["auroc"] == (1.0, 1.0)
    assert all(np.isfinite(v).all() for v in found.bounds.values())


def test_one_class_alone_keeps_the_intervals_that_it_can_have() -> None:
    found = intervals(scored([1, -1, 2], [1, 1, 1]), draws=100)
    assert found.left_out == 100
    assert set(found.bounds) == {"sensitivity", "brier", "ece"}


def test_intervals_cover_the_truth_where_figures_of_a_slide_are_alike() -> None:
    """A slide's sensitivity is drawn, 0.7 on average: by slide 95 % hold it, by figure far fewer."""
    rng = np.random.default_rng(0)
    hits = {"slide": 0, "figure": 0}
    for _ in range(200):
        slide = np.repeat(np.arange(40), 8)
        right = rng.random(320) < rng.beta(1.4, 0.6, 40)[slide]
        y = np.tile([1, 1, 1, 1, 0, 0, 0, 0], 40)
        z = np.where(right, 1, -1) * np.where(y == 1, 1, -1)
        for unit in hits:
            names = tuple(f"s{i}" for i in slide) if unit == "slide" else ("",) * 320
            low, high = intervals(scored(z.tolist(), y.tolist(), slides=names), draws=150).bounds[
                "sensitivity"
            ]
            hits[unit] += low <= 0.7 <= high
    # Of 200 at 95 %: SD 1.5 points; percentile intervals of 40 slides are a point or two too narrow.
    assert 0.89 <= hits["slide"] / 200 <= 0.985
    assert hits["figure"] / 200 < 0.85


def test_two_thousand_draws_of_the_official_test_rows_take_no_time() -> None:
    s = random_scored(826, slides=56)
    started = time.process_time()
    intervals(s, draws=2000)
    assert time.process_time() - started < 6


@pytest.mark.parametrize(("draws", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_senseless_options_are_refused(draws: int, level: float) -> None:
    with pytest.raises(InvalidOption, match="1 draw or more"):
        intervals(scored([1, -1], [1, 0]), draws=draws, level=level)
