"""What user and metadata settle between them: a slide's pixel size, and where candidates count from."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from slidemitosis.errors import InvalidOption, MissingResolution, UnsettledOrigin, UnsuitableResolution
from slidemitosis.geometry import Origin

if TYPE_CHECKING:
    from slidemitosis.geometry import Bounds, PixelSize, Viewer
    from slidemitosis.slides.slide import SlideInfo

log = logging.getLogger(__name__)

_Corner = tuple[int, int]

COARSEST_MPP = 0.6
"""um/px; anything coarser (below about 16x) shows too little of a mitotic figure."""


def settle_mpp(
    info: SlideInfo, *, given: PixelSize | None, allow_coarse: bool, model_mpp: float
) -> PixelSize:
    """Return the slide's um/px: what the user gives, else what the metadata state; never a guess.

    Raises MissingResolution if neither is there, UnsuitableResolution if it is implausible, or
    coarser than 0.6 um/px and `allow_coarse` is not set.
    """
    mpp = given or info.mpp
    if mpp is None:
        raise MissingResolution(f"{info.path}: no pixel size in its metadata; pass --mpp (um/px of level 0)")
    whose = "given" if given else "in its metadata"
    for value in (mpp.x, mpp.y):
        if not 0.02 <= value <= 100:
            raise UnsuitableResolution(
                f"{info.path}: the pixel size {whose} is {value:g} um/px, which no scanner has; pass --mpp"
            )
    if max(mpp.x, mpp.y) > max(COARSEST_MPP, model_mpp) and not allow_coarse:
        raise UnsuitableResolution(
            f"{info.path}: the pixel size {whose} is {max(mpp.x, mpp.y):g} um/px, coarser than "
            f"{COARSEST_MPP} um/px: too coarse to tell mitotic figures apart; "
            "pass --allow-upsampling to classify all the same, or --mpp if the size is wrong"
        )
    return mpp


# What QuPath's servers that show a slide otherwise than it lies in the file call themselves. "--no-crop" does
# the opposite: it shows the whole slide.
_TRANSFORMED = re.compile(r"rotat|flip|mirror|affine|(?<!no-)crop|slic|concat|sparse|project", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frames:
    """Where the coordinates of a slide's files count from, and how that was settled."""

    points: tuple[int, int]
    """What to add to the candidates' coordinates to get level-0 px, as (x, y)."""
    points_by: str
    """How `points` was settled, in words."""
    objects: tuple[int, int]
    """What to add to the coordinates of objects.geojson to get level-0 px, as (x, y)."""
    objects_by: str
    """How `objects` was settled, in words."""

    @property
    def shift(self) -> tuple[int, int]:
        """What to add to the candidates' coordinates, px, to get those of objects.geojson."""
        return self.points[0] - self.objects[0], self.points[1] - self.objects[1]

    @property
    def objects_frame(self) -> Literal["level0", "bounds"]:
        """Whether objects.geojson counts from the slide's corner, or from that of its bounds."""
        return "level0" if self.objects == (0, 0) else "bounds"


def settle_frames(
    info: SlideInfo, *, origin: Origin, viewer: Viewer | None, frame: Literal["level0"] | None
) -> Frames:
    """Settle where the candidates count from, and where objects.geojson is to count from; never a guess.

    QuPath and some other viewers show only the bounds of a slide that has them, and count from their
    corner. Nothing in a GeoJSON says so; the size of the viewer's image does. `origin`: what the user says
    of the candidates. `viewer`: what the viewer states of its image. `frame`: "level0" where the format
    of the candidates says that it counts from the slide's corner.
    Raises UnsettledOrigin, or InvalidOption for an origin or a size that cannot be.
    """
    if origin not in get_args(Origin):
        raise InvalidOption(f"origin {origin!r} is not known; use {', '.join(get_args(Origin))}")
    shown = _viewers_corner(info, viewer) if viewer is not None else None
    if origin != "auto":
        corner = _corner(info.bounds) if origin == "bounds" else (0, 0)
        points = corner, f"--origin {origin}"
    elif frame == "level0":
        points = (0, 0), "the format counts from the slide's corner"
    else:
        points = shown or _only_corner(info)
    if shown is None and frame == "level0" and points[0] == (0, 0) != _corner(info.bounds):
        _warn_of_shifted_objects(info)
    return Frames(*points, *(shown or (points[0], "as the candidates")))


def _corner(bounds: Bounds | None) -> _Corner:
    return (bounds.x, bounds.y) if bounds else (0, 0)


def _viewers_corner(info: SlideInfo, viewer: Viewer) -> tuple[_Corner, str]:
    """Return which of the slide's corners the viewer's (0, 0) is, in level-0 px, and why."""
    size = (viewer.width, viewer.height)
    if any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in size):
        raise InvalidOption(f"a viewer's size is two whole numbers of px, not {size[0]!r} and {size[1]!r}")
    if viewer.server and _TRANSFORMED.search(viewer.server):
        raise UnsettledOrigin(
            f"{info.path}: the viewer shows it through {viewer.server!r}, whose pixels are not where they "
            "are in the file; open the slide itself there and export the candidates from that"
        )
    b = info.bounds
    is_full, is_bounds = size == info.size, b is not None and size == (b.width, b.height)
    if is_full and is_bounds:
        raise UnsettledOrigin(
            f"{info.path}: the slide and its bounds are both {size[0]} x {size[1]} px, and so the viewer's "
            "size does not tell which it shows; leave --viewer-size out, and pass --origin bounds or level0"
        )
    if is_full:
        return (0, 0), "the viewer's size is the slide's"
    if is_bounds:
        return _corner(b), "the viewer's size is that of the bounds"
    raise UnsettledOrigin(
        f"{info.path}: the viewer's image has {size[0]} x {size[1]} px, {_sizes_text(info)}; "
        "is it of another slide, another series, or cropped? Open the slide itself there"
    )


def _only_corner(info: SlideInfo) -> tuple[_Corner, str]:
    """Return the slide's corner, where there is no other."""
    if info.bounds is None:
        return (0, 0), "the slide has no bounds"
    if _corner(info.bounds) == (0, 0):
        return (0, 0), "the bounds begin at the slide's corner"
    b = info.bounds
    raise UnsettledOrigin(
        f"{info.path}: this slide has bounds ({b.width} x {b.height} px at x {b.x}, y {b.y} of "
        f"{info.size[0]} x {info.size[1]} px) and the candidates do not say where they count from; "
        "pass --viewer-size WIDTHxHEIGHT as QuPath states it, or --origin bounds (QuPath's default) or "
        "--origin level0 (OpenSlide scripts, QuPath with --no-crop)"
    )


def _sizes_text(info: SlideInfo) -> str:
    text, b = f"the slide {info.size[0]} x {info.size[1]} px", info.bounds
    return f"{text} and its bounds {b.width} x {b.height} px" if b else f"{text} and no bounds"


def _warn_of_shifted_objects(info: SlideInfo) -> None:
    b = info.bounds
    assert b is not None
    log.warning(
        "%s: objects.geojson counts from the slide's corner, as the candidates do; QuPath shows the bounds "
        "alone unless told otherwise, and there the objects would be off by (%d, %d) px: pass --viewer-size "
        "%dx%d if that is what QuPath states, or open the slide in QuPath with --no-crop",
        info.path,
        b.x,
        b.y,
        b.width,
        b.height,
    )
