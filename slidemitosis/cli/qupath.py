"""The command `qupath`: the scripts for QuPath, and a project's objects, which paquo reads and updates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.qupath.paquo import Exchanged


def add_qupath(parser: argparse.ArgumentParser) -> None:
    """`slidemitosis qupath`, and what can be done."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    install = actions.add_parser(
        "install", help="copy the scripts to QuPath's user scripts, with the path of this Python"
    )
    install.add_argument(
        "--scripts-dir",
        type=Path,
        metavar="DIR",
        help="QuPath's script directory (default: that of the newest QuPath in ~/QuPath)",
    )
    install.add_argument(
        "--create", action="store_true", help="also into a --scripts-dir that does not look like QuPath's"
    )
    install.set_defaults(run=_install)
    actions.add_parser("scripts", help="show where the scripts are").set_defaults(run=_scripts)
    export = actions.add_parser(
        "export-candidates",
        help="write the candidates of a project's images, as export_candidates.groovy does, by paquo",
    )
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
    results.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="where the result folders are (default: where the candidates are)",
    )
    results.set_defaults(run=_import)
    for action in (export, results):
        action.add_argument("project", type=Path, help="project.qpproj, or its folder; not open in QuPath")


def _install(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath.scripts import (  # noqa: PLC0415
        check_python,
        check_scripts_folder,
        default_scripts_folder,
        install_scripts,
    )

    folder = args.scripts_dir or default_scripts_folder(Path.home())
    if args.scripts_dir and not args.create:
        check_scripts_folder(folder)
    check_python(sys.executable)
    for script in install_scripts(folder, sys.executable):
        print(f"{script.outcome:<11} {script.path}")
        if script.backup:
            report.message("warning", f"{script.path.name} had been changed; it is kept as {script.backup}")
    print(f"{'python':<11} {sys.executable}")
    print(f"{'in QuPath':<11} Automate > User scripts > slidemitosis")


def _scripts(_args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.qupath.scripts import list_scripts  # noqa: PLC0415

    for script in list_scripts():
        print(script)


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
