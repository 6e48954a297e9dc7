"""The error that a file of candidates is refused with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.errors import UnreadableCandidates

if TYPE_CHECKING:
    from pathlib import Path


def refusal(where: Path | str, what: str) -> UnreadableCandidates:
    """Return the error to raise; `where` is the file and the place in it, such as "a.csv: line 7"."""
    return UnreadableCandidates(f"{where}: {what}")
