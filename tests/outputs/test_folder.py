"""Results are written whole or not at all, and the same results give the same bytes."""

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
from slidemitosis.errors import OutputError
from slidemitosis.files import staged_folder, write_parts, write_text
from slidemitosis.outputs.folder import CANDIDATES, OBJECTS, SUMMARY, default_folder, summary_text
from slidemitosis.outputs.table import COLUMNS, candidates_csv
from slidemitosis.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = (OBJECTS, CANDIDATES, SUMMARY)


def fill(stage: Path, text: str = "new") -> None:
    for name in FILES:
        write_text(stage / name, f"{text} {name}")


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_finished_run_leaves_its_files_and_nothing_else(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "a" / "out", last=SUMMARY) as stage:
        fill(stage)
    assert contents(tmp_path) == {f"a/out/{name}": f"new {name}" for name in FILES}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_finished_run_replaces_an_older_result_and_keeps_other_files(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged_folder(tmp_path, last=SUMMARY) as stage:
        fill(stage)
    assert contents(tmp_path) == {name: f"new {name}" for name in FILES} | {"notes.txt": "mine"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_run_that_breaks_off_leaves_nothing(
    tmp_path: Path, error: type[BaseException], written: int
) -> None:
    with pytest.raises(error), staged_folder(tmp_path / "a" / "out", last=SUMMARY) as stage:
        for name in FILES[:written]:
            write_text(stage / name, "new")
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_breaks_off_leaves_an_older_result_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    fill(tmp_path, "old")
    with pytest.raises(error), staged_folder(tmp_path, last=SUMMARY) as stage:
        fill(stage)
        raise error
    assert contents(tmp_path) == {name: f"old {name}" for name in FILES}
    assert {p.name for p in tmp_path.iterdir()} == set(FILES)


def test_nothing_is_seen_in_the_folder_before_the_run_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill_before = {"out/notes.txt": "mine"}
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with staged_folder(out, last=SUMMARY) as stage:
        fill(stage)
        seen = {k: v for k, v in contents(tmp_path).items() if "/.slidemitosis-" not in k}
        assert seen == fill_before


@pytest.mark.parametrize("blocked", [CANDIDATES, OBJECTS, SUMMARY])
def test_where_one_file_cannot_be_replaced_all_are_as_they_were(tmp_path: Path, blocked: str) -> None:
    fill(tmp_path, "old")
    (tmp_path / blocked).unlink()
    (tmp_path / blocked / "a folder in the way").mkdir(parents=True)
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError, match="choose another --out"),
        staged_folder(tmp_path, last=SUMMARY) as stage,
    ):
        fill(stage)
    assert contents(tmp_path) == before
    assert (tmp_path / blocked / "a folder in the way").is_dir()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".slidemitosis-")]


def test_no_summary_stands_beside_a_mixture_while_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a kill leaves behind, a summary vouches for the files beside it."""
    fill(tmp_path, "old")
    whole = [{name: f"{kind} {name}" for name in FILES} for kind in ("old", "new")]
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        seen.append({p.name: p.read_text() for p in tmp_path.iterdir() if p.is_file()})
        return moved

    monkeypatch.setattr(Path, "replace", watched)
    with staged_folder(tmp_path, last=SUMMARY) as stage:
        fill(stage, "new")
    assert len(seen) == 6
    assert all(files in whole for files in seen if SUMMARY in files)


def in_a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "out"


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def a_dangling_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def too_long_below(folder: Path) -> Path:
    return folder / ("x" * 300) / "out"


def in_proc(folder: Path) -> Path:
    return Path("/proc/slidemitosis/out")


@pytest.mark.parametrize("make", [in_a_file, a_file, a_dangling_link, too_long, too_long_below, in_proc])
def test_a_folder_that_cannot_be_is_one_line_that_names_it(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    out = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught, staged_folder(out, last=SUMMARY) as stage:
        fill(stage)
    message = str(caught.value)
    assert message.startswith(f"{out}: cannot be written: ")
    assert message.endswith("; choose another --out")
    assert "\n" not in message
    assert "None" not in message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", [in_a_file, a_file, too_long])
def test_a_folder_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    with pytest.raises(OutputError), staged_folder(make(tmp_path), last=SUMMARY):
        pytest.fail("the block was entered")


def test_a_full_disk_is_an_output_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is a device of Linux")
    with pytest.raises(OutputError, match="No space left"):
        write_text(full, "x" * 10_000)


def test_results_go_beside_the_points_under_the_name_of_the_slide() -> None:
    folder = default_folder(Path("/slides/a.b.svs"), Path("/data/points.geojson"))
    assert folder == Path("/data/a.b.slidemitosis")


def predicted(
    number: int, *, x: float = 10, probability: float | None = 0.25, padding: float | None = 0, **other: Any
) -> Prediction:
    candidate = Candidate(
        id=other.pop("id", f"c{number}"),
        x=x,
        y=20,
        class_name=other.pop("class_name", "Mitosis"),
        source=f"line {number}",
    )
    values: dict[str, Any] = {
        "frame_x": x,
        "frame_y": 20,
        "x": x + 100,
        "y": 120,
        "status": "unreadable" if probability is None else "classified",
        "reason": None,
        "padding": padding,
        "probability": probability,
        "atypical": None if probability is None else probability >= 0.5,
    }
    return Prediction(candidate, f"uuid-{number}", **values | other)


def rows(*predictions: Prediction, upsampled: bool = False) -> list[dict[str, str]]:
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
    assert empty == {"id", "class", "p_atypical", "call", "padding", "subtype", "p_subtype", "p_hard"}
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
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert tuple(header) == COLUMNS
    assert (row[0], row[9]) == (identity.replace("\r\n", "\n"), reason.replace("\r\n", "\n"))


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
