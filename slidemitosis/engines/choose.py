"""Choose what computes: ONNX Runtime where there is only a CPU, torch where there is a GPU."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from slidemitosis.engines.engine import Engine
    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ComputeOptions

log = logging.getLogger(__name__)

_TORCH = ("torch", "timm")
_INSTALL = "pip install 'slidemitosis[gpu]'"
_CUDA_NO_DEVICE = 100
CPU_PIECE = 8
"""Patches that torch computes at once on the CPU; with more, the activations outgrow the caches."""
GPU_PIECE = 256
"""Patches that torch computes at once on a GPU with enough memory. To start its kernels takes the processor
as long for one patch as for hundreds, and the card waits for that; with still more, reading and computing
overlap less on a slide of a few hundred figures."""
_GIB = 1024**3
_MOST_READERS = 16
"""Readers beside a GPU: so many read more than the one process can take that feeds the card."""


def load_engine(card: ModelCard, compute: ComputeOptions) -> Engine:
    """Load a model into the engine that the options ask for; torch is imported only if it computes.

    The engine "auto" runs the model's ONNX graph, unless there is none, a GPU can be used, or half precision
    or a compiled network is asked for. Raises InvalidOption, also where torch must compute and is not
    installed; InvalidCard, WeightsMismatch.
    """
    plain = compute.precision in ("auto", "fp32") and not compute.compiled
    graph_fits = compute.engine == "auto" and card.graph is not None and plain
    # Asking the driver takes long, so it comes last and only where its answer decides.
    if compute.engine == "onnx" or (
        graph_fits and (compute.device == "cpu" or (compute.device == "auto" and not gpu_is_there()))
    ):
        return _graph(card, compute)
    if absent_for_torch() and graph_fits and compute.device == "auto":
        log.warning("this machine has a GPU, which computes with torch: %s; the CPU computes", _INSTALL)
        return _graph(card, compute)
    _refuse_without_torch(_asked(card, compute))
    from slidemitosis.engines.torch_engine import (  # noqa: PLC0415
        TorchEngine,
        choose_device,
        choose_precision,
        free_memory,
        halve_weights,
    )
    from slidemitosis.models.classifier import build_model  # noqa: PLC0415

    device = choose_device(compute.device)
    if graph_fits and device == "cpu":
        log.warning("torch cannot use this machine's GPU: the CPU computes; --device cpu starts faster")
        return _graph(card, compute)
    precision = choose_precision(compute.precision, device)
    model = build_model(card, device=device)
    if precision != "fp32":
        halve_weights(model.networks, precision)
    piece = compute.batch_size or (CPU_PIECE if device == "cpu" else gpu_piece(free_memory(device)))
    return TorchEngine(
        model, piece=piece, views=compute.views, precision=precision, compiled=compute.compiled
    )


def absent_for_torch() -> list[str]:
    """Return which of the packages that torch's engine needs are not installed."""
    return [name for name in _TORCH if importlib.util.find_spec(name) is None]


def check_device(name: str) -> None:
    """Refuse a device that this machine does not have; torch is imported for all but the CPU.

    Raises InvalidOption, also where torch is not installed.
    """
    if name == "cpu":
        return
    _refuse_without_torch(f"device {name!r}")
    from slidemitosis.engines.torch_engine import choose_device  # noqa: PLC0415

    choose_device(name)


def _refuse_without_torch(asked: str) -> None:
    if absent := absent_for_torch():
        raise InvalidOption(f"{asked}: {' and '.join(absent)} not installed: {_INSTALL}")


def _asked(card: ModelCard, compute: ComputeOptions) -> str:
    """Return what it is that only torch can do."""
    if compute.engine == "torch":
        return "--engine torch"
    if compute.device not in ("auto", "cpu"):
        return f"--device {compute.device}"
    if card.graph is None:
        return f"{card.name}: a model without an ONNX graph"
    return "--compile" if compute.compiled else f"--precision {compute.precision}"


def _graph(card: ModelCard, compute: ComputeOptions) -> Engine:
    from slidemitosis.engines.onnx_engine import PIECE, OnnxEngine  # noqa: PLC0415

    threads = available_processors()
    return OnnxEngine(card, piece=compute.batch_size or PIECE, views=compute.views, threads=threads)


def available_processors() -> int:
    """Return the number of processors that this process may use, at most OMP_NUM_THREADS if that is set.

    A container's limit on processor time is not seen; set OMP_NUM_THREADS there, which torch obeys too.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    # A cluster's scheduler may grant fewer processors than the machine has.
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, int(asked))) if asked.isdecimal() else mine


def default_workers(*, on_gpu: bool) -> int:
    """Return the number of reader processes, 1 or more.

    Where the CPU computes, it needs the processors: a quarter of them read, at most 4. Where a GPU computes,
    all but one read, at most 16; that one feeds the GPU.
    """
    processors = available_processors()
    return max(1, min(_MOST_READERS, processors - 1) if on_gpu else min(4, processors // 4))


def gpu_piece(free: int | None) -> int:
    """Return the number of patches to compute at once on a GPU with so many bytes free; None: not known.

    A large network needs some 10 MB for a patch; a piece that does not fit is halved, see `TorchEngine`.
    """
    if free is None or free < 4 * _GIB:
        return GPU_PIECE // 4
    return GPU_PIECE // 2 if free < 12 * _GIB else GPU_PIECE


def gpu_computes(compute: ComputeOptions) -> bool:
    """Tell, without importing torch, whether `load_engine` will most likely choose a GPU."""
    if compute.engine == "onnx" or compute.device == "cpu" or absent_for_torch():
        return False
    return compute.device != "auto" or gpu_is_there()


@functools.cache
def gpu_is_there() -> bool:
    """Tell whether this machine has a GPU that torch may be able to use, without importing torch."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if Path("/dev/kfd").exists():  # AMD's, under Linux
        return True
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    answer, count = driver.cuInit(0), ctypes.c_int(0)
    if answer not in (0, _CUDA_NO_DEVICE):
        log.warning("the CUDA driver does not start (its error %d): the CPU computes", answer)
    return bool(answer == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value)
