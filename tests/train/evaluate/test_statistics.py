"""Tests between classifiers, against brute force, published numbers and cases worked out by hand."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from slidemitosis.train.evaluate.statistics import (
    auroc,
    bootstrap_aurocs,
    delong,
    delong_variance,
    difference_over_draws,
    holm,
    mann_whitney,
    wilcoxon_pairs,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from slidemitosis.train.evaluate.statistics import ClusterBootstrap, RankSum, SignedRank

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]

# DeLong, DeLong and Clarke-Pearson 1988, ovarian cancer: albumin, total protein, K-G score, outcome 0 or 1;
# the 43 complete patients, as the SAS/STAT manual prints them (LOGISTIC procedure, "Comparing Receiver
# Operating Characteristic Curves"). The outcome 0 is the event; albumin and protein fall with it.
OVARIAN = np.array(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7  5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4  6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6  6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1  5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7  6 1  3.7 6.9 5 1  3.6 6.6 5 1
    """.split(),  # noqa: SIM905 - a table is read as one
    float,
).reshape(-1, 4)
EVENT = (OVARIAN[:, 3] == 0).astype(int)
ALBUMIN, PROTEIN, KG = -OVARIAN[:, 0], -OVARIAN[:, 1], OVARIAN[:, 2]


def components(y: Labels, s: Floats) -> tuple[Floats, Floats]:
    """V10 and V01 by their definition, pair by pair."""
    higher, lower = s[y == 1], s[y == 0]

    def won(a: float, b: float) -> float:
        return 1.0 if a > b else 0.5 if a == b else 0.0

    v10 = np.array([sum(won(a, b) for b in lower) / len(lower) for a in higher])
    v01 = np.array([sum(won(a, b) for a in higher) / len(higher) for b in lower])
    return v10, v01


def covariance(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> float:
    """S10 / m + S01 / n of DeLong et al."""
    return sum(
        float(((a - a.mean()) * (b - b.mean())).sum() / (len(a) - 1) / len(a))
        for a, b in zip(one, other, strict=True)
    )


# Few values, so that many are tied, within the classes and between them.
figures = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(-3, 3)), min_size=4, max_size=25
).filter(lambda rows: 2 <= sum(y for y, _, _ in rows) <= len(rows) - 2)
scores = st.integers(0, 6).map(lambda i: i / 10)


def columns(rows: list[tuple[int, int, int]]) -> tuple[Labels, Floats, Floats]:
    y, a, b = np.array(rows).T
    return y, a.astype(float), b.astype(float)


@given(figures)
def test_delong_is_what_every_pair_counted_gives(rows: list[tuple[int, int, int]]) -> None:
    y, a, b = columns(rows)
    of_a, of_b = components(y, a), components(y, b)
    found = delong(y, a, b)
    assert found.auroc_a == pytest.approx(of_a[0].mean())
    assert found.auroc_b == pytest.approx(of_b[1].mean())
    assert delong_variance(y, a) == pytest.approx(covariance(of_a, of_a), abs=1e-15)
    variance = covariance(of_a, of_a) + covariance(of_b, of_b) - 2 * covariance(of_a, of_b)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)


@given(figures)
def test_the_auroc_by_midranks_is_that_of_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    y, a, _ = columns(rows)
    assert auroc(y, a) == pytest.approx(roc_auc_score(y, a))


@given(figures)
def test_swapping_the_two_turns_the_sign_and_nothing_else(rows: list[tuple[int, int, int]]) -> None:
    y, a, b = columns(rows)
    there, back = delong(y, a, b), delong(y, b, a)
    assert (back.auroc_a, back.auroc_b) == (there.auroc_b, there.auroc_a)
    assert back.difference == -there.difference
    assert back.standard_error == pytest.approx(there.standard_error)
    assert (back.p is None) == (there.p is None)
    if there.p is not None and there.z is not None and there.interval is not None:
        assert back.p == pytest.approx(there.p)
        assert back.z == pytest.approx(-there.z)
        assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))


@given(figures)
def test_two_with_the_same_order_do_not_differ(rows: list[tuple[int, int, int]]) -> None:
    y, a, _ = columns(rows)
    found = delong(y, a, np.exp(a) - 7)
    assert (found.difference, found.standard_error, found.z, found.p) == (0, 0, 0, 1)
    assert found.interval == (0, 0)


def test_a_difference_without_variance_has_no_p() -> None:
    found = delong([0, 0, 1, 1], [1, 2, 3, 4], [1, 1, 1, 1])
    assert (found.auroc_a, found.auroc_b, found.standard_error) == (1, 0.5, 0)
    assert (found.z, found.p, found.interval) == (None, None, None)


@pytest.mark.parametrize(
    ("score", "area", "error"), [(ALBUMIN, 0.7366, 0.0927), (KG, 0.7258, 0.1028), (PROTEIN, 0.6478, 0.1000)]
)
def test_areas_and_errors_are_the_published_ones(score: Floats, area: float, error: float) -> None:
    assert round(auroc(EVENT, score), 4) == area
    assert round(math.sqrt(delong_variance(EVENT, score)), 4) == error


@pytest.mark.parametrize(
    ("score", "difference", "error", "chi_square", "p"),
    [(ALBUMIN, 0.0108, 0.0953, 0.0127, 0.9102), (PROTEIN, -0.0780, 0.1046, 0.5554, 0.4561)],
)
def test_differences_are_the_published_ones(
    score: Floats, difference: float, error: float, chi_square: float, p: float
) -> None:
    found = delong(EVENT, score, KG)
    assert found.z is not None
    assert found.p is not None
    assert found.interval is not None
    assert (round(found.difference, 4), round(found.standard_error, 4)) == (difference, error)
    assert (round(found.z**2, 4), round(found.p, 4)) == (chi_square, p)
    assert found.interval == pytest.approx((difference - 1.96 * error, difference + 1.96 * error), abs=2e-4)


def test_ratings_in_five_steps_have_the_published_area() -> None:
    """Hanley and McNeil 1982, 109 CT images rated 1 to 5: 0.893; DeLong's error 0.0307 (Stata's roctab)."""
    normal, abnormal = np.repeat(range(5), (33, 6, 6, 11, 2)), np.repeat(range(5), (3, 2, 2, 11, 33))
    y = np.repeat((0, 1), (58, 51))
    rating = np.concatenate([normal, abnormal])
    assert round(auroc(y, rating), 4) == 0.8932
    assert round(math.sqrt(delong_variance(y, rating)), 4) == 0.0307


def test_delong_by_hand() -> None:
    """AMF 3, 1; NMF 2, 0: V10 = 1, 1/2; V01 = 1/2, 1; area 3/4; variance (1/8) / 2 + (1/8) / 2 = 1/8."""
    assert auroc([1, 1, 0, 0], [3, 1, 2, 0]) == 0.75
    assert delong_variance([1, 1, 0, 0], [3, 1, 2, 0]) == 0.125


@pytest.mark.parametrize(
    ("y", "a", "b"),
    [
        ([1, 0, 0], [1, 2, 3], [1, 2, 3]),
        ([1, 1, 0, 0], [1, 2, 3, math.nan], [1, 2, 3, 4]),
        ([1, 1, 0, 2], [1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 1, 0, 0], [1, 2, 3], [1, 2, 3, 4]),
    ],
)
def test_what_has_no_variance_or_no_order_is_refused(y: ArrayLike, a: ArrayLike, b: ArrayLike) -> None:
    with pytest.raises(ValueError, match=r"at least 2|finite|0 or 1|labels"):
        delong(y, a, b)


def test_holm_by_hand() -> None:
    """0.005 x 4 = 0.02; 0.01 x 3 = 0.03; 0.03 x 2 = 0.06; 0.04 x 1, raised to the 0.06 before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1, 1)
    assert holm([]) == ()


def test_a_test_that_was_not_made_is_not_counted() -> None:
    assert holm([None, 0.02, None, 0.03]) == (None, 0.04, None, 0.04)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p_values: list[float]) -> None:
    adjusted = [p for p in holm(p_values) if p is not None]
    assert all(p <= q <= min(1, p * len(p_values)) for p, q in zip(p_values, adjusted, strict=True))
    in_order = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert in_order == sorted(in_order)
    assert min(adjusted) == min(1, min(p_values) * len(p_values))


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.2, 1.2])


def signed_ranks(a: ArrayLike, b: ArrayLike) -> SignedRank:
    found = wilcoxon_pairs(a, b)
    assert found is not None
    return found


def rank_sum(a: ArrayLike, b: ArrayLike) -> RankSum:
    found = mann_whitney(a, b)
    assert found is not None
    return found


def test_the_signed_rank_test_by_hand() -> None:
    """Of 5, -1, 2, 3, 4 the negative ranks sum to 1; of 32 sums 2 are as low, 2 as high: p = 4 / 32."""
    found = signed_ranks([15, 9, 12, 13, 14], [10] * 5)
    assert (found.statistic, found.p, found.pairs, found.zeros, found.exact) == (1, 0.125, 5, 0, True)
    assert found.difference == 3


def test_five_folds_cannot_be_significant() -> None:
    found = signed_ranks([0.9, 0.91, 0.92, 0.93, 0.94], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert found.p == found.smallest_p == 0.0625


def test_tied_differences_share_their_rank() -> None:
    """All five are 0.1, of which no two are the same float; all signs alike are 2 of the 32."""
    found = signed_ranks([0.2, 0.3, 0.4, 0.8, 0.9], [0.1, 0.2, 0.3, 0.7, 0.8])
    assert (found.statistic, found.p) == (0, 0.0625)
    found = signed_ranks([0.2, 0.3, 0.4, 0.8, 0.8], [0.1, 0.2, 0.3, 0.7, 0.9])
    assert (found.statistic, found.p) == (3, 12 / 32)  # five signs alike, or four of five: 2 + 10


def test_equal_pairs_are_left_out_and_counted() -> None:
    with_zero = signed_ranks([1, 2, 3, 4, 5, -6, 7], [0, 0, 0, 0, 0, 0, 7])
    without = signed_ranks([1, 2, 3, 4, 5, -6], [0] * 6)
    assert (with_zero.p, with_zero.statistic, with_zero.pairs) == (without.p, without.statistic, 6)
    assert (with_zero.zeros, without.zeros) == (1, 0)


@pytest.mark.parametrize("scores_a", [[], [0.5] * 9, [0.6, 0.7, 0.8, 0.9], [0.6, 0.7, 0.8, 0.9, 0.5]])
def test_fewer_than_five_pairs_that_differ_are_not_tested(scores_a: list[float]) -> None:
    assert wilcoxon_pairs(scores_a, [0.5] * len(scores_a)) is None


@settings(max_examples=30)
@given(st.lists(st.tuples(scores, scores), min_size=5, max_size=9))
def test_the_exact_signed_rank_p_is_that_of_every_assignment_of_signs(
    pairs: list[tuple[float, float]],
) -> None:
    a, b = np.array(pairs).T
    found = wilcoxon_pairs(a, b)
    if found is None:
        return
    d = np.round(a - b, 12)
    ranks = stats.rankdata(abs(d[d != 0]))
    mean = ranks.sum() / 2
    sums = [float(ranks @ signs) for signs in product((0, 1), repeat=len(ranks))]
    away = abs(found.statistic - mean)
    assert found.p == pytest.approx(np.mean([abs(s - mean) >= away - 1e-9 for s in sums]))
    assert found.smallest_p - 1e-12 <= found.p <= 1


@pytest.mark.parametrize("n", [5, 12, 40, 60, 61, 80])
def test_the_signed_rank_test_without_ties_is_that_of_scipy(n: int) -> None:
    random = np.random.default_rng(n)
    a, b = random.normal(0.3, 1, n), random.normal(0, 1, n)
    found = signed_ranks(a, b)
    known = stats.wilcoxon(a, b, method="exact" if n <= 60 else "approx")
    assert found.exact == (n <= 60)
    assert found.statistic == pytest.approx(known.statistic)
    assert found.p == pytest.approx(known.pvalue)


def test_the_u_test_by_hand() -> None:
    """Of the 20 ways to divide six ranks, one is as low as 1 2 3 and one as high: p = 2 / 20."""
    found = rank_sum([1, 2, 3], [4, 5, 6])
    assert (found.statistic, found.p, found.smallest_p, found.sizes) == (0, 0.1, 0.1, (3, 3))
    assert found.difference == -3
    found = rank_sum([1, 2, 5], [3, 4])  # rank sums of two: 3 to 9, mean 6; b has 7, as far as 5, 4, 3, 8, 9
    assert (found.statistic, found.p) == (2, 0.8)  # of ten, only the two with sum 6 are nearer


@settings(max_examples=30)
@given(st.lists(scores, min_size=1, max_size=5), st.lists(scores, min_size=1, max_size=5))
def test_the_exact_u_p_is_that_of_every_division(a: list[float], b: list[float]) -> None:
    found = mann_whitney(a, b)
    if found is None:
        assert len({*a, *b}) == 1
        return
    ranks, mean = stats.rankdata(np.round(a + b, 12)), len(a) * (len(a) + len(b) + 1) / 2
    away = abs(ranks[: len(a)].sum() - mean)
    sums = [sum(some) for some in combinations(ranks, len(a))]
    assert found.p == pytest.approx(np.mean([abs(s - mean) >= away - 1e-9 for s in sums]))
    assert found.statistic == sum(x > y for x in a for y in b) + sum(x == y for x in a for y in b) / 2


@pytest.mark.parametrize(("n", "m"), [(3, 5), (15, 40), (30, 30), (40, 40)])
def test_the_u_test_without_ties_is_that_of_scipy(n: int, m: int) -> None:
    random = np.random.default_rng(n)
    a, b = random.normal(0.5, 1, n), random.normal(0, 1, m)
    found = rank_sum(a, b)
    known = stats.mannwhitneyu(a, b, method="exact" if n + m <= 60 else "asymptotic")
    assert found.exact == (n + m <= 60)
    assert found.statistic == pytest.approx(known.statistic)
    assert found.p == pytest.approx(known.pvalue)


def test_an_empty_or_constant_group_is_not_tested() -> None:
    assert mann_whitney([], [1, 2]) is None
    assert mann_whitney([1, 1], [1, 1, 1]) is None


def by_slides(
    y: ArrayLike, a: ArrayLike, b: ArrayLike, slides: list[str], *, draws: int, seed: int = 0
) -> ClusterBootstrap:
    """The difference of two AUROCs, with its interval from draws of slides."""
    drawn = bootstrap_aurocs(y, [a, b], slides, draws=draws, seed=seed)
    found = difference_over_draws(auroc(y, a) - auroc(y, b), drawn[0] - drawn[1], slides)
    assert found is not None
    return found


def drawn_slides(
    slides: int, figures_of_each: int, *, spread: float, seed: int = 3
) -> tuple[Labels, Floats, Floats, list[str]]:
    """Figures whose two logits share the class; each network errs by slide as well as by figure."""
    random = np.random.default_rng(seed)
    place = np.repeat(np.arange(slides), figures_of_each)
    y = (random.random(len(place)) < 0.3).astype(np.int64)
    a, b = (
        y + random.normal(0, 0.5, len(place)) + random.normal(0, spread, slides)[place] * (2 * y - 1)
        for _ in range(2)
    )
    return y, a, b, [f"slide {i}" for i in place]


def test_the_weighted_auroc_of_a_draw_is_that_of_the_figures_repeated() -> None:
    y, a, b, slides = drawn_slides(6, 9, spread=0.3)
    a = np.round(a, 1)  # ties
    found = bootstrap_aurocs(y, [a, b], slides, draws=70, seed=5)
    names, place = np.unique(slides, return_inverse=True)
    random = np.random.default_rng(5)
    draws = np.concatenate([random.integers(0, 6, (64, 6)), random.integers(0, 6, (6, 6))])
    for i in (0, 1, 69):
        rows = np.concatenate([np.flatnonzero(place == s) for s in draws[i]])
        assert found[0, i] == pytest.approx(roc_auc_score(y[rows], a[rows]))
        assert found[1, i] == pytest.approx(roc_auc_score(y[rows], b[rows]))
    assert len(names) == 6


def test_the_interval_by_slide_is_wider_where_slides_differ() -> None:
    y, a, b, slides = drawn_slides(20, 40, spread=0.6)
    plain, by_slide = delong(y, a, b), by_slides(y, a, b, slides, draws=500)
    assert plain.interval is not None
    assert by_slide.difference == plain.difference
    assert by_slide.interval[0] < plain.difference < by_slide.interval[1]
    assert by_slide.interval[1] - by_slide.interval[0] > 1.5 * (plain.interval[1] - plain.interval[0])
    assert (by_slide.slides, by_slide.draws) == (20, 500)


def test_with_a_slide_for_each_figure_the_interval_is_near_delongs() -> None:
    y, a, b, _ = drawn_slides(300, 1, spread=0)
    plain = delong(y, a, b)
    by_slide = by_slides(y, a, b, [str(i) for i in range(300)], draws=1500)
    assert by_slide.interval == pytest.approx(plain.interval, abs=0.01)


def test_the_bootstrap_is_the_same_at_every_run_and_turns_its_sign_when_swapped() -> None:
    y, a, b, slides = drawn_slides(8, 6, spread=0.3)
    first = by_slides(y, a, b, slides, draws=99)
    again = by_slides(y, a, b, slides, draws=99)
    back = by_slides(y, b, a, slides, draws=99)
    assert first == again
    assert back.interval == pytest.approx((-first.interval[1], -first.interval[0]))
    assert by_slides(y, a, b, slides, draws=99, seed=1) != first


def test_draws_of_one_class_are_left_out_and_not_counted() -> None:
    """Three slides, one of AMF: of the 27 draws 8 miss it, and 1 holds nothing else."""
    found = by_slides([1, 0, 0], [2, 1, 0], [0, 1, 2], ["a", "b", "c"], draws=400)
    assert found.draws == pytest.approx(400 * (1 - (8 + 1) / 27), abs=40)


def test_one_slide_says_nothing_of_slides() -> None:
    drawn = bootstrap_aurocs([1, 0, 1, 0], [[3, 2, 1, 0], [0, 1, 2, 3]], ["a"] * 4, draws=2000, seed=0)
    assert difference_over_draws(0.5, drawn[0] - drawn[1], ["a"] * 4) is None
