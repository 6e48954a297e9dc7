"""A disk that is full when an output is to be written: one line says so, and what was there is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from slidemitosis.cli import main
from tests.cohort.cohort_slides import MODEL, paint_slides, result_bytes
from tests.conftest import position_colours
from tests.train.small_runs import SMALL, assert_one_line, call, sets, write_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SIZE = 32 << 20  # bytes of the disk
PAGE = 4096  # bytes, of which a file takes whole ones
BALLAST = "ballast"
MARKER = ".slidemitosis-cohort"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder], capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        mounted = -1
    if mounted != 0:
        pytest.skip("a file system can be mounted only by root, on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides with candidates, results of one, and a review, on a disk with room."""
    folder = tmp_path_factory.mktemp("given")
    paint_slides(folder / "slides", ["a", "b"])
    slide, points = folder / "slides" / "a.svs", folder / "slides" / "a.geojson"
    assert main(["classify", str(slide), "--points", str(points), *MODEL, "--out", str(folder / "r")]) == 0
    stack = np.stack([position_colours(128, 128, x0=90 * i) for i in range(5)])
    tifffile.imwrite(folder / "patches.tif", stack, photometric="rgb")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, locks apart, which stay from the first run on."""
    found = (p for p in folder.rglob("*") if p.is_file() and "locks" not in p.parts and p.name != BALLAST)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def pages(disk: Path) -> int:
    return sum(-(-len(data) // PAGE) for data in files(disk).values())


def empty(disk: Path) -> None:
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def leave(disk: Path, room: int) -> None:
    """Fill the disk but for so many pages."""
    free = os.statvfs(disk)
    with (disk / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - room * PAGE))


def rooms(folder: Path, before: dict[str, bytes]) -> list[tuple[str, int]]:
    """Each file that is new or other than before, in the order written, and a room too small for it."""
    new = [p for p in folder.rglob("*") if p.is_file() and "locks" not in p.parts]
    new = [p for p in new if before.get(p.relative_to(folder).as_posix()) != p.read_bytes()]
    found, used = [], 0
    for path in sorted(new, key=lambda p: p.stat().st_mtime_ns):
        pages = -(-path.stat().st_size // PAGE)
        found.append((path.name, used + pages - 1))
        used += pages
    return found


COMMANDS = {
    "classify": "classify {0}/slides/a.svs --points {0}/slides/a.geojson --model lite0 --views 8 --out {1}/r",
    "report": "report {1}/r --all-patches --sheet {1}/sheet.png",
    "inspect": "inspect {0}/slides/a.svs --points {0}/slides/a.geojson --sheet {1}/sheet.png",
    "convert": "convert {0}/slides/a.geojson {1}/a.csv --slide {0}/slides/a.svs",
    "count": "count {0}/r --out {1}/counts.csv",
    "patches": "patches {0}/patches.tif --model lite0 --out {1}/patches.csv",
    "demo": "demo --out {1}/demo",
    "export": "models export lite0 --out {1}/model",
    "scripts": "qupath install --menu --create --scripts-dir {1}/user/scripts",
}
SEVERAL = ("demo", "scripts")
"""Commands whose files are each of use by themselves: those written before stay."""


@pytest.mark.parametrize("kind", COMMANDS)
def test_each_output_in_turn_finds_no_room(
    kind: str, given: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[kind].format(given, disk).split()

    def begin() -> dict[str, bytes]:
        empty(disk)
        if f"{disk}/r" in words:
            shutil.copytree(given / "r", disk / "r")
        return files(disk)

    before = begin()
    assert main(words) == 0, capsys.readouterr().err
    whole, outputs = files(disk), rooms(disk, before)
    assert outputs
    for name, room in outputs:
        begin()
        leave(disk, room)
        capsys.readouterr()
        assert main(words) == 2, name
        err = capsys.readouterr().err
        assert "No space left on device" in err, (name, err)
        assert "Traceback" not in err
        if kind in SEVERAL:
            assert files(disk).items() <= whole.items(), name
        else:
            assert files(disk) == before, name


def test_a_cohort_that_finds_no_room_goes_on_when_there_is_some(
    given: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cohort", str(given / "slides"), *MODEL, "--out", str(disk / "c")]
    assert main(words) == 0, capsys.readouterr().err
    right, total = result_bytes(disk / "c"), pages(disk)
    for tenth in range(9):
        empty(disk)
        leave(disk, total * tenth // 10)
        capsys.readouterr()
        assert main(words) in (2, 3), tenth  # the cohort's own files, or slides that have failed
        err = capsys.readouterr().err
        assert "No space left on device" in err, (tenth, err)
        assert "Traceback" not in err
        (disk / BALLAST).unlink()
        assert main(words) == 0, capsys.readouterr().err
        found = result_bytes(disk / "c")
        found[MARKER] = right[MARKER]  # its name is what counts
        assert found == right, tenth


def test_a_training_that_finds_no_room_goes_on_when_there_is_some(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", 36, test=6)
    run = disk / "run"
    small = sets(*SMALL, "split.folds=2", "schedule.epochs=2")
    words = ["train", "lite0", "--data", f"csv={data}", "--out", run, "--device", "cpu", *small]
    words += ["--progress", "none"]
    assert call(*words) == 0, capsys.readouterr().err
    weights = {p: b for p, b in files(disk).items() if p.endswith(".safetensors")}
    total = pages(disk)
    assert weights
    for tenth in range(10):
        empty(disk)
        leave(disk, total * tenth // 10)
        capsys.readouterr()
        assert call(*words) == 2, tenth
        err = capsys.readouterr().err
        assert_one_line(err.splitlines(keepends=True)[-1], "No space left on device")
        (disk / BALLAST).unlink()
        assert call(*words) == 0, capsys.readouterr().err
        assert {p: b for p, b in files(disk).items() if p.endswith(".safetensors")} == weights, tenth
