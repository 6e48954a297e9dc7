"""Which image of a file is the slide, where the file holds the objects of several images."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import TYPE_CHECKING

from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

_LISTED = 10


def choose_image(counts: Mapping[str, int], *, path: Path, slide_name: str | None) -> str | None:
    """Return the one image that is the slide, as the file names it; None if the file names no image.

    counts: number of objects by image. An image is the slide if their file names are the same, in whatever
    folder and case, or the same but for the suffix. The only image of a file is taken under any name, with a
    warning. Raises `UnreadableCandidates` if none of several images is the slide, or more than one.
    """
    if not counts:
        return None
    if slide_name is None:
        if len(counts) == 1:
            return next(iter(counts))
        what = f"holds the objects of {len(counts)} images, {_listed(counts)}"
        raise refusal(path, f"{what}; say which slide is meant (--slide, or slide_name)")
    same = [name for name in counts if _folded(name) == _folded(slide_name)]
    same = same or [name for name in counts if _stem(name) == _stem(slide_name)]
    if len(same) == 1:
        return same[0]
    if len(counts) == 1:
        (only,) = counts
        log.warning("%s: its image is %r, and the slide is %s; taken all the same", path, only, slide_name)
        return only
    found = f"{len(same)} of its images are" if same else f"none of its {len(counts)} images is"
    listed = _listed({name: counts[name] for name in same} or counts)
    remedy = "give the slide its name, or keep the objects of one image"
    raise refusal(path, f"{found} the slide {slide_name!r}: {listed}; {remedy}")


def _folded(name: str) -> str:
    """Return a file name in lower case, without its folder, which may be of another system."""
    return unicodedata.normalize("NFC", re.split(r"[/\\]", name.strip())[-1]).casefold()


def _stem(name: str) -> str:
    folded = _folded(name)
    stem = folded.rpartition(".")[0] or folded
    return stem.removesuffix(".ome")


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name!r} ({count})" for name, count in list(counts.items())[:_LISTED]]
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    return ", ".join(shown) + more
