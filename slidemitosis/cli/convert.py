"""The command `convert`: candidates of any format as QuPath's GeoJSON or as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.options import add_options, told_by_argparse
from slidemitosis.cli.report import print_table
from slidemitosis.geometry import PixelSize
from slidemitosis.options import ReadOptions

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report
    from slidemitosis.outputs.convert import Converted


def add_convert(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis convert`."""
    parser.add_argument("source", type=Path, metavar="IN", help="candidates, of any format")
    parser.add_argument("target", type=Path, metavar="OUT", help="what to write: .geojson, .json or .csv")
    add_options(parser, ReadOptions, only=("unit", "format"))
    parser.add_argument(
        "--slide", type=Path, help="whose candidates: for its name, its pixel size, and its bounds"
    )
    parser.add_argument(
        "--mpp",
        type=told_by_argparse(PixelSize.of),
        metavar="UM",
        help="um/px of level 0, for candidates in um or mm; X,Y if they differ",
    )
    parser.add_argument(
        "--to-origin",
        choices=("level0", "bounds"),
        help="what OUT counts from, on a slide that has bounds: bounds for QuPath",
    )
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.outputs.convert import convert_candidates  # noqa: PLC0415

    converted = convert_candidates(
        args.source,
        args.target,
        format=args.format,
        unit=args.unit,
        slide=args.slide,
        mpp=args.mpp,
        to_origin=args.to_origin,
    )
    report.done()
    print_table(_rows(converted))


def _rows(converted: Converted) -> list[tuple[str, str]]:
    from slidemitosis.candidates import counts_text  # noqa: PLC0415

    candidates = converted.candidates
    lost = {"outlines": converted.without_outline, "texts": converted.without_text}
    left_out = ", ".join(f"{what} of {count}" for what, count in lost.items() if count)
    rows = [
        ("read", f"{candidates.path}: {candidates.format}, {len(candidates)} objects"),
        ("classes", counts_text(candidates.class_counts())),
        ("written", f"{converted.target}, in {converted.unit}"),
        ("counts from", converted.counts_from),
    ]
    return rows + ([("left out", f"{left_out}: GeoJSON would hold them")] if left_out else [])
