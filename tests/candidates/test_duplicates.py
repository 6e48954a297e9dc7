from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import Duplicate, find_duplicates
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Place = tuple[float, float, str | None]


def find(places: Sequence[Place], distance_um: float = 2.0) -> dict[int, Duplicate]:
    return find_duplicates(array(places), [p[2] for p in places], distance_um=distance_um)


def array(places: Sequence[Place]) -> NDArray[np.float64]:
    return np.array([p[:2] for p in places], np.float64).reshape(-1, 2)


def test_the_first_is_kept_and_named() -> None:
    found = find([(0, 0, "a"), (50, 0, None), (1.2, 0.5, "b"), (90, 0, "a"), (50, 0, None)])
    assert found == {
        2: Duplicate(0, same_id=False, distance_um=1.3),
        3: Duplicate(0, same_id=True, distance_um=90.0),
        4: Duplicate(1, same_id=False, distance_um=0.0),
    }


def test_the_distance_itself_is_a_duplicate_and_more_is_none() -> None:
    assert find([(0, 0, None), (2, 0, None)]) == {1: Duplicate(0, same_id=False, distance_um=2.0)}
    assert find([(0, 0, None), (math.nextafter(2, 3), 0, None)]) == {}


def test_a_duplicate_makes_no_duplicates_of_its_own() -> None:
    # The third lies near the second only, and has the id of the second only.
    assert list(find([(0, 0, "a"), (1.5, 0, "b"), (3, 0, "b")])) == [1]


def test_the_nearest_kept_one_is_named() -> None:
    assert find([(0, 0, None), (3, 0, None), (1.9, 0, None)])[2].of == 1


def test_without_ids_only_places_count() -> None:
    assert find([(0, 0, None), (100, 0, None)]) == {}
    assert find([]) == {}


def test_no_distance_leaves_only_equal_places() -> None:
    assert list(find([(1, 1, None), (1, 1.0001, None), (1, 1, None)], 0.0)) == [2]


@pytest.mark.parametrize("distance", [-1, math.nan, math.inf])
def test_a_distance_that_cannot_be_is_refused(distance: float) -> None:
    with pytest.raises(InvalidOption, match="must be 0 or more"):
        find([(0, 0, None)], distance)


def test_coordinates_and_ids_must_fit() -> None:
    with pytest.raises(ValueError, match="2 ids"):
        find_duplicates(np.zeros((3, 2)), [None, None])
    with pytest.raises(ValueError, match="finite"):
        find([(math.nan, 0, None)])


# A coarse grid makes ties and exact distances frequent, the floats make odd roundings so.
axis = st.integers(-8, 8).map(lambda k: k / 2) | st.floats(-6, 6) | st.floats(99_990, 100_000)
places_lists = st.lists(st.tuples(axis, axis, st.sampled_from([None, None, "a", "b", "c"])), max_size=25)
distances = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.3])


def distance(a: Place, b: Place) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def brute_force(places: Sequence[Place], limit: float) -> dict[int, int]:
    kept: list[int] = []
    found: dict[int, int] = {}
    for index, place in enumerate(places):
        same = [k for k in kept if place[2] is not None and places[k][2] == place[2]]
        near = [k for k in kept if distance(place, places[k]) <= limit]
        if same:
            found[index] = same[0]
        elif near:
            found[index] = min(near, key=lambda k: (distance(place, places[k]), k))
        else:
            kept.append(index)
    return found


@given(places_lists, distances)
def test_it_finds_what_comparing_all_with_all_finds(places: list[Place], limit: float) -> None:
    assert {index: d.of for index, d in find(places, limit).items()} == brute_force(places, limit)


@given(places_lists, distances)
def test_no_two_kept_are_near_or_share_an_id(places: list[Place], limit: float) -> None:
    found = find(places, limit)
    kept = [place for index, place in enumerate(places) if index not in found]
    for index, a in enumerate(kept):
        for b in kept[:index]:
            assert distance(a, b) > limit
            assert a[2] is None or a[2] != b[2]


@given(places_lists, distances)
def test_every_duplicate_repeats_an_earlier_kept_one(places: list[Place], limit: float) -> None:
    found = find(places, limit)
    for index, duplicate in found.items():
        assert duplicate.of < index
        assert duplicate.of not in found
        same = places[index][2] is not None and places[index][2] == places[duplicate.of][2]
        assert same or distance(places[index], places[duplicate.of]) <= limit
        assert duplicate.same_id == same
        assert duplicate.distance_um == distance(places[index], places[duplicate.of])


@pytest.mark.parametrize("side", [10.0, 1e5])
def test_its_time_grows_with_the_number_and_not_its_square(side: float) -> None:
    places = np.random.default_rng(0).uniform(0, side, (20_000, 2))
    start = time.process_time()
    find_duplicates(places, [None] * len(places))
    # All with all would be 200 million distances: minutes.
    assert time.process_time() - start < 5
