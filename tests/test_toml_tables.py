"""TOML tables are read into dataclasses and written from them without loss, and every mistake is named."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidemitosis.toml_tables import InvalidTable, NotToml, build, dump, nearest, parse_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A table in a list of tables."""

    name: str
    place: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A table in a dictionary of tables."""

    low: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A nested table."""

    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    spots: tuple[Spot, ...] = ()
    ranges: dict[str, Range] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """The top level."""

    text: str
    count: int = 0
    share: float = 0.5
    sure: bool = False
    kind: Literal["one", "two"] = "one"
    either: str | None = None
    values: dict[str, float | tuple[float, ...]] = field(default_factory=dict)
    mixed: dict[str, str | bool | int | float] = field(default_factory=dict)
    inner: Inner = Inner()
    ranges: dict[str, Range] = field(default_factory=dict)
    spots: tuple[Spot, ...] = ()
    optional: Range | None = None


def read(text: str, kind: type[Any] = Outer) -> Any:
    return build(kind, tomllib.loads(text), where="the top level")


# TOML holds every text but halves of surrogate pairs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SPOTS = st.builds(Spot, name=TEXTS, place=st.tuples(NUMBERS, NUMBERS))
RANGE = st.builds(Range, low=NUMBERS, log=st.booleans())
RANGES = st.dictionaries(TEXTS, RANGE, max_size=2)
INNERS = st.builds(
    Inner,
    words=st.lists(TEXTS, max_size=2).map(tuple),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2).map(tuple),
    spots=st.lists(SPOTS, max_size=2).map(tuple),
    ranges=RANGES,
)
OUTERS = st.builds(
    Outer,
    text=TEXTS,
    count=st.integers(-(2**63), 2**63 - 1),
    share=NUMBERS,
    sure=st.booleans(),
    kind=st.sampled_from(["one", "two"]),
    either=st.none() | TEXTS,
    values=st.dictionaries(TEXTS, NUMBERS | st.lists(NUMBERS, max_size=2).map(tuple), max_size=2),
    mixed=st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers(-9, 9) | NUMBERS, max_size=4),
    inner=INNERS,
    ranges=RANGES,
    spots=st.lists(SPOTS, max_size=2).map(tuple),
    optional=st.none() | RANGE,
)


@settings(max_examples=40)
@given(OUTERS)
def test_what_is_dumped_is_built_again(outer: Outer) -> None:
    again = read(dump(outer))
    assert again == outer
    assert dump(again) == dump(outer)


@settings(max_examples=20)
@given(OUTERS)
def test_numbers_keep_their_types(outer: Outer) -> None:
    """1.0 must not come back as 1, nor True as 1, though they are equal."""
    again = read(dump(outer))
    assert {k: type(v) for k, v in again.mixed.items()} == {k: type(v) for k, v in outer.mixed.items()}
    assert type(again.share) is float


@pytest.mark.parametrize("key", ["\U00010000", "\x7f"])
def test_any_key_is_dumped_so_that_it_can_be_read(key: str) -> None:
    outer = Outer(text="", ranges={key: Range(low=0.0)}, mixed={key: 1})
    assert read(dump(outer)) == outer


def test_a_field_may_be_skipped_and_given_from_elsewhere() -> None:
    text = dump(Range(low=1.0, log=True), skip=("log",))
    assert text == "low = 1.0\n"
    assert build(Range, tomllib.loads(text), where="here", log=True) == Range(low=1.0, log=True)
    with pytest.raises(InvalidTable, match="unknown key 'log' in here"):
        build(Range, {"low": 1.0, "log": True}, where="here", log=True)


def test_empty_dictionaries_are_left_out_and_empty_lists_are_written() -> None:
    assert "ranges" not in dump(Inner())
    assert "numbers = []" in dump(Inner())


def test_a_table_that_may_be_absent_says_what_is_wrong_inside_it() -> None:
    assert read("text = 'a'").optional is None
    assert read("text = 'a'\n[optional]\nlow = 1").optional == Range(low=1.0)
    with pytest.raises(InvalidTable, match=r"unknown key 'lo' in \[optional\]; did you mean 'low'"):
        read("text = 'a'\n[optional]\nlo = 1")


def test_an_integer_is_a_float_but_not_the_other_way_round() -> None:
    assert read('text = "a"\nshare = 1').share == 1.0
    assert type(read('text = "a"\nshare = 1').share) is float
    with pytest.raises(InvalidTable, match="'count'"):
        read('text = "a"\ncount = 1.0')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the top level lacks text"),
        ('text = "a"\nshares = 1', "unknown key 'shares' in the top level; did you mean 'share'?"),
        ('text = "a"\nzzz = 1', "unknown key 'zzz' in the top level"),
        ("text = 1", "'text' in the top level must be of type str, not 1"),
        ('text = "a"\ncount = true', "'count' in the top level must be of type int, not True"),
        ('text = "a"\nshare = false', "'share' in the top level must be of type float, not False"),
        ('text = "a"\nshare = nan', "'share' in the top level must be of type float, not nan"),
        ('text = "a"\nshare = inf', "'share' in the top level must be of type float, not inf"),
        ('text = "a"\nsure = 1', "'sure' in the top level must be of type bool, not 1"),
        ('text = "a"\nkind = "three"', "'kind' in the top level must be one of 'one', 'two', not 'three'"),
        ('text = "a"\nkind = ["one"]', "'kind' in the top level must be one of 'one', 'two', not ['one']"),
        ('text = "a"\neither = 1', "'either' in the top level must be of type str or NoneType, not 1"),
        ('text = "a"\nmixed = 1', "'mixed' in the top level must be a table, not 1"),
        ('text = "a"\ninner = 1', "[inner] must be a table"),
        ('text = "a"\n[inner]\nword = []', "unknown key 'word' in [inner]; did you mean 'words'?"),
        ('text = "a"\n[inner]\nwords = "b"', "'words' in [inner] must be a list, not 'b'"),
        ('text = "a"\n[inner]\nwords = [1]', "'words' in [inner] must be of type str, not 1"),
        ('text = "a"\nspots = [1]', "[[spots]] 1 must be a table"),
        ('text = "a"\n[[spots]]\nname = "b"\n[[spots]]\n', "[[spots]] 2 lacks name"),
        (
            'text = "a"\n[[spots]]\nname = "b"\nplace = [1]',
            "'place' in [[spots]] 1 must be a list of 2, not [1]",
        ),
        ('text = "a"\n[ranges.x]\nlow = "b"', "'low' in [ranges.x] must be of type float, not 'b'"),
        ('text = "a"\n[ranges]\nx = 1', "[ranges.x] must be a table"),
        ('text = "a"\n[ranges.x]', "[ranges.x] lacks low"),
    ],
)
def test_whatever_is_wrong_is_named_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        read(text)
    assert str(caught.value) == message


def test_a_value_of_no_type_of_a_union_names_them_all() -> None:
    with pytest.raises(InvalidTable) as caught:
        read('text = "a"\n[values]\nx = "b"')
    assert str(caught.value).startswith("'values.x' in the top level must be of type float or ")
    assert str(caught.value).endswith("not 'b'")
    assert "\n" not in str(caught.value)


def test_unions_take_the_first_type_that_fits() -> None:
    outer = read('text = "a"\n[values]\nx = 1\ny = [1, 2]\n[mixed]\na = true\nb = 1\nc = 1.0\nd = "e"')
    assert outer.values == {"x": 1.0, "y": (1.0, 2.0)}
    assert [(k, type(v)) for k, v in outer.mixed.items()] == [
        ("a", bool),
        ("b", int),
        ("c", float),
        ("d", str),
    ]


def test_the_nearest_known_name_is_told_or_nothing() -> None:
    assert nearest("epoch", ["epochs", "patience"]) == "; did you mean 'epochs'?"
    assert nearest("lr", ["lora", "loss"]) == ""
    assert nearest("qqq", ["epochs"]) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "[" * 5000, "nested too deeply"),
        ("x = " + "{y=" * 5000, "nested too deeply"),
        ("x = 1 2", "at line 1"),
    ],
)
def test_what_is_not_toml_is_told_in_one_line(text: str, message: str) -> None:
    with pytest.raises(NotToml, match=message) as error:
        parse_toml(text)
    assert "\n" not in str(error.value)
