"""Save and load the state of a training."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch

from slidemitosis.errors import InvalidOption
from slidemitosis.files import whole_file, writing

if TYPE_CHECKING:
    from pathlib import Path


def save_checkpoint(path: Path, state: dict[str, Any], *, fingerprint: str) -> None:
    """Write `state` to `path`, whole or not at all. Raises OutputError."""
    # Into a file of Python's, which knows why it cannot be written; torch's own error does not say.
    with writing(path, remedy=""), whole_file(path) as partial, partial.open("wb") as file:
        try:
            torch.save({"fingerprint": fingerprint, "state": state}, file)
        except RuntimeError as e:
            raise (e.__context__ if isinstance(e.__context__, OSError) else e) from None


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """Return the state that was saved, or None if there is none.

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
