"""Cohorts on Dask: a real scheduler and real workers, some of which are killed."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from slidemitosis._version import __version__
from slidemitosis.cohort.executors import clusters, dask, dask_worker
from slidemitosis.cohort.executors.events import Ended, Held
from slidemitosis.cohort.job import CohortPlan
from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.store import CohortStore
from slidemitosis.errors import ClusterFailed, InvalidCard, OutputError, SlideMitosisError
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions, ReadOptions
from tests.cohort.cohort_slides import MODEL, paint_slides, result_bytes
from tests.cohort.dask_cluster import WITH_DASK, Processes, dask_processes
from tests.command import PATIENCE, await_line, refused, run, running
from tests.models.tiny import damaged_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = WITH_DASK


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two workers: one alone, with two threads; one under a nanny, which says that it has a GPU."""
    with dask_processes(tmp_path_factory.mktemp("cluster") / "dask") as processes:
        processes.start_worker("--no-nanny", threads=2)
        processes.start_worker("--nanny", "--resources", "GPU=1")
        yield processes


@pytest.fixture(scope="module")
def client(cluster: Processes) -> Iterator[Any]:
    with clusters.connected(cluster.address) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


def plan_for(out: Path, **compute: Any) -> CohortPlan:
    plan = CohortPlan(out=out, model="lite0", compute=ComputeOptions(**compute))
    CohortStore(plan.out).begin()
    return plan


@pytest.mark.slow
def test_a_cluster_writes_the_bytes_of_a_local_run(cluster: Processes, pairs: Path, tmp_path: Path) -> None:
    paint_slides(pairs, ["d", "no slide", "no points"])
    (pairs / "no slide.svs").write_bytes(b"no slide")
    (pairs / "no points.geojson").unlink()
    assert run("cohort", pairs, "--out", tmp_path / "local", *MODEL).returncode == 3
    words = ("cohort", pairs, "--out", tmp_path / "dask", *MODEL, "--scheduler", cluster.address)
    done = run(*words, "--progress", "json")
    assert done.returncode == 3
    assert "6: 4 done, 1 failed, 1 skipped" in done.stdout
    assert result_bytes(tmp_path / "dask") == result_bytes(tmp_path / "local")
    # Only our own words, and nothing of Dask's.
    assert all(line.startswith("{") for line in done.stderr.splitlines())
    again = run(*words, "--progress", "json")
    assert '"fresh": true' not in again.stderr.replace('"failed", "fresh": true', "").replace(
        '"skipped", "fresh": true', ""
    )


def test_a_cluster_looks_without_writing(cluster: Processes, pairs: Path, tmp_path: Path) -> None:
    done = run("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--scheduler", cluster.address, "--dry-run")
    assert done.returncode == 0
    assert "3 ready" in done.stdout
    assert not (tmp_path / "r").exists()


def test_a_worker_uses_the_threads_that_it_was_given(client: Any, pairs: Path, tmp_path: Path) -> None:
    slides = read_cohort(pairs, read=ReadOptions()).slides
    with dask.DaskJobs(plan_for(tmp_path / "r"), client=client) as jobs:
        list(jobs.run(slides, wait=False))
    threads = {w["nthreads"] for w in client.scheduler_info(n_workers=-1)["workers"].values()}
    assert threads == {1, 2}
    for worker, said in client.run(os.getenv, "OMP_NUM_THREADS").items():
        assert said == str(client.nthreads()[worker])


def test_a_slide_that_another_run_holds_keeps_no_worker_waiting(
    client: Any, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "_HELD_PAUSE", 0.2)
    slides = read_cohort(pairs, read=ReadOptions()).slides
    plan = plan_for(tmp_path / "r")
    lock = filelock.FileLock(tmp_path / "r/locks/a.lock", thread_local=False)
    with dask.DaskJobs(plan, client=client) as jobs, lock:
        events = list(jobs.run(slides, wait=False))
        assert [e.slide.name for e in events if isinstance(e, Held)] == ["a"]
        assert sorted(e.slide.name for e in events if isinstance(e, Ended)) == ["b", "c"]
        threading.Timer(1.0, lock.release).start()
        events = list(jobs.run([slides[0]], wait=True))
    assert [type(e) for e in events if isinstance(e, Held | Ended)] == [Ended]


@pytest.mark.slow
def test_with_a_cuda_device_only_workers_that_offer_a_gpu_get_slides(
    client: Any, pairs: Path, tmp_path: Path
) -> None:
    def has_torch() -> bool:
        return "torch" in sys.modules

    assert not any(client.run(has_torch).values())
    slides = read_cohort(pairs, read=ReadOptions()).slides
    # There is no GPU of this number on any machine, which is so for every slide.
    refused = pytest.raises(InvalidCard, match="no slide can be classified: device 'cuda:9'")
    with refused, dask.DaskJobs(plan_for(tmp_path / "r", device="cuda:9"), client=client) as jobs:
        list(jobs.run(slides, wait=False))
    workers = client.scheduler_info(n_workers=-1)["workers"]
    for worker, imported in client.run(has_torch).items():
        assert imported == bool(workers[worker]["resources"])


def test_other_versions_and_other_models_are_refused(client: Any, pairs: Path, tmp_path: Path) -> None:
    slide = read_cohort(pairs, read=ReadOptions()).slides[0]
    plan, card = plan_for(tmp_path / "r"), find_model("lite0")

    def answer(version: str, order: dask_worker.Order) -> dask_worker.Answer:
        given: dask_worker.Answer = client.submit(
            dask_worker.classify, version, pickle.dumps(order), pure=False
        ).result(timeout=PATIENCE)
        return given

    told = answer("0.0", dask_worker.Order(slide, plan, card)).end
    assert isinstance(told, ClusterFailed)
    assert f"it has slidemitosis {__version__}, this machine 0.0" in str(told)
    other = dataclasses.replace(card, version="0")
    told = answer(__version__, dask_worker.Order(slide, plan, other)).end
    assert isinstance(told, ClusterFailed)
    assert "its model lite0 differs" in str(told)
    nowhere = dataclasses.replace(plan, out=tmp_path / "nowhere")
    told = answer(__version__, dask_worker.Order(slide, nowhere, card)).end
    assert isinstance(told, OutputError)
    assert "a folder that all machines share" in str(told)
    assert not (tmp_path / "nowhere").exists()


def test_results_that_are_not_seen_here_do_not_count(
    client: Any, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "_PATIENCE", 1.0)
    slides = read_cohort(pairs, read=ReadOptions()).slides
    with dask.DaskJobs(plan_for(tmp_path / "r"), client=client) as jobs:
        # As if the workers saw another folder under this path than we do.
        monkeypatch.setattr(jobs, "_store", CohortStore(tmp_path / "other"))
        with pytest.raises(OutputError, match=r"says that . is done, .* does not"):
            list(jobs.run(slides, wait=False))


def test_a_model_folder_that_is_damaged_ends_the_run(cluster: Processes, pairs: Path, tmp_path: Path) -> None:
    words = ("--model", damaged_model(tmp_path / "model"), "--scheduler", cluster.address)
    assert "SHA-256" in refused("cohort", pairs, "--out", tmp_path / "r", *words)


def test_a_cluster_of_this_machine_is_started_and_ended(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    done = run(
        "cohort", pairs, "--out", out, *MODEL, "--executor", "dask", "--jobs", "2", "--progress", "none"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert run("cohort", pairs, "--out", tmp_path / "local", *MODEL).returncode == 0
    assert result_bytes(out) == result_bytes(tmp_path / "local")


@pytest.mark.slow
def test_the_slide_of_a_worker_that_is_killed_is_done_by_another(tmp_path: Path) -> None:
    folder, out = paint_slides(tmp_path / "many", [f"s{i}" for i in range(8)], figures=60), tmp_path / "r"
    words = ("cohort", folder, "--out", out, *MODEL, "--progress", "json")
    with dask_processes(tmp_path / "dask") as processes:
        victim = processes.start_worker("--no-nanny")
        processes.start_worker("--nanny")
        with running(*words, "--scheduler", processes.address) as process:
            await_line(process, '"event": "slide"')
            os.killpg(victim.pid, signal.SIGKILL)
            told, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "8: 8 done" in told
    assert run("cohort", folder, "--out", tmp_path / "local", *MODEL).returncode == 0
    assert result_bytes(out) == result_bytes(tmp_path / "local")


def test_no_scheduler_is_one_line_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_TIMEOUT", 1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        started = time.monotonic()
        with (
            pytest.raises(ClusterFailed, match=f"no Dask scheduler answers at {address} within 1 s"),
            clusters.connected(address),
        ):
            pass
    assert time.monotonic() - started < 60


def test_no_gpu_is_said_and_an_interrupt_ends_the_waiting(tmp_path: Path, pairs: Path) -> None:
    with dask_processes(tmp_path / "dask") as processes:
        words = ("cohort", pairs, "--out", tmp_path / "r", "--device", "cuda")
        with running(*words, "--scheduler", processes.address) as process:
            assert process.stderr is not None
            assert "no worker is there yet: waiting" in process.stderr.readline()
            processes.start_worker("--no-nanny")
            assert "none of 1 workers offers a GPU" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == "slidemitosis: error: interrupted; what is done is kept, and the same command goes on\n"


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_one_line_and_what_is_done_is_kept(tmp_path: Path) -> None:
    folder = paint_slides(tmp_path / "many", [f"s{i}" for i in range(12)], figures=60)
    words = ("cohort", folder, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    with dask_processes(tmp_path / "dask") as processes:
        processes.start_worker("--no-nanny")
        with running(*words, "--scheduler", processes.address) as process:
            await_line(process, '"event": "slide"')
            os.killpg(processes.started[0].pid, signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2, err
        last = err.splitlines()[-1]
        assert "is gone; what is done is kept" in last
        assert "Traceback" not in err
    again = run(*words)
    assert again.returncode == 0
    assert '"fresh": false' in again.stderr


@pytest.mark.parametrize("status", ["connecting", "closed"])
def test_a_scheduler_that_is_lost_while_no_slide_is_at_work_is_one_line(
    tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(clusters, "_TIMEOUT", 3)
    slides = read_cohort(pairs, read=ReadOptions()).slides
    with dask_processes(tmp_path / "dask") as processes, clusters.connected(processes.address) as client:
        processes.start_worker("--no-nanny")
        client.wait_for_workers(1, timeout=PATIENCE)
        with dask.DaskJobs(plan_for(tmp_path / "r"), client=client) as jobs:
            os.killpg(processes.started[0].pid, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE
            while client.status != status:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with pytest.raises(ClusterFailed, match=f"{processes.address} is gone; what is done is kept"):
                list(jobs.run(slides, wait=False))


_DEADLY = """
import os, signal
from slidemitosis.cohort.job import SlideJobs

def dask_setup(worker):
    run = SlideJobs.run

    def deadly(self, slide, **options):
        if slide.name == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        return run(self, slide, **options)

    SlideJobs.run = deadly
"""


@pytest.mark.slow
def test_a_slide_that_kills_every_worker_fails_alone(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(_DEADLY)
    with dask_processes(tmp_path / "dask") as processes:
        processes.start_worker("--nanny", "--preload", str(tmp_path / "deadly.py"))
        words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--scheduler", processes.address)
        done = run(*words)
    assert done.returncode == 3
    assert "3: 2 done, 1 failed" in done.stdout
    assert done.stderr.count("was lost; it is done again") == 2
    assert "b failed (process): 3 workers were lost while they had it" in done.stderr


def test_versions_that_differ_are_said_once_in_one_line(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    from distributed import versions

    ours, theirs = ({"packages": {"python": v, "dask": "1"}} for v in ("3.11", "3.13"))
    table = versions.error_message(theirs, {"tcp://a": theirs}, ours)["warning"]
    with caplog.at_level(logging.WARNING), clusters._versions_told():
        warnings.warn(versions.VersionMismatchWarning(table), stacklevel=1)
    assert [r.message for r in caplog.records] == [
        "versions differ between here / scheduler / workers: python 3.11 / 3.13 / 3.13"
    ]
    assert not recwarn


@pytest.mark.parametrize("error", SlideMitosisError.__subclasses__())
def test_every_error_can_come_from_a_worker(error: type[SlideMitosisError]) -> None:
    for kind in (error, *error.__subclasses__()):
        assert str(kind(f"worker: {pickle.loads(pickle.dumps(kind('what')))}")) == "worker: what"


def test_without_dask_it_is_one_line(pairs: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['distributed'] = None; from slidemitosis.cli import main; sys.exit(main())"
    )
    words = ["cohort", str(pairs), "--out", str(tmp_path / "r"), "--executor", "dask"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert 'pip install "slidemitosis[cluster]"' in done.stderr
    assert done.stderr.count("\n") == 1
