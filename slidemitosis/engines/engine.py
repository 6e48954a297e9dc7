"""What a model says of patches, whatever computes it, and the views it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard

VIEWS = (1, 8)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model says of patches."""

    logit: NDArray[np.float32]
    """Evidence for AMF before any prior correction, (B,)."""
    extra: NDArray[np.float32]
    """Probabilities named by `card.extra_outputs`, (B, E)."""


class Forward(Protocol):
    """A model, loaded and ready for any number of patches."""

    card: ModelCard
    engine: str
    """"onnx" or "torch"."""
    device: str
    """"cpu", "cuda", "cuda:N" or "mps"."""
    precision: str
    """"fp32", "fp16" or "bf16"."""
    piece: int
    """Patches that are computed at once; it shrinks where the device runs out of memory."""
    views: int

    def submit(self, patches: NDArray[np.uint8]) -> Callable[[], Outputs]:
        """Begin with uint8 RGB (B, side, side, 3), which must not change meanwhile; call for the outputs.

        Means over the views. The call raises InvalidOption where they are no numbers.
        """
        ...

    def close(self) -> None:
        """Drop what was begun and is not wanted any more."""
        ...


def as_outputs(columns: NDArray[np.float32], precision: str) -> Outputs:
    """Outputs of float32 (B, 1 + E), checked. Raises InvalidOption where they are no numbers."""
    if not np.isfinite(columns).all():
        remedy = "use --precision fp32" if precision != "fp32" else "are its weights damaged?"
        raise InvalidOption(f"the network gives values that are no numbers at {precision}: {remedy}")
    return Outputs(columns[:, 0], columns[:, 1:])


def view_turns(views: int) -> list[tuple[int, bool]]:
    """The first `views` (1 or 8) rotations and reflections of a square: (quarter turns, then mirrored).

    Raises InvalidOption for another number.
    """
    if views not in VIEWS:
        raise InvalidOption(f"views must be 1 or 8, not {views}")
    return [(k % 4, k >= 4) for k in range(views)]
