"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found."""

    name: str
    status: Status
    """"note": something is not there that not everybody needs; "failed": something that everybody needs."""
    told: str
    remedy: str = ""
    """What to do; empty where there is nothing to do."""
