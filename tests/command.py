"""Run the real `slidemitosis` as a process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "slidemitosis"]
PATIENCE = 1200  # seconds; a command that takes longer hangs, however busy the machine is


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with these words to its end."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=cwd)


def refused(*words: str | Path) -> str:
    """Return the one line with which the command refuses these words."""
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@contextlib.contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start the command in a group of processes of its own, none of which outlives the block."""
    command, pipe = [*COMMAND, *map(str, words)], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def await_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a command says until a line holds `text`; fails where the command ends without it."""
    assert process.stderr is not None
    assert any(text in line for line in process.stderr), f"it ended without saying {text!r}"


def run_python(code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program, with these words, in a Python of its own to its end."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
