"""Read figures on slides: a CSV of centres, around which patches are cut as `classify` cuts them."""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import MissingResolution, SlideError, UnsuitableResolution
from slidemitosis.geometry import PixelSize
from slidemitosis.reading.frames import settle_mpp
from slidemitosis.reading.pool import ReaderPool
from slidemitosis.reading.windows import place_window, plan_reading, reading_order
from slidemitosis.slides.open import open_slide
from slidemitosis.train.data.patches import PUBLISHED_SIDE
from slidemitosis.train.data.rows import data_of_rows
from slidemitosis.train.data.table import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.slides.slide import SlideInfo
    from slidemitosis.train.data.figures import LabelledData
    from slidemitosis.train.data.table import Table

MPP = 0.25
"""um/px of the patches, as of the published ones."""


def read_on_slides(path: Path) -> LabelledData:
    """Read a CSV with the columns slide, x, y and label; the data set's name is the file's.

    slide: path of a whole-slide image, relative to the CSV's folder. x, y: the figure's centre, level-0
    px. label: as of the layout "csv". Optional: mpp (um/px of level 0, where the slide does not say),
    patient, domain, subtype, expert1 to expertN, split. Patches are 128 px at 0.25 um/px. Raises
    InvalidOption, also for a figure that lies off its slide or cannot be read.
    """
    return figures_on_slides(read_table(path, ("slide", "x", "y", "label")))


def figures_on_slides(table: Table, *, known: Sequence[str] = ()) -> LabelledData:
    """Cut the patches of a table that has the columns of `read_on_slides`.

    `known`: further columns that the caller reads. Raises InvalidOption.
    """
    # Slides keep the names that were given, also of symbolic links; the same file is one slide all the same.
    given = [(table.path.parent / slide).absolute() for slide in table.column(table.needed, "slide")]
    named: dict[Path, Path] = {}
    places = [named.setdefault(place.resolve(), place) for place in given]
    xy = [tuple(float(table.needed(i, c) and table.number(i, c)) for c in "xy") for i in range(len(table))]
    table.refuse_repeated([(p, *at) for p, at in zip(places, xy, strict=True)], "x")
    table.column(table.label, "label")  # raises for a bad label before a slide is opened
    pixels = np.empty((len(table), PUBLISHED_SIDE, PUBLISHED_SIDE, 3), np.uint8)
    for place in dict.fromkeys(places):
        rows = [i for i, p in enumerate(places) if p == place]
        _cut(table, place, rows, np.array([xy[i] for i in rows]), pixels)
    slides = _slide_names(places)
    return data_of_rows(
        table,
        names=[f"{slide} x {x:g} y {y:g}" for slide, (x, y) in zip(slides, xy, strict=True)],
        pixels=pixels,
        slides=slides,
        known=("mpp", *known),
    )


def _slide_names(places: list[Path]) -> list[str]:
    """Return file names, by which other data sets know the slides; whole paths where two are alike."""
    count = Counter(p.name for p in set(places))
    return [p.name if count[p.name] == 1 else p.as_posix() for p in places]


def _cut(
    table: Table, place: Path, rows: list[int], xy: NDArray[np.float64], pixels: NDArray[np.uint8]
) -> None:
    """Read the patches of one slide into their rows of `pixels`, (N, 128, 128, 3); `xy` in level-0 px."""
    given = _given_mpp(table, rows)
    try:
        with open_slide(place) as slide:
            info = slide.info
        mpp = settle_mpp(info, given=given, allow_coarse=False, model_mpp=MPP)
    except (MissingResolution, UnsuitableResolution) as e:
        what = str(e).partition("; pass --")[0]
        remedy = "state its um/px of level 0 in a column mpp, or take its rows out"
        raise table.bad(rows[0], "slide", f"{what}; {remedy}") from e
    except SlideError as e:
        raise table.bad(rows[0], "slide", str(e)) from e
    _refuse_outside(table, info, rows, xy)
    plan = plan_reading(info.levels, mpp, model_mpp=MPP, patch=PUBLISHED_SIDE)
    windows = [place_window(x, y, plan) for x, y in xy.tolist()]
    order = reading_order(windows, info.tile)
    reopen = functools.partial(open_slide, place)
    ordered = [windows[i] for i in order]
    with ReaderPool(patch=PUBLISHED_SIDE, batch_size=64, workers=0) as pool:
        for batch in pool.read(reopen, ordered):
            for at, reason in batch.unreadable:
                raise table.bad(rows[order[at]], "x", f"cannot be read: {reason}; take the row out")
            pixels[[rows[order[i]] for i in batch.indices]] = batch.pixels


def _given_mpp(table: Table, rows: list[int]) -> PixelSize | None:
    """Return the pixel size that the rows of one slide state, which must agree."""
    stated = {value: i for i in rows if not math.isnan(value := table.number(i, "mpp"))}
    if len(stated) > 1:
        first, second = list(stated.items())[:2]
        raise table.bad(
            second[1],
            "mpp",
            f"{second[0]:g}, but {first[0]:g} in row {table.lines[first[1]]} of the same slide; mend one",
        )
    return PixelSize(*stated, *stated) if stated else None


def _refuse_outside(table: Table, info: SlideInfo, rows: list[int], xy: NDArray[np.float64]) -> None:
    """Raise InvalidOption for a centre, level-0 px, that lies off its slide."""
    area = info.area
    for row, (x, y) in zip(rows, xy.tolist(), strict=True):
        if not (area.x <= x < area.x + area.width and area.y <= y < area.y + area.height):
            raise table.bad(
                row,
                "x",
                f"centre at x {x:g}, y {y:g} lies off {info.path.name}, which has pixels in {area.width} x "
                f"{area.height} px at x {area.x}, y {area.y}; are the coordinates level-0 px of this slide?",
            )
