"""Which figures are shown, and what is kept for them while a slide is classified."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from slidemitosis.candidates import Candidate
from slidemitosis.prediction import PlacedCandidate, Prediction
from slidemitosis.report.choice import ALL, SOME, Choice, Limits
from slidemitosis.report.keeper import PatchKeeper

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

SMALL = Limits(atypical=5, near=4, normal=3, blank=2)


def placed(n: int) -> list[PlacedCandidate]:
    candidate = Candidate(None, 0, 0, None, "line 1")
    return [PlacedCandidate(candidate, f"id-{i}", 0, 0, 0, 0) for i in range(n)]


def patches(rows: list[int]) -> NDArray[np.uint8]:
    """Patches whose grey names their row."""
    return np.stack([np.full((16, 16, 3), row, np.uint8) for row in rows])


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1).map(lambda p: round(p, 6))), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
    st.integers(1, 16),
)
def test_in_whatever_order_figures_come_the_same_patches_are_kept_and_chosen(
    said: list[float | None], order: random.Random, size: int
) -> None:
    in_file_order = Choice(0.4, SMALL)
    for row, p in enumerate(said):
        in_file_order.offer(row, f"id-{row}", p)
    keeper = PatchKeeper(placed(len(said)), 0.4, limits=SMALL)
    rows = list(range(len(said)))
    order.shuffle(rows)
    for i in range(0, len(rows), size):
        batch = rows[i : i + size]
        told = [Prediction(said[r] or 0.0, (said[r] or 0) >= 0.4, blank=said[r] is None) for r in batch]
        keeper.add(batch, patches(batch), told)
    assert keeper.patches.keys() == in_file_order.rows
    for row, jpeg in keeper.patches.items():
        pixel = Image.open(io.BytesIO(jpeg)).getpixel((8, 8))
        assert pixel == pytest.approx((row, row, row), abs=2)


def test_galleries_are_what_their_names_say() -> None:
    choice = Choice(0.5, SMALL)
    p = [0.01 * i for i in range(100)]
    for row, value in enumerate(p):
        choice.offer(row, f"id-{row}", value)
    choice.offer(100, "id-100", None)
    found = choice.galleries
    assert found["atypical"] == [99, 98, 97, 96, 95]
    assert sorted(found["near"]) == [48, 49, 50, 51]
    assert all(p[row] < 0.5 for row in found["normal"])
    assert found["blank"] == [100]


def test_the_sample_of_normal_figures_does_not_look_at_p() -> None:
    """The mean of a gallery of 48 of 4,000 lies where that of a random sample does."""
    choice = Choice(0.5, SOME)
    for row in range(4000):
        choice.offer(row, f"3f2504e0-4f89-41d3-9a0c-{row:012d}", row / 8000)
    found = [row / 8000 for row in choice.galleries["normal"]]
    assert np.mean(found) == pytest.approx(0.25, abs=4 * 0.144 / np.sqrt(48))


def test_however_many_figures_there_are_few_patches_are_held() -> None:
    keeper = PatchKeeper(placed(6400), 0.5)
    most = 0
    for start in range(0, 6400, 64):
        rows = list(range(start, start + 64))
        keeper.add(rows, np.zeros((64, 16, 16, 3), np.uint8), [Prediction(r / 6400, r >= 3200) for r in rows])
        most = max(most, len(keeper.patches))
    assert most <= 150 + 48 + 48 + 16


def test_all_means_all_and_the_strip_stays_a_strip() -> None:
    choice = Choice(0.5, ALL)
    for row in range(1000):
        choice.offer(row, f"id-{row}", row / 1000)
    assert len(choice.rows) == 1000
    assert len(choice.galleries["near"]) == 48
