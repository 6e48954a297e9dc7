"""What the machine has: processors, a GPU, temporary space, shared memory."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.doctor.check import Check
from slidemitosis.engines.choose import available_processors, default_workers, gpu_computes, gpu_is_there
from slidemitosis.options import ComputeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory, not a temporary file of ours
_LEAST_SHARED = 64 * 1024**2
"""Docker's default, bytes; readers take about 25 MiB."""
_LEAST_TEMPORARY = 1024**3  # bytes


def check_machine() -> Iterator[Check]:
    """Yield what there is of processors, GPU, temporary space and shared memory."""
    workers = default_workers(on_gpu=gpu_computes(ComputeOptions()))
    told = (
        f"{available_processors()} of {os.cpu_count()}; {workers} reader process{'es' if workers > 1 else ''}"
    )
    yield Check("processors", "ok", told)
    yield _gpu()
    yield _temporary()
    if _SHARED.parent.is_dir() and os.name == "posix" and Path("/proc").is_dir():
        yield _shared_memory(_SHARED)


def _gpu() -> Check:
    if importlib.util.find_spec("torch") is None:
        if gpu_is_there():
            told = "seen, but torch is not installed: the CPU computes"
            return Check("GPU", "note", told, "pip install 'slidemitosis[gpu]'")
        return Check("GPU", "ok", "none seen: the CPU computes")
    import torch

    if torch.cuda.is_available():
        names = (torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("GPU", "ok", f"{', '.join(names)}; torch {torch.__version__}")
    if torch.backends.mps.is_available():
        return Check("GPU", "ok", f"Apple's; torch {torch.__version__}")
    if gpu_is_there():
        built = (
            f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for the CPU alone"
        )
        told = f"seen, but torch {torch.__version__} cannot use it and {built}: the CPU computes"
        return Check("GPU", "warning", told, "install the torch that fits your driver, see pytorch.org")
    return Check("GPU", "ok", f"none seen by torch {torch.__version__}: the CPU computes")


def _temporary() -> Check:
    try:
        with tempfile.NamedTemporaryFile() as file:
            free = shutil.disk_usage(Path(file.name).parent).free
    except OSError as e:
        told = f"nothing can be written: {e.strerror or 'no folder for temporary files'}"
        return Check("temporary", "failed", told, "set TMPDIR to a folder that can be written to")
    if free < _LEAST_TEMPORARY:
        told = f"{free / 1024**2:,.0f} MiB free, which packed candidates may not fit in"
        return Check("temporary", "warning", told, "free some, or set TMPDIR to a larger disk")
    return Check("temporary", "ok", f"{free / 1024**3:,.1f} GiB free")


def _shared_memory(place: Path) -> Check:
    remedy = "use --workers 0; in Docker, give --shm-size 1g"
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("shared memory", "warning", "none that can be written to", remedy)
    free = shutil.disk_usage(place).free
    told = f"{free / 1024**2:,.0f} MiB free"
    if free < _LEAST_SHARED:
        return Check("shared memory", "warning", told, remedy)
    return Check("shared memory", "ok", told)
