"""JSON taken apart as text: every part as it is written, whichever of the two scanners finds it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slidemitosis.candidates.formats.json_text import (
    collection,
    compact,
    elements,
    joined,
    kind,
    members,
    string,
)

names = st.text(max_size=6) | st.sampled_from(['"', "\\", "a:NaN,", "{", "[NaN]", "µ", "\n", "NaN", ",", "}"])
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=5)
layouts = st.sampled_from(
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}, {"ensure_ascii": False}]
)


def text_of(value: object, layout: dict[str, Any]) -> bytes:
    return b" \t" + json.dumps(value, **layout).encode() + b"\r\n"


with_nan = st.recursive(
    leaves | st.sampled_from([math.nan, math.inf, -math.inf]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=5),
    max_leaves=16,
)


@given(objects, layouts)
def test_members_hold_what_json_reads(value: dict[str, Any], layout: dict[str, Any]) -> None:
    found = members(text_of(value, layout))
    assert {name: json.loads(bytes(part)) for name, part in found.items()} == value
    assert list(found) == list(value)
    assert json.loads(joined(found)) == value


@given(st.lists(values, max_size=5), layouts)
def test_elements_are_those_that_json_reads(value: list[Any], layout: dict[str, Any]) -> None:
    assert [json.loads(bytes(part)) for part in elements(text_of(value, layout))] == value


@given(objects, layouts)
def test_both_scanners_find_the_same_text(value: dict[str, Any], layout: dict[str, Any]) -> None:
    """A bare NaN sends the whole text to the scanner of the json module."""
    plain = members(text_of(value, layout))
    with_nan = dict(members(text_of(value | {"last": math.nan}, layout)))
    assert bytes(with_nan.pop("last")) == b"NaN"
    plain = {name: part for name, part in plain.items() if name != "last"}
    assert {n: bytes(p) for n, p in with_nan.items()} == {n: bytes(p) for n, p in plain.items()}


@given(st.lists(values, max_size=4), objects, layouts, st.booleans())
def test_a_collection_is_taken_apart_in_one_go(
    features: list[Any], others: dict[str, Any], layout: dict[str, Any], nan: bool
) -> None:
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features, **others, "end": 1}
    if nan:
        document["end"] = math.nan
    found, listed = collection(text_of(document, layout))
    told = {name: json.loads(bytes(part)) for name, part in found.items()}
    assert told["type"] == document["type"]
    if isinstance(document["features"], list):
        assert listed is not None
        assert [json.loads(bytes(part)) for part in listed] == document["features"]
    else:
        assert listed is None
        assert told["features"] == document["features"]


@given(st.lists(with_nan, max_size=6), layouts)
def test_what_is_not_finite_stays_in_the_elements(value: list[Any], layout: dict[str, Any]) -> None:
    """Strings that hold the same letters stay too."""
    for text in (text_of(value, layout), text_of({"features": value, "type": "NaN"}, layout)):
        _, listed = collection(text)
        assert listed is not None
        assert [repr(json.loads(bytes(part))) for part in listed] == [repr(v) for v in value]


@pytest.mark.parametrize("nan", ["1", "NaN"])
def test_of_keys_that_stand_twice_the_last_counts(nan: str) -> None:
    text = f'{{"a":{nan},"type":3,"features":3,"a":2,"features":[1],"type":4,"features":[4,5]}}'.encode()
    assert bytes(members(text)["a"]) == b"2"
    found, listed = collection(text)
    assert {name: bytes(part) for name, part in found.items()} == {"type": b"4"}
    assert listed is not None
    assert [bytes(part) for part in listed] == [b"4", b"5"]


@pytest.mark.parametrize(
    "number", ["10.10", "-0.0", "1e-7", "1E+5", "123456789012345678901234567890", "1e999", "0.1000000"]
)
@pytest.mark.parametrize("other", ["1", "NaN", '"\\ud800"'])
def test_numbers_keep_every_digit(number: str, other: str) -> None:
    text = f'{{"a": {number} , "b":[ {number},{number} ],"c":{other}}}'.encode()
    found = members(text)
    assert bytes(found["a"]) == number.encode()
    assert [bytes(part) for part in elements(found["b"])] == [number.encode()] * 2
    assert compact(found["b"]) == f"[{number},{number}]".encode()


@given(values, layouts)
@example({"a b": " { [ , : ", 'q" ': ["\\", '\\" ']}, {"indent": 3})
def test_a_compact_text_says_the_same_and_is_compact_for_good(value: Any, layout: dict[str, Any]) -> None:
    text = compact(text_of(value, layout))
    assert json.loads(text) == value
    assert compact(text) == text
    plainest = json.dumps(value, separators=(",", ":"), ensure_ascii=layout.get("ensure_ascii", True))
    assert text == plainest.encode()


def without_nan(value: Any) -> Any:
    """A value without its parts that are not finite."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items() if not is_nan(v)}
    if isinstance(value, list):
        return [None if is_nan(v) else without_nan(v) for v in value]
    return value


def is_nan(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


@given(st.lists(with_nan, max_size=5) | st.dictionaries(names, with_nan, max_size=6), layouts)
@example({"a": math.nan, "b": math.inf, "c": 1, "d": math.nan}, {})
@example({"a": 1, "b": math.nan, "c": math.nan}, {})
@example({"NaN": "NaN", "{": {'"a":NaN': math.nan, ",": -math.inf}}, {"separators": (",", ":")})
@example([math.nan, [math.inf], {"a": math.nan}, "NaN"], {})
def test_what_is_not_finite_goes_and_nothing_else(value: Any, layout: dict[str, Any]) -> None:
    text = compact(text_of(value, layout))
    assert json.loads(text, parse_constant=pytest.fail) == without_nan(value)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_a_json_string(value: str) -> None:
    """Half a surrogate pair, which UTF-8 cannot hold, too."""
    assert json.loads(string(value)) == value


@given(objects, st.data())
def test_a_text_cut_off_anywhere_is_refused(value: dict[str, Any], data: st.DataObject) -> None:
    whole = text_of({"features": [value]} | value, {}).strip()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for take in (members, collection):
        with pytest.raises(json.JSONDecodeError):
            take(cut)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a":1,}', '{"a" 1}', '{"a":1 "b":2}', "{1:2}", '{"a":}', '{"a":1}}', '{"a":01}', '{"a":"\n"}'),
        *('{"features":[1,]}', '{"features":[1 2]}', '{"features":[1}', '{"a":"\\x"}', "", "{,}"),
    ],
)
@pytest.mark.parametrize("mark", ["", "NaN"])
def test_both_scanners_are_as_strict_as_json(text: str, mark: str) -> None:
    text = text.replace("{", f'{{"nan":{mark},', 1) if mark else text
    with pytest.raises(json.JSONDecodeError) as caught:
        collection(text.encode())
    assert caught.value.lineno == _error(text).lineno


def _error(text: str) -> json.JSONDecodeError:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    return caught.value


def test_a_place_in_a_text_is_that_which_json_names() -> None:
    text = '{"type": "FeatureCollection",\n"features": [\n {"a": 1},\n {"b": }]}'
    with pytest.raises(json.JSONDecodeError) as caught:
        collection(text.encode())
    assert (caught.value.lineno, caught.value.colno) == (_error(text).lineno, _error(text).colno)


@pytest.mark.parametrize(("text", "first"), [(b" \n[1]", "["), (b"", ""), (b"  ", ""), (b"NaN", "N")])
def test_the_kind_of_a_value_is_its_first_character(text: bytes, first: str) -> None:
    assert kind(text) == first


def test_a_large_list_is_a_view_of_its_text() -> None:
    """Features are not copied: that would be the file a second time."""
    text = b'{"features":[%b]}' % b",".join([b'{"a":%b}' % (b"1" * 100)] * 3)
    _, listed = collection(text)
    assert listed is not None
    assert all(not isinstance(part, bytes) for part in listed)
    assert elements(b"[]") == []
