"""Rates that a person's answers give: right to the digit, unbiased, and covered by their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.rates.intervals import jeffreys_interval
from slidemitosis.rates.reviewed import ReviewedFigure, pooled_review, review_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.labels import Reason, Word


def figures(
    p: list[float], said: dict[int, Word], reason: Reason = "random", reasons: dict[int, Reason] | None = None
) -> list[ReviewedFigure]:
    reasons = reasons or {}
    return [
        ReviewedFigure(value, said.get(i), reasons.get(i, reason) if i in said else None)
        for i, value in enumerate(p)
    ]


def test_without_answers_there_is_no_rate() -> None:
    assert review_rate(figures([0.1, 0.9], {})) is None


def test_a_census_is_what_was_counted_whatever_the_model_says() -> None:
    said: dict[int, Word] = {0: "AMF", 1: "NMF", 2: "NMF", 3: "none"}
    found = review_rate(figures([0.9, 0.9, 0.9, 0.9], said, "all"))
    assert found is not None
    assert (found.chosen, found.unbiased, found.figures, found.answered) == ("all", True, 4, 4)
    for fraction in (found.reviewed, found.combined):
        assert fraction.value == 1 / 3
        assert fraction.figures == (1 / 3, 1 / 3)
        assert fraction.tumour == jeffreys_interval(1, 3)
    assert found.no_mitosis.value == 0.25


def test_figures_that_a_reader_is_not_sure_of_leave_the_census_open_by_as_much() -> None:
    said: dict[int, Word] = {0: "AMF", 1: "NMF", 2: "NMF", 3: "unsure"}
    found = review_rate(figures([0.9, 0.1, 0.1, 0.4], said, "all"))
    assert found is not None
    assert found.reviewed.value == 1 / 3
    assert found.combined.value == pytest.approx(1.4 / 4)
    assert found.combined.figures == (1 / 4, 2 / 4)


def test_all_figures_answered_are_a_census_whatever_led_to_them() -> None:
    said: dict[int, Word] = {0: "AMF", 1: "NMF"}
    found = review_rate(figures([0.9, 0.1], said, reasons={0: "doubt", 1: "found"}))
    assert found is not None
    assert (found.chosen, found.reasons["doubt"], found.reasons["found"]) == ("all", 1, 1)


def test_a_random_sample_corrects_the_mean_by_its_own_error() -> None:
    p = [0.1, 0.2, 0.3, 0.8] * 10
    said: dict[int, Word] = dict.fromkeys(range(12), "NMF")
    said[3] = "AMF"
    found = review_rate(figures(p, said))
    assert found is not None
    mean_error = (1 - math.fsum(p[:12])) / 12
    assert found.combined.value == pytest.approx(math.fsum(p) / 40 + mean_error, abs=1e-12)
    assert found.reviewed.value == 1 / 12
    assert found.counted == 12
    assert found.because == "a random sample of 12 of 40 figures was reviewed"


def test_no_mitosis_leaves_the_denominator_and_is_estimated_from_a_sample() -> None:
    p = [0.1, 0.2, 0.3, 0.8] * 10
    said: dict[int, Word] = dict.fromkeys(range(12), "NMF")
    said |= {3: "AMF", 4: "none", 5: "none", 6: "none"}
    found = review_rate(figures(p, said))
    assert found is not None
    of_candidates = math.fsum(p) / 40 + (1 - math.fsum(p[:12])) / 12
    assert found.no_mitosis.value == 3 / 12
    assert found.combined.value == pytest.approx(of_candidates / (9 / 12), abs=1e-12)
    assert found.reviewed.value == 1 / 9
    low, high = found.no_mitosis.figures or (1, 0)
    assert 0 < low < 3 / 12 < high < 1


def test_answers_beside_a_random_sample_do_not_bias_it() -> None:
    p = [0.1, 0.2, 0.3, 0.8] * 10
    said: dict[int, Word] = dict.fromkeys(range(12), "NMF")
    alone = review_rate(figures(p, said))
    more: dict[int, Word] = {20: "AMF", 21: "AMF", 30: "none"}
    both = review_rate(figures(p, said | more, reasons=dict.fromkeys(more, "found")))
    assert alone is not None
    assert both is not None
    assert both.combined == alone.combined
    assert both.reviewed == alone.reviewed
    assert both.answered == 15
    assert "3 other or unsure answers do not count" in both.because


@pytest.mark.parametrize("reason", ["doubt", "found", "all"])
def test_chosen_figures_replace_what_the_model_says_and_are_called_not_unbiased(reason: Reason) -> None:
    found = review_rate(figures([0.5, 0.4, 0.3, 0.2], {0: "AMF", 1: "none"}, reason))
    assert found is not None
    assert (found.chosen, found.unbiased) == ("chosen", False)
    assert found.because.startswith("not unbiased: 2 of 4")
    assert found.combined.value == pytest.approx((1 + 0.3 + 0.2) / 3)
    assert (found.combined.figures, found.combined.tumour, found.reviewed.figures) == (None, None, None)


def test_too_small_a_sample_has_no_interval() -> None:
    found = review_rate(figures([0.2] * 40, dict.fromkeys(range(9), "NMF")))
    assert found is not None
    assert found.combined.figures is None
    assert "fewer than 10, and so no interval" in found.because


def test_an_answer_about_a_figure_that_could_not_be_read_counts() -> None:
    found = review_rate([ReviewedFigure(None, "AMF", "all"), ReviewedFigure(0.2, "NMF", "all")])
    assert found is not None
    assert (found.chosen, found.reviewed.value, found.combined.value) == ("all", 0.5, 0.5)


def drawn(rng: np.random.Generator, n: int, *, wrong: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw P(atypical) and the truth, whose log-odds the model misses by `wrong`."""
    odds = rng.normal(-1.6, 1.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-odds))
    return np.round(1 / (1 + np.exp(-odds - wrong)), 6), truth


@pytest.mark.parametrize(
    ("sampled", "everyone", "none"), [(50, 500, 0.0), (50, 500, 0.25), (20, 60, 0.0), (20, 60, 0.25)]
)
def test_a_random_sample_is_unbiased_and_covered_though_the_model_is_wrong(
    sampled: int, everyone: int, none: float
) -> None:
    rng = np.random.default_rng(1)
    errors, covered, alone_covered, none_covered, of_tumour = [], [], [], [], []
    big_p, big_truth = drawn(rng, 200_000, wrong=0.8)
    tumour = big_truth.mean()
    for _ in range(600):
        at = rng.integers(0, len(big_p), everyone)
        p, truth = big_p[at], big_truth[at]
        is_none = rng.random(everyone) < none
        chosen = rng.choice(everyone, sampled, replace=False).tolist()
        said: dict[int, Word] = {i: "none" if is_none[i] else "AMF" if truth[i] else "NMF" for i in chosen}
        found = review_rate(figures(p.tolist(), said))
        assert found is not None
        assert found.combined.value is not None
        right = truth[~is_none].mean()
        errors.append(found.combined.value - right)
        covered.append(holds(found.combined.figures, right))
        alone_covered.append(holds(found.reviewed.figures, right))
        none_covered.append(holds(found.no_mitosis.figures, is_none.mean()))
        of_tumour.append(holds(found.combined.tumour, tumour))
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / math.sqrt(600)
    assert abs(big_p.mean() - tumour) > 0.05  # which the model alone would be off by
    for share in (covered, alone_covered, none_covered, of_tumour):
        assert np.mean(share) > 0.925


def holds(interval: tuple[float, float] | None, value: float) -> bool:
    assert interval is not None
    return interval[0] - 1e-12 <= value <= interval[1] + 1e-12


def test_slides_reviewed_by_unequal_samples_are_unbiased_together() -> None:
    rng = np.random.default_rng(2)
    errors, covered = [], []
    for _ in range(600):
        slides, right = [], []
        for everyone, sampled, wrong in ((300, 20, 1.0), (60, 30, -1.0), (40, 40, 0.5)):
            p, truth = drawn(rng, everyone, wrong=wrong)
            chosen = rng.choice(everyone, sampled, replace=False).tolist()
            said: dict[int, Word] = {i: "AMF" if truth[i] else "NMF" for i in chosen}
            slides.append(figures(p.tolist(), said))
            right.extend(truth.tolist())
        found = pooled_review(slides)
        assert found is not None
        assert found.chosen == "random"
        assert found.combined.value is not None
        errors.append(found.combined.value - np.mean(right))
        covered.append(holds(found.combined.figures, float(np.mean(right))))
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / math.sqrt(600)
    assert np.mean(covered) > 0.925


def test_a_sample_drawn_from_all_slides_together_is_unbiased_though_it_misses_some() -> None:
    """Thirty slides share forty answers, so that many have one or none."""
    rng = np.random.default_rng(3)
    sizes = [4, 6, 9, 12, 20, 30] * 5
    of_slide = np.repeat(np.arange(len(sizes)), sizes)
    errors, covered, chosen = [], [], set()
    for _ in range(600):
        p, truth = drawn(rng, len(of_slide), wrong=0.8)
        sample = rng.choice(len(p), 40, replace=False).tolist()
        said: dict[int, Word] = {i: "AMF" if truth[i] else "NMF" for i in sample}
        all_figures = figures(p.tolist(), said)
        slides = [[f for f, s in zip(all_figures, of_slide, strict=True) if s == k] for k in range(30)]
        found = pooled_review(slides)
        assert found is not None
        chosen.add(found.chosen)
        if found.chosen == "random":
            assert found.combined.value is not None
            errors.append(found.combined.value - truth.mean())
            covered.append(holds(found.combined.figures, float(truth.mean())))
    assert len(errors) > 570, chosen
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / math.sqrt(len(errors))
    assert np.mean(covered) > 0.925


def test_slides_that_no_sample_could_miss_are_not_unbiased_together() -> None:
    sampled = figures([0.2] * 20, dict.fromkeys(range(15), "NMF"))
    found = pooled_review([sampled, figures([0.5] * 200, {})])
    assert found is not None
    assert (found.chosen, found.combined.figures) == ("chosen", None)


def test_slides_of_which_one_was_not_reviewed_are_not_unbiased_together() -> None:
    chosen: dict[int, Word] = dict.fromkeys(range(15), "NMF")
    found = pooled_review([figures([0.2] * 20, chosen, "all"), figures([0.5] * 3, {})])
    assert found is not None
    assert not found.unbiased
    assert found.combined.value == pytest.approx((5 * 0.2 + 3 * 0.5) / 23)


def test_two_censuses_are_one() -> None:
    one, other = figures([0.2] * 2, {0: "AMF", 1: "NMF"}), figures([0.2], {0: "NMF"})
    found = pooled_review([one, other])
    assert found is not None
    assert (found.chosen, found.combined.value) == ("all", 1 / 3)
