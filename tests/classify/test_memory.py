"""Figures that a program has in memory, and results that it gets back."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis import Candidates, ComputeOptions, classify_candidates, classify_slide
from slidemitosis.errors import UnreadableCandidates
from tests.command import run, run_python
from tests.conftest import position_colours, write_aperio

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis import SlideResult

XY = [(100.0, 100.0), (300.0, 200.0), (600.0, 400.0)]
HERE = ComputeOptions(workers=0)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])


def found(result: SlideResult) -> list[tuple[float, float, float | None]]:
    return [(r.placed.x, r.placed.y, r.probability) for r in result.candidates]


def test_figures_in_memory_are_classified_as_those_of_a_file(slide: Path, tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in XY))
    want = classify_slide(slide, table, model="lite0", compute=HERE)
    assert [(x, y) for x, y, _ in found(want)] == XY
    for given in (XY, np.array(XY), iter(XY)):
        result = classify_candidates(slide, Candidates.from_xy(given), model="lite0", compute=HERE)
        assert found(result) == found(want)
        for _ in range(2):  # the second time it replaces its own results
            files = result.write(tmp_path / "out")
    rows = list(csv.DictReader(files.candidates.read_text().splitlines()))
    assert [row["source"] for row in rows] == ["position 1", "position 2", "position 3"]


def test_a_data_frame_is_as_good_as_a_file(slide: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(XY, columns=["X", "Y"], index=[7, 8, 9])
    frame["id"], frame["class"] = ["one", None, "three"], ["Mitosis", "Mitosis", "Stroma"]
    given = Candidates.from_dataframe(frame)
    assert [(c.id, c.class_name) for c in given] == [
        ("one", "Mitosis"),
        (None, "Mitosis"),
        ("three", "Stroma"),
    ]
    result = classify_candidates(slide, given, model="lite0", compute=HERE)
    assert [(x, y) for x, y, _ in found(result)] == XY[:2]
    assert Candidates.from_xy(frame[["X", "Y"]]).items[2].x == 600
    in_um = Candidates.from_dataframe(pd.DataFrame({"x_um": [25.0], "y_um": [50.0]}))
    assert (in_um.unit, in_um.items[0].y) == ("um", 50)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"a": [1], "y": [2]}, "no columns x and y, or x_um and y_um; there are 'a', 'y'"),
        ({"x": [1, None], "y": [2, 3]}, "position 2 is not two numbers"),
    ],
)
def test_a_data_frame_that_cannot_be_meant_is_one_line(columns: dict[str, Any], told: str) -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(UnreadableCandidates, match=told):
        Candidates.from_dataframe(pd.DataFrame(columns))


def test_results_as_a_data_frame_are_the_table(slide: Path, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([*XY, (9999.0, 5.0)], columns=["x", "y"])
    frame["class"] = "N/A"  # which pandas would take for a missing value
    given = Candidates.from_dataframe(frame)
    result = classify_candidates(slide, given, model="lite0", compute=HERE)
    table = result.to_pandas()
    written = result.write(tmp_path / "out").candidates
    rows = list(csv.DictReader(written.read_text().splitlines()))
    assert list(table.columns) == list(rows[0])
    assert table["p_atypical"].dtype == float
    assert table["p_atypical"].isna().tolist() == [False, False, False, True]
    for row, (_, cells) in zip(rows, table.iterrows(), strict=True):
        told = {name: "" if pd.isna(cell) else cell for name, cell in cells.items()}
        assert {n: str(v).lower() for n, v in told.items() if isinstance(v, str)} == {
            n: row[n].lower() for n, v in told.items() if isinstance(v, str)
        }
        assert [float(row[n]) for n in ("level0_x", "level0_y")] == [told["level0_x"], told["level0_y"]]
        assert told["p_atypical"] == (float(row["p_atypical"]) if row["p_atypical"] else "")
    assert set(table["class"]) == {"N/A"}


def test_without_pandas_a_data_frame_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from slidemitosis.outputs.frame import candidates_frame\n"
        "candidates_frame([], upsampled=False)"
    )
    assert "pip install 'slidemitosis[pandas]'" in run_python(code).stderr.splitlines()[-1]


def test_a_file_of_no_figure_is_warned_of(slide: Path, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("x,y\n")
    done = run("classify", slide, "--points", tmp_path / "none.csv", "--model", "lite0")
    assert done.returncode == 0
    assert re.fullmatch(r"slidemitosis: warning: .*none\.csv: holds no figure; .*\n", done.stderr)


def test_two_figures_have_no_corrected_fraction(tmp_path: Path) -> None:
    """Whatever they are called, the correction would make 0 or 100 % of them."""
    coarse = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)], mpp=0.5)
    (tmp_path / "two.csv").write_text("x,y\n200,200\n400,300\n")
    done = run("classify", coarse, "--points", tmp_path / "two.csv", "--model", "lite0")
    assert done.returncode == 0, done.stderr
    assert "\ncorrected   not to be had: 2 figures classified; it takes 10 or more\n" in done.stdout
