"""The command `completion`: what a shell reads to complete commands and options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slidemitosis.cli.report import Report

SHELLS = ("bash", "zsh", "tcsh")


def add_completion(parser: argparse.ArgumentParser, make: Callable[[], argparse.ArgumentParser]) -> None:
    """Options of `slidemitosis completion`; `make` gives the parser of the whole command line."""
    parser.description = (
        "Print what a shell needs to complete commands, options and files. For bash put it into "
        "~/.local/share/bash-completion/completions/slidemitosis, for zsh into a file _slidemitosis of a "
        "folder of $fpath, and open a new terminal."
    )
    parser.add_argument("shell", choices=SHELLS)

    def run(args: argparse.Namespace, _report: Report) -> None:
        print(completion_text(make(), args.shell))

    parser.set_defaults(run=run)


def completion_text(parser: argparse.ArgumentParser, shell: str) -> str:
    """Make the script for one shell; arguments that are paths are completed by the names of files."""
    import shtab

    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell=shell)
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
