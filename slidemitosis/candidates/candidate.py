"""Candidate and Candidates: what every reader of a candidate file returns."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from slidemitosis.candidates.formats.json_text import JsonText

Unit = Literal["px", "um"]
Format = Literal[
    "geojson",
    "csv",
    "qupath-table",
    "midog",
    "coco",
    "sliderunner",
    "ami-br",
    "midog25",
    "grand-challenge",
    "hover-next",
    "tiatoolbox",
    "asap",
    "imagescope",
]
FORMATS: tuple[Format, ...] = get_args(Format)
"""What `--format` takes; docs/candidates.md explains each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that may hold a mitotic figure, as its file states it."""

    id: str | None
    """The id as the file states it; None where it states none."""
    x: float
    """Centre, in the file's own frame and in `Candidates.unit`."""
    y: float
    """Centre, in the file's own frame and in `Candidates.unit`."""
    class_name: str | None
    """The full class name, derived classes joined as QuPath does ("Tumor: Mitosis"); None if unclassified."""
    source: str
    """Where in the file it stands, for messages: "feature 12", "feature 3, point 2", "feature 4, child 1" or
    "line 7"."""
    extent: float = 0.0
    """Larger side of its outline's bounding box, in `Candidates.unit`; 0 for a point."""
    text: JsonText | None = field(default=None, repr=False)
    """The GeoJSON Feature as it is written, but for bare NaN, which is left out (of a MultiPoint: one of this
    point alone). From another format one of what it states besides, without a geometry where it states no
    outline; None where it states nothing else."""
    sound: bool = False
    """Whether its outlines were found closed and valid, so that they can be written as they are."""

    @property
    def feature(self) -> Mapping[str, Any] | None:
        """The GeoJSON Feature, read anew from `text` each time; None where there is no text."""
        if self.text is None:
            return None
        found: Mapping[str, Any] = json.loads(bytes(self.text))
        return found


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one file, in the file's order."""

    path: Path
    format: Format
    unit: Unit
    """Pixels of the frame's own level 0 ("px"), or micrometres ("um"), both from the frame's origin."""
    items: tuple[Candidate, ...]
    frame: Literal["level0"] | None = None
    """"level0" where the format counts from the corner of the slide's full level 0; None where it may count
    from that of a viewer's image, as QuPath does on a slide with bounds."""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.items)

    def class_counts(self) -> dict[str | None, int]:
        """Number of candidates by full class name, most frequent first; None counts the unclassified."""
        return dict(Counter(c.class_name for c in self.items).most_common())
