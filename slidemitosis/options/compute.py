"""ComputeOptions: how patches are read and classified."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from slidemitosis.errors import InvalidOption
from slidemitosis.options.option import check_choices, option

EngineName = Literal["auto", "onnx", "torch"]
OperatingPoint = Literal["counting", "balanced"]
"""Which of a model's thresholds makes calls."""
DEFAULT_MODEL = "lite0-ensemble"
VIEWS = (1, 8)
MOST_WORKERS = 60 if sys.platform == "win32" else 256
"""Windows waits for 63 things at most."""


def _batch_size(text: str) -> int | None:
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor auto") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """What a user may say about computing. None means: choose what suits the device. Raises InvalidOption."""

    engine: EngineName = option(
        "auto",
        "what computes: onnx on the CPU, torch on a GPU (default: as the device and the model allow)",
        "--engine",
        choices=get_args(EngineName),
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps (default: auto)", "--device")
    precision: str = option(
        "auto",
        "arithmetic (default: fp16 on CUDA, else fp32)",
        "--precision",
        choices=("auto", "fp32", "fp16", "bf16"),
    )
    batch_size: int | None = option(
        None,
        "patches computed at once, halved where the device's memory is too small (default: auto)",
        "--batch-size",
        parse=_batch_size,
        metavar="N",
    )
    views: int = option(1, "8: mean of rotations and mirrors", "--views", parse=int, choices=VIEWS)
    operating_point: OperatingPoint = option(
        "counting",
        "threshold of the calls: counting calls as many figures atypical as experts would, balanced finds "
        "more of them and is wrong more often (default: %(default)s)",
        "--operating-point",
        choices=get_args(OperatingPoint),
    )
    calibration: Path | None = option(
        None,
        "calibration on your own slides, as slidemitosis calibrate writes it, in place of the model's",
        "--calibration",
        parse=Path,
        metavar="FILE",
    )
    compiled: bool = option(False, "let torch.compile the network, for very many figures", "--compile")
    workers: int | None = option(
        None, "reader processes; 0 reads in this process", "--workers", parse=int, metavar="N"
    )

    def __post_init__(self) -> None:
        if self.views not in VIEWS:
            raise InvalidOption(f"views must be 1 or 8, not {self.views}")
        check_choices(self)
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
