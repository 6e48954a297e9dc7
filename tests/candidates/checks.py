"""How files of candidates are refused, and what is kept of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.errors import UnreadableCandidates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from slidemitosis.candidates import Candidate


def refused(path: Path | str, read: Callable[..., object], /, *args: Any, **options: Any) -> str:
    """The message that `read` refuses these arguments with: one line, which begins with the file."""
    with pytest.raises(UnreadableCandidates) as caught:
        read(*args, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def feature_of(candidate: Candidate) -> Mapping[str, Any]:
    """Return what is kept of the object that a candidate was read from."""
    assert candidate.feature is not None
    return candidate.feature
