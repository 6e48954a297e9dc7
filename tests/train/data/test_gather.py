"""Which figures a run trains on and is scored on."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.figures import Figures, LabelledData
from slidemitosis.train.data.gather import gather_figures
from tests.train.drawn import drawn_figures
from tests.train.small_runs import drawn_data, of_other_slides


def held_out(figures: Figures, name: str) -> LabelledData:
    return LabelledData(name, replace(figures, data=(name,) * len(figures)), None, {}, ())


def test_figures_of_test_slides_are_refused_dropped_or_allowed(caplog: pytest.LogCaptureFixture) -> None:
    data = drawn_data(32, test=0)
    # Other figures of three of its slides, and one slide of its own.
    other = drawn_figures(12, slides=3, seed=7)
    other = replace(other, slides=(*other.slides[:-1], "elsewhere"), patients=("",) * 12)
    with pytest.raises(InvalidOption, match=r"--drop-leaks .* --allow-leaks") as caught:
        gather_figures([data], [held_out(other, "other")], leaks="refuse")
    assert "\n" not in str(caught.value)
    with caplog.at_level(logging.WARNING, "slidemitosis"):
        training, tests = gather_figures([data], [held_out(other, "other")], leaks="drop")
    assert not set(training.slides) & set(other.slides)
    assert len(training) == 32 - sum(s in other.slides for s in data.training.slides) == 20
    assert "12 figures of slides that are in a test set are not trained on" in caplog.text
    assert tests["other"].names == other.names
    caplog.clear()
    with caplog.at_level(logging.WARNING, "slidemitosis"):
        training, _ = gather_figures([data], [held_out(other, "other")], leaks="allow")
    assert training.names == data.training.names
    assert "scores on them are too good" in caplog.text


def test_leaks_that_leave_nothing_to_train_on_are_said() -> None:
    data = drawn_data(8, test=0)
    with pytest.raises(InvalidOption, match="every training figure is of a slide that is in a test set"):
        gather_figures([data], [held_out(data.training, "other")], leaks="drop")


def test_test_figures_are_never_trained_on() -> None:
    one, two = drawn_data(name="one"), drawn_data(24, seed=10, name="two")
    two = replace(
        two,
        training=of_other_slides(two.training, mark="u"),
        test=None if two.test is None else of_other_slides(two.test, mark="u"),
    )
    third = held_out(of_other_slides(drawn_figures(9, seed=20), mark="v"), "third")
    training, tests = gather_figures([one], [two, third], leaks="refuse")
    assert training.names == one.training.names
    assert list(tests) == ["one test", "two test", "third"]
    for test in tests.values():
        assert not set(test.slides) & set(training.slides)
        assert not set(test.names) & set(training.names)
    # Of a held-out set with official test figures the rest is neither trained on nor scored.
    assert two.test is not None
    assert tests["two test"].names == two.test.names


def test_two_data_sets_of_one_name_are_refused() -> None:
    """Their hashes and scores would be told apart by nothing."""
    other = replace(drawn_data(seed=5), training=of_other_slides(drawn_figures(32, seed=5)))
    with pytest.raises(InvalidOption, match="two data sets are called 'drawn'"):
        gather_figures([drawn_data(test=0), replace(other, test=None)], [], leaks="refuse")
