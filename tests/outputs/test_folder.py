"""Results have their place, and the same results give the same bytes."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slidemitosis.candidates import Candidate
from slidemitosis.files import as_meant, write_parts
from slidemitosis.outputs.folder import default_folder, summary_text
from slidemitosis.outputs.table import candidates_csv
from slidemitosis.prediction import CandidateResult, PlacedCandidate, Prediction

if TYPE_CHECKING:
    from slidemitosis.prediction import Status


def test_results_go_beside_the_points_under_the_name_of_the_slide() -> None:
    folder = default_folder(Path("/slides/a.b.svs"), Path("/data/points.geojson"))
    assert folder == Path("/data/a.b.slidemitosis")


def predicted(
    number: int, *, x: float = 10, probability: float | None = 0.25, padding: float | None = 0, **other: Any
) -> CandidateResult:
    candidate = Candidate(
        id=other.pop("id", f"c{number}"),
        x=x,
        y=20,
        class_name=other.pop("class_name", "Mitosis"),
        source=f"line {number}",
    )
    placed = PlacedCandidate(
        candidate,
        f"uuid-{number}",
        frame_x=other.pop("frame_x", x),
        frame_y=other.pop("frame_y", 20),
        x=other.pop("x", x + 100),
        y=other.pop("y", 120),
        padding=padding,
    )
    status: Status = other.pop("status", "unreadable" if probability is None else "classified")
    reason = other.pop("reason", None)
    said = None if probability is None else Prediction(probability, probability >= 0.5, **other)
    return CandidateResult(placed, status, reason, said)


def rows(*predictions: CandidateResult, upsampled: bool = False) -> list[dict[str, str]]:
    return list(csv.DictReader(candidates_csv(predictions, upsampled=upsampled)))


def test_a_row_says_all_that_is_known_of_a_candidate() -> None:
    (row,) = rows(predicted(3, x=10.5, probability=0.75, padding=0.12344), upsampled=True)
    assert row == {
        "id": "c3",
        "object_id": "uuid-3",
        "source": "line 3",
        "class": "Mitosis",
        "x": "10.5",
        "y": "20",
        "level0_x": "110.5",
        "level0_y": "120",
        "status": "classified",
        "reason": "",
        "p_atypical": "0.750000",
        "call": "AMF",
        "padding": "0.1234",
        "upsampled": "true",
        "subtype": "",
        "p_subtype": "",
        "p_hard": "",
        "answer": "",
        "reviewed_for": "",
        "readers": "",
    }


def test_a_row_names_the_subtype_of_the_type_that_was_called() -> None:
    told = {"NMF metaphase": 0.45, "AMF multipolar": 0.4, "AMF other": 0.15}
    atypical, normal, unreadable = rows(
        predicted(1, probability=0.55, subtypes=told, p_hard=0.5),
        predicted(2, probability=0.45, subtypes=told),
        predicted(3, probability=None),
    )
    assert (atypical["subtype"], atypical["p_subtype"]) == ("AMF multipolar", "0.400000")
    assert (normal["subtype"], normal["p_subtype"]) == ("NMF metaphase", "0.450000")
    assert [r["p_hard"] for r in (atypical, normal, unreadable)] == ["0.500000", "", ""]
    assert unreadable["subtype"] == unreadable["p_subtype"] == ""


def test_what_is_not_known_is_an_empty_cell() -> None:
    (row,) = rows(predicted(1, probability=None, padding=None, id=None, class_name=None, reason="gone"))
    empty = {k for k, v in row.items() if v == ""}
    of_the_model = {"p_atypical", "call", "padding", "subtype", "p_subtype", "p_hard"}
    assert empty == {"id", "class", *of_the_model, "answer", "reviewed_for", "readers"}
    assert row["reason"] == "gone"
    assert row["upsampled"] == "false"


def test_rows_stand_in_the_order_of_the_points_file() -> None:
    order = [5, 1, 4, 2, 3]
    assert [row["id"] for row in rows(*map(predicted, order))] == [f"c{n}" for n in order]


def test_each_call_has_its_word() -> None:
    assert [r["call"] for r in rows(predicted(1, probability=0.9), predicted(2, probability=0.1))] == [
        "AMF",
        "NMF",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.004, "0"),
        (0.006, "0.01"),
        (100.0, "100"),
        (1200.50, "1200.5"),
        (-3.10, "-3.1"),
        (12345678.25, "12345678.25"),
        (1e15, "1000000000000000"),
    ],
)
def test_a_coordinate_has_no_negative_zero_and_no_trailing_zeros(value: float, text: str) -> None:
    assert rows(predicted(1, x=value))[0]["x"] == text


@given(st.floats(-1e9, 1e9))
def test_a_written_coordinate_is_the_value_to_two_decimals(value: float) -> None:
    text = rows(predicted(1, x=value))[0]["x"]
    assert abs(float(text) - value) <= 0.005 + abs(value) * 1e-15
    assert text not in {"-0", ""}
    assert len(text.partition(".")[2]) <= 2
    assert not ("." in text and text.endswith(("0", ".")))
    assert "e" not in text


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
@example("a\rb", "c\r")
@example("a\r\nb", '"')
@example("a,b", "\n")
def test_any_name_stays_in_its_cell(identity: str, reason: str) -> None:
    text = "".join(candidates_csv([predicted(1, id=identity, reason=reason)], upsampled=False))
    header, cells = csv.reader(io.StringIO(text, newline=""))
    row = [as_meant(cell) for cell in cells]
    assert header == "".join(candidates_csv([], upsampled=False)).strip().split(",")
    assert [as_meant(row[0]), as_meant(row[9])] == [t.replace("\r\n", "\n") for t in (identity, reason)]


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for run in ("a", "b"):
        table = candidates_csv([predicted(1), predicted(2, reason="µ\nü")], upsampled=False)
        write_parts(tmp_path / run, table)
        written.append((tmp_path / run).read_bytes())
    assert written[0] == written[1]
    assert b"\r" not in written[0]
    assert "µ\nü".encode() in written[0]


def test_a_summary_holds_null_and_never_nan() -> None:
    assert summary_text({"rate": None, "name": "µ"}) == '{\n  "rate": null,\n  "name": "µ"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        summary_text({"rate": math.nan})
