"""The command `qupath`: the scripts for QuPath, and a project's objects, which paquo reads and updates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report

INCOMPLETE = 3
"""Exit code where an image of the project could not be exported or imported."""


def add_qupath(parser: argparse.ArgumentParser) -> None:
    """`slidemitosis qupath`, and what can be done."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    install = actions.add_parser(
        "install", help="copy the scripts to QuPath's user scripts, with the path of this Python"
    )
    install.add_argument(
        "--create",
        action="store_true",
        help="make the user directory of QuPath where there is none, and take a --scripts-dir that does not "
        "look like QuPath's",
    )
    install.add_argument(
        "--menu", action="store_true", help="also the startup script that adds Extensions > slidemitosis"
    )
    install.set_defaults(run=_install)
    uninstall = actions.add_parser(
        "uninstall", help="remove the scripts and the menu; scripts that you have changed stay"
    )
    uninstall.set_defaults(run=_uninstall)
    for action in (install, uninstall):
        action.add_argument(
            "--scripts-dir",
            type=Path,
            metavar="DIR",
            help="QuPath's script directory (default: that of the newest QuPath in ~/QuPath)",
        )
        action.add_argument(
            "--qupath",
            metavar="PROGRAM",
            help="QuPath's program, which settles its menu at once; without it, QuPath does so when it runs "
            "the menu's script",
        )
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
        help="results, a folder of results, or that of a cohort (default: the project's own)",
    )
    results.add_argument(
        "--force",
        action="store_true",
        help="also where the project is of a newer QuPath than paquo's, which writes it as an older one",
    )
    results.set_defaults(run=_import)
    for action in (export, results):
        action.add_argument("project", type=Path, help="project.qpproj, or its folder; not open in QuPath")


def _install(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath import scripts  # noqa: PLC0415

    default = args.scripts_dir is None
    folder = args.scripts_dir or scripts.default_scripts_folder(Path.home(), create=args.create)
    fresh = default and not folder.parent.exists()
    if not (default or args.create):
        scripts.check_scripts_folder(folder)
    scripts.check_python(sys.executable)
    for script in scripts.install_scripts(folder, sys.executable, menu=args.menu):
        print(f"{script.outcome:<11} {script.path}")
        if script.backup:
            report.message("warning", f"{script.path.name} had been changed; it is kept as {script.backup}")
    print(f"{'python':<11} {sys.executable}")
    if fresh:
        print(f"{'next':<11} in QuPath, {scripts.USER_DIRECTORY}: {folder.parent}")
    print(f"{'in QuPath':<11} Automate > User scripts > slidemitosis")
    if args.menu:
        if args.qupath:
            scripts.run_menu(args.qupath, folder)
        how = "in QuPath, open slidemitosis menu there and choose Run > Run, once"
        there = "Extensions > slidemitosis, from QuPath's next start"
        print(f"{'menu':<11} {there if scripts.has_menu(folder) else how}")


def _uninstall(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath import scripts  # noqa: PLC0415

    folder = args.scripts_dir or scripts.default_scripts_folder(Path.home())
    for script in scripts.uninstall_scripts(folder):
        outcome = script.outcome
        if outcome == "at next start" and args.qupath:
            scripts.run_menu(args.qupath, folder)
            outcome = "removed"
        elif outcome == "at next start":
            report.message(
                "info", "the menu goes, and your own startup script comes back, at QuPath's next start"
            )
        print(f"{outcome:<13} {script.path}")


def _scripts(_args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.qupath.scripts import list_scripts  # noqa: PLC0415

    for script in list_scripts():
        print(script)


def _export(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.qupath.exports import export_candidates  # noqa: PLC0415

    table, exported = export_candidates(args.project, candidate_classes=args.candidate_class)
    for image in exported:
        if image.problem or image.note:
            level = "warning" if image.problem else "info"
            report.message(level, f"{image.name}: {image.problem or image.note}")
    candidates = sum(e.candidates for e in exported)
    images = sum(not e.problem for e in exported)
    print_table([("candidates", f"{candidates} of {images} images"), ("written", str(table))])
    return 0 if images == len(exported) else INCOMPLETE


def _import(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.qupath.imports import import_results  # noqa: PLC0415

    report.outcome = "what is imported is saved, image by image"
    imported = import_results(args.project, results=args.results, force=args.force)
    for image in imported:
        level = "warning" if image.problem else "info"
        report.message(level, f"{image.name}: {image.problem or image.changes}")
        if image.answers:
            report.message("info", f"{image.name}: {image.answers}")
        if image.backup:
            report.message("info", f"{image.name}: its objects as they were are kept in {image.backup}")
    updated, added = (sum(getattr(i.changes, n) for i in imported) for n in ("updated", "added"))
    images = sum(not i.problem for i in imported)
    print_table([("updated", f"{updated} objects of {images} images"), ("added", f"{added} objects")])
    return 0 if images == len(imported) else INCOMPLETE
