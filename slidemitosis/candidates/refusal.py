"""The one line that a file of candidates is refused with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.errors import UnreadableCandidates

if TYPE_CHECKING:
    from pathlib import Path


def refusal(where: Path | str, what: str) -> UnreadableCandidates:
    """The error to raise: `where` is the file, and what in it: "a.csv: line 7"."""
    return UnreadableCandidates(f"{where}: {what}")
