"""Numbers that tables and XML hold as text."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def finite_number(text: str) -> float | None:
    """Return the finite number that a text states, with a decimal point or comma; None if it is none."""
    # float() would also take "nan", "1_000" and digits of other scripts.
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None
