"""From patches to logits, on any device."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slidemitosis.models import Classifier

Precision = Literal["fp32", "fp16", "bf16"]
VIEWS = (1, 8)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model says of patches."""

    logit: NDArray[np.float32]
    """Evidence for AMF before any prior correction, (B,)."""
    extra: NDArray[np.float32]
    """Probabilities named by `card.extra_outputs`, (B, E)."""


def choose_device(name: str) -> str:
    """The torch device for "auto", "cpu", "cuda", "cuda:N" or "mps". Raises InvalidOption."""
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
    """The arithmetic for "auto", "fp32", "fp16" or "bf16": half precision on CUDA, else single."""
    if name == "auto":
        return "fp16" if device.startswith("cuda") else "fp32"
    if name in ("fp16", "bf16") and device == "cpu":
        raise InvalidOption(f"precision {name!r} needs a GPU; use --precision fp32 or auto on the CPU")
    if name not in ("fp32", "fp16", "bf16"):
        raise InvalidOption(f"precision {name!r} is not known; use auto, fp32, fp16 or bf16")
    return name  # type: ignore[return-value]


def dihedral_views(patches: torch.Tensor, views: int) -> Iterator[torch.Tensor]:
    """The first `views` (1 or 8) of the eight rotations and reflections of square (B, S, S, 3) patches."""
    if views not in VIEWS:
        raise InvalidOption(f"views must be 1 or 8, not {views}")
    for k in range(views):
        turned = torch.rot90(patches, k % 4, dims=(1, 2))
        yield torch.flip(turned, dims=(2,)) if k >= 4 else turned


class SizedForward:
    """Outputs for patches of any number, in pieces that fit the device's memory.

    Where the device runs out of memory the piece is halved, for this and for all later batches; a
    piece of one that does not fit raises torch's own error.
    """

    def __init__(self, model: Classifier, *, piece: int, views: int, precision: Precision) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.piece = piece
        self.views = views
        self.precision = precision

    def __call__(self, patches: NDArray[np.uint8]) -> Outputs:
        """Outputs for uint8 RGB (B, side, side, 3); logits and probabilities are means over the views."""
        outputs = np.empty((len(patches), 1 + len(self.model.card.extra_outputs)), np.float32)
        start = 0
        while start < len(patches):
            stop = min(start + self.piece, len(patches))
            try:
                outputs[start:stop] = self._forward(patches[start:stop])
            except RuntimeError as e:
                # MPS has no error class of its own for this.
                full = isinstance(e, torch.OutOfMemoryError) or "out of memory" in str(e)
                if not full or stop - start == 1:
                    raise
                self.piece = (stop - start) // 2
            else:
                start = stop
                continue
            # Only here has the error let go of what it was about to compute with.
            if self.device.type == "mps":
                torch.mps.empty_cache()
            else:
                torch.cuda.empty_cache()
        if not np.isfinite(outputs).all():
            remedy = "use --precision fp32" if self.precision != "fp32" else "are its weights damaged?"
            raise InvalidOption(f"the network gives values that are no numbers at {self.precision}: {remedy}")
        return Outputs(outputs[:, 0], outputs[:, 1:])

    @torch.inference_mode()
    def _forward(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        on_device = torch.from_numpy(patches).to(self.device)
        columns = 1 + len(self.model.card.extra_outputs)
        total = torch.zeros((len(patches), columns), device=self.device)
        with self._autocast():
            for view in dihedral_views(on_device, self.views):
                total += self.model(view)
        return (total / self.views).cpu().numpy()

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype)
