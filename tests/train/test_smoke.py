"""Data for `--smoke`: few figures, and of each kind that there is."""

from __future__ import annotations

import pytest

from slidemitosis.train.smoke import TEST, smoke_test
from tests.train.drawn import drawn_figures, plain_figures


@pytest.mark.parametrize("n", [2, 6, 12, 40])
def test_figures_of_two_kinds_are_scored_however_many_there_are(n: int) -> None:
    """Two of each kind are drawn, fewer than a dozen."""
    few = smoke_test(plain_figures([0, 1] * (n // 2)))
    assert sorted(few.atypical.tolist()) == ([0, 1] if n == 2 else [0, 0, 1, 1])


def test_figures_of_many_kinds_are_a_dozen() -> None:
    few = smoke_test(drawn_figures(96))
    assert len(few.names) == TEST == len(set(few.names))
