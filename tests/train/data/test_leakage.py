"""What training and held-out figures share is found, refused, and can be taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.figures import join
from slidemitosis.train.data.leakage import check_leakage, drop_leaks, shared_figures, shared_slides
from tests.train.drawn import plain_figures

if TYPE_CHECKING:
    from slidemitosis.train.data.figures import Figures

NAN = float("nan")
# (slide, x, y, value of its pixels)
Row = tuple[str, float, float, int]


def figures_of(name: str, rows: list[Row], **known: Any) -> Figures:
    n = len(rows)
    return plain_figures(
        [0] * n,
        pixels=np.array([np.full((2, 2, 3), r[3]) for r in rows], np.uint8).reshape(n, 2, 2, 3),
        slides=tuple(r[0] for r in rows),
        centres=np.array([r[1:3] for r in rows], np.float64).reshape(n, 2),
        data=(name,) * n,
        **known,
    )


AMI_BR = figures_of(
    "AMi-Br",
    [("002.tiff", 100, 100, 1), ("002.tiff", 900, 100, 2), ("003.tiff", 50, 50, 3), ("1.tif", 50, 50, 4)],
)
MIDOG25 = figures_of(
    "MIDOG25",
    [("201.tiff", 100, 100, 5), ("002.tiff", 115, 120, 6), ("003.tiff", 50, 76, 7), ("1.tif", 50, 50.5, 4)],
)


def test_figures_of_one_slide_within_25_px_are_one() -> None:
    assert shared_figures(AMI_BR, MIDOG25) == [(0, 1), (3, 3)]
    assert shared_slides(AMI_BR, MIDOG25) == ("002.tiff", "003.tiff", "1.tif")


def test_pixels_tell_where_slides_or_centres_are_not_known() -> None:
    unknown = figures_of("folder", [("", NAN, NAN, 3), ("002.tiff", NAN, NAN, 2), ("", 100, 100, 9)])
    assert shared_figures(AMI_BR, unknown) == [(1, 1), (2, 0)]
    assert shared_figures(unknown, AMI_BR) == [(0, 2), (1, 1)]
    assert shared_slides(unknown, unknown) == ("002.tiff",)


def test_equal_pixels_at_different_places_are_different_figures() -> None:
    empty = figures_of("a", [("1.tif", 50, 50, 255), ("2.tif", 50, 50, 255)])
    assert shared_figures(empty, empty) == [(0, 0), (1, 1)]


rows = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([0.0, 20.0, 40.0, 90.0, NAN]),
        st.sampled_from([0.0, 15.0]),
        st.integers(0, 2),
    ),
    max_size=8,
)


@given(rows, rows)
def test_sharing_has_no_direction(a: list[Row], b: list[Row]) -> None:
    one, other = figures_of("a", a), figures_of("b", b)
    assert shared_figures(one, other) == sorted((i, j) for j, i in shared_figures(other, one))


@given(rows, rows)
def test_nothing_leaks_once_leaks_are_dropped(a: list[Row], b: list[Row]) -> None:
    training, held_out = figures_of("a", a), figures_of("b", b)
    kept = drop_leaks(training, [held_out])
    assert not shared_figures(kept, held_out)
    assert not shared_slides(kept, held_out)
    check_leakage(kept, [held_out], allow=False)
    if len(kept) < len(training):
        with pytest.raises(InvalidOption, match="--drop-leaks"):
            check_leakage(training, [held_out], allow=False)


def test_a_leak_is_counted_and_refused_in_one_line() -> None:
    other = figures_of("folder", [("", NAN, NAN, 2)])
    with pytest.raises(InvalidOption) as caught:
        check_leakage(AMI_BR, [MIDOG25, other], allow=False)
    assert str(caught.value) == (
        "training and held-out figures are not independent: AMi-Br (training) and MIDOG25 (held out) share "
        "2 figures of 2 slides, and 2 more training figures are of the same slides or patients; AMi-Br "
        "(training) and folder (held out) share 1 figures of 1 slides, and 1 more training figures are of "
        "the same slides or patients: --drop-leaks takes all figures of shared slides out of training, "
        "--allow-leaks keeps them"
    )


def test_a_set_without_slides_is_known_by_one_figure_and_its_slides_go_whole() -> None:
    training = figures_of("a", [("1.tif", 50, 50, 1), ("1.tif", 90, 90, 2), ("2.tif", 50, 50, 3)])
    held_out = figures_of("folder", [("", NAN, NAN, 1)])
    assert drop_leaks(training, [held_out]).slides == ("2.tif",)


def test_a_leak_that_is_allowed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    check_leakage(AMI_BR, [MIDOG25], allow=True)
    assert "share 2 figures of 2 slides" in caplog.text
    caplog.clear()
    check_leakage(AMI_BR, [figures_of("far", [("9.tif", 1, 1, 1)])], allow=False)
    assert not caplog.records


def test_only_the_sets_that_leak_are_named() -> None:
    training = join([AMI_BR, figures_of("mine", [("9.svs", 1, 1, 1)])])
    with pytest.raises(InvalidOption, match=r"independent: AMi-Br \(training\) and MIDOG25"):
        check_leakage(training, [MIDOG25], allow=False)
    assert drop_leaks(training, [MIDOG25]).data == ("mine",)


def test_slides_of_one_patient_leak_within_a_data_set_alone() -> None:
    training = figures_of("mine", [("1.svs", 1, 1, 1), ("2.svs", 1, 1, 2)], patients=("p", "q"))
    test = figures_of("mine", [("3.svs", 1, 1, 3)], patients=("p",))
    assert drop_leaks(training, [test]).slides == ("2.svs",)
    others = replace(test, data=("another's",))
    assert len(drop_leaks(training, [others])) == 2


def test_figures_of_which_nothing_is_known_are_not_taken_for_one_another() -> None:
    a = figures_of("a", [("", NAN, NAN, 1), ("", NAN, NAN, 2)])
    b = figures_of("b", [("", NAN, NAN, 3)])
    check_leakage(a, [b], allow=False)
    assert len(drop_leaks(a, [b])) == 2
