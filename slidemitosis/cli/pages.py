"""The options of reports, and the command `report`, which makes them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.report.choice import Limits


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a report that is made beside the results."""
    parser.add_argument("--no-report", action="store_true", help="leave report.html out")
    _add_all_patches(parser)


def _add_all_patches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all-patches",
        action="store_true",
        help="show every figure in the report, 6 kB each (default: at most some hundred)",
    )


def limits_given(args: argparse.Namespace) -> Limits | None:
    """How many figures the report shows; None where there is to be none. Raises InvalidOption."""
    from slidemitosis.report.choice import ALL, SOME  # noqa: PLC0415

    if args.all_patches and getattr(args, "no_report", False):
        raise InvalidOption("--all-patches is of the report, which --no-report leaves out: give one of them")
    return None if getattr(args, "no_report", False) else ALL if args.all_patches else SOME


def add_report(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis report`."""
    parser.add_argument("folder", type=Path, help="folder that classify or cohort wrote")
    parser.add_argument("--slide", type=Path, metavar="FILE", help="the slide, where it has moved")
    _add_all_patches(parser)
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="PNG",
        help="write contact sheets of all patches, with id, call and P, too",
    )
    parser.set_defaults(run=_report, progress="bar")


def _report(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.cohort.run import is_cohort, report_cohort_again  # noqa: PLC0415
    from slidemitosis.report.make import report_again, write_result_sheets  # noqa: PLC0415

    limits = limits_given(args)
    assert limits is not None
    missing: Sequence[str] = ()
    if is_cohort(args.folder):
        if args.slide or args.sheet:
            raise InvalidOption("--slide and --sheet are of one slide: name its folder, under slides")
        written, missing = report_cohort_again(args.folder, limits)
    else:
        written = [report_again(args.folder, slide=args.slide, limits=limits)]
        if args.sheet:
            written += write_result_sheets(args.folder, args.sheet, slide=args.slide)
    for why in missing:
        report.message("warning", why)
    report.done(pages=[str(path) for path in written])
    print_table([("written", str(path)) for path in written])
    return 3 if missing else 0
