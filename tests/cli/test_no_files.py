"""What is no file is refused in one line wherever a file is wanted, and not waited for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cli import main
from slidemitosis.models.shipped import find_model
from tests.conftest import position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes with names are POSIX's")


@pytest.fixture(autouse=True)
def _ends_in_time() -> Iterator[None]:
    signal.alarm(300)
    yield
    signal.alarm(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A slide with points, and a pipe, a socket and a link to a device that never ends."""
    write_aperio(tmp_path / "a.svs", [position_colours(400, 300)])
    write_points(tmp_path / "a.geojson", [(100, 100)])
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        before = os.open(".", os.O_RDONLY)
        os.chdir(tmp_path)  # a socket's whole path may be too long
        end.bind("socket")
        os.chdir(before)
        os.close(before)
    (tmp_path / "device").symlink_to("/dev/zero")
    return tmp_path


WORDS = [
    "classify {} --points a.geojson --out out",
    "classify a.svs --points {} --out out",
    "classify a.svs --points a.geojson --calibration {} --out out",
    "inspect {}",
    "convert {} out.csv",
    "cohort {} --out out",
    "cohort list.csv --join {} --out out",
    "cohort list.csv --cluster {} --out out",
    "cohort {}.qpproj --out out",
    "patches {} --out out.csv",
    "data check csv={}",
    "train lite0-multi-task --data csv={} --out out",
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_pipe_a_socket_and_a_device_are_refused_wherever_a_file_is_wanted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, kind: str
) -> None:
    if words.startswith(("train", "data")):
        for name in ("torch", "sklearn", "peft"):
            pytest.importorskip(name)
    monkeypatch.chdir(folder)
    (folder / "list.csv").write_text("slide,points\na.svs,a.geojson\n")
    if ".qpproj" in words:
        (folder / kind).rename(folder / f"{kind}.qpproj")
    assert main(words.format(kind).split()) == 2
    said = capsys.readouterr().err
    assert f"a {kind}, not a file; save what it gives as a file first" in said
    assert said.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize("file", ["model.toml", "graph.onnx"])
def test_a_model_of_pipes_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    model = folder / "model"
    shutil.copytree(find_model("lite0").folder, model)
    (model / file).unlink()
    os.mkfifo(model / file)
    words = ["classify", folder / "a.svs", "--points", folder / "a.geojson", "--model", model]
    assert main([*map(str, words), "--workers", "0", "--device", "cpu", "--out", str(folder / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{file}: cannot be read" in said
    assert "a pipe, not a file" in said
    assert said.count("\n") == 1


def test_a_log_that_is_a_pipe_nobody_reads_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["classify", folder / "a.svs", "--points", folder / "a.geojson", "--log", folder / "pipe"]
    assert main([*map(str, words), "--out", str(folder / "out")]) == 2
    assert "choose another --log" in capsys.readouterr().err


def test_each_slide_of_a_cohort_that_is_no_file_fails_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    rows = ["a.svs,a.geojson", "pipe,a.geojson", "a.svs,pipe", "device,a.geojson", "a.svs,socket"]
    (folder / "list.csv").write_text("\n".join(["slide,points", *rows, ""]))
    assert main(["cohort", "list.csv", "--dry-run", "--jobs", "1", "--out", "out"]) == 3
    told = capsys.readouterr()
    assert told.err.count(", not a file; save") == 4
    assert "5: 1 ready, 4 failed" in told.out
