"""Sampler: which figures an epoch shows, how often, and that nothing but seed and epoch decides it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption
from slidemitosis.train.fit.sampler import draw_order
from slidemitosis.train.recipe.recipe import SamplerRecipe

LABELS = st.lists(st.integers(-1, 3), min_size=1, max_size=60).filter(lambda c: max(c) >= 0)
SHUFFLE, BALANCED = SamplerRecipe(), SamplerRecipe(name="inverse-frequency")


@given(labels=LABELS, size=st.integers(1, 9))
def test_no_figure_is_lost_or_shown_twice_under_shuffle(labels: list[int], size: int) -> None:
    classes = np.array(labels)
    batches = draw_order(classes, SamplerRecipe(batch_size=size), seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == np.flatnonzero(classes >= 0).tolist()


@given(labels=LABELS, size=st.integers(2, 9), name=st.sampled_from(["shuffle", "inverse-frequency"]))
def test_no_batch_of_one_where_batches_of_more_were_asked_for(
    labels: list[int], size: int, name: str
) -> None:
    spec = SamplerRecipe(name=name, batch_size=size)  # type: ignore[arg-type]
    batches = draw_order(np.array(labels), spec, seed=1, epoch=0)
    known = sum(k >= 0 for k in labels)
    sizes = [len(b) for b in batches]
    assert sum(sizes) == known
    assert min(sizes) > 1 or known == 1
    assert max(sizes) <= size + 1
    assert all(s == size for s in sizes[:-1])


def test_seed_and_epoch_alone_decide_the_order() -> None:
    classes = np.arange(100) % 3
    for spec in (SHUFFLE, BALANCED):
        orders = {
            (seed, epoch): np.concatenate(draw_order(classes, spec, seed=seed, epoch=epoch)).tobytes()
            for seed, epoch in ((0, 0), (0, 1), (1, 0))
        }
        assert len(set(orders.values())) == 3
        np.random.default_rng(5).random(7)
        again = np.concatenate(draw_order(classes, spec, seed=0, epoch=1))
        assert again.tobytes() == orders[0, 1]
        assert again.dtype == np.int64


def test_inverse_frequency_shows_each_class_equally_often() -> None:
    # 900, 90 and 10 figures: a third of 12,000 draws each, SD sqrt(12000 * 1/3 * 2/3) = 51.6; 5 SD = 258.
    classes = np.repeat([0, 1, 2], [900, 90, 10])
    spec = SamplerRecipe(name="inverse-frequency", batch_size=100, batches=120)
    drawn = classes[np.concatenate(draw_order(classes, spec, seed=3, epoch=2))]
    assert np.abs(np.bincount(drawn) - 4000).max() < 258


def test_inverse_frequency_shows_the_figures_of_a_class_equally_often() -> None:
    # Ten rare figures share 4,000 draws: 400 each, SD sqrt(12000 * 1/30 * 29/30) = 19.7; 5 SD = 98.
    classes = np.repeat([0, 1, 2], [900, 90, 10])
    spec = SamplerRecipe(name="inverse-frequency", batch_size=100, batches=120)
    rows = np.concatenate(draw_order(classes, spec, seed=3, epoch=2))
    assert np.abs(np.bincount(rows, minlength=1000)[990:] - 400).max() < 98


def test_figures_without_a_class_are_never_drawn() -> None:
    classes = np.array([0, -1, 1, -1, 1] * 10)
    for name in ("shuffle", "inverse-frequency"):
        spec = SamplerRecipe(name=name, batch_size=7, batches=40)
        assert (classes[np.concatenate(draw_order(classes, spec, seed=0, epoch=0))] >= 0).all()


def test_an_absent_class_takes_no_share() -> None:
    classes = np.repeat([0, 3], [300, 100])
    spec = SamplerRecipe(name="inverse-frequency", batch_size=100, batches=40)
    drawn = classes[np.concatenate(draw_order(classes, spec, seed=0, epoch=0))]
    # Half of 4,000 each, SD 31.6; 5 SD = 158.
    assert abs((drawn == 3).sum() - 2000) < 158


@given(batches=st.integers(1, 12), size=st.integers(1, 9), n=st.integers(1, 40))
def test_a_set_number_of_batches_is_kept_and_no_figure_is_favoured(batches: int, size: int, n: int) -> None:
    spec = SamplerRecipe(batch_size=size, batches=batches)
    drawn = draw_order(np.zeros(n, np.int64), spec, seed=0, epoch=4)
    assert [len(b) for b in drawn] == [size] * batches
    shown = np.bincount(np.concatenate(drawn), minlength=n)
    assert shown.max() - shown.min() <= 1


def test_as_many_figures_as_there_are_make_an_epoch() -> None:
    # 10 of 4: 4, 4, 2. 9 of 4: the ninth joins the second batch.
    for spec in (SamplerRecipe(batch_size=4), SamplerRecipe(name="inverse-frequency", batch_size=4)):
        ten, nine = (draw_order(np.zeros(n, np.int64), spec, seed=0, epoch=0) for n in (10, 9))
        assert [len(b) for b in ten] == [4, 4, 2]
        assert [len(b) for b in nine] == [4, 5]


def test_nothing_to_draw_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(InvalidOption, match="no figure has a label"):
        draw_order(np.array([-1, -1]), SHUFFLE, seed=0, epoch=0)
    for spec in (SamplerRecipe(batch_size=0), SamplerRecipe(batches=-1)):
        with pytest.raises(InvalidOption, match="batch_size must be 1 or more"):
            draw_order(np.array([0, 1]), spec, seed=0, epoch=0)
