"""Shared memory of runs that were killed is removed by the next run, and of those that live never."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slidemitosis.reading import memory
from slidemitosis.reading.slots import SlotLayout, Slots
from tests.command import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows shared memory as files")

LAYOUT = SlotLayout(count=2, batch_size=3, patch=8)
SHARED = Path("/dev/shm")
OTHER_RUN = """
import sys
from slidemitosis.reading.slots import SlotLayout, Slots
slots = Slots(SlotLayout(count=2, batch_size=3, patch=8))
print(slots.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_run() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, with its resource tracker in a group of its own, and its shared memory."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", OTHER_RUN]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        file = SHARED / process.stdout.readline().strip()
        assert file.is_file()
        try:
            yield process, file
        finally:
            process.kill()
            file.unlink(missing_ok=True)


def kill(process: subprocess.Popen[str]) -> None:
    """With all it has started, as a cluster ends a job."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)


def test_memory_of_a_run_that_was_killed_whole_is_removed_by_the_next(
    other_run: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, file = other_run
    monkeypatch.setattr(memory, "_YOUNG", 0.0)
    slots = Slots(LAYOUT)
    assert file.exists()  # its run lives
    slots.remove()
    kill(process)
    assert file.exists()
    slots = Slots(LAYOUT)
    assert not file.exists()
    own = SHARED / slots.name
    Slots(LAYOUT).remove()
    assert own.exists()  # this process's own
    slots.remove()
    assert not own.exists()


def test_memory_that_was_made_just_now_may_not_be_locked_yet(
    other_run: tuple[subprocess.Popen[str], Path],
) -> None:
    process, file = other_run
    kill(process)
    Slots(LAYOUT).remove()
    assert file.exists()
