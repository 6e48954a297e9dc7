"""However a run ends, by a signal, closed streams or limits of the system, it says so in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slidemitosis.limits import lacking
from tests.command import COMMAND, PATIENCE, await_line, running
from tests.conftest import position_colours, write_aperio, write_points

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits are POSIX's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ends")
    write_aperio(folder / "a.svs", [position_colours(900, 700)])
    write_points(folder / "a.geojson", [(40 + 3 * i % 800, 60 + 7 * i % 600) for i in range(400)])
    write_points(folder / "few.geojson", [(100, 100)])
    write_points(folder / "many.geojson", [(40 + 0.3 * i % 800, 60 + 0.7 * i % 600) for i in range(4000)])
    return folder


def words(folder: Path, out: Path, *further: str, points: str = "few.geojson") -> list[str]:
    given = ["classify", str(folder / "a.svs"), "--points", str(folder / points), "--model", "lite0"]
    return [*given, "--no-report", "--out", str(out), *further]


def shell(script: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the command by a shell: `"$@"` in the script."""
    whole = ["sh", "-c", script, "sh", *COMMAND, *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize("kind", ["SIGHUP", "SIGQUIT"])
def test_a_terminal_that_is_closed_ends_a_run_in_good_order(folder: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    before = set(Path("/dev/shm").glob("slidemitosis-*"))
    further = ("--workers", "2", "--progress", "json", "--keep-duplicates")
    command = words(folder, out, *further, points="many.geojson")
    with running(*command) as process:
        await_line(process, '"progress"')
        mine = set(Path("/dev/shm").glob("slidemitosis-*")) - before
        os.killpg(process.pid, getattr(signal, kind))
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "interrupted; nothing was written" in err
    assert "Traceback" not in err
    assert "leaked" not in err
    assert list(tmp_path.iterdir()) == []
    for _ in range(100):  # other tests make some, too
        if not any(p.exists() and str(p) in maps(process.pid) for p in mine):
            return
        time.sleep(0.1)
    raise AssertionError("shared memory is left")


def maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def test_nohup_goes_on_when_its_terminal_is_closed(folder: Path, tmp_path: Path) -> None:
    script = 'trap "" HUP; "$@" & child=$!; sleep 2; kill -HUP $child; wait $child'
    done = shell(script, *words(folder, tmp_path / "out", points="a.geojson"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "summary.json").exists()


def test_without_standard_error_a_run_is_as_any_other(folder: Path, tmp_path: Path) -> None:
    done = shell('"$@" 2>&-', *words(folder, tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "summary.json").exists()


def test_without_any_stream_a_run_is_as_any_other(folder: Path, tmp_path: Path) -> None:
    done = shell('"$@" <&- >&- 2>&-', *words(folder, tmp_path / "out", "--workers", "1"))
    assert done.returncode == 0
    assert (tmp_path / "out" / "summary.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_standard_output_is_told_and_the_results_are_there(folder: Path, tmp_path: Path) -> None:
    done = shell('"$@" >/dev/full', *words(folder, tmp_path / "out"))
    assert done.stderr == (
        "slidemitosis: error: standard output cannot be written: No space left on device; "
        "the results are written\n"
    )
    assert done.returncode == 2
    assert (tmp_path / "out" / "summary.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_standard_error_ends_nothing(folder: Path, tmp_path: Path) -> None:
    done = shell('"$@" 2>/dev/full', *words(folder, tmp_path / "out", "--progress", "json"))
    assert done.returncode == 0
    assert (tmp_path / "out" / "summary.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits are kept differently elsewhere")
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("limit", ["-n 8", "-n 12", "-v 250000", "-v 900000"])
def test_little_memory_or_few_files_end_in_one_line_or_in_a_whole_result(
    folder: Path, tmp_path: Path, limit: str, workers: str
) -> None:
    command = words(folder, tmp_path / "out", "--workers", workers, "--progress", "none", points="a.geojson")
    done = shell(f'ulimit {limit}; "$@"', *command)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("slidemitosis: error:")]
    if done.returncode == 0:
        assert lines == []
        assert '"unreadable": 0' in (tmp_path / "out" / "summary.json").read_text()
    else:
        assert done.returncode == 2, done.stderr
        assert len(lines) == 1
        assert list(tmp_path.iterdir()) == []


def test_what_the_system_lacks_is_known_however_a_library_says_it() -> None:
    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("Non-zero status code returned: std::bad_alloc"),
    ):
        assert "the memory is not enough" in str(lacking(error))
    assert "too many files" in str(lacking(OSError(24, "Too many open files")))
    wrapped = ImportError("broken")
    wrapped.__cause__ = MemoryError()
    assert lacking(wrapped) is not None
    assert lacking(ValueError("of another kind")) is None
