"""Files and folders are written whole or not at all, and every cell of a CSV is read again as it was."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slidemitosis.errors import OutputError
from slidemitosis.files import (
    as_meant,
    csv_lines,
    given_name,
    staged_folder,
    whole_file,
    write_text,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = ("objects.geojson", "candidates.csv", "summary.json")
LAST = FILES[-1]


def fill(stage: Path, text: str = "new") -> None:
    for name in FILES:
        write_text(stage / name, f"{text} {name}")


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
def test_a_folder_is_called_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert given_name(tmp_path / "link") == "link"
    monkeypatch.chdir(tmp_path / "real")
    assert [given_name(Path(name)) for name in (".", "..", "../link/")] == ["real", tmp_path.name, "link"]


def test_a_finished_run_leaves_its_files_and_nothing_else(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "a" / "out", last=LAST) as stage:
        fill(stage)
    assert contents(tmp_path) == {f"a/out/{name}": f"new {name}" for name in FILES}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_finished_run_replaces_an_older_result_and_keeps_other_files(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged_folder(tmp_path, last=LAST) as stage:
        fill(stage)
    assert contents(tmp_path) == {name: f"new {name}" for name in FILES} | {"notes.txt": "mine"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_run_that_breaks_off_leaves_nothing(
    tmp_path: Path, error: type[BaseException], written: int
) -> None:
    with pytest.raises(error), staged_folder(tmp_path / "a" / "out", last=LAST) as stage:
        for name in FILES[:written]:
            write_text(stage / name, "new")
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_breaks_off_leaves_an_older_result_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    fill(tmp_path, "old")
    with pytest.raises(error), staged_folder(tmp_path, last=LAST) as stage:
        fill(stage)
        raise error
    assert contents(tmp_path) == {name: f"old {name}" for name in FILES}
    assert {p.name for p in tmp_path.iterdir()} == set(FILES)


def test_nothing_is_seen_in_the_folder_before_the_run_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill_before = {"out/notes.txt": "mine"}
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with staged_folder(out, last=LAST) as stage:
        fill(stage)
        seen = {k: v for k, v in contents(tmp_path).items() if "/.slidemitosis-" not in k}
        assert seen == fill_before


@pytest.mark.parametrize("blocked", FILES)
def test_where_one_file_cannot_be_replaced_all_are_as_they_were(tmp_path: Path, blocked: str) -> None:
    fill(tmp_path, "old")
    (tmp_path / blocked).unlink()
    (tmp_path / blocked / "a folder in the way").mkdir(parents=True)
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError, match="choose another --out"),
        staged_folder(tmp_path, last=LAST) as stage,
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
    with staged_folder(tmp_path, last=LAST) as stage:
        fill(stage, "new")
    assert len(seen) == 6
    assert all(files in whole for files in seen if LAST in files)


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
    with pytest.raises(OutputError) as caught, staged_folder(out, last=LAST) as stage:
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
    with pytest.raises(OutputError), staged_folder(make(tmp_path), last=LAST):
        pytest.fail("the block was entered")


def test_a_full_disk_is_an_output_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is a device of Linux")
    with pytest.raises(OutputError, match="No space left"):
        write_text(full, "x" * 10_000)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_file_that_is_broken_off_leaves_the_older_one_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "model.toml"
    write_whole(path, b"old")
    with pytest.raises(error), whole_file(path) as partial:
        partial.write_text("half")
        raise error
    assert contents(tmp_path) == {"model.toml": "old"}
    write_whole(path, b"new")
    assert contents(tmp_path) == {"model.toml": "new"}


@pytest.mark.parametrize("make", [in_a_file, too_long, in_proc])
def test_a_file_that_cannot_be_is_one_line_that_names_it(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    with pytest.raises(OutputError) as caught:
        write_whole(path, b"x")
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert "\n" not in str(caught.value)


FORMULAS = [
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",  # noqa: RUF001 - wide signs count in Japan
    "'=1",
    "''@x",
    "-",
    "-x",
]
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.lists(CELLS, min_size=2), min_size=1))
@example([FORMULAS])
@example([["a\rb", "c\r"], ["a\r\nb", '"'], ["a,b", "\n"]])
def test_every_cell_is_read_again_as_it_was(rows: list[list[str]]) -> None:
    text = "".join(csv_lines(rows, newline="\r\n"))
    assert meant(text) == rows
    unix = "".join(csv_lines(rows))
    assert unix == text.replace("\r\n", "\n")
    assert meant(unix) == [[cell.replace("\r\n", "\n") for cell in row] for row in rows]


def meant(text: str) -> list[list[str]]:
    return [[as_meant(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


def test_no_cell_is_a_formula_to_a_spreadsheet_and_numbers_stay_numbers() -> None:
    (line,) = csv_lines([FORMULAS])
    (cells,) = csv.reader(io.StringIO(line, newline=""))
    assert cells == [f"'{cell}" for cell in FORMULAS]
    assert [as_meant(cell) for cell in cells] == FORMULAS
    plain = ["-1.5", "+3", "1e-5", "-.5", "a=b", "", "'quoted'", "a-1", "-1E+05"]
    assert list(csv_lines([[*plain, -1.5, -3, None]])) == [",".join([*plain, "-1.5", "-3", ""]) + "\n"]
    assert [as_meant(cell) for cell in plain] == plain


LEFT = """
import os, signal, sys
from pathlib import Path
from slidemitosis.files import staged_folder
with staged_folder(Path(sys.argv[1]) / "out", last="summary.json") as stage:
    (stage / "candidates.csv").write_text("half")
    if len(sys.argv) > 2:
        (stage / "earlier").mkdir()
        (stage / "earlier" / "objects.geojson").write_text("the only one")
    print(stage, flush=True)
    sys.stdin.read(1)
"""


def staging(folder: Path, *words: str) -> tuple[subprocess.Popen[str], Path]:
    command = [sys.executable, "-c", LEFT, str(folder), *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.skipif(sys.platform != "linux", reason="what tells a machine is Linux's")
def test_only_what_dead_processes_of_this_machine_have_left_is_tidied(tmp_path: Path) -> None:
    running = [staging(tmp_path), staging(tmp_path), staging(tmp_path, "earlier")]
    (live, of_live), (dead, of_dead), (holds, of_holds) = running
    elsewhere = tmp_path / f".slidemitosis-{'0' * 16}-abc"
    unknown = tmp_path / ".slidemitosis-abcdef"
    for folder in (elsewhere, unknown):
        folder.mkdir()
    for process in (dead, holds):
        process.kill()
        process.communicate()
    assert of_dead.exists()
    with staged_folder(tmp_path / "out", last=LAST) as stage:
        fill(stage)
        assert sorted(tmp_path.iterdir()) == sorted([stage, of_live, of_holds, elsewhere, unknown])
    live.communicate("x")
    assert not of_live.exists()
    assert contents(tmp_path / "out")["summary.json"] == "new summary.json"
