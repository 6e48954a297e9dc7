"""Read a cohort from what a user has: a table, a folder of pairs, or a QuPath project."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.cohort.lists.folder import folder_slides
from slidemitosis.cohort.lists.project import project_cohort
from slidemitosis.cohort.lists.table import table_slides
from slidemitosis.cohort.slides import Cohort
from slidemitosis.errors import InvalidCohort, InvalidOption
from slidemitosis.slides.moved import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from slidemitosis.cohort.slides import CohortSlide
    from slidemitosis.options import ReadOptions

_UNFIT = re.compile(r"[^\w.+=-]+")
_LONGEST = 100  # bytes, of the 255 that file systems allow
# Names that Windows keeps for devices.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def read_cohort(path: Path, *, read: ReadOptions, search: Sequence[Path] = ()) -> Cohort:
    """Read the slides of a cohort, each with a name of its own.

    path: a CSV or TSV with the columns slide and points; a folder of slides, each beside its candidates; or a
    QuPath project. read: options of every slide, where the list says nothing else. search: folders in which
    moved slides are looked for by name. Raises InvalidCohort, and InvalidOption for what is no folder to
    search; what is wrong with one slide alone is its `problem`.
    """
    # A slide stays the same wherever its list is read from, also on a machine with another current folder.
    path = path.absolute()
    columns: list[str] = []
    if path.is_dir():
        if search:
            raise InvalidOption(f"--search: {path} is a folder of slides, none of which can be elsewhere")
        slides = folder_slides(path, read=read)
    elif not path.exists():
        raise InvalidCohort(f"{path}: no such file; give a table of slides, a folder or a QuPath project")
    elif path.suffix.lower() == ".qpproj":
        slides, columns = project_cohort(path, read=read, search=search)
    else:
        slides, columns = table_slides(path, read=read, search=search)
    if not slides:
        raise InvalidCohort(f"{path}: holds no slide")
    # One slide's figures would be counted twice, under another path or name.
    _refuse_same([(s, (place_of(s.slide), place_of(s.points), s.read)) for s in slides if s.points])
    return Cohort(path, _named(slides), tuple(columns))


def _refuse_same(slides: Iterable[tuple[CohortSlide, object]]) -> None:
    """Raise InvalidCohort if two slides are the same by the keys that stand beside them."""
    seen: dict[object, CohortSlide] = {}
    for s, key in slides:
        first = seen.setdefault(key, s)
        if first is not s:
            raise InvalidCohort(
                f"{s.where}: the same slide and candidates as in {first.where}; remove one of them"
            )


def _named(slides: Sequence[CohortSlide]) -> tuple[CohortSlide, ...]:
    """Return the slides with names that can be those of folders, no two alike on any system.

    A name depends on where the slide's file is, not on its place in the list: when a list grows, the results
    of the others stay where they are, except where a name now occurs twice.
    """
    wanted = [folder_name(s.name) for s in slides]
    again = Counter(name.casefold() for name in wanted)
    named = [
        replace(s, name=name if again[name.casefold()] == 1 else f"{name}-{_digest(s)}")
        for s, name in zip(slides, wanted, strict=True)
    ]
    _refuse_same((s, s.name.casefold()) for s in named)
    return tuple(named)


def folder_name(text: str) -> str:
    """Return a name that can be a folder's on any system; one that can already is unchanged."""
    # NFC is one of two ways to write an accent; some systems know no other, and take both for one name.
    fit = _UNFIT.sub("_", unicodedata.normalize("NFC", text)).strip("._")
    name = fit.encode()[:_LONGEST].decode(errors="ignore").strip("._") or "slide"
    return f"_{name}" if _DEVICES.fullmatch(name) else name


def _digest(slide: CohortSlide) -> str:
    text = f"{slide.slide}\n{slide.points}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
