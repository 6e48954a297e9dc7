"""Seconds and peak memory of a command with all processes that it starts. Linux."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def seconds(words: Sequence[str | Path]) -> float:
    """How long a command takes. Raises CalledProcessError if it fails."""
    started = time.perf_counter()
    subprocess.run(_strings(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def megabytes(words: Sequence[str | Path]) -> float:
    """Peak of the proportional set sizes of a command's processes together: what they share counts once.

    Looked at every 20 ms, which slows the command, so that its seconds are another run's. Raises
    CalledProcessError if it fails.
    """
    process = subprocess.Popen(
        _strings(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _session_megabytes(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peak


def alone(words: Sequence[str | Path]) -> tuple[float, float]:
    """Seconds of a processor, and megabytes of peak resident memory, of a command that starts no others.

    What else the machine does hardly changes either. Raises CalledProcessError if it fails.
    """
    process = subprocess.Popen(_strings(words))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _strings(words: Sequence[str | Path]) -> list[str]:
    return list(map(str, words))


def _session_megabytes(session: int) -> float:
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.getsid(int(folder.name)) != session:
                continue
            text = (folder / "smaps_rollup").read_text()
        except (OSError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Theirs by ours, pair by pair: median (lowest to highest)."""
    each = sorted(t / o for o, t in zip(ours, theirs, strict=True))
    return f"{each[len(each) // 2]:.2f} ({each[0]:.2f} to {each[-1]:.2f})"
