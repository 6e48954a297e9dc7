"""Pure: which annotations and TMA cores of a file are the regions that a user names by their class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.qupath_keys import is_annotation, is_object_type
from slidemitosis.candidates.select import class_key, counts_text
from slidemitosis.errors import InvalidOption, UnsettledClasses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.candidates.candidate import Candidate, Candidates

TMA_CORE = "TMA core"
"""How a user names the cores of a tissue microarray that have no class."""
_WHERE_THE_TYPE_STANDS = ("objectType", "object_type", "type")


def regions_named(candidates: Candidates, classes: Sequence[str]) -> tuple[Candidate, ...]:
    """Return the annotations of these classes in the file's order, then the TMA cores.

    Upper and lower case are alike, and classes derived from these are not meant. Detections of the same class
    are no regions. Raises InvalidOption for "Unclassified" and for an annotation that is no polygon,
    UnsettledClasses if nothing has one of the classes.
    """
    regions: dict[int, Candidate] = {}
    for name in classes:
        key = class_key(name)
        if key == class_key(None):
            raise InvalidOption(
                "the class of --regions must have a name; unclassified objects are no regions"
            )
        names = {n for n in candidates.class_counts() if class_key(n) == key}
        found = [c for c in candidates if c.class_name in names and _may_be_region(c)]
        found += [c for c in candidates.cores if class_key(_class_of_core(c)) == key]
        if not found:
            raise UnsettledClasses(
                f"{candidates.where}: no annotation has the class {name!r}; the classes of annotations and "
                f"TMA cores are {counts_text(_counts(candidates))}; pass one of these to --regions"
            )
        regions |= {id(c): c for c in found}
    named = tuple(c for c in (*candidates, *candidates.cores) if id(c) in regions)
    for region in named:
        if not _is_area(region):
            raise InvalidOption(
                f"{candidates.where}: {region.source} has the class {region.class_name} of --regions, but is "
                "no polygon; give its class to polygons alone"
            )
    return named


def _class_of_core(core: Candidate) -> str:
    return core.class_name or TMA_CORE


def _counts(candidates: Candidates) -> dict[str | None, int]:
    names = [c.class_name for c in candidates if _may_be_region(c) and _is_area(c)]
    return dict(Counter([*names, *map(_class_of_core, candidates.cores)]).most_common())


def _may_be_region(candidate: Candidate) -> bool:
    """Tell whether an object is an annotation, as it is if nothing says that it is a detection."""
    feature = candidate.feature or {}
    properties = feature.get("properties") or {}
    stated = [properties.get(key) for key in _WHERE_THE_TYPE_STANDS]
    stated += [feature.get(key) for key in (*_WHERE_THE_TYPE_STANDS[:2], "id")]
    return is_annotation(next((s for s in stated if isinstance(s, str) and is_object_type(s)), "annotation"))


def _is_area(candidate: Candidate) -> bool:
    geometry = (candidate.feature or {}).get("geometry") or {}
    return geometry.get("type") in ("Polygon", "MultiPolygon")
