"""Pure: objects that lie on another plane of a stack than the first, which alone is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidate

_LISTED = 5


def plane_text(stated: Mapping[str, Any] | None) -> str | None:
    """Return which plane is stated, "z 1, t 2", where it is another than the first; else None.

    stated: numbers by c, z and t, as QuPath writes them. A channel of -1 is all of them.
    """
    numbers = {key: _number((stated or {}).get(key)) for key in ("z", "t", "c")}
    first = {"z": (0,), "t": (0,), "c": (0, -1)}
    told = [f"{key} {n:g}" for key, n in numbers.items() if n not in first[key]]
    return ", ".join(told) or None


def plane_numbers(plane: str | None) -> dict[str, str]:
    """Return the numbers of `Candidate.plane` by z, t and c; none of the first plane."""
    return dict(told.split(" ", 1) for told in plane.split(", ")) if plane else {}


def _number(value: object) -> float:
    """Return a number that may be written as text; 0 where nothing is stated."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if number == number else 0.0  # noqa: PLR0124 - NaN says nothing


def refuse_other_planes(candidates: Iterable[Candidate], where: Path | str) -> None:
    """Raise UnreadableCandidates, with their number, if candidates lie on another plane than the first."""
    every = list(candidates)
    counts = Counter(c.plane for c in every if c.plane is not None)
    if counts:
        told = "; ".join(f"{plane}: {n}" for plane, n in counts.most_common(_LISTED))
        more = "; ..." if len(counts) > _LISTED else ""
        raise refusal(
            where,
            f"{counts.total()} of {len(every)} candidates lie on another plane than the first, which alone "
            f"is read ({told}{more}); if the slide has one plane, say z 0 and t 0 of them, else "
            "give a slide of that plane",
        )
