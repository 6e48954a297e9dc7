"""What every engine takes and gives, and the rotations and reflections that a patch may be seen in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.options.compute import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard


@dataclass(frozen=True, slots=True)
class Outputs:
    """A model's outputs for B patches."""

    logit: NDArray[np.float32]
    """Logit of AMF before any prior correction, (B,)."""
    extra: NDArray[np.float32]
    """Probabilities, (B, E), in the order of `card.extra_outputs`."""


class Engine(Protocol):
    """A loaded model that computes outputs for any number of patches."""

    card: ModelCard
    name: str
    """"onnx" or "torch"."""
    device: str
    """"cpu", "cuda", "cuda:N" or "mps"."""
    precision: str
    """"fp32", "fp16" or "bf16"."""
    piece: int
    """Number of patches computed at once; torch lowers it when the device runs out of memory."""
    views: int
    """Number of views of each patch: the outputs are means over them."""

    def submit(self, patches: NDArray[np.uint8]) -> Callable[[], Outputs]:
        """Start to compute uint8 RGB patches (B, side, side, 3); the returned function waits for the outputs.

        The patches must not change until then. The function raises InvalidOption if an output is NaN or
        infinite.
        """
        ...

    def close(self) -> None:
        """Cancel what was started and not yet computed."""
        ...


def columns_of(card: ModelCard) -> int:
    """Return the number of a model's outputs for a patch: the logit of AMF, and the extra probabilities."""
    return 1 + len(card.extra_outputs)


def as_outputs(columns: NDArray[np.float32], precision: str) -> Outputs:
    """Split float32 (B, 1 + E) into Outputs. Raises InvalidOption if a value is NaN or infinite."""
    if not np.isfinite(columns).all():
        remedy = "use --precision fp32" if precision != "fp32" else "are its weights damaged?"
        raise InvalidOption(f"the network gives values that are no numbers at {precision}: {remedy}")
    return Outputs(columns[:, 0], columns[:, 1:])


def view_turns(views: int) -> list[tuple[int, bool]]:
    """Return the first `views` of the eight rotations and reflections of a square.

    Each is (number of quarter turns, whether mirrored after them). Raises InvalidOption unless `views` is
    1 or 8.
    """
    if views not in VIEWS:
        raise InvalidOption(f"views must be 1 or 8, not {views}")
    return [(k % 4, k >= 4) for k in range(views)]
