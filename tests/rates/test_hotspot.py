"""The hot spot against all spots that there are, and its laws."""

from __future__ import annotations

import math
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption
from slidemitosis.options import Spot
from slidemitosis.rates.hotspot import EDGE_UM, HotSpot, find_hot_spot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.options.rate import Shape

CIRCLE = Spot(mm2=math.pi * 1e-2)  # radius 100 um
SQUARE = Spot(shape="square", mm2=0.04)  # half width 100 um
SHAPES = (CIRCLE, SQUARE, Spot(shape="4:3", mm2=0.04))


def most_in_circle(xy: NDArray[np.float64], radius: float) -> int:
    """A circle that holds most has two points on its edge, or one."""
    centres = list(xy)
    for a, b in combinations(xy, 2):
        d = b - a
        length = math.hypot(*d)
        if 0 < length <= 2 * radius:
            side = math.sqrt(max(radius**2 - length**2 / 4, 0)) * np.array([-d[1], d[0]]) / length
            centres += [(a + b) / 2 + side, (a + b) / 2 - side]
    return max(int((np.hypot(*(xy - c).T) <= radius + 1e-7).sum()) for c in centres)


def most_in_rectangle(xy: NDArray[np.float64], half: tuple[float, float]) -> int:
    """A rectangle that holds most has a point on its left and one on its upper edge."""
    best = 0
    for x, y in product(xy[:, 0], xy[:, 1]):
        in_x = (xy[:, 0] >= x) & (xy[:, 0] <= x + 2 * half[0] + 1e-7)
        in_y = (xy[:, 1] >= y) & (xy[:, 1] <= y + 2 * half[1] + 1e-7)
        best = max(best, int((in_x & in_y).sum()))
    return best


def most(xy: NDArray[np.float64], spot: Spot, *, wider: float = 0.0) -> int:
    half_x, half_y = spot.half_um
    if spot.shape == "circle":
        return most_in_circle(xy, half_x + wider)
    return most_in_rectangle(xy, (half_x + wider, half_y + wider))


def found_in(xy: NDArray[np.float64], spot: Spot) -> HotSpot:
    found = find_hot_spot(xy, spot)
    assert found is not None
    return found


coordinates = st.floats(0, 600) | st.integers(0, 12).map(lambda i: 50.0 * i)
places = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=14).map(
    lambda p: np.array(p, np.float64)
)


@pytest.mark.parametrize("spot", SHAPES, ids=lambda s: s.shape)
@given(places)
def test_no_spot_holds_more(spot: Spot, xy: NDArray[np.float64]) -> None:
    """Places of round numbers too, which lie on edges together; there the width of the edge decides."""
    found = found_in(xy, spot)
    assert found.at_most == found.figures == found.inside.sum()
    assert most(xy, spot, wider=-EDGE_UM) <= found.figures <= most(xy, spot, wider=EDGE_UM)


@pytest.mark.parametrize("spot", SHAPES, ids=lambda s: s.shape)
@given(places)
def test_the_spot_holds_what_it_says(spot: Spot, xy: NDArray[np.float64]) -> None:
    found = found_in(xy, spot)
    dx, dy = np.abs(xy[:, 0] - found.x_um), np.abs(xy[:, 1] - found.y_um)
    half_x, half_y = spot.half_um
    within = np.hypot(dx, dy) <= half_x if spot.shape == "circle" else (dx <= half_x) & (dy <= half_y)
    beyond = np.hypot(dx, dy) > half_x + EDGE_UM * 2
    if spot.shape != "circle":
        beyond = (dx > half_x + EDGE_UM * 2) | (dy > half_y + EDGE_UM * 2)
    assert found.inside[within].all()
    assert not found.inside[beyond].any()


@pytest.mark.parametrize("spot", SHAPES, ids=lambda s: s.shape)
@pytest.mark.parametrize("seed", range(3))
def test_many_places_are_searched_as_well_as_few(spot: Spot, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = np.concatenate([rng.uniform(0, 900, (60, 2)), rng.normal(500, 70, (40, 2))])
    assert found_in(xy, spot).figures == most(xy, spot)


@settings(max_examples=30)
@given(places, st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.randoms())
def test_neither_the_place_of_all_nor_their_order_matters(
    xy: NDArray[np.float64], dx: float, dy: float, random: object
) -> None:
    order = list(range(len(xy)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for spot in (SQUARE, CIRCLE):
        found, shuffled = found_in(xy, spot), found_in(xy[order], spot)
        assert (shuffled.x_um, shuffled.y_um, shuffled.figures) == (found.x_um, found.y_um, found.figures)
        assert (shuffled.inside == found.inside[order]).all()
    moved = found_in(xy + np.array([dx, dy]), CIRCLE)
    assert abs(moved.figures - most(xy, CIRCLE)) <= most(xy, CIRCLE, wider=EDGE_UM) - most(
        xy, CIRCLE, wider=-EDGE_UM
    )


def test_one_place_more_never_lessens_what_a_spot_holds() -> None:
    rng = np.random.default_rng(4)
    xy = rng.uniform(0, 500, (50, 2))
    counts = [found_in(xy[:n], CIRCLE).figures for n in range(1, 51)]
    assert all(a <= b <= a + 1 for a, b in pairwise(counts))


def test_the_spot_is_centred_on_what_it_holds() -> None:
    cluster = np.array([(1000.0, 1000.0), (1040.0, 1000.0), (1020.0, 1030.0)])
    xy = np.concatenate([cluster, [(3000.0, 3000.0)]])
    found = found_in(xy, SQUARE)
    assert (found.x_um, found.y_um) == (1020, 1015)
    circle = found_in(xy, CIRCLE)
    reach = np.hypot(*(cluster - (circle.x_um, circle.y_um)).T)
    assert reach == pytest.approx(reach.mean(), abs=1e-6)  # all three on the smallest circle around them


def test_figures_just_as_far_apart_as_the_spot_is_wide_fit_in() -> None:
    assert found_in(np.array([(0.0, 0.0), (200.0, 0.0)]), CIRCLE).figures == 2
    assert found_in(np.array([(0.0, 0.0), (200.0, 200.0)]), SQUARE).figures == 2
    assert found_in(np.array([(0.0, 0.0), (200.01, 0.0)]), CIRCLE).figures == 1


def test_a_figure_alone_is_in_the_middle_of_its_spot() -> None:
    found = found_in(np.array([(12.5, 40.0)]), CIRCLE)
    assert (found.x_um, found.y_um, found.figures, found.at_most) == (12.5, 40.0, 1, 1)


def test_no_figure_has_no_spot() -> None:
    assert find_hot_spot(np.empty((0, 2)), CIRCLE) is None


def test_a_search_that_is_stopped_says_what_it_may_have_missed() -> None:
    xy = np.stack(np.meshgrid(np.arange(60) * 10.0, np.arange(60) * 10.0), -1).reshape(-1, 2)
    whole = found_in(xy, CIRCLE)
    stopped = find_hot_spot(xy, CIRCLE, work=100_000)
    assert stopped is not None
    assert stopped.figures <= whole.figures == whole.at_most <= stopped.at_most
    assert stopped.figures < stopped.at_most
    assert stopped.inside.sum() == stopped.figures


@pytest.mark.parametrize(
    ("shape", "width", "height"),
    [("circle", 1737.12, 1737.12), ("square", 1539.48, 1539.48), ("4:3", 1777.64, 1333.23)],
)
def test_a_spot_has_its_area_whatever_its_shape(shape: Shape, width: float, height: float) -> None:
    half_x, half_y = Spot(shape=shape).half_um
    assert (2 * half_x, 2 * half_y) == pytest.approx((width, height), abs=0.01)
    area = math.pi * half_x**2 if shape == "circle" else 4 * half_x * half_y
    assert area == pytest.approx(2.37e6)


def test_a_spot_that_cannot_be_is_refused() -> None:
    for mm2 in (0, -1, math.nan, math.inf, 1e9):
        with pytest.raises(InvalidOption, match="the hot spot must have"):
            Spot(mm2=mm2)
    with pytest.raises(InvalidOption, match="is not one of circle, square, 4:3"):
        Spot(shape="hexagon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite"):
        find_hot_spot(np.array([(math.nan, 0.0)]), CIRCLE)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [100, 1500, 5000], ids=["in one spot", "about one spot", "over a slide"])
def test_a_hundred_thousand_figures_are_searched_to_the_end(spread: float) -> None:
    xy = np.random.default_rng(0).normal(0, spread, (100_000, 2))
    found = found_in(xy, Spot())
    assert found.figures == found.at_most
