"""Candidate and Candidates, which every reader of a file of candidates returns."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from slidemitosis.candidates.class_text import class_of_text
from slidemitosis.errors import UnreadableCandidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.candidates.formats.json_text import JsonText
    from slidemitosis.options.read import Format, Unit


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that may hold a mitotic figure, as its file states it."""

    id: str | None
    """The id as the file states it; None where it states none."""
    x: float  # centre, in the file's own frame and in `Candidates.unit`
    y: float  # the same
    class_name: str | None
    """The full class name, derived classes joined as QuPath does ("Tumor: Mitosis"); None if unclassified."""
    source: str
    """Its place in the file, for messages: "feature 3, point 2", "feature 4, child 1", "line 7"."""
    extent: float = 0.0
    """Larger side of its outline's bounding box, in `Candidates.unit`; 0 for a point."""
    text: JsonText | None = field(default=None, repr=False)
    """Its GeoJSON Feature as it is written, without bare NaN; of a MultiPoint, a Feature of this point alone.
    From another format a Feature of all else that the file states, with a geometry only if that is an
    outline; None where it states nothing else."""
    sound: bool = False
    """Whether its outlines are closed and valid, so that they can be written as they are."""
    plane: str | None = None
    """The plane of a stack on which it lies, "z 1", where that is another than the first; else None."""

    @property
    def feature(self) -> Mapping[str, Any] | None:
        """The GeoJSON Feature, parsed anew from `text` each time; None where there is no text."""
        if self.text is None:
            return None
        found: Mapping[str, Any] = json.loads(bytes(self.text))
        return found


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of one file, in its order, or those that a program has in memory."""

    path: Path | None
    """None where they come from no file."""
    format: Format | None
    unit: Unit
    """Pixels of the frame's own level 0 ("px"), or micrometres ("um"), both from the frame's origin."""
    items: tuple[Candidate, ...]
    frame: Literal["level0"] | None = None
    """"level0" where the format counts from the corner of the slide's full level 0; None where it may count
    from that of a viewer's image, as QuPath does on a slide with bounds."""
    cores: tuple[Candidate, ...] = ()
    """The cores of a tissue microarray, which hold figures and are none; those without tissue left out."""

    @classmethod
    def from_xy(cls, xy: Iterable[Sequence[float]], *, unit: Unit = "px") -> Candidates:
        """Make candidates of centres, (N, 2), in `unit` from the frame's origin.

        xy: a list, an array, or a DataFrame of two columns. Raises UnreadableCandidates for what is not two
        finite numbers.
        """
        rows = xy.to_numpy() if hasattr(xy, "to_numpy") else xy
        items = []
        for i, place in enumerate(rows, start=1):
            try:
                x, y = map(float, place)
            except (TypeError, ValueError):
                x = y = math.nan
            if not (math.isfinite(x) and math.isfinite(y)):
                raise UnreadableCandidates(
                    f"candidates in memory: position {i} is not two numbers: {place!r}"
                )
            items.append(Candidate(None, x, y, None, f"position {i}"))
        return cls(None, None, unit, tuple(items))

    @classmethod
    def from_dataframe(cls, frame: Any, *, unit: Unit | None = None) -> Candidates:
        """Make candidates of the rows of a DataFrame with the columns x and y, or x_um and y_um.

        The columns id and class are read where they are there; others are not. unit: of x and y, px unless it
        is stated. Raises UnreadableCandidates for other columns, and for what is not two finite numbers.
        """
        names = {str(name).strip().casefold(): name for name in frame.columns}
        ending = next((e for e in ("", "_um") if {f"x{e}", f"y{e}"} <= set(names)), None)
        if ending is None or (ending and unit == "px"):
            wanted = "x and y, or x_um and y_um" if ending is None else "x and y in px"
            listed = ", ".join(map(repr, frame.columns))
            raise UnreadableCandidates(f"candidates in memory: no columns {wanted}; there are {listed}")
        placed = cls.from_xy(
            zip(frame[names[f"x{ending}"]], frame[names[f"y{ending}"]], strict=True),
            unit="um" if ending else unit or "px",
        )
        ids, classes = (_texts(frame, names.get(name), len(placed)) for name in ("id", "class"))
        try:
            classes = list(map(class_of_text, classes))
        except ValueError as error:
            raise UnreadableCandidates(f"candidates in memory: the column class: {error}") from None
        items = zip(placed.items, ids, classes, strict=True)
        return replace(placed, items=tuple(replace(c, id=id_, class_name=of) for c, id_, of in items))

    @property
    def where(self) -> str:
        """The file, for messages."""
        return str(self.path) if self.path else "candidates in memory"

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.items)

    def class_counts(self) -> dict[str | None, int]:
        """Count candidates by full class name, most frequent first; None counts the unclassified."""
        return dict(Counter(c.class_name for c in self.items).most_common())


def _texts(frame: Any, column: Any, rows: int) -> list[str | None]:
    """Return a column's cells as text; None where nothing is known, which pandas writes in three ways."""
    if column is None:
        return [None] * rows
    missing = frame[column].isna()
    return [None if gone else str(value) for value, gone in zip(frame[column], missing, strict=True)]
