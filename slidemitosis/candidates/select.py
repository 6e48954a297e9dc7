"""Pure: what the name of a class says, and which objects of a file are candidates by their classes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from slidemitosis.candidates.denials import denies, says_mitosis
from slidemitosis.errors import UnsettledClasses

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from slidemitosis.candidates.candidate import Candidates

Rule = Literal["all", "one class", "reads as mitosis", "asked"]

UNCLASSIFIED = "Unclassified"
"""How QuPath shows an object without a class, and how a user asks for these."""

HOT_SPOT = "Hot spot"
"""Class of the annotation that a run adds: never a candidate, unless this class is asked for."""

REGION = "Region mm2"
"""Measurement of the regions that a run writes: never candidates, unless their class is asked for."""

_LISTED = 30  # names in a message: a tool may have given every object a class of its own
_OURS = {"atypical", "normal"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Objects of a file that are candidates, and the rule by which they were chosen."""

    candidates: Candidates
    """Those that are chosen, in the file's order."""
    taken: dict[str | None, int]
    """Number chosen by full class name, most frequent first; None counts the unclassified."""
    left: dict[str | None, int]
    """Number left out by full class name, most frequent first; None counts the unclassified."""
    rule: Rule


def normal_name(text: str | None) -> str | None:
    """Return a class name as QuPath spells it, "Tumor: Mitosis"; None where QuPath sees no class.

    QuPath splits at ":" and strips each part, and takes "Unclassified" for no class.
    """
    parts = [" ".join(part.split()) for part in (text or "").split(":")]
    name = ": ".join(part for part in parts if part)
    return None if name.casefold() in {"", UNCLASSIFIED.casefold()} else name


@functools.lru_cache(maxsize=4096)
def base_class(name: str | None) -> str | None:
    """Return the class without the ": Atypical" or ": Normal" that an earlier run has added.

    So a second run on the output of the first gives "Mitosis: Normal", not "Mitosis: Atypical: Normal".
    A class that is nothing but "Atypical" or "Normal" stays as it is.
    """
    parts = (normal_name(name) or "").split(": ")
    kept = len(parts)
    while kept > 1 and parts[kept - 1].casefold() in _OURS:
        kept -= 1
    return name if kept == len(parts) else ": ".join(parts[:kept])


@functools.lru_cache(maxsize=4096)
def reads_as_mitosis(name: str | None) -> bool:
    """Tell whether the name of a class says that its objects are mitotic figures.

    One part of a derived class has to say so, and none may deny it ("Tumor: Non-mitotic").
    """
    return says_mitosis(normal_name(name) or "")


@functools.lru_cache(maxsize=4096)
def denies_mitosis(name: str | None) -> bool:
    """Tell whether the name of a class says that its objects are no mitotic figures."""
    return denies(normal_name(name) or "")


def select_candidates(
    candidates: Candidates,
    classes: Sequence[str] = (),
    *,
    regions: Sequence[str] = (),
    rated: Collection[str | None] = (),
    answered: Collection[int] = (),
) -> Selection:
    """Choose the objects that are candidates: those of `classes`, or else those whose class says so.

    Objects of the classes `regions`, and of the full names `rated`, are areas and no candidates. `answered`:
    places of objects that were candidates of an earlier run, and of which a person has said since that they
    are none; they stay candidates, and their classes tell nothing about the others.
    Raises `UnsettledClasses` if a class is not in the file or is named as both, or if none is asked for and
    the names of the file's classes do not tell.
    """
    every_one = candidates
    if answered:
        items = tuple(c for place, c in enumerate(candidates) if place not in answered)
        candidates = replace(candidates, items=items)
    chosen = _chosen(candidates, classes, regions=regions, rated=rated)
    return _selection(every_one, *chosen, answered)


def _chosen(
    candidates: Candidates, classes: Sequence[str], *, regions: Sequence[str], rated: Collection[str | None]
) -> tuple[set[str | None], Rule]:
    """Return the classes whose objects are candidates, and by which rule."""
    if not len(candidates):
        return set(), "all"
    areas, every = area_classes_named(candidates, regions) | set(rated), candidates.class_counts()
    counts = {name: n for name, n in every.items() if name not in areas}
    if classes:
        # "Mitosis" also means what an earlier run has made of it.
        asked = _named(
            candidates, classes, "--candidate-class", lambda n: {class_key(n), class_key(base_class(n))}
        )
        if asked & areas:
            both = counts_text({name: n for name, n in every.items() if name in asked & areas})
            raise UnsettledClasses(
                f"{candidates.where}: {both} cannot be candidates and an area; name another "
                f"{'--regions' if asked & set(rated) else '--area-class'}"
            )
        return asked, "asked"
    for name in {HOT_SPOT, *_written_regions(candidates)}:
        counts.pop(name, None)
    if areas and not counts:
        raise UnsettledClasses(
            f"{candidates.where}: all objects are of the area's class; candidates need one of their own"
        )
    if set(counts) <= {None}:
        return set(counts), "all"
    mitoses = {name for name in counts if reads_as_mitosis(name)}
    if mitoses:
        return mitoses, "reads as mitosis"
    # In a file that an earlier run wrote, "Cell: Atypical" and "Cell: Normal" are the one class "Cell".
    one = {base_class(name) for name in counts}
    if len(one) == 1 and not any(map(denies_mitosis, counts)):
        return set(counts), "one class"
    raise UnsettledClasses(
        f"{candidates.where}: cannot tell which objects are candidates; the classes are "
        f"{counts_text(counts)}; pass --candidate-class NAME"
    )


def _written_regions(candidates: Candidates) -> set[str | None]:
    """Return the classes of the regions that an earlier run has written into the file."""
    mark = f'"{REGION}"'.encode()
    return {c.class_name for c in candidates if c.text is not None and mark in bytes(c.text)}


def area_classes_named(candidates: Candidates, classes: Sequence[str]) -> set[str | None]:
    """Return the full names of the file's classes that these names of areas mean, upper and lower case alike.

    Classes derived from them are not meant. Raises `UnsettledClasses` if one of the names is not in the file.
    """
    return _named(candidates, classes, "--area-class", lambda name: {class_key(name)})


def _named(
    candidates: Candidates, classes: Sequence[str], option: str, keys: Callable[[str | None], set[str]]
) -> set[str | None]:
    counts = candidates.class_counts()
    chosen: set[str | None] = set()
    for asked in classes:
        key = class_key(asked)
        found = {name for name in counts if key in keys(name)}
        if not found:
            raise UnsettledClasses(
                f"{candidates.where}: no object has the class {asked!r}; the classes are "
                f"{counts_text(counts)}; pass one of these to {option}"
            )
        chosen |= found
    return chosen


def _selection(
    candidates: Candidates, names: Collection[str | None], rule: Rule, answered: Collection[int]
) -> Selection:
    taken = [c.class_name in names or place in answered for place, c in enumerate(candidates)]
    of_each = (
        replace(candidates, items=tuple(c for c, t in zip(candidates, taken, strict=True) if t is wanted))
        for wanted in (True, False)
    )
    chosen, left = of_each
    return Selection(chosen, chosen.class_counts(), left.class_counts(), rule)


def class_key(name: str | None) -> str:
    """Return what all names of the same class have in common."""
    return (normal_name(name) or UNCLASSIFIED).casefold()


def counts_text(counts: Mapping[str | None, int]) -> str:
    """Write class counts for people: "Mitosis (12), Unclassified (3)"; of many the first, of none "none"."""
    shown = [f"{normal_name(name) or UNCLASSIFIED} ({n})" for name, n in islice(counts.items(), _LISTED)]
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    return (", ".join(shown) or "none") + more
