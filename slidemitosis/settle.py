"""What user and metadata settle between them: a slide's pixel size, and where candidates count from."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from slidemitosis.errors import InvalidOption, MissingResolution, UnsettledOrigin, UnsuitableResolution
from slidemitosis.geometry import Origin

if TYPE_CHECKING:
    from slidemitosis.geometry import PixelSize
    from slidemitosis.slides import SlideInfo

COARSEST_MPP = 0.6
"""um/px; anything coarser (below about 16x) shows too little of a mitotic figure."""


def settle_mpp(
    info: SlideInfo, *, given: PixelSize | None, allow_coarse: bool, model_mpp: float
) -> PixelSize:
    """The slide's um/px: what the user gives, else what the metadata state; never a guess.

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


def settle_origin(info: SlideInfo, origin: Origin) -> tuple[int, int]:
    """What to add to the candidates' coordinates to get level-0 px, as (x, y).

    QuPath and some other tools show only the bounds of a slide that has them, and count from their
    corner. Nothing in a candidate file says so, and so on such a slide the origin must be told.
    Raises UnsettledOrigin.
    """
    if origin not in get_args(Origin):
        raise InvalidOption(f"origin {origin!r} is not known; use {', '.join(get_args(Origin))}")
    b = info.bounds
    if b is None or origin == "level0":
        return 0, 0
    if origin == "bounds":
        return b.x, b.y
    raise UnsettledOrigin(
        f"{info.path}: this slide has bounds ({b.width} x {b.height} px at x {b.x}, y {b.y} of "
        f"{info.size[0]} x {info.size[1]} px) and the candidates do not say where they count from; "
        "pass --origin bounds (QuPath's default) or --origin level0 (Bio-Formats, QuPath with --no-crop, "
        "OpenSlide scripts)"
    )
