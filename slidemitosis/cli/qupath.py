"""The command `qupath`: the scripts for QuPath, and their place among its user scripts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.qupath_project import add_project_actions

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report


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
    install.set_defaults(run=_install)
    actions.add_parser("scripts", help="show where the scripts are").set_defaults(run=_scripts)
    add_project_actions(actions)


def _install(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.qupath.scripts import (  # noqa: PLC0415
        check_python,
        default_scripts_folder,
        install_scripts,
    )

    folder = args.scripts_dir or default_scripts_folder(Path.home())
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
