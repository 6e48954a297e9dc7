"""The command `slidemitosis rerun`: classify a slide again as its summary says, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.options import add_progress
from slidemitosis.cli.report import print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from slidemitosis.classify.rerun import Rerun
    from slidemitosis.cli.report import Report


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis rerun`."""
    parser.add_argument("summary", type=Path, help="summary.json of a slide, or the folder that holds it")
    parser.add_argument("--slide", type=Path, metavar="FILE", help="the slide, where it has moved")
    parser.add_argument("--points", type=Path, metavar="FILE", help="the candidates, where they have moved")
    parser.add_argument("--model", metavar="MODEL", help="the model's folder, for one of your own")
    add_progress(parser)
    parser.set_defaults(run=_rerun)


def _rerun(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.classify.rerun import rerun  # noqa: PLC0415

    folder = args.summary.parent if args.summary.is_file() else args.summary
    found = rerun(folder, slide=args.slide, points=args.points, model=args.model, progress=report.progress)
    report.close()
    print_table([*_rows(found)])
    return 0 if found.same else 3


def _rows(found: Rerun) -> Iterator[tuple[str, str]]:
    if found.same:
        yield "same", f"P, call and status of all {found.figures} figures, and every number of the summary"
    if found.probabilities:
        yield (
            "differs",
            f"P of {found.probabilities} of {found.figures} figures, by {found.largest:.6f} at most",
        )
    if found.calls:
        yield "differs", f"the call of {found.calls} of {found.figures} figures"
    for key, first, second in found.keys:
        yield "differs", f"{key}: {_short(first)} -> {_short(second)}"
    for name, before, now in found.versions:
        yield "version", f"{name} {before or '-'} -> {now or '-'}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
