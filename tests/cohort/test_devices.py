"""Cohorts on several devices: which process computes on which, and what cannot be meant."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cli import main
from slidemitosis.cohort.executors import local
from slidemitosis.cohort.executors.events import Ended
from slidemitosis.cohort.executors.local import LocalJobs
from slidemitosis.cohort.job import CohortPlan
from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.slides import Outcome
from slidemitosis.cohort.store import CohortStore
from slidemitosis.engines import choose
from slidemitosis.errors import SlideMitosisError
from slidemitosis.options import ComputeOptions, ReadOptions
from slidemitosis.reading.processes import GONE, receive, send
from tests.cohort.cohort_slides import MODEL, paint_slides

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

_LOG = "devices"
_PATIENCE = 60  # seconds
_WAITS_FOR = {"dies": 2, "waits": 3}
"""Number of processes that have come before a slide of this name ends."""


def say_device(connection: Connection, plan: CohortPlan, threads: int) -> None:
    """Run in a process in place of the one that classifies: note the device, and end slides by their names.

    The slide "dies" ends the process.
    """
    with (plan.out / _LOG).open("a", encoding="utf-8") as file:
        file.write(f"{plan.compute.device} {threads}\n")
    send(connection, None)
    while (message := receive(connection)) is not GONE:
        slide, _ = message
        deadline = time.monotonic() + _PATIENCE
        while len(started(plan)) < _WAITS_FOR.get(slide.name, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if slide.name == "dies":
            os._exit(1)
        send(connection, Ended(slide, Outcome("done")))


def started(plan: CohortPlan) -> list[str]:
    """Device and number of threads of each process that has come, in their order."""
    return (plan.out / _LOG).read_text(encoding="utf-8").splitlines()


def plan_for(out: Path) -> CohortPlan:
    CohortStore(out).begin()
    return CohortPlan(out=out, model="lite0", compute=ComputeOptions())


def test_each_process_has_a_device_of_its_own_and_gives_it_back_when_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_serve", say_device)
    cohort = read_cohort(paint_slides(tmp_path / "pairs", ["dies", "last", "waits"]), read=ReadOptions())
    dies, last, waits = cohort.slides
    plan = plan_for(tmp_path / "r")
    with LocalJobs(plan, devices=["cuda:0", "cuda:1"], threads=3) as jobs:
        events = list(jobs.run([dies, waits, last], wait=False))
    ended = {e.slide.name: e.outcome.status for e in events if isinstance(e, Ended)}
    assert ended == {"dies": "failed", "waits": "done", "last": "done"}
    first, second, third = started(plan)
    # The first two start at the same time; the third has the device of the one that died.
    assert sorted([first, second]) == ["cuda:0 3", "cuda:1 3"]
    assert third == "cuda:0 3"


@pytest.mark.slow
def test_a_process_computes_on_its_own_device_and_not_on_the_plans(pair: Path, tmp_path: Path) -> None:
    slides = read_cohort(pair, read=ReadOptions()).slides
    # There is no GPU of this number on any machine.
    jobs = LocalJobs(plan_for(tmp_path / "r"), devices=["cuda:9"], threads=1)
    with jobs, pytest.raises(SlideMitosisError, match="cuda:9"):
        list(jobs.run(slides, wait=False))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--devices cpu,", "'cpu,' is not a list of devices such as cuda:0,cuda:1"),
        ("--devices cpu,,cpu", "'cpu,,cpu' is not a list of devices"),
        ("--devices cpu,auto", "'auto' names no device; name each, such as cuda:0,cuda:1"),
        ("--devices cpu,cpu --device cpu", "--device and --devices both say what computes: give one of them"),
        ("--devices cpu,cpu --jobs 2", "starts one process for each device, so leave --jobs out"),
        ("--devices cpu,cpu --scheduler tcp://x:1", "with --scheduler start a worker for each GPU"),
        ("--devices cpu,cpu --cluster x.toml", "with --cluster start a worker for each GPU"),
        ("--devices cpu,cpu --executor dask", "with --executor dask start a worker for each GPU"),
        ("--devices cuda:0 --engine onnx", "device 'cuda:0': the engine onnx runs on the CPU"),
        pytest.param(
            "--devices cpu,gpu",
            "error: device 'gpu' is not known; use auto, cpu, cuda, cuda:N or mps",
            marks=pytest.mark.slow,
        ),
        pytest.param("--devices cpu,cuda:99", "error: device 'cuda:99': ", marks=pytest.mark.slow),
    ],
)
def test_devices_that_cannot_be_meant_are_one_line_before_anything_starts(
    pair: Path, tmp_path: Path, words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    code: object
    try:
        code = main(["cohort", str(pair), "--out", str(out), *MODEL, *words.split()])
    except SystemExit as e:
        code = e.code
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert told in line
    assert not out.exists()


def test_devices_of_two_kinds_are_refused_since_they_give_other_digits(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose, "check_device", lambda _: None)  # as where there is such a GPU
    words = ["cohort", str(pair), "--out", str(tmp_path / "r"), *MODEL]
    assert main([*words, "--devices", "cuda:0,cpu"]) == 2
    assert "cpu and cuda give other digits" in capsys.readouterr().err
