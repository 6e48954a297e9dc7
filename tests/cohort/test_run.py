"""Cohorts run by real processes: what fails, what is recognised, what is left by a kill."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import filelock
import pytest

from tests.cohort.cohort_slides import MODEL, fresh, paint_slides, rows, table_bytes
from tests.command import PATIENCE, await_line, refused, run, running
from tests.conftest import position_colours, write_aperio, write_points
from tests.models.tiny import damaged_model

if TYPE_CHECKING:
    from pathlib import Path


def test_one_bad_slide_never_ends_the_run(pairs: Path, tmp_path: Path) -> None:
    (pairs / "b.svs").write_bytes(b"no slide")
    (pairs / "c.geojson").write_text("{")
    paint_slides(pairs, ["d"])
    done = run("cohort", pairs, "--out", tmp_path / "r", *MODEL)
    assert done.returncode == 3
    found = rows(tmp_path / "r")
    assert [r["status"] for r in found.values()] == ["done", "failed", "failed", "done"]
    assert list(found) == ["a", "b", "c", "d"]
    assert (found["b"]["step"], found["c"]["step"]) == ("slide", "candidates")
    assert "not a slide" in found["b"]["cause"]
    assert "not valid JSON" in found["c"]["cause"]
    assert "slides      4: 2 done, 2 failed" in done.stdout
    assert "b failed (slide)" in done.stderr


def test_a_cohorts_files_are_those_of_classify(pairs: Path, tmp_path: Path) -> None:
    assert run("cohort", pairs, "--out", tmp_path / "r", *MODEL).returncode == 0
    alone = run(
        "classify", pairs / "a.svs", "--points", pairs / "a.geojson", "--out", tmp_path / "one", *MODEL
    )
    assert alone.returncode == 0
    for name in ("objects.geojson", "candidates.csv"):
        assert (tmp_path / "r/slides/a" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    summary = json.loads((tmp_path / "one/summary.json").read_text())
    assert rows(tmp_path / "r")["a"]["atypical"] == str(summary["counts"]["atypical"])


@pytest.mark.slow
def test_what_is_done_is_recognised_and_what_changed_is_done_again(pairs: Path, tmp_path: Path) -> None:
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert fresh(run(*words).stderr) == ["a", "b", "c"]
    table = (tmp_path / "r/cohort.csv").read_bytes()
    assert fresh(run(*words).stderr) == []
    assert (tmp_path / "r/cohort.csv").read_bytes() == table

    points = json.loads((pairs / "b.geojson").read_text())
    points["features"].pop()
    (pairs / "b.geojson").write_text(json.dumps(points))
    assert fresh(run(*words).stderr) == ["b"]

    paint_slides(tmp_path / "other", ["x", "c"])
    shutil.copy(tmp_path / "other/c.svs", pairs / "c.svs")
    assert fresh(run(*words).stderr) == ["c"]

    # A copy has another time and the same content.
    os.utime(pairs / "a.svs", (1, 1))
    assert fresh(run(*words).stderr) == []

    assert fresh(run(*words, "--views", "8").stderr) == ["a", "b", "c"]
    assert fresh(run(*words, "--views", "8", "--force").stderr) == ["a", "b", "c"]
    assert fresh(run(*words, "--views", "8", "--jobs", "1", "--workers", "1").stderr) == []
    assert fresh(run(*words, "--views", "8", "--devices", "cpu,cpu").stderr) == []


@pytest.mark.slow
def test_regions_have_a_table_by_slide_and_a_slide_without_them_fails(pairs: Path, tmp_path: Path) -> None:
    ring = [[0, 0], [75, 0], [75, 300], [0, 300], [0, 0]]
    tumor = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": None}},
    }
    for name in "ab":
        points = json.loads((pairs / f"{name}.geojson").read_text())
        points["features"].append(tumor)
        (pairs / f"{name}.geojson").write_text(json.dumps(points))
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert run(*words, "--regions", "tumor").returncode == 3
    tables = {name: tmp_path / "r" / "slides" / name / "regions.csv" for name in "abc"}
    assert [path.exists() for path in tables.values()] == [True, True, False]
    with tables["a"].open(newline="") as file:
        assert [(r["class"], r["mitoses"]) for r in csv.DictReader(file)] == [("Tumor", "1")]
    failed = rows(tmp_path / "r")["c"]
    assert (failed["status"], failed["step"]) == ("failed", "candidates")
    assert "no annotation has the class 'tumor'" in failed["cause"]
    assert fresh(run(*words).stderr) == ["a", "b", "c"]
    assert not any(path.exists() for path in tables.values())


@pytest.mark.slow
def test_a_failure_counts_and_costs_no_earlier_result(pairs: Path, tmp_path: Path) -> None:
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert run(*words).returncode == 0
    before = table_bytes(tmp_path / "r")
    (pairs / "a.svs").rename(pairs / "a.away")
    (pairs / "list.csv").write_text("slide,points\n" + "".join(f"{n}.svs,{n}.geojson\n" for n in "abc"))
    assert run("cohort", pairs / "list.csv", *words[2:]).returncode == 3
    assert rows(tmp_path / "r")["a"]["status"] == "failed"
    assert rows(tmp_path / "r")["a"]["atypical"] == ""
    (pairs / "a.away").rename(pairs / "a.svs")
    (pairs / "list.csv").unlink()
    # It is there again, and nothing has to be done again.
    again = run(*words)
    assert (again.returncode, fresh(again.stderr)) == (0, [])
    assert table_bytes(tmp_path / "r") == before
    assert "failed.json" not in {p.name for p in (tmp_path / "r/slides/a").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "option",
    [("--abstain", "0.5", "0.6"), ("--precision", "fp16"), ("--device", "cuda:9", "--force")],
    ids=lambda o: o[0],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry"])
def test_an_option_that_fits_no_slide_ends_the_run_and_harms_none(
    pairs: Path, tmp_path: Path, option: tuple[str, ...], dry: tuple[str, ...]
) -> None:
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL)
    assert run(*words).returncode == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "r/slides").rglob("*")}
    refused(*words, *option, *dry)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "r/slides").rglob("*")} == before
    assert set(Counter(r["status"] for r in rows(tmp_path / "r").values())) == {"done"}


def test_a_slide_with_another_time_is_done_again_where_a_figure_was_bare_glass(tmp_path: Path) -> None:
    """As of a slide that was still being copied: neither hash covers all of its tiles."""
    pixels = position_colours(400, 300)
    pixels[:, 200:] = 255
    (tmp_path / "pairs").mkdir()
    slide = write_aperio(tmp_path / "pairs/a.svs", [pixels])
    write_points(tmp_path / "pairs/a.geojson", [(60.0, 80.0), (320.0, 150.0)])
    words = ("cohort", tmp_path / "pairs", "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert fresh(run(*words).stderr) == ["a"]
    assert rows(tmp_path / "r")["a"]["blank"] == "1"
    assert fresh(run(*words).stderr) == []
    os.utime(slide, (1, 1))
    assert fresh(run(*words).stderr) == ["a"]


def test_a_run_that_is_broken_off_says_no_less_than_is_known(pairs: Path, tmp_path: Path) -> None:
    assert run("cohort", pairs, "--out", tmp_path / "r", *MODEL).returncode == 0
    paint_slides(pairs, ["a", "b", "c", "d"])
    with filelock.FileLock(tmp_path / "r/locks/a.lock"), filelock.FileLock(tmp_path / "r/locks/b.lock"):
        words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
        with running(*words) as process:
            await_line(process, '"event": "slide"')
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
    found = rows(tmp_path / "r")
    assert {found[n]["status"] for n in "abc"} == {"done"}


def test_a_first_slide_that_kills_its_process_is_one_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint_slides(tmp_path / "pairs", ["a", "b"])
    site = tmp_path / "site"
    site.mkdir()
    # As a library would that crashes on a damaged file.
    (site / "sitecustomize.py").write_text(
        "import os, openslide\n"
        "_open = openslide.OpenSlide.__init__\n"
        "def opened(self, name):\n"
        "    if str(name).endswith('a.svs'):\n"
        "        os.abort()\n"
        "    _open(self, name)\n"
        "openslide.OpenSlide.__init__ = opened\n"
    )
    old = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *([old] if old else [])]))
    done = run("cohort", tmp_path / "pairs", "--out", tmp_path / "r", *MODEL, "--jobs", "1")
    assert done.returncode == 3, done.stderr
    found = rows(tmp_path / "r")
    assert (found["a"]["step"], found["b"]["status"]) == ("process", "done")
    assert "SIGABRT" in found["a"]["cause"]


@pytest.mark.slow
def test_no_file_of_an_earlier_run_stays_beside_new_tables(pairs: Path, tmp_path: Path) -> None:
    table = pairs / "list.csv"
    table.write_text("slide,points,patient\na.svs,a.geojson,P\n")
    assert run("cohort", table, "--out", tmp_path / "r", *MODEL).returncode == 0
    assert {"patients.csv", "cohort.png"} <= {p.name for p in (tmp_path / "r").iterdir()}
    table.write_text("slide,points\na.svs,a.geojson\n")
    (pairs / "a.geojson").write_text("{")
    assert run("cohort", table, "--out", tmp_path / "r", *MODEL).returncode == 3
    assert not {"patients.csv", "cohort.png"} & {p.name for p in (tmp_path / "r").iterdir()}


def test_a_slide_with_another_file_of_points_is_done_again(pairs: Path, tmp_path: Path) -> None:
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert run(*words).returncode == 0
    (pairs / "a.geojson").unlink()
    (pairs / "a.csv").write_text("x,y,class\n90,90,Mitosis\n")
    again = run(*words)
    assert (again.returncode, fresh(again.stderr)) == (0, ["a"])
    assert rows(tmp_path / "r")["a"]["candidates"] == "1"


def test_an_input_among_the_results_is_never_replaced(pairs: Path, tmp_path: Path) -> None:
    assert run("cohort", pairs, "--out", tmp_path / "r", *MODEL).returncode == 0
    objects = tmp_path / "r/slides/a/objects.geojson"
    before = objects.read_bytes()
    (pairs / "again.csv").write_text(f"slide,points\na.svs,{objects}\n")
    assert run("cohort", pairs / "again.csv", "--out", tmp_path / "r", *MODEL).returncode == 3
    assert "lies in the folder of results" in rows(tmp_path / "r")["a"]["cause"]
    assert objects.read_bytes() == before


def test_collect_makes_no_folder(pairs: Path, tmp_path: Path) -> None:
    assert "holds no results of a cohort" in refused("cohort", pairs, "--out", tmp_path / "typo", "--collect")
    assert not (tmp_path / "typo").exists()


def test_neither_the_number_of_processes_nor_their_devices_change_anything(
    pairs: Path, tmp_path: Path
) -> None:
    paint_slides(pairs, [f"s{i}" for i in range(4)])
    tables = set()
    for option in ((), ("--jobs", "1"), ("--jobs", "2"), ("--devices", "cpu,cpu")):
        out = tmp_path / "".join(("out", *option))
        assert run("cohort", pairs, "--out", out, *MODEL, *option).returncode == 0
        tables.add(table_bytes(out))
    assert len(tables) == 1


@pytest.mark.slow
def test_parts_run_apart_and_collected_are_the_whole(pairs: Path, tmp_path: Path) -> None:
    assert run("cohort", pairs, "--out", tmp_path / "all", *MODEL).returncode == 0
    out = tmp_path / "parts"
    for part in ("1/2", "2/2"):
        assert run("cohort", pairs, "--out", out, *MODEL, "--shard", part).returncode == 0
        assert not (out / "cohort.csv").exists()
    collected = run("cohort", pairs, "--out", out, "--collect")
    assert collected.returncode == 0
    assert table_bytes(out) == table_bytes(tmp_path / "all")


def test_collect_says_what_is_still_to_do(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    assert run("cohort", pairs, "--out", out, *MODEL, "--shard", "1/2").returncode == 0
    collected = run("cohort", pairs, "--out", out, "--collect")
    assert collected.returncode == 3
    assert {n: r["status"] for n, r in rows(out).items()} == {"a": "done", "b": "pending", "c": "done"}


def test_a_dry_run_names_every_problem_and_writes_nothing(pairs: Path, tmp_path: Path) -> None:
    (pairs / "b.svs").write_bytes(b"no slide")
    done = run("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--dry-run")
    assert done.returncode == 3
    assert "2 ready, 1 failed" in done.stdout
    assert "b failed (slide)" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_slide_that_another_run_holds_is_waited_for_and_not_done_twice(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    words = ("cohort", pairs, "--out", out, *MODEL, "--progress", "json")
    assert run(*words).returncode == 0
    table = (out / "cohort.csv").read_bytes()
    lock = filelock.FileLock(out / "locks/a.lock")
    with lock, running(*words) as process:
        await_line(process, "another run is at work on it")
        time.sleep(0.5)
        assert process.poll() is None
        lock.release()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert '"fresh": true' not in err
    assert (out / "cohort.csv").read_bytes() == table


@pytest.mark.slow
def test_two_runs_at_once_do_each_slide_once(tmp_path: Path) -> None:
    folder, out = paint_slides(tmp_path / "many", [f"s{i}" for i in range(8)]), tmp_path / "r"
    words = ("cohort", folder, "--out", out, *MODEL, "--progress", "json", "--jobs", "1")
    with running(*words) as one, running(*words) as other:
        told = [p.communicate(timeout=PATIENCE)[1] for p in (one, other)]
    assert [p.returncode for p in (one, other)] == [0, 0]
    assert fresh("".join(told)) == [f"s{i}" for i in range(8)]
    alone = tmp_path / "alone"
    assert run("cohort", folder, "--out", alone, *MODEL).returncode == 0
    assert table_bytes(out) == table_bytes(alone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_done(tmp_path: Path, number: signal.Signals) -> None:
    folder, out = paint_slides(tmp_path / "many", [f"s{i}" for i in range(12)], figures=8), tmp_path / "r"
    words = ("cohort", folder, "--out", out, *MODEL, "--progress", "json", "--jobs", "1")
    with running(*words) as process:
        await_line(process, '"event": "slide"')
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "what is done is kept, and the same command goes on" in err
    assert "Traceback" not in err
    states = [r["status"] for r in rows(out).values()]
    assert "done" in states
    assert set(states) <= {"done", "pending"}
    again = run(*words)
    assert again.returncode == 0
    # One may have been done that nobody had heard of any more.
    assert states.count("pending") - len(fresh(again.stderr)) in (0, 1)


@pytest.mark.parametrize("executor", ["local", pytest.param("dask", marks=pytest.mark.slow)])
@pytest.mark.parametrize("after", [0.1, pytest.param(0.5, marks=pytest.mark.slow)])
def test_ctrl_c_while_processes_start_is_one_line(tmp_path: Path, executor: str, after: float) -> None:
    pairs = paint_slides(tmp_path / "pairs", [f"s{i}" for i in range(8)])
    for i in range(8):  # so many that no machine is done with them meanwhile
        write_points(pairs / f"s{i}.geojson", [(10 + 9 * (k % 40), 10 + 9 * (k // 40)) for k in range(900)])
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    with running(*words, "--jobs", "2", "--executor", executor) as process:
        assert process.stderr is not None
        assert '"done": 0' in process.stderr.readline()
        time.sleep(after)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    last = err.splitlines()[-1]
    assert "interrupted; what is done is kept" in json.loads(last)["text"]
    assert all(line.startswith("{") for line in err.splitlines()), err


def test_a_process_that_dies_takes_one_slide_with_it(tmp_path: Path) -> None:
    folder, out = paint_slides(tmp_path / "many", [f"s{i}" for i in range(6)], figures=60), tmp_path / "r"
    words = ("cohort", folder, "--out", out, *MODEL, "--progress", "json", "--jobs", "1")
    with running(*words) as process:
        await_line(process, '"event": "slide"')
        subprocess.run(["pkill", "-KILL", "-P", str(process.pid), "-f", "spawn_main"], check=True)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    found = rows(out)
    failed = [r for r in found.values() if r["status"] == "failed"]
    assert len(failed) == 1
    assert failed[0]["step"] == "process"
    assert "SIGKILL" in failed[0]["cause"]
    assert len([r for r in found.values() if r["status"] == "done"]) == 5
    assert run(*words).returncode == 0


def test_a_folder_of_somebody_elses_files_is_refused(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "r/slides/a").mkdir(parents=True)
    (tmp_path / "r/slides/a/objects.geojson").write_text("theirs")
    said = refused("cohort", pairs, "--out", tmp_path / "r", *MODEL)
    assert "not of a cohort; choose another --out" in said
    assert (tmp_path / "r/slides/a/objects.geojson").read_text() == "theirs"


def test_a_model_that_is_not_there_ends_the_run_at_once(pairs: Path, tmp_path: Path) -> None:
    refused("cohort", pairs, "--out", tmp_path / "r", "--model", "nothing")
    assert not (tmp_path / "r/cohort.csv").exists()


def test_weights_that_do_not_fit_their_card_end_the_run(pairs: Path, tmp_path: Path) -> None:
    model = damaged_model(tmp_path / "model")
    assert "SHA-256" in refused("cohort", pairs, "--out", tmp_path / "r", "--model", model)


@pytest.mark.parametrize("word", ["0/2", "3/2", "x", "1"])
def test_a_shard_that_cannot_be_is_one_line(pairs: Path, tmp_path: Path, word: str) -> None:
    assert "is not I/N" in refused("cohort", pairs, "--out", tmp_path / "r", "--shard", word)
