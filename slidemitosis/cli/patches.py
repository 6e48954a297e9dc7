"""The command `patches`: patches that are cut already, a stack or a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.options import add_model, add_options, options_given
from slidemitosis.cli.report import print_table
from slidemitosis.errors import OutputError
from slidemitosis.options import ComputeOptions

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report


def add_patches(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis patches`."""
    parser.add_argument(
        "stack",
        type=Path,
        help="TIFF each page of which is a patch of the model's size, RGB; or a folder of PNGs of that size",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file for the results")
    parser.add_argument(
        "--format",
        choices=("csv", "midog25"),
        default="csv",
        help="csv: one row a page or file (default); midog25: the JSON of the MIDOG 2025 challenge, track 2",
    )
    add_model(parser)
    add_options(parser, ComputeOptions, but=("workers",))
    parser.set_defaults(run=_patches, progress="bar")


def _patches(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.classify.patches import classify_patches, csv_text, midog25_text, patch_names  # noqa: PLC0415
    from slidemitosis.files import write_whole  # noqa: PLC0415

    _check_out(args.out, args.stack)
    compute = options_given(args, ComputeOptions)
    found = classify_patches(args.stack, model=args.model, compute=compute, progress=report.progress)
    text = csv_text(found, names=patch_names(args.stack)) if args.format == "csv" else midog25_text(found)
    write_whole(args.out, text.encode())
    report.done(out=str(args.out))
    blank = sum(said.blank for said in found)
    atypical = sum(said.atypical and not said.blank for said in found)
    print_table(
        [
            ("patches", f"{len(found)}" + (f", of which {blank} blank" if blank else "")),
            ("atypical", f"{atypical} of {len(found) - blank}"),
            ("written", str(args.out)),
        ]
    )


def _check_out(out: Path, stack: Path) -> None:
    """Refuse, before anything is computed, what could not be written or would replace the input."""
    if out.is_dir() or not out.parent.is_dir():
        reason = "is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise OutputError(f"{out}: cannot be written: {reason}; choose another --out")
    if out.exists() and stack.exists() and out.samefile(stack):
        raise OutputError(f"{out}: is the input, and would be replaced; choose another --out")
