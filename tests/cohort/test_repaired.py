"""A slide that was damaged when it was classified: said each time, and done again once it is repaired."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from slidemitosis.cohort.job import CohortPlan, SlideJobs
from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.store import CohortStore
from slidemitosis.options import ComputeOptions, ReadOptions
from tests.cohort.cohort_slides import paint_slides
from tests.slides.jpeg_slides import spoil_tiles

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def outcome(folder: Path, out: Path, caplog: pytest.LogCaptureFixture) -> tuple[bool, list[str]]:
    """Do the one slide of a cohort; return whether it was done anew, and the warnings."""
    caplog.clear()
    CohortStore(out).begin()
    (slide,) = read_cohort(folder, read=ReadOptions(), search=[]).slides
    jobs = SlideJobs(CohortPlan(out=out, model="lite0", compute=ComputeOptions(workers=0), reports=False))
    try:
        with caplog.at_level(logging.WARNING):
            found = jobs.run(slide)
    finally:
        jobs.close()
    assert found.status == "done"
    return found.fresh, [r.getMessage() for r in caplog.records if "of 6 candidates" in r.getMessage()]


def test_a_repaired_slide_is_done_again_and_a_damaged_one_never_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs, out = paint_slides(tmp_path / "pairs", ["a"], figures=6), tmp_path / "r"
    slide = pairs / "a.svs"
    sound = slide.read_bytes()
    spoil_tiles(slide, 24)  # of some of the figures, as by a bad copy of the same size
    fresh, told = outcome(pairs, out, caplog)
    assert fresh
    assert len(told) == 1
    assert "could not be read: the slide is damaged or cut off" in told[0]
    assert outcome(pairs, out, caplog) == (False, told)
    slide.write_bytes(sound)
    assert outcome(pairs, out, caplog) == (True, [])
    assert outcome(pairs, out, caplog) == (False, [])


def test_a_repair_is_seen_even_where_every_figure_could_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its metadata and its smallest level are as before, and so is OpenSlide's quickhash."""
    pairs, out = paint_slides(tmp_path / "pairs", ["a"], figures=6), tmp_path / "r"
    slide = pairs / "a.svs"
    sound = slide.read_bytes()
    spoil_tiles(slide, 34)  # far from every figure
    assert outcome(pairs, out, caplog) == (True, [])
    slide.write_bytes(sound)
    assert outcome(pairs, out, caplog) == (True, [])
