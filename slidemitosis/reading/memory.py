"""Make shared memory that is there to its last page, and that no death of a process leaves behind for good.

Whoever makes it removes it; if that process is killed, Python's resource tracker does; if everything is
killed at once, as a cluster ends a job, the next run on the machine does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from slidemitosis.errors import ReadingFailed
from slidemitosis.files import locked

# Where Linux keeps shared memory; 64 MB in a container unless more is asked for.
_LINUX_SHARED = Path("/dev/shm")  # noqa: S108
PREFIX = "slidemitosis-"
_YOUNG = 60.0
"""Seconds in which memory is not taken for that of a dead run: it may have been made and not yet locked."""


def create(size: int) -> tuple[SharedMemory, int | None]:
    """Make shared memory; return it, and the descriptor whose lock says that this process lives.

    The descriptor is None where no other process could ask for the lock. Raises ReadingFailed.
    """
    if sys.platform != "linux" or not _LINUX_SHARED.is_dir():
        try:
            return SharedMemory(create=True, size=size), None
        except OSError as e:
            raise _refused(size, e) from e
    _remove_of_dead_runs()
    try:
        memory = SharedMemory(f"{PREFIX}{secrets.token_hex(8)}", create=True, size=size)
    except OSError as e:
        raise _refused(size, e) from e
    file = _LINUX_SHARED / memory.name
    try:
        _reserve(file, size)
        descriptor = locked(file)
        if descriptor is None:  # else the next run would take it for that of a dead one
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    except OSError as e:
        memory.close()
        memory.unlink()
        raise _refused(size, e) from e
    return memory, descriptor


def free() -> int | None:
    """Return how many bytes of shared memory are free; None where it has no limit of its own."""
    try:
        return shutil.disk_usage(_LINUX_SHARED).free if sys.platform == "linux" else None
    except OSError:
        return None


def _reserve(file: Path, size: int) -> None:
    """Have Linux set the pages of shared memory aside. Raises OSError where it has not as many.

    Otherwise it grants any size, and ends by a bus error who uses a page that it lacks.
    """
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def _remove_of_dead_runs() -> None:
    """Remove the memory of runs on this machine that were killed with all their processes."""
    for file in _LINUX_SHARED.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if time.time() - file.stat().st_ctime < _YOUNG:
                continue
            descriptor = locked(file)
            if descriptor is not None:
                try:
                    file.unlink()
                finally:
                    os.close(descriptor)


def _refused(size: int, e: OSError) -> ReadingFailed:
    return ReadingFailed(
        f"{size / 1e6:.0f} MB of shared memory for a reader process cannot be had: {e.strerror or e}; use "
        "--workers 0 or fewer (in Docker: a larger --shm-size)"
    )
