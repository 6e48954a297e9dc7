"""What the keys of an object in GeoJSON say, whichever version of QuPath or other tool has written them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from slidemitosis.candidates.class_text import class_of_text
from slidemitosis.candidates.select import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterable

P_ATYPICAL = "P(atypical)"
CALL_THRESHOLD = "Call threshold"
"""P(atypical) from which the run called a figure atypical; by it a class set by hand is recognised."""
REVIEWED = "Reviewed"
"""Measurement of an object about which a person answered: the reason, as `answered.REASONS` says."""
SUBTYPE = "slidemitosis.subtype"
"""Metadata: the subtype that was called, which begins with AMF or NMF."""
SOURCE_ID = "slidemitosis.source_id"
"""Metadata of objects that a run has written: their id in the file that it read."""

UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
"""Ids of objects as QuPath writes and reads them."""
MOVED_IDS = ("id", "ID", "Id", "uuid", "UUID", "object_id", "objectId", "Object ID")
"""Properties into which other tools move an object's id, as geopandas does; only a UUID is taken for it."""

# The whole image and the cores of a tissue microarray hold figures and are none.
_CORES = {"tmacore", "tmacoreobject"}
_CONTAINERS = {"root", "rootobject", "pathrootobject", *_CORES}
# QuPath before 0.3, and tools that copy it, wrote the type of an object as its id. All objects of a file
# then share one, and every object but the first would be a duplicate.
_TYPE_AS_ID = re.compile(r"Path[A-Za-z]*Object|TMACoreObject")
_OBJECT_TYPES = re.compile(r"(path)?(annotation|detection|cell|tile|tmacore|root)(object)?")
# How an object was drawn, which other tools call its type; HistomicsUI has shapes that GeoJSON lacks.
_DRAWN = re.compile(r"(multi)?(point|polygon|line(string)?|polyline)|rectangle|circle|ellipse|feature")
CLASS_KEYS = ("class", "class_name", "label", "type")
"""Properties in which tools that do not write for QuPath state a class, the most explicit first."""


@functools.lru_cache(maxsize=256)
def is_container(kind: str) -> bool:
    """Tell whether an object of this type only holds others."""
    return _folded(kind) in _CONTAINERS


@functools.lru_cache(maxsize=256)
def is_core(kind: str) -> bool:
    """Tell whether an object of this type is a core of a tissue microarray."""
    return _folded(kind) in _CORES


@functools.lru_cache(maxsize=256)
def is_annotation(kind: str) -> bool:
    """Tell whether an object of this type is an annotation, and no detection, cell or tile."""
    return is_object_type(kind) and "annotation" in _folded(kind)


@functools.lru_cache(maxsize=256)
def is_object_type(kind: str) -> bool:
    """Tell whether this is a type of objects of QuPath, and not a class that another tool calls a type."""
    return bool(_OBJECT_TYPES.fullmatch(_folded(kind)))


def other_class(stated: Iterable[object]) -> str | None:
    """Return the class of an object without a `classification`: the first that its `CLASS_KEYS` state."""
    for text in stated:
        if isinstance(text, str) and text.strip() and not _is_kind(text):
            return text
    return None


@functools.lru_cache(maxsize=4096)
def _is_kind(text: str) -> bool:
    return is_object_type(text) or bool(_DRAWN.fullmatch(_folded(text)))


def own_id(stated: str | None) -> str | None:
    """Return the id that an object states; None where that is empty or the type of the object."""
    return None if not stated or _TYPE_AS_ID.fullmatch(stated) else stated


def id_of(stated: str | None, moved: Iterable[object]) -> str | None:
    """Return the id of an object: its own, or one of its `MOVED_IDS` where that alone is a UUID."""
    own = own_id(stated)
    if own is not None and UUID_TEXT.fullmatch(own):
        return own
    found = (value for value in moved if isinstance(value, str) and UUID_TEXT.fullmatch(value))
    return next(found, own)


@functools.lru_cache(maxsize=4096)
def full_class_name(names: tuple[str, ...]) -> str | None:
    """Return the class of these names, each derived from the one before; None if there are none.

    One name may be the text of a value that holds it. Raises ValueError if that cannot be read.
    """
    return normal_name(class_of_text(names[0]) if len(names) == 1 else ": ".join(names))


def _folded(kind: str) -> str:
    return re.sub(r"[\s_-]", "", kind).casefold()
