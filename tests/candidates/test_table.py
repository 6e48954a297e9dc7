from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates.formats.table import parse_table
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from tests.candidates.checks import refused

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidates
    from slidemitosis.options.read import Unit

PATH = Path("folder/a.csv")


def parse(text: str, unit: Unit | None = None) -> Candidates:
    return parse_table(text, path=PATH, unit=unit)


def outcome(text: str) -> str:
    """The message of a refusal; empty if the text is read."""
    try:
        parse(text)
    except UnreadableCandidates as error:
        return str(error)
    return ""


def refusal(text: str) -> str:
    return refused(PATH, parse, text)


def test_the_columns_are_found_by_name_in_any_order() -> None:
    found = parse("Class,Y,ID,X\nMitosis,2.5,a,1\n,4,,3\n")
    assert [(c.id, c.x, c.y, c.class_name, c.source, c.feature) for c in found] == [
        ("a", 1, 2.5, "Mitosis", "line 2", None),
        (None, 3, 4, None, "line 3", None),
    ]
    assert (found.format, found.path) == ("csv", PATH)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str) -> None:
    lines = [["id", "x", "y", "class"], ["a", "1.5", "-2e1", "Tumor:Mitosis"], ["b", "3", ".5", ""]]
    found = parse(end.join(delimiter.join(fields) for fields in lines))
    assert [(c.id, c.x, c.y, c.class_name) for c in found] == [
        ("a", 1.5, -20, "Tumor: Mitosis"),
        ("b", 3, 0.5, None),
    ]


@pytest.mark.parametrize("column", ["class", "Classification", "class_name", "CLASS NAME"])
def test_the_class_column_has_several_names(column: str) -> None:
    assert [c.class_name for c in parse(f"x,y,{column}\n1,2,Mitosis\n")] == ["Mitosis"]


def test_quoted_fields_may_hold_delimiters_quotes_and_line_ends() -> None:
    found = parse('"x","y","class","note"\n"1","2","a, b","two\nlines ""q"""\n3,4,c,\n')
    assert [(c.x, c.class_name, c.source) for c in found] == [(1, "a, b", "line 2"), (3, "c", "line 4")]


def test_blank_lines_are_passed_over_and_counted() -> None:
    found = parse("\n\nx,y\n\n1,2\n  \n,\n3,4\n\n")
    assert [(c.x, c.source) for c in found] == [(1, "line 5"), (3, "line 8")]


def test_a_header_alone_is_no_candidate() -> None:
    assert len(parse("x,y")) == len(parse("x;y\n\n")) == 0


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("x,y", "px"),
        ("x_px,y_px", "px"),
        ("X (Pixels),Y (Pixels)", "px"),
        ("x_um,y_um", "um"),
        ("x (um),y (um)", "um"),
        ("x [\N{MICRO SIGN}m],y [\N{GREEK SMALL LETTER MU}m]", "um"),
        ("X_\N{MICRO SIGN}m , Y_\N{MICRO SIGN}m", "um"),
        ("x_micron,y_microns", "um"),
        ("x um,y um", "um"),
        ("x(micrometres),y(micrometres)", "um"),
    ],
)
def test_the_header_states_the_unit(header: str, unit: Unit) -> None:
    for given_unit in (None, unit):
        found = parse(f"{header}\n1,2\n", given_unit)
        assert found.unit == unit
        assert [(c.x, c.y) for c in found] == [(1, 2)]


def test_columns_without_a_unit_take_the_one_given() -> None:
    assert parse("x,y\n1,2\n", "um").unit == "um"


@pytest.mark.parametrize(("header", "unit"), [("x_um,y_um", "px"), ("x_px,y_px", "um")])
def test_a_header_that_contradicts_the_given_unit_is_refused(header: str, unit: Unit) -> None:
    with pytest.raises(InvalidOption, match=r"a\.csv: its columns are in"):
        parse(f"{header}\n1,2\n", unit)


@pytest.mark.parametrize("header", ["x_um,y_px", "x_um,y", "x,y_px"])
def test_x_and_y_of_different_units_are_refused(header: str) -> None:
    assert "different units" in refusal(f"{header}\n1,2\n")


@pytest.mark.parametrize(
    "header",
    ["x,X,y", "x,y,y_um", "x_um,x_px,y_um,y_px", "id,x,y,ID", "class,x,y,Classification"],
)
def test_columns_that_say_the_same_are_refused(header: str) -> None:
    assert "say the same" in refusal(f"{header}\n")


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "x\n1\n", "1,2\n3,4\n", "x_mm,y_mm\n1,2\n", "xum,yum\n", "x y\n"]
)
def test_missing_columns_are_refused_with_those_found(text: str) -> None:
    message = refusal(text)
    assert "no columns x and y" in message
    assert all(repr(name) in message for name in text.splitlines()[0].split(","))


@pytest.mark.parametrize(
    "bad",
    [
        *("", "nan", "inf", "-Infinity", "1e999", "1_000", "abc", "1 2", "0x10"),
        *("\N{ARABIC-INDIC DIGIT ONE}", "+", "."),
    ],
)
def test_a_coordinate_that_is_no_finite_number_is_refused_with_its_line(bad: str) -> None:
    message = refusal(f"id,x,y\na,1,2\n\nb,3,{bad}\n")
    assert message == f"{PATH}: line 4: y is {bad!r}, not a finite number"


def test_a_decimal_comma_needs_semicolons_between_the_fields() -> None:
    assert [(c.x, c.y) for c in parse("x;y\n1,5;-,25\n3;4\n")] == [(1.5, -0.25), (3, 4)]
    assert "line 2: x is '1,5'" in refusal("x\ty\n1,5\t2\n")
    assert "line 2: x is '1,5'" in refusal('x,y\n"1,5",2\n')


@pytest.mark.parametrize("bad", ["1.234,5", "1,234.5", "1,234,567"])
def test_thousands_are_not_parted(bad: str) -> None:
    assert f"x is {bad!r}" in refusal(f"x;y\n{bad};2\n")


@pytest.mark.parametrize(
    "rows", [["1.000;2.000"], ["999;800", "1.250;12.300"], ["1,000;2,000"], ["-1,000;5"]]
)
def test_marks_that_may_all_part_thousands_are_refused(rows: list[str]) -> None:
    """Where spreadsheets part fields by semicolons, they part thousands by points: 1.000 is a thousand."""
    assert "with its thousands parted; write " in refusal("\n".join(["x;y", *rows]))


def test_either_remedy_for_what_may_be_thousands_is_one() -> None:
    message = refusal("x;y\n1.250;12.300\n")
    assert (
        "line 2: x is '1.250', which may be 1250 with its thousands parted; write 1250 or 1.2500" in message
    )
    assert [(c.x, c.y) for c in parse("x;y\n1250;12.300\n")] == [(1250, 12.3)]
    assert [(c.x, c.y) for c in parse("x;y\n1.2500;12.300\n")] == [(1.25, 12.3)]


@pytest.mark.parametrize(
    "text",
    [
        "x;y\n1.125;2.5\n",
        "x;y\n1.125;0.250\n",
        "x;y\n1.125;2000\n",
        "x;y\n1.125;2000.125\n",
        "x,y\n1.125,2.125\n",
        "x\ty\n1.125\t2.125\n",
    ],
)
def test_three_decimals_are_read_where_something_shows_that_they_are_decimals(text: str) -> None:
    assert [c.x for c in parse(text)] == [1.125]


def test_two_decimal_marks_in_one_table_are_refused() -> None:
    message = refusal("x;y\n1;2\n1.5;2\n3;1,234\n")
    assert "line 4: y is '1,234', yet line 3 has another decimal mark" in message


@pytest.mark.parametrize(("row", "count"), [("1", 1), ("1,2", 2), ("1,2,a,b", 4)])
def test_rows_of_another_length_are_refused_with_their_line(row: str, count: int) -> None:
    assert f"line 3: {count} fields where the first line has 3" in refusal(f"x,y,id\n1,2,a\n{row}\n")


def test_a_quote_left_open_does_not_swallow_the_rows_after_it() -> None:
    message = refusal('x,y,id\n1,2,a\n3,4,"b\n5,6,c\n')
    assert "line 3: not readable as a table" in message


def test_a_field_too_long_for_a_table_is_refused() -> None:
    assert "line 2: not readable as a table" in refusal(f"x,y\n{'1' * 200_000},2\n")


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), max_size=8), st.sampled_from(",;\t"))
def test_coordinates_are_read_back_exactly(places: list[tuple[float, float]], delimiter: str) -> None:
    places = [(0.5, 0.5), *places]  # 1.125 alone may be a thousand and more
    text = "\n".join([f"x{delimiter}y", *(f"{x!r}{delimiter}{y!r}" for x, y in places)])
    assert [(c.x, c.y) for c in parse(text)] == places


@given(st.text(max_size=40))
def test_any_text_below_a_header_is_read_or_refused(text: str) -> None:
    assert re.fullmatch(rf"{PATH}: line \d+: .+|", outcome(f"x,y\n{text}"))


@given(st.text(max_size=40))
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    assert re.fullmatch(rf"{PATH}: .+|", outcome(text))


@pytest.mark.parametrize("column", ["width", "h", "xmax"])
def test_columns_of_a_box_are_refused_since_x_may_be_its_corner(column: str) -> None:
    with pytest.raises(UnreadableCandidates, match=f"beside the column '{column}'"):
        parse(f"x,y,{column}\n1,2,50\n")


def test_a_label_is_the_class_where_no_column_says_class() -> None:
    assert [c.class_name for c in parse("x,y,label\n1,2,non-mitotic\n")] == ["non-mitotic"]
    assert [c.class_name for c in parse("x,y,label,class\n1,2,7,Mitosis\n")] == ["Mitosis"]
