"""The options of reports, and the command `report`, which makes them again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    import argparse

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
    parser.set_defaults(run=_report, progress="bar")


def _report(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.report.make import report_again  # noqa: PLC0415

    limits = limits_given(args)
    assert limits is not None
    written = report_again(args.folder, slide=args.slide, limits=limits)
    report.done(report=str(written))
    print_table([("written", str(written))])
