"""The command `slidemitosis count`: persons' answers counted beside the model's rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.options import add_options, options_given
from slidemitosis.cli.rates import review_rows, short_interval
from slidemitosis.cli.report import print_table
from slidemitosis.options import RateOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.review.count import Counted


def add_count(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis count`."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="results of classify or of cohort")
    add_options(parser, RateOptions, only=("reviewer",))
    parser.add_argument("--out", type=Path, metavar="CSV", help="write a table with a row for each slide")
    parser.set_defaults(run=_count)


def _count(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.cohort.tables.cohort import table_text  # noqa: PLC0415
    from slidemitosis.files import write_whole  # noqa: PLC0415
    from slidemitosis.review.count import count_folder  # noqa: PLC0415

    counted = count_folder(args.folder, reviewer=options_given(args, RateOptions).reviewer)
    for slide in counted:
        print_table(_rows(slide))
    if args.out:
        write_whole(args.out, table_text(map(_values, counted)).encode("utf-8", "backslashreplace"))
        print_table([("written", str(args.out))])


def _rows(slide: Counted) -> Sequence[tuple[str, str]]:
    model = "no rate: nothing was classified"
    if slide.model is not None:
        told = short_interval(slide.model, slide.model_figures)
        model = f"fraction {told} of {slide.figures} figures by the model alone"
    rows = [("slide", slide.slide), ("model", model)]
    return [*rows, *(review_rows(slide.review) or [("review", "nobody has answered about its figures")])]


def _values(slide: Counted) -> dict[str, str | int | float | bool | None]:
    from slidemitosis.cohort.tables.columns import interval_ends, review_values  # noqa: PLC0415

    return {
        "slide": slide.slide,
        "folder": str(slide.folder),
        "figures": slide.figures,
        "expected_fraction_amf_of_all": slide.model,
        **interval_ends("expected_figures_95", slide.model_figures),
        **review_values(slide.review),
        "review_because": slide.review.because if slide.review else None,
    }
