"""The command `bench`: where the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.cli.options import add_model, add_options, add_slide_and_points, options_given
from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption
from slidemitosis.options import ComputeOptions, ReadOptions

if TYPE_CHECKING:
    import argparse

    from slidemitosis.classify.bench import SlideBench
    from slidemitosis.cli.report import Report


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis bench`."""
    add_slide_and_points(parser, points_required=False)
    add_model(parser)
    parser.add_argument(
        "--figures", type=int, default=1000, metavar="N", help="places to draw where there are no --points"
    )
    add_options(parser, ReadOptions)
    add_options(parser, ComputeOptions)
    parser.set_defaults(run=_bench, progress="bar")


def _bench(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.classify.bench import bench_slide  # noqa: PLC0415
    from slidemitosis.classify.classifier import SlideClassifier  # noqa: PLC0415

    if not 1 <= args.figures <= 1_000_000:
        raise InvalidOption(f"--figures must be 1 to 1,000,000, not {args.figures}")
    with SlideClassifier(args.model, compute=options_given(args, ComputeOptions)) as classifier:
        found = bench_slide(
            classifier,
            args.slide,
            args.points,
            options_given(args, ReadOptions),
            figures=args.figures,
            progress=report.progress,
        )
    report.done()
    print_table(_rows(found))


def _rows(found: SlideBench) -> list[tuple[str, str]]:
    s = found.seconds
    return [
        ("figures", f"{found.figures}{', at places drawn at random' if found.drawn else ''}"),
        ("engine", f"{found.engine} on {found.device}, {found.processors} processors; {found.model}"),
        (
            "tiles",
            f"not decoded directly: {found.not_direct}" if found.not_direct else "decoded directly",
        ),
        ("prepare", f"{s['preparing']:.2f} s"),
        ("load", f"{s['loading']:.2f} s, while the first batches are read"),
        (
            "read",
            f"{s['reading']:.2f} s, --workers {found.workers}; {found.reading_alone:.0f} patches/s alone",
        ),
        ("wait", f"{s['waiting']:.2f} s for patches"),
        ("compute", f"{s['computing']:.2f} s, {found.computing_alone:.0f} patches/s alone"),
        ("together", f"{found.together:.0f} patches/s"),
        ("write", f"{s['writing']:.2f} s"),
        ("total", f"{s['total']:.2f} s, without the start of Python"),
        ("hint", found.hint),
    ]
