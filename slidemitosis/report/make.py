"""Make the pages of folders of results."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import UnreadableSlide
from slidemitosis.files import write_text, write_whole
from slidemitosis.geometry import PixelSize
from slidemitosis.outputs.folder import REPORT
from slidemitosis.outputs.rate_fields import review_fields
from slidemitosis.outputs.read import read_rows, read_summary
from slidemitosis.outputs.sheet import Shown, write_sheets
from slidemitosis.reading.windows import place_window, plan_reading, reading_order
from slidemitosis.reading.worker import ReopeningSlide
from slidemitosis.report.choice import SOME, Limits
from slidemitosis.report.keeper import encoded
from slidemitosis.report.slide_page import chosen, slide_html
from slidemitosis.report.thumbnail import read_thumbnail
from slidemitosis.report.words import said
from slidemitosis.review.results import with_answers
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.outputs.read import Row
    from slidemitosis.reading.prepare import Prepared
    from slidemitosis.reading.windows import ReadPlan
    from slidemitosis.report.keeper import PatchKeeper
    from slidemitosis.slides.slide import Slide


def write_report(stage: Path, keeper: PatchKeeper, prepared: Prepared) -> Path:
    """Write `report.html` beside the other files of a slide, of the patches kept while it was classified.

    Raises OutputError, UnreadableSlide.
    """
    rows = read_rows(stage)
    thumbnail = read_thumbnail(prepared.open_slide)
    page = slide_html(read_summary(stage), rows, keeper.patches, thumbnail, limits=keeper.limits)
    write_text(stage / REPORT, page)
    return stage / REPORT


def report_again(folder: Path, *, slide: Path | None = None, limits: Limits = SOME) -> Path:
    """Write the `report.html` of a folder again, of its files and of the slide, whose patches are read anew.

    It shows the answers that persons have given until now. slide: where it is now; None: where the summary
    says. Raises OutputError where the folder holds no results, UnreadableReview, UnreadableSlide.
    """
    summary, rows = _with_answers_of_today(folder)
    opening = opener(summary, slide)
    chosen_rows = chosen(rows, summary["model"]["threshold"], limits=limits).rows
    patches = {
        row.number - 1: encoded(pixels)
        for row, pixels in patches_of([rows[i] for i in sorted(chosen_rows)], summary, opening)
        if pixels is not None
    }
    page = slide_html(summary, rows, patches, read_thumbnail(opening), limits=limits)
    write_whole(folder / REPORT, page.encode("utf-8", "backslashreplace"))
    return folder / REPORT


def _with_answers_of_today(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """Read the summary and the rows of a folder, with what persons say of its figures by now."""
    summary, rows = read_summary(folder), read_rows(folder)
    today = with_answers(folder, summary, rows, reviewer=summary["options"]["reviewer"])
    said = {f.id: f.verdict.answer for f in today.figures if f.verdict}
    summary["review"] = review_fields(today.review)
    return summary, [replace(row, answer=said.get(row.object_id.lower(), "")) for row in rows]


def opener(summary: Mapping[str, Any], slide: Path | None) -> Callable[[], Slide]:
    """Return what opens the slide of a summary. Raises UnreadableSlide where it is not where it was."""
    path = slide or Path(summary["slide"]["path"])
    if not path.exists():
        raise UnreadableSlide(f"{path}: no such file; where the slide has moved, say --slide FILE")
    return partial(open_slide, path, reader=summary["options"]["reader"])


def patches_of(
    rows: Sequence[Row], summary: Mapping[str, Any], opening: Callable[[], Slide]
) -> Iterator[tuple[Row, NDArray[np.uint8] | None]]:
    """Read the patches of rows as they were read for the model, (row, uint8 (S, S, 3)), in any order.

    None stands for one that cannot be read.
    """
    if not rows:
        return
    with opening() as slide:
        plan = _plan(slide, summary)
        tile = slide.info.tile
    windows = [place_window(row.x, row.y, plan) for row in rows]
    reader = ReopeningSlide(opening, plan.patch)
    with contextlib.closing(reader):
        for i in reading_order(windows, tile):
            try:
                yield rows[i], reader.read(windows[i])
            except UnreadableSlide:
                yield rows[i], None


def write_result_sheets(folder: Path, path: Path, *, slide: Path | None = None) -> list[Path]:
    """Write contact sheets of a folder's figures with id, call and P; see `outputs.sheet.write_sheets`."""
    summary, rows = read_summary(folder), read_rows(folder)
    opening = opener(summary, slide)
    with opening() as opened:
        plan = _plan(opened, summary)
    shown = [
        Shown(window=place_window(r.x, r.y, plan), name=f"{r.number}  {r.id}", said=said(r), call=r.call)
        for r in rows
        if r.status not in ("outside", "duplicate")
    ]
    return write_sheets(shown, opening, path, side=plan.patch)


def _plan(slide: Slide, summary: Mapping[str, Any]) -> ReadPlan:
    of_slide, reading = summary["slide"], summary["reading"]
    mpp = PixelSize(of_slide["mpp_x"], of_slide["mpp_y"])
    return plan_reading(slide.info.levels, mpp, model_mpp=reading["model_mpp"], patch=reading["patch_px"])
