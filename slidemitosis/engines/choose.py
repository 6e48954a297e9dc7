"""Which program computes: ONNX Runtime where there is only a processor, torch where there is a GPU."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from slidemitosis.engines.engine import view_turns
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from slidemitosis.engines.engine import Forward
    from slidemitosis.models.card import ModelCard

log = logging.getLogger(__name__)

EngineName = Literal["auto", "onnx", "torch"]
_CUDA_NO_DEVICE = 100
CPU_PIECE = 8
"""Patches that torch computes at once on the CPU; more are slower, their activations outgrow the caches."""
MOST_WORKERS = 60 if sys.platform == "win32" else 256
"""Windows waits for 63 things at most."""
GPU_PIECE = 64
"""Enough to keep a GPU busy, few enough for small memories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """How to classify; see `pipeline.SlideClassifier`. None means: choose what suits the device."""

    engine: EngineName = "auto"
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    views: int = 1
    compiled: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read."""
        if self.engine not in get_args(EngineName):
            known = ", ".join(get_args(EngineName))
            raise InvalidOption(f"engine {self.engine!r} is not known; use {known}")
        view_turns(self.views)
        for name, value, low, high in (
            ("batch size", self.batch_size, 1, 4096),
            ("workers", self.workers, 0, MOST_WORKERS),
        ):
            if value is not None and not (isinstance(value, int) and low <= value <= high):
                raise InvalidOption(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        if self.engine == "onnx":
            self._refuse_onnx()

    def _refuse_onnx(self) -> None:
        for name, value, fitting in (
            ("device", self.device, ("auto", "cpu")),
            ("precision", self.precision, ("auto", "fp32")),
        ):
            if value not in fitting:
                raise InvalidOption(
                    f"{name} {value!r}: the engine onnx runs on the CPU in fp32; use --engine torch"
                )
        if self.compiled:
            raise InvalidOption("--compile is for torch; use --engine torch")


def load_forward(card: ModelCard, compute: ComputeOptions) -> Forward:
    """The model, ready to classify. torch is imported only if it is what computes.

    "auto" takes the model's ONNX graph where it has one, and neither a GPU nor half precision nor a compiled
    network is asked for or to be had. Raises InvalidOption, and what loading raises.
    """
    plain = compute.precision in ("auto", "fp32") and not compute.compiled
    graph_fits = compute.engine == "auto" and card.graph is not None and plain
    # The driver is asked last, and only where its answer decides: it takes its time.
    if compute.engine == "onnx" or (
        graph_fits and (compute.device == "cpu" or (compute.device == "auto" and not gpu_is_there()))
    ):
        return _graph(card, compute)
    from slidemitosis.engines.torch_engine import SizedForward, choose_device, choose_precision  # noqa: PLC0415
    from slidemitosis.models.classifier import build_model  # noqa: PLC0415

    device = choose_device(compute.device)
    if graph_fits and device == "cpu":
        log.warning("torch cannot use this machine's GPU: the CPU computes; --device cpu starts faster")
        return _graph(card, compute)
    precision = choose_precision(compute.precision, device)
    piece = compute.batch_size or (CPU_PIECE if device == "cpu" else GPU_PIECE)
    model = build_model(card, device=device)
    return SizedForward(
        model, piece=piece, views=compute.views, precision=precision, compiled=compute.compiled
    )


def _graph(card: ModelCard, compute: ComputeOptions) -> Forward:
    from slidemitosis.engines.onnx_engine import PIECE, GraphForward  # noqa: PLC0415

    threads = available_processors()
    return GraphForward(card, piece=compute.batch_size or PIECE, views=compute.views, threads=threads)


def available_processors() -> int:
    """Processors that this process may use; OMP_NUM_THREADS counts, since torch listens to it too.

    A container's share of the time of all processors is not seen; there, OMP_NUM_THREADS says it.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    # What a cluster's scheduler grants is less than what the machine has.
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, int(asked))) if asked.isdecimal() else mine


def default_workers() -> int:
    """Reader processes: a quarter of the processors given to us, since computing needs them too; 1 to 4."""
    return max(1, min(4, available_processors() // 4))


def gpu_is_there() -> bool:
    """Whether this machine has a GPU that torch may be able to use, found out without importing it."""
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
