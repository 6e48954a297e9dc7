"""What a run finds in its folder: leftovers of kills, damage, strangers, other runs that begin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cohort.job import CohortPlan, SlideJobs
from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.slides import Outcome
from slidemitosis.cohort.store import CohortStore
from slidemitosis.cohort.tables.cohort import CohortTables, recorded
from slidemitosis.errors import OutputError
from slidemitosis.options import ComputeOptions, ReadOptions
from tests.cohort.cohort_slides import MODEL, paint_slides, result_bytes
from tests.command import refused, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from slidemitosis.cohort.slides import Cohort


def cohort_of(path: Path) -> Cohort:
    return read_cohort(path, read=ReadOptions())


def classify_all(cohort: Cohort, out: Path) -> dict[str, Outcome]:
    """In this process; the tables too."""
    store = CohortStore(out)
    store.begin()
    plan = CohortPlan(out=out, model="lite0", compute=ComputeOptions(workers=0))
    with closing(SlideJobs(plan)) as jobs:
        outcomes = {s.name: jobs.run(s) for s in cohort.slides}
    tables = CohortTables(cohort, store)
    tables.collect()
    tables.write()
    return outcomes


def _half_written(folder: Path) -> None:
    """Leave a slide's folder as a kill between the moves of two files does."""
    (folder / "summary.json").unlink()
    (folder / "candidates.csv").unlink()
    (folder / ".slidemitosis-killed").mkdir()
    (folder / ".slidemitosis-killed/candidates.csv").write_text("half")


def _before_the_first_move(folder: Path) -> None:
    for file in list(folder.iterdir()):
        file.unlink()
    (folder / ".slidemitosis-killed/earlier").mkdir(parents=True)


def _row(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "row.json").write_text(text)


def _row_without(key: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        row = json.loads((folder / "row.json").read_text())
        del row[key]
        (folder / "row.json").write_text(json.dumps(row))

    return remove


def _no_row(folder: Path) -> None:
    (folder / "row.json").unlink()


def _failed_beside(folder: Path) -> None:
    """Put the record of a failure beside results that lack their summary."""
    (folder / "failed.json").write_text('{"step": "slide", "cause": "earlier"}')
    (folder / "summary.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        _half_written,
        _before_the_first_move,
        _no_row,
        _failed_beside,
        _row(""),
        _row("{"),
        _row("[]"),
        _row("null"),
        _row('{"work": 1, "values": []}'),
        _row("\0\0\0"),
        _row_without("values"),
        _row_without("slide"),
        _row_without("work"),
    ],
)
def test_what_a_kill_or_damage_left_is_done_again(
    pair: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    out = tmp_path / "r"
    cohort = cohort_of(pair)
    assert classify_all(cohort, out)["a"].fresh
    whole = result_bytes(out)
    damage(out / "slides/a")
    again = classify_all(cohort, out)["a"]
    assert (again.status, again.fresh) == ("done", True)
    assert result_bytes(out) == whole
    assert not classify_all(cohort, out)["a"].fresh


def test_damaged_records_are_never_numbers_in_the_table(pair: Path, tmp_path: Path) -> None:
    cohort, store = cohort_of(pair), CohortStore(tmp_path / "r")
    classify_all(cohort, store.out)
    for damage in (_row("{"), _row('{"values": 1}'), _no_row):
        damage(store.folder("a"))
        assert recorded(store, cohort.slides[0]) == ({"status": "pending"}, None)


def test_a_failure_whose_cause_is_no_unicode_is_recorded(tmp_path: Path) -> None:
    store = CohortStore(tmp_path)
    store.begin()
    store.record("a", Outcome("failed", "slide", "caf\udce9.svs: no such file"))
    assert store.failure("a") == {"step": "slide", "cause": "caf\udce9.svs: no such file"}


def test_a_slide_of_a_process_that_died_is_free(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    CohortStore(out).begin()
    program = (
        "import sys, time; from pathlib import Path; from slidemitosis.cohort.store import CohortStore\n"
        "with CohortStore(Path(sys.argv[1])).lock('a', wait=False):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (out / "locks/a.lock").exists()
    assert classify_all(cohort_of(pair), out)["a"].status == "done"


def test_many_runs_can_begin_in_one_folder_at_the_same_time(tmp_path: Path) -> None:
    # Small slices of time, so that threads change places within `begin`.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors: list[Exception] = []
    try:
        for attempt in range(50):
            store = CohortStore(tmp_path / f"r{attempt}")
            ready = threading.Barrier(8)

            def begin(store: CohortStore = store, ready: threading.Barrier = ready) -> None:
                ready.wait()
                try:
                    store.begin()
                except OutputError as e:
                    errors.append(e)

            threads = [threading.Thread(target=begin) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert store.begun
            assert {"slides", "locks"} <= {p.name for p in store.out.iterdir()}
    finally:
        sys.setswitchinterval(before)
    assert not errors


def test_a_beginning_that_was_killed_is_completed(tmp_path: Path) -> None:
    store = CohortStore(tmp_path / "r")
    store.begin()
    (store.out / "slides").rmdir()
    (store.out / "locks").rmdir()
    store.begin()
    assert (store.out / "slides").is_dir()
    assert (store.out / "locks").is_dir()


@pytest.mark.parametrize("name", ["slides", "locks", "cohort.csv"])
def test_a_strangers_folder_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "r" / name).mkdir(parents=True)
    with pytest.raises(OutputError, match=f"{name}: is there, and not of a cohort"):
        CohortStore(tmp_path / "r").begin()
    assert [p.name for p in (tmp_path / "r").iterdir()] == [name]


def test_a_folder_that_cannot_be_written_is_one_line(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        assert "cannot be written" in refused("cohort", pair, "--out", out, *MODEL)


def test_a_folder_that_became_read_only_is_one_line(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    if os.access(tmp_path / "closed", os.W_OK):
        pytest.skip("this user may write everywhere")
    out = tmp_path / "r"
    assert run("cohort", pair, "--out", out, *MODEL).returncode == 0
    (pair / "a.geojson").write_text("{")
    for folder in (out / "slides/a", out):
        folder.chmod(0o500)
    try:
        done = run("cohort", pair, "--out", out, *MODEL)
    finally:
        for folder in (out, out / "slides/a"):
            folder.chmod(0o700)
    assert done.returncode == 2
    assert "cannot be" in done.stderr
    assert "Traceback" not in done.stderr


_LONG = "腫" * 60  # 180 bytes, of 255 that a file's name may have


def test_names_of_any_kind_become_folders(tmp_path: Path) -> None:
    folder, out = tmp_path / "pairs", tmp_path / "r"
    names = ["Ö größer", "腫瘍 №1", "a  b;c", "  x", _LONG, f"{_LONG[:-1]}瘍", "e\u0301", "CON"]
    paint_slides(folder, names)
    done = classify_all(cohort_of(folder), out)
    assert {o.status for o in done.values()} == {"done"}
    assert len(done) == len(names)
    assert {p.name for p in (out / "slides").iterdir()} == set(done)
    assert all(len(n.encode()) < 130 for n in done)


def test_one_slide_with_other_points_is_another_row(pair: Path, tmp_path: Path) -> None:
    paint_slides(tmp_path / "more", ["a"], figures=6)
    (tmp_path / "more/a.geojson").rename(pair / "second.geojson")
    table = pair / "slides.csv"
    table.write_text("slide,points\na.svs,a.geojson\na.svs,second.geojson\n")
    cohort = cohort_of(table)
    classify_all(cohort, tmp_path / "r")
    counts = [recorded(CohortStore(tmp_path / "r"), s)[0]["candidates"] for s in cohort.slides]
    assert counts == [3, 6]


def test_names_do_not_depend_on_where_the_command_stands(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint_slides(pair / "sub", ["a"])
    (pair / "slides.csv").write_text("slide,points\na.svs,a.geojson\nsub/a.svs,sub/a.geojson\n")
    names = []
    for stands, path in (
        (tmp_path, "pair/slides.csv"),
        (pair, "slides.csv"),
        (tmp_path, pair / "slides.csv"),
    ):
        monkeypatch.chdir(stands)
        names.append([s.name for s in cohort_of(Path(path)).slides])
    assert names[0] == names[1] == names[2]
    assert len(set(names[0])) == 2
