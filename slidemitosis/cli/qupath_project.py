"""The actions of `slidemitosis qupath` that read and update a project's objects, by paquo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.qupath.paquo import Exchanged


def add_project_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`export-candidates` and `import-results`, for those who have QuPath and paquo on one machine."""
    export = actions.add_parser(
        "export-candidates",
        help="write the candidates of a project's images, as export_candidates.groovy does, by paquo",
    )
    export.add_argument("project", type=Path, help="project.qpproj, or its folder; not open in QuPath")
    export.add_argument(
        "--candidate-class",
        action="append",
        default=[],
        metavar="NAME",
        help="class of the objects that are candidates; repeat for several "
        "(default: those that read as mitosis)",
    )
    export.set_defaults(run=_export)
    results = actions.add_parser(
        "import-results", help="give a project's objects their classes and measurements, in place, by paquo"
    )
    results.add_argument("project", type=Path, help="project.qpproj, or its folder; not open in QuPath")
    results.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="where the result folders are (default: where the candidates are)",
    )
    results.set_defaults(run=_import)


def _export(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath.paquo import export_candidates  # noqa: PLC0415

    table, exchanged = export_candidates(args.project, candidate_classes=args.candidate_class)
    _tell_problems(exchanged, report)
    candidates = sum(e.candidates for e in exchanged)
    images = sum(not e.problem for e in exchanged)
    print_table([("candidates", f"{candidates} of {images} images"), ("written", str(table))])


def _import(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath.paquo import import_results  # noqa: PLC0415

    exchanged = import_results(args.project, results=args.results)
    _tell_problems(exchanged, report)
    updated, added = sum(e.updated for e in exchanged), sum(e.added for e in exchanged)
    images = sum(not e.problem for e in exchanged)
    print_table([("updated", f"{updated} objects of {images} images"), ("added", f"{added} objects")])


def _tell_problems(exchanged: Sequence[Exchanged], report: Report) -> None:
    for image in exchanged:
        if image.problem:
            report.message("warning", f"{image.name}: {image.problem}")
