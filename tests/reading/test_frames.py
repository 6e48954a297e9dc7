"""Where (0, 0) is and how large a pixel is: what settles it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption, MissingResolution, UnsettledOrigin, UnsuitableResolution
from slidemitosis.geometry import Bounds, Level, PixelSize, Viewer
from slidemitosis.reading.frames import Frames, settle_frames, settle_mpp
from slidemitosis.slides.slide import SlideInfo

if TYPE_CHECKING:
    from slidemitosis.geometry import Origin

FULL = (1000, 800)
BOUNDS = Bounds(100, 60, 300, 200)

origins = st.sampled_from(["auto", "level0", "bounds"])
formats = st.sampled_from([None, "level0"])
sides = st.integers(1, 10**6)
places = st.integers(0, 10**6)


def slide(bounds: Bounds | None, size: tuple[int, int] = FULL, mpp: PixelSize | None = None) -> SlideInfo:
    return SlideInfo(
        path=Path("a.mrxs"),
        reader="openslide",
        reader_version="4.0.1",
        vendor="mirax",
        levels=(Level(*size, 1.0),),
        mpp=mpp,
        bounds=bounds,
        background=(255, 255, 255),
        tile=(256, 256),
        not_direct=(None,),
    )


@st.composite
def slides_with_bounds(draw: st.DrawFn) -> tuple[SlideInfo, Bounds]:
    bounds = Bounds(draw(places), draw(places), draw(sides), draw(sides))
    size = (draw(sides), draw(sides))
    assume(size != (bounds.width, bounds.height))
    return slide(bounds, size), bounds


def settle(
    info: SlideInfo,
    viewer: Viewer | None = None,
    *,
    origin: Origin = "auto",
    frame: Literal["level0"] | None = None,
) -> Frames:
    return settle_frames(info, origin=origin, viewer=viewer, frame=frame)


def shown_by(bounds: Bounds) -> Viewer:
    return Viewer(bounds.width, bounds.height, "OpenSlide")


@given(slides_with_bounds(), st.booleans(), places, places)
def test_what_a_viewer_shows_at_a_place_is_read_there(
    case: tuple[SlideInfo, Bounds], crops: bool, x: int, y: int
) -> None:
    """The viewer shows the bounds, or the whole slide; the objects count from where it does."""
    info, b = case
    viewer = shown_by(b) if crops else Viewer(*info.size)
    frames = settle(info, viewer)
    in_viewer = (x - b.x, y - b.y) if crops else (x, y)
    assert (in_viewer[0] + frames.points[0], in_viewer[1] + frames.points[1]) == (x, y)
    assert frames.shift == (0, 0)
    assert "size" in frames.points_by


@given(slides_with_bounds(), origins, formats, st.sampled_from([None, "slide", "bounds"]))
def test_objects_and_candidates_are_the_same_place_of_the_slide(
    case: tuple[SlideInfo, Bounds], origin: Any, frame: Any, shown: str | None
) -> None:
    info, b = case
    viewer = {None: None, "slide": Viewer(*info.size), "bounds": shown_by(b)}[shown]
    if (origin, frame, viewer) == ("auto", None, None):
        assume((b.x, b.y) == (0, 0))
    frames = settle(info, viewer, origin=origin, frame=frame)
    # A candidate at (0, 0) of its file, and its object.
    assert frames.points == tuple(o + s for o, s in zip(frames.objects, frames.shift, strict=True))
    assert frames.objects in {(0, 0), (b.x, b.y)}
    if viewer is None:
        assert frames.shift == (0, 0)
    else:
        assert frames.objects == ((b.x, b.y) if shown == "bounds" else (0, 0))
    if origin != "auto":
        assert frames.points == ((b.x, b.y) if origin == "bounds" else (0, 0))
    elif frame == "level0":
        assert frames.points == (0, 0)


@given(st.one_of(st.none(), slides_with_bounds()), sides, sides, origins, formats)
def test_any_other_size_is_refused_with_both_sizes(
    case: tuple[SlideInfo, Bounds] | None, width: int, height: int, origin: Any, frame: Any
) -> None:
    info = case[0] if case else slide(None)
    sizes = [info.size] + ([(info.bounds.width, info.bounds.height)] if info.bounds else [])
    assume((width, height) not in sizes)
    with pytest.raises(UnsettledOrigin) as e:
        settle(info, Viewer(width, height), origin=origin, frame=frame)
    for w, h in [(width, height), *sizes]:
        assert f"{w} x {h} px" in str(e.value)


@given(st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, -1)]), st.booleans())
def test_a_size_that_is_one_pixel_off_is_another_image(off: tuple[int, int], crops: bool) -> None:
    width, height = (BOUNDS.width, BOUNDS.height) if crops else FULL
    with pytest.raises(UnsettledOrigin):
        settle(slide(BOUNDS), Viewer(width + off[0], height + off[1]))


def test_without_bounds_the_slides_own_size_is_the_corner() -> None:
    assert settle(slide(None), Viewer(*FULL)) == Frames(
        (0, 0), "the viewer's size is the slide's", (0, 0), "the viewer's size is the slide's"
    )


def test_bounds_that_differ_in_one_dimension_alone_are_told_apart() -> None:
    b = Bounds(100, 0, 300, FULL[1])
    assert settle(slide(b), shown_by(b)).points == (100, 0)
    assert settle(slide(b), Viewer(*FULL)).points == (0, 0)


def test_bounds_as_large_as_the_slide_but_elsewhere_cannot_be_told_by_size() -> None:
    info = slide(Bounds(37, 21, *FULL))
    tried: list[Origin] = ["auto", "level0", "bounds"]
    for origin in tried:
        with pytest.raises(UnsettledOrigin, match=r"are both 1000 x 800 px.*leave --viewer-size out"):
            settle(info, Viewer(*FULL), origin=origin)
    assert settle(info, origin="bounds").objects == (37, 21)


@pytest.mark.parametrize("origin", ["auto", "level0", "bounds"])
def test_without_bounds_every_origin_is_the_corner(origin: Any) -> None:
    frames = settle(slide(None), origin=origin)
    assert (frames.points, frames.objects, frames.objects_frame) == ((0, 0), (0, 0), "level0")


def test_with_bounds_and_nothing_told_the_remedies_are_named() -> None:
    with pytest.raises(UnsettledOrigin, match=r"300 x 200 px at x 100, y 60 of 1000 x 800 px") as e:
        settle(slide(BOUNDS))
    for remedy in ("--viewer-size", "--origin bounds", "--origin level0"):
        assert remedy in str(e.value)
    assert settle(slide(BOUNDS), origin="bounds").points == (100, 60)
    assert settle(slide(BOUNDS), origin="level0").points == (0, 0)


def test_bounds_at_the_slides_corner_need_not_be_told() -> None:
    frames = settle(slide(Bounds(0, 0, 300, 200)))
    assert (frames.points, frames.objects) == ((0, 0), (0, 0))


def test_a_format_that_counts_from_the_corner_warns_that_qupath_would_shift_its_objects(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = settle(slide(BOUNDS), frame="level0")
    assert (frames.points, frames.objects, frames.objects_frame) == ((0, 0), (0, 0), "level0")
    (said,) = [r.getMessage() for r in caplog.records]
    assert "(100, 60) px" in said
    assert "--viewer-size 300x200" in said
    assert "--no-crop" in said


@pytest.mark.parametrize(
    ("bounds", "viewer", "origin"),
    [
        (BOUNDS, Viewer(300, 200), "auto"),
        (BOUNDS, Viewer(*FULL), "auto"),
        (BOUNDS, None, "bounds"),
        (Bounds(0, 0, 300, 200), None, "auto"),
        (None, None, "auto"),
    ],
)
def test_where_the_objects_frame_is_known_nothing_is_warned_of(
    caplog: pytest.LogCaptureFixture, bounds: Bounds | None, viewer: Viewer | None, origin: Any
) -> None:
    settle(slide(bounds), viewer, origin=origin, frame="level0")
    assert not caplog.records


def test_candidates_of_the_corner_and_a_viewer_of_the_bounds_give_moved_objects() -> None:
    frames = settle(slide(BOUNDS), shown_by(BOUNDS), frame="level0")
    assert (frames.points, frames.objects, frames.shift) == ((0, 0), (100, 60), (-100, -60))
    assert frames.objects_frame == "bounds"
    frames = settle(slide(BOUNDS), Viewer(*FULL), origin="bounds")
    assert (frames.points, frames.objects, frames.shift) == ((100, 60), (0, 0), (100, 60))


@pytest.mark.parametrize(
    "server",
    [
        "OpenSlide (rotated 180)",
        "OpenSlide (Flip HORIZONTAL)",
        "Bio-Formats (AffineTransform[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])",
        "Cropped image server",
        "CroppedImageServer",
        "Sparse image server",
        "Z-concatenated image server",
        "OpenSlide (sliced)",
        "Z-projection",
    ],
)
@pytest.mark.parametrize("origin", ["auto", "level0"])
def test_a_viewer_that_moves_pixels_is_refused(server: str, origin: Any) -> None:
    with pytest.raises(UnsettledOrigin, match="are not where they are in the file"):
        settle(slide(BOUNDS), Viewer(*FULL, server), origin=origin)


@pytest.mark.parametrize(
    "server",
    [
        *(None, "", "OpenSlide", "OpenSlide (ICC profile)", "OpenSlide --no-crop", "Bio-Formats"),
        "OpenSlide (Hematoxylin, Eosin)",
        "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder",
    ],
)
def test_a_viewer_that_shows_the_slide_as_it_is_is_believed(server: str | None) -> None:
    assert settle(slide(BOUNDS), Viewer(*FULL, server)).points == (0, 0)


@pytest.mark.parametrize("size", [(0, 800), (1000, -1), (1000.0, 800), ("1000", 800), (True, True)])
def test_a_size_that_is_none_is_refused(size: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidOption, match="two whole numbers"):
        settle(slide(BOUNDS), Viewer(*size))
    with pytest.raises(InvalidOption, match="'top' is not known"):
        settle(slide(BOUNDS), origin="top")  # type: ignore[arg-type]


def settled_mpp(
    stated: float | None, *, given: PixelSize | None = None, allow_coarse: bool = False
) -> PixelSize:
    info = slide(None, mpp=None if stated is None else PixelSize(stated, stated))
    return settle_mpp(info, given=given, allow_coarse=allow_coarse, model_mpp=0.25)


def test_a_pixel_size_that_is_not_stated_must_be_given() -> None:
    with pytest.raises(MissingResolution, match=r"a\.mrxs.*--mpp"):
        settled_mpp(None)
    assert settled_mpp(None, given=PixelSize(0.3, 0.31)) == PixelSize(0.3, 0.31)


@pytest.mark.parametrize(("mpp", "fine"), [(0.25, True), (0.6, True), (0.61, False), (2.0, False)])
def test_coarse_slides_are_refused_unless_allowed(mpp: float, fine: bool) -> None:
    assert settled_mpp(mpp, allow_coarse=True).x == mpp
    if not fine:
        with pytest.raises(UnsuitableResolution, match="--allow-upsampling"):
            settled_mpp(mpp)


@pytest.mark.parametrize("value", [0.0, -1.0, 0.001, 1e6, float("nan"), float("inf")])
def test_a_pixel_size_that_no_scanner_has_is_refused(value: float) -> None:
    with pytest.raises(UnsuitableResolution):
        settled_mpp(0.25, given=PixelSize(value, value), allow_coarse=True)


@given(sides, sides, st.sampled_from(["x", "X", " x "]))
def test_a_size_is_read_as_it_is_written(width: int, height: int, between: str) -> None:
    assert Viewer.of(f"{width}{between}{height}", "OpenSlide") == Viewer(width, height, "OpenSlide")


@pytest.mark.parametrize(
    "text", ["", "46000", "46000x", "x32914", "46,000x32,914", "0x5", "-1x5", "1.5x2", "1x2x3"]
)
def test_what_is_no_size_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size in px such as 46000x32914"):
        Viewer.of(text)
