"""A Dask cluster of real processes that talk over loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.command import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITH_DASK = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="distributed is not installed"
)


@dataclass
class Processes:
    """A scheduler and its workers, each in a session of its own; their logs are in the folder."""

    folder: Path
    address: str = ""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_scheduler(self) -> None:
        told = self.folder / "scheduler.json"
        self._start(
            "scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(told)
        )
        deadline = time.monotonic() + PATIENCE
        while not self.address:
            assert time.monotonic() < deadline, "the scheduler does not start"
            assert self.started[0].poll() is None, "the scheduler has ended"
            time.sleep(0.05)
            with contextlib.suppress(OSError, ValueError):
                self.address = json.loads(told.read_text())["address"]

    def start_worker(self, *words: str, threads: int = 1) -> subprocess.Popen[bytes]:
        scratch = self.folder / f"worker{len(self.started)}"
        more = ["--nthreads", str(threads), "--no-dashboard", "--local-directory", str(scratch), *words]
        return self._start("worker", self.address, *more)

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1"]
        with (self.folder / f"{kind}{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *words], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(process)
        return process


@contextlib.contextmanager
def dask_processes(folder: Path) -> Iterator[Processes]:
    """A scheduler; workers are started with it. All are killed at the end."""
    folder.mkdir()
    processes = Processes(folder)
    try:
        processes.start_scheduler()
        yield processes
    finally:
        for process in processes.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
