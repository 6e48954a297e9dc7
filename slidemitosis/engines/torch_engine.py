"""Compute outputs by torch, on any device."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from slidemitosis.engines.engine import as_outputs, columns_of, view_turns
from slidemitosis.errors import InvalidOption, WeightsMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.classifier import Classifier

Precision = Literal["fp32", "fp16", "bf16"]
HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> str:
    """Return the torch device for "auto", "cpu", "cuda", "cuda:N" or "mps". Raises InvalidOption."""
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if re.fullmatch(r"cuda(:[0-9]+)?", name):
        count, number = torch.cuda.device_count(), name.partition(":")[2] or "0"
        if int(number) >= count:
            raise InvalidOption(f"device {name!r}: {count} CUDA devices were found; use --device cpu or auto")
    elif name == "mps":
        if not has_mps:
            raise InvalidOption("device 'mps' is not available here; use --device cpu or auto")
    elif name != "cpu":
        raise InvalidOption(f"device {name!r} is not known; use auto, cpu, cuda, cuda:N or mps")
    return name


def choose_precision(name: str, device: str) -> Precision:
    """Return the precision for "auto" (fp16 on CUDA, else fp32), "fp32", "fp16" or "bf16".

    Raises InvalidOption if the name is unknown, or asks for half precision on the CPU.
    """
    if name == "auto":
        return "fp16" if device.startswith("cuda") else "fp32"
    if name in ("fp16", "bf16") and device == "cpu":
        raise InvalidOption(f"precision {name!r} needs a GPU; use --precision fp32 or auto on the CPU")
    if name not in ("fp32", "fp16", "bf16"):
        raise InvalidOption(f"precision {name!r} is not known; use auto, fp32, fp16 or bf16")
    return name  # type: ignore[return-value]


def dihedral_views(patches: torch.Tensor, views: int) -> Iterator[torch.Tensor]:
    """Yield the first `views` (1 or 8) of the eight rotations and reflections of patches (B, S, S, 3)."""
    for quarters, mirrored in view_turns(views):
        turned = torch.rot90(patches, quarters, dims=(1, 2))
        yield torch.flip(turned, dims=(2,)) if mirrored else turned


def free_memory(device: str) -> int | None:
    """Return the bytes of a device's memory that are free; None where torch does not tell."""
    if not device.startswith("cuda"):
        return None
    free, _ = torch.cuda.mem_get_info(torch.device(device).index)
    return free


def halve_weights(networks: nn.Module, precision: Precision) -> None:
    """Convert the weights that autocast would convert at every batch, by the same rounding.

    Autocast keeps what it has converted only where gradients are wanted. Norms stay in float32.
    """
    for module in networks.modules():
        # Other kinds may use their weights otherwise before they convolve or multiply.
        if type(module) in (nn.Conv2d, nn.Linear):
            module.to(HALF[precision])


class TorchEngine:
    """An `Engine` that runs a torch model on pieces that fit the device's memory.

    When the device runs out of memory, the piece is halved, for this and all later batches; if one
    patch does not fit, torch's own error is raised. On CUDA `submit` only queues copies and kernels, so
    that the next batch is read and copied while this one is computed.
    """

    name = "torch"

    def __init__(
        self, model: Classifier, *, piece: int, views: int, precision: Precision, compiled: bool = False
    ) -> None:
        self.model = model
        self.card = model.card
        self._device = next(model.parameters()).device
        self.device = str(self._device)
        self.piece = piece
        self.views = views
        self.precision: str = precision
        self._run: Callable[[torch.Tensor], torch.Tensor] = torch.compile(model) if compiled else model

    def __call__(self, patches: NDArray[np.uint8]) -> Outputs:
        """Return the outputs for uint8 RGB patches (B, side, side, 3)."""
        return self.submit(patches)()

    def submit(self, patches: NDArray[np.uint8]) -> Callable[[], Outputs]:
        """Start to compute patches; see `Engine.submit`."""
        parts = [torch.empty((0, columns_of(self.card)), device=self._device)]
        start = 0
        while start < len(patches):
            stop = min(start + self.piece, len(patches))
            try:
                parts.append(self._forward(patches[start:stop]))
            except RuntimeError as e:
                # MPS has no error class of its own for lack of memory.
                full = isinstance(e, torch.OutOfMemoryError) or "out of memory" in str(e)
                if not full or stop - start == 1:
                    raise
                self.piece = (stop - start) // 2
            else:
                start = stop
                continue
            # Only after the except block is the memory free that the error's traceback held.
            if self._device.type == "mps":
                torch.mps.empty_cache()
            else:
                torch.cuda.empty_cache()
        found = self._to_host(torch.cat(parts))
        return lambda: as_outputs(found(), self.precision)

    def _to_host(self, columns: torch.Tensor) -> Callable[[], NDArray[np.float32]]:
        """Queue a copy to the CPU; the returned function waits for it."""
        if self._device.type != "cuda":
            return lambda: columns.cpu().numpy()
        # Queued now: a copy that is begun when it is asked for would wait for the next batch, too, and leave
        # the card without work.
        host = torch.empty(columns.shape, dtype=columns.dtype, pin_memory=True)
        host.copy_(columns, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self._device))

        def wait() -> NDArray[np.float32]:
            done.synchronize()
            return host.numpy().copy()  # pinned memory is used again

        return wait

    def close(self) -> None:
        """Do nothing: torch cannot cancel what was queued."""

    @torch.inference_mode()
    def _forward(self, patches: NDArray[np.uint8]) -> torch.Tensor:
        on_device = self._to_device(torch.from_numpy(patches))
        total = torch.zeros((len(patches), columns_of(self.card)), device=self._device)
        with self._autocast():
            for view in dihedral_views(on_device, self.views):
                found = self._run(view)
                if found.shape != total.shape:  # torch would broadcast one column, or one row, to all
                    raise WeightsMismatch(
                        f"{self.card.folder}: its networks give {tuple(found.shape)}, where the card needs "
                        f"{tuple(total.shape)}"
                    )
                total += found
        return total / self.views

    def _to_device(self, patches: torch.Tensor) -> torch.Tensor:
        if self._device.type != "cuda":
            return patches.to(self._device)
        # A copy runs beside the kernels of the batch before only if it comes from pinned memory.
        return patches.pin_memory().to(self._device, non_blocking=True)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=HALF[self.precision])
