"""Prepare a slide and its candidates: settle everything before a pixel is read, and place the windows.

`inspect` stops here; `classify` goes on.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.candidates import find_duplicates, read_candidates, regions_named, select_candidates
from slidemitosis.candidates.answered import set_by_hand, stated_call
from slidemitosis.candidates.ids import object_ids
from slidemitosis.candidates.parts import each_part
from slidemitosis.candidates.planes import refuse_other_planes
from slidemitosis.errors import CandidatesOffSlide, UnreadableCandidates, UnreadableSlide
from slidemitosis.prediction import LeftOut, PlacedCandidate, left_out_warnings
from slidemitosis.reading.frames import settle_frames, settle_mpp
from slidemitosis.reading.windows import padding_share, place_window, plan_reading, reading_order
from slidemitosis.slides.identity import Seen
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.candidates import Candidate, Candidates, Selection
    from slidemitosis.candidates.answered import SetByHand
    from slidemitosis.geometry import PixelSize
    from slidemitosis.models.card import PatchPart
    from slidemitosis.options import ReadOptions
    from slidemitosis.options.read import Unit
    from slidemitosis.reading.frames import Frames
    from slidemitosis.reading.windows import ReadPlan, Window
    from slidemitosis.slides.slide import Slide, SlideInfo

log = logging.getLogger(__name__)

WIDEST_UM = 100.0
"""No mitotic figure, and no box that a detector draws around one, is wider."""

DUPLICATE_UM = 2.0
"""Centres this close are one figure: a metaphase plate is 8 to 14 um long."""

WORTH_TELLING = 2000
"""Candidates from which a slide library takes seconds longer than tiles that are decoded directly."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One slide and its candidates, ready to be read."""

    slide: SlideInfo
    mpp: PixelSize
    frames: Frames
    """Where the candidates count from, and where objects.geojson is to count from."""
    candidates: Candidates
    """Every object of the points file."""
    selection: Selection
    regions: tuple[Candidate, ...]
    """The annotations and TMA cores that get a rate of their own."""
    plan: ReadPlan
    placed: tuple[PlacedCandidate, ...]
    """The selected candidates, in file order."""
    to_read: tuple[int, ...]
    """Positions in `placed`, in the order of reading."""
    windows: tuple[Window, ...]
    """One for each of `to_read`."""
    slide_seen: Seen
    """The slide's file as it was before it was opened."""
    points_seen: Seen | None
    """The file of candidates as it was before it was read; None where they were in memory, or in a pipe."""
    open_slide: Callable[[], Slide]
    """Opens the slide as it was opened here: what "auto" takes depends on the file alone. Picklable."""

    @property
    def upsampled(self) -> bool:
        """Whether the slide is coarser than the model's pixels."""
        return self.plan.resampling == "upsampled"

    def check_unchanged(self) -> None:
        """Refuse a slide or candidates whose file is another one than when they were read.

        Raises UnreadableSlide, UnreadableCandidates.
        """
        if (change := self.slide_seen.change()) is not None:
            raise UnreadableSlide(
                f"{self.slide.path}: {change}: it was changed while it was read; classify it again when "
                "nothing writes to it"
            )
        if self.points_seen is not None and (change := self.points_seen.change()) is not None:
            raise UnreadableCandidates(
                f"{self.candidates.where}: {change}: it was changed while its candidates were classified; "
                "classify them again"
            )


def prepare(slide_path: Path, points_path: Path, options: ReadOptions, patch: PatchPart) -> Prepared:
    """Read the candidates, settle resolution, origin, classes and duplicates, and place the windows.

    Raises SlideError, CandidateError or InvalidOption; CandidatesOffSlide if there are candidates and
    not one of them is on the slide.
    """
    read = functools.partial(
        read_candidates, points_path, unit=options.unit, format=options.format, slide_name=slide_path.name
    )
    return _prepared(slide_path, points_path, read, options, patch)


def prepare_candidates(
    slide_path: Path, candidates: Candidates, options: ReadOptions, patch: PatchPart
) -> Prepared:
    """Do what `prepare` does, for candidates that are in memory."""
    return _prepared(slide_path, None, lambda: candidates, options, patch)


def _prepared(
    slide_path: Path,
    points_path: Path | None,
    read: Callable[[], Candidates],
    options: ReadOptions,
    patch: PatchPart,
) -> Prepared:
    slide_seen = _seen(slide_path)
    info, mpp = _slide_and_pixel_size(slide_path, options, patch)
    if slide_seen is None:
        raise UnreadableSlide(f"{slide_path}: its bytes cannot be read")
    points_seen = None if points_path is None else _seen(points_path)
    candidates = read()
    if not len(candidates):
        log.warning("%s: holds no figure; is it the right file?", candidates.where)
    regions = regions_named(candidates, options.region_classes)
    by_hand = set_by_hand(candidates)
    selection = select_candidates(
        candidates,
        options.candidate_classes,
        regions=options.area_classes,
        rated={r.class_name for r in regions if r not in candidates.cores},
        answered={i for i, said in by_hand.items() if stated_call(said.class_name) is None},
    )
    refuse_other_planes(selection.candidates, candidates.where)
    said = {id(candidates.items[i]): answer for i, answer in by_hand.items()}
    selection = _by_parts(selection, said, um=max(mpp.x, mpp.y) if candidates.unit == "px" else 1.0)
    frames = settle_frames(info, origin=options.origin, viewer=options.viewer, frame=candidates.frame)
    placed = _place(selection, info, mpp, frames.points, said)
    _warn_of_regions(placed, mpp, candidates.unit)
    _refuse_all_outside(placed, info, candidates.where, frames)
    if not options.keep_duplicates:
        placed = _mark_duplicates(placed, mpp)
    plan = plan_reading(info.levels, mpp, model_mpp=patch.mpp, patch=patch.side)
    _warn_of_outside(placed, info)
    rows = [i for i, p in enumerate(placed) if p.left_out is None]
    if options.reader == "auto" and len(rows) >= WORTH_TELLING:
        _tell_of_slow_reading(info, plan.level)
    windows = [place_window(placed[i].x, placed[i].y, plan) for i in rows]
    order = reading_order(windows, info.tile)
    for i, window in zip(rows, windows, strict=True):
        share = padding_share(window, info.area, plan.downsample)
        placed[i] = replace(placed[i], padding=round(share, 4))
    return Prepared(
        slide=info,
        mpp=mpp,
        frames=frames,
        candidates=candidates,
        selection=selection,
        regions=regions,
        plan=plan,
        placed=tuple(placed),
        to_read=tuple(rows[i] for i in order),
        windows=tuple(windows[i] for i in order),
        slide_seen=slide_seen,
        points_seen=points_seen,
        open_slide=functools.partial(open_slide, info.path, reader=options.reader),
    )


def _seen(path: Path) -> Seen | None:
    """Look at a file; None where there is none, of which whoever opens it says why."""
    with contextlib.suppress(OSError, ValueError):
        return Seen.of(path) if path.is_file() else None
    return None


def _slide_and_pixel_size(path: Path, options: ReadOptions, patch: PatchPart) -> tuple[SlideInfo, PixelSize]:
    with open_slide(path, reader=options.reader) as slide:
        info = slide.info
    if info.planes > 1:
        log.warning(
            "%s: has %d planes of one size, as of several depths or times; the first alone is read",
            info.path,
            info.planes,
        )
    given, stated = options.mpp, info.mpp
    mpp = settle_mpp(info, given=given, allow_coarse=options.allow_upsampling, model_mpp=patch.mpp)
    if given and stated and any(not 0.9 < r < 1.1 for r in (given.x / stated.x, given.y / stated.y)):
        log.warning(
            "%s: the metadata say %s um/px, --mpp says %s; the given size is used", info.path, stated, given
        )
    return info, mpp


def _tell_of_slow_reading(info: SlideInfo, level: int) -> None:
    reason = info.not_direct[level]
    if reason is not None:
        log.info("%s: level %d is read by %s, which is slower: %s", info.path, level, info.reader, reason)


def _by_parts(selection: Selection, said: dict[int, SetByHand], *, um: float) -> Selection:
    """Return the selection with a candidate for each part of objects that are several figures.

    said: by the identity of the candidate; what a person said of an object holds for its parts, and is added.
    """
    chosen = selection.candidates
    found = each_part(chosen.items, chosen.where, um=um)
    if all(len(parts) == 1 for parts in found):
        return selection
    for whole, parts in zip(chosen, found, strict=True):
        if id(whole) in said:
            said |= dict.fromkeys(map(id, parts), said[id(whole)])
    chosen = replace(chosen, items=tuple(part for parts in found for part in parts))
    return replace(selection, candidates=chosen, taken=chosen.class_counts())


def _warn_of_regions(placed: Sequence[PlacedCandidate], mpp: PixelSize, unit: Unit) -> None:
    """Warn of candidates as wide as a region, which would be counted as one figure, at its middle."""
    um = max(mpp.x, mpp.y) if unit == "px" else 1.0
    wide = [p.candidate.source for p in placed if p.candidate.extent * um > WIDEST_UM]
    if wide:
        log.warning(
            "%d of %d candidates are wider than %g um, and so no figures but regions, perhaps: %s; "
            "to leave them out, name the class of the figures with --candidate-class",
            len(wide),
            len(placed),
            WIDEST_UM,
            ", ".join(wide[:5]) + (", ..." if len(wide) > 5 else ""),
        )


def _place(
    selection: Selection,
    info: SlideInfo,
    mpp: PixelSize,
    offset: tuple[int, int],
    by_hand: Mapping[int, SetByHand],
) -> list[PlacedCandidate]:
    """Place every selected candidate in level-0 px; leave out those off the slide.

    by_hand: by the identity of the candidate.
    """
    candidates = selection.candidates
    ids = object_ids(candidates.items, info.path.name)
    per_unit = (1 / mpp.x, 1 / mpp.y) if candidates.unit == "um" else (1.0, 1.0)
    area = info.area
    placed = []
    for c, object_id in zip(candidates, ids, strict=True):
        frame_x, frame_y = c.x * per_unit[0], c.y * per_unit[1]
        x, y = frame_x + offset[0], frame_y + offset[1]
        inside = area.x <= x < area.x + area.width and area.y <= y < area.y + area.height
        left_out = None
        if not inside:
            left_out = LeftOut("outside", f"centre at x {x:.0f}, y {y:.0f}; {_area_text(info)}")
        said = by_hand.get(id(c))
        placed.append(PlacedCandidate(c, object_id, frame_x, frame_y, x, y, left_out=left_out, by_hand=said))
    return placed


def _area_text(info: SlideInfo) -> str:
    width, height = info.size
    text, b = f"the slide is {width} x {height} px", info.bounds
    return f"{text}, with pixels in {b.width} x {b.height} px at x {b.x}, y {b.y}" if b else text


def _refuse_all_outside(
    placed: Sequence[PlacedCandidate], info: SlideInfo, where: str, frames: Frames
) -> None:
    if not placed or any(p.left_out is None for p in placed):
        return
    xs, ys = [p.x for p in placed], [p.y for p in placed]
    raise CandidatesOffSlide(
        f"{where}: all {len(placed)} candidates lie off the slide: they span x {min(xs):.0f} to "
        f"{max(xs):.0f}, y {min(ys):.0f} to {max(ys):.0f} px; {_area_text(info)}; are they of another slide, "
        f"in um, or counted from another origin (now file + {frames.points} px: {frames.points_by})?"
    )


def _warn_of_outside(placed: Sequence[PlacedCandidate], info: SlideInfo) -> None:
    statuses = Counter(p.left_out.status for p in placed if p.left_out)
    total = len(placed) - statuses["duplicate"]
    for told in left_out_warnings(total, outside=statuses["outside"]):
        log.warning("%s: %s", info.path.name, told)


def _mark_duplicates(placed: Sequence[PlacedCandidate], mpp: PixelSize) -> list[PlacedCandidate]:
    """Leave out all but the first of candidates with one id, or with centres within 2 um."""
    rows = [i for i, p in enumerate(placed) if p.left_out is None]
    xy_um: NDArray[np.float64] = np.array(
        [(placed[i].x * mpp.x, placed[i].y * mpp.y) for i in rows], dtype=np.float64
    ).reshape(-1, 2)
    ids = [placed[i].candidate.id for i in rows]
    marked = list(placed)
    far = 0
    found = find_duplicates(xy_um, ids, distance_um=DUPLICATE_UM)
    for row, duplicate in found.items():
        i, kept = rows[row], placed[rows[duplicate.of]].candidate.source
        away = f"{duplicate.distance_um:.1f} um"
        reason = f"same id as {kept}, {away} away" if duplicate.same_id else f"{away} from {kept}"
        marked[i] = replace(marked[i], left_out=LeftOut("duplicate", reason))
        far += duplicate.distance_um > DUPLICATE_UM
    if far:
        log.warning(
            "%d candidates have another one's id and lie up to %.0f um from it; each id is counted once. "
            "If the id is not the figure's own, pass --keep-duplicates",
            far,
            max(d.distance_um for d in found.values()),
        )
    return marked
