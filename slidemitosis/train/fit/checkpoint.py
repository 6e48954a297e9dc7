"""A training's state on disk, whole or not at all."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch

from slidemitosis.errors import InvalidOption, OutputError

if TYPE_CHECKING:
    from pathlib import Path


def save_checkpoint(path: Path, state: dict[str, Any], *, fingerprint: str) -> None:
    """Write `state` beside `path` and move it there. Raises OutputError."""
    beside = path.with_suffix(".part")
    try:
        torch.save({"fingerprint": fingerprint, "state": state}, beside)
        beside.replace(path)
    except (OSError, RuntimeError) as e:  # torch raises RuntimeError where the disk is full
        beside.unlink(missing_ok=True)
        raise OutputError(f"{path}: the training's state cannot be written: {e}") from e


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """The state that was saved, or None if there is none.

    Only tensors and plain values are read, so that no file can run code. Raises InvalidOption if
    the file is damaged or was saved by a training of another recipe, data, seed or network.
    """
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        found, state = saved["fingerprint"], saved["state"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as e:
        first = (str(e).splitlines() or [type(e).__name__])[0]
        raise InvalidOption(f"{path}: is no state of a training ({first}); delete it to begin anew") from e
    if found != fingerprint:
        raise InvalidOption(
            f"{path}: belongs to a training of another recipe, data, seed or network; "
            "choose another --out, or delete the folder to begin anew"
        )
    assert isinstance(state, dict)
    return state
