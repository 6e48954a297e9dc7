"""The tables of a cohort, as they are built of rows."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.cohort.lists.join import join_columns, unfit_text
from slidemitosis.cohort.slides import Cohort, CohortSlide
from slidemitosis.cohort.store import CohortStore
from slidemitosis.cohort.tables.cohort import CohortTables, table_text
from slidemitosis.cohort.tables.columns import COLUMN_TYPES
from slidemitosis.cohort.tables.plot import write_figure
from slidemitosis.errors import InvalidCohort
from slidemitosis.files import as_meant
from slidemitosis.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


def slide(name: str, *, patient: str | None = None, columns: Mapping[str, str] | None = None) -> CohortSlide:
    return CohortSlide(
        where=name,
        name=name,
        slide=Path(f"/s/{name}.svs"),
        points=None,
        patient=patient,
        read=ReadOptions(),
        area_mm2=None,
        columns=columns or {},
    )


def cohort(*slides: CohortSlide, names: tuple[str, ...] = ()) -> Cohort:
    return Cohort(Path("slides.csv"), slides, names)


def joined(tmp_path: Path, text: str, of: Cohort) -> tuple[list[dict[str, str]], list[str]]:
    path = tmp_path / "clinical.csv"
    path.write_text(text, encoding="utf-8")
    found, left = join_columns(of, path)
    return [dict(s.columns) for s in found.slides], left


CELLS = st.none() | st.integers() | st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]))


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), CELLS)))
def test_a_table_read_again_holds_every_cell(rows: list[dict[str, Any]]) -> None:
    rows = [{"name": f"slide {i}", **row} for i, row in enumerate(rows)]
    read = list(csv.DictReader(io.StringIO(table_text(rows), newline="")))
    told = [{k: as_meant(v) for k, v in row.items() if v} for row in read]
    assert told == [{k: str(v) for k, v in row.items() if v not in (None, "")} for row in rows]


def test_columns_of_a_failed_slide_stand_where_those_of_the_others_stand() -> None:
    text = table_text(
        [{"name": "a", "cause": "x", "grade": "1"}, {"name": "b", "cause": None, "n": 3, "grade": "2"}]
    )
    assert text.splitlines()[0] == "name,cause,n,grade"


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("name,grade\nb,2\na,1\n", ["1", "2"]),
        ("slide,grade\na.svs,1\n/s/b.svs,2\n", ["1", "2"]),
        ("slide;grade\na;1\nb;2\n", ["1", "2"]),
        ("Patient,grade\nP,7\n", ["7", "7"]),
        ("name,grade\na,1\n", ["1", ""]),
    ],
)
def test_a_users_table_joins_by_name_slide_or_patient(tmp_path: Path, text: str, cells: list[str]) -> None:
    rows, left = joined(tmp_path, text, cohort(slide("a", patient="P"), slide("b", patient="P")))
    assert [r["grade"] for r in rows] == cells
    assert left == []


def test_rows_that_fit_no_slide_are_named_by_line_and_key(tmp_path: Path) -> None:
    unfit = joined(tmp_path, "name,grade\na,1\nz,2\ny,3\n", cohort(slide("a")))[1]
    assert unfit == ["line 3 (name 'z')", "line 4 (name 'y')"]
    assert unfit_text(Path("c.csv"), unfit) == (
        "c.csv: 2 rows fit no slide of the cohort: line 3 (name 'z'), line 4 (name 'y')"
    )
    assert unfit_text(Path("c.csv"), unfit * 10).endswith("line 4 (name 'y'), ...")


@pytest.mark.parametrize("unknown", ["NA", "", "nan", "None", " <NA> "])
def test_a_patient_that_is_not_known_joins_nobody(tmp_path: Path, unknown: str) -> None:
    of = cohort(slide("a", patient="P"), slide("b"))
    rows, left = joined(tmp_path, f"patient,grade\nP,7\n{unknown},9\n", of)
    assert ([r["grade"] for r in rows], left) == (["7", ""], [])


def test_a_column_that_the_list_has_too_is_kept_beside_it(tmp_path: Path) -> None:
    of = cohort(slide("a", columns={"grade": "9"}), names=("grade",))
    assert joined(tmp_path, "name,grade\na,1\n", of)[0] == [{"grade": "9", "joined.grade": "1"}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grade\n1\n", "no column name, slide or patient"),
        ("name,g\na,1\na,2\n", "line 3: name 'a' is on line 2 too"),
    ],
)
def test_a_table_that_cannot_be_joined_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidCohort, match=told):
        joined(tmp_path, text, cohort(slide("a")))


def test_a_row_of_a_clinical_table_is_never_given_to_two_slides(tmp_path: Path) -> None:
    one, two = slide("a"), dataclasses.replace(slide("b"), slide=Path("/other/a.svs"))
    with pytest.raises(InvalidCohort, match=r"line 2: slide 'a\.svs' fits 2 slides"):
        joined(tmp_path, "slide,grade\na.svs,1\n", cohort(one, two))
    text = "slide,grade\n/s/a.svs,1\n/other/a.svs,2\n"
    assert [r["grade"] for r in joined(tmp_path, text, cohort(one, two))[0]] == ["1", "2"]


def test_a_name_joins_though_it_had_to_become_a_folders(tmp_path: Path) -> None:
    assert joined(tmp_path, "name,grade\ncase 1,5\n", cohort(slide("case_1"))) == ([{"grade": "5"}], [])


def test_a_users_column_never_lands_under_ours(tmp_path: Path) -> None:
    store = CohortStore(tmp_path / "r")
    store.begin()
    tables = CohortTables(cohort(slide("a", columns={"atypical": "777", "grade": "2"})), store)
    (row,) = tables.rows()
    assert "atypical" not in row
    assert (row["list.atypical"], row["grade"]) == ("777", "2")


def rated(name: str, k: int, n: int) -> dict[str, Any]:
    from slidemitosis.rates.intervals import wilson_interval

    low, high = wilson_interval(k, n)
    return {
        "name": name,
        "status": "done",
        "expected_fraction_amf_of_all": k / n,
        "expected_tumour_95_low": low,
        "expected_tumour_95_high": high,
        "few_figures": n < 10,
    }


def test_the_plot_is_the_same_for_the_same_rows_in_any_order(tmp_path: Path) -> None:
    rows = [rated("a", 3, 20), rated("$b$", 1, 4), {"name": "c", "status": "failed"}]
    plots = []
    for number, order in enumerate((rows, rows[::-1])):
        (tmp_path / str(number)).mkdir()
        path = write_figure(order, tmp_path / str(number))
        assert path is not None
        plots.append(path.read_bytes())
    assert plots[0] == plots[1]
    assert plots[0].startswith(b"\x89PNG")


def test_no_rate_is_no_plot(tmp_path: Path) -> None:
    assert write_figure([{"name": "c", "status": "failed"}], tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_parquet_holds_the_types_of_the_columns(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    from slidemitosis.cohort.tables.parquet import write_parquet

    names = ["name", "classified", "mpp_x", "few_figures", "cause", "grade"]
    rows: list[dict[str, Any]] = [
        {"name": "a", "classified": 1, "mpp_x": 0.5, "few_figures": True, "cause": None, "grade": "2"},
        {"name": "b", "classified": None, "mpp_x": 1, "few_figures": None, "cause": None, "grade": ""},
    ]
    path = write_parquet(names, rows, tmp_path)
    assert path is not None
    table = pq.read_table(path)
    assert [str(f.type) for f in table.schema] == ["string", "int64", "double", "bool", "string", "string"]
    assert table.to_pylist()[1] == {**rows[1], "mpp_x": 1.0}


def test_what_is_no_unicode_is_in_parquet_as_in_the_csv(tmp_path: Path) -> None:
    """A file name in Latin-1, or half a pair of surrogates in a project, ended the tables of all slides."""
    pq = pytest.importorskip("pyarrow.parquet")
    store = CohortStore(tmp_path)
    store.begin()
    of = dataclasses.replace(slide("a", columns={"n\ud83dte": "caf\udce9"}), slide=Path("/s/caf\udce9.svs"))
    CohortTables(cohort(of), store).finish()
    (told,) = csv.DictReader(io.StringIO((tmp_path / "cohort.csv").read_text()))
    (typed,) = pq.read_table(tmp_path / "cohort.parquet").to_pylist()
    for row in (told, typed):
        assert (row["slide"], row["n\\ud83dte"]) == ("/s/caf\\udce9.svs", "caf\\udce9")


def test_a_parquet_file_has_the_same_schema_if_nothing_is_known(tmp_path: Path) -> None:
    """Files of several cohorts can be read as one, whatever failed in them."""
    pq = pytest.importorskip("pyarrow.parquet")
    schemas, headers = [], []
    for name, row in (("full", dict.fromkeys(COLUMN_TYPES, 1)), ("empty", {})):
        store = CohortStore(tmp_path / name)
        store.begin()
        tables = CohortTables(cohort(slide("a", columns={"grade": "2"})), store, page=False)
        tables._rows["a"] |= row
        tables.finish()
        schemas.append(pq.read_schema(store.out / "cohort.parquet"))
        headers.append((store.out / "cohort.csv").read_text().splitlines()[0].split(","))
    assert schemas[0].equals(schemas[1])
    assert headers == [schemas[1].names] * 2
    assert {"classified", "atypical", "expected_AMF_multipolar", "grade"} < set(headers[1])
    types = {field.name: str(field.type) for field in schemas[1]}
    told = [types[n] for n in ("classified", "expected_tumour_95_low", "upsampled", "cause", "grade")]
    assert told == ["int64", "double", "bool", "string", "string"]
