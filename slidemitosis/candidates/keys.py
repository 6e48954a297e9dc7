"""What the keys of a QuPath object say, whichever version or tool has written them."""

from __future__ import annotations

import functools
import re

from slidemitosis.candidates.classes import normal_name

SOURCE_ID = "slidemitosis.source_id"
"""Metadata of our own objects: the id in the file that they were made from."""

# The whole image and the cores of a tissue microarray hold figures; they are none.
_CONTAINERS = {"root", "rootobject", "pathrootobject", "tmacore", "tmacoreobject"}
# QuPath before 0.3, and tools that copy it, wrote an object's type as its id, so that all share one:
# taken for an id it would make every object but the first a duplicate.
_TYPE_AS_ID = re.compile(r"Path[A-Za-z]*Object|TMACoreObject")


@functools.lru_cache(maxsize=256)
def is_container(kind: str) -> bool:
    """Whether an object of this type only holds others."""
    return re.sub(r"[\s_-]", "", kind).casefold() in _CONTAINERS


def own_id(stated: str | None) -> str | None:
    """The id that an object states, None where that is empty or the type of the object."""
    return None if not stated or _TYPE_AS_ID.fullmatch(stated) else stated


@functools.lru_cache(maxsize=4096)
def full_class_name(names: tuple[str, ...]) -> str | None:
    """The class of these names, each derived from the one before it, as QuPath spells it; None of none."""
    return normal_name(": ".join(names))
