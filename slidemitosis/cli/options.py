"""Make the options of the command line from the fields of ReadOptions, ComputeOptions and RateOptions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.options.option import options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from slidemitosis.options.option import Flag

_Options = TypeVar("_Options")
_TITLES = {
    ReadOptions: "reading the slide and its candidates",
    RateOptions: "rates",
    ComputeOptions: "computing",
}
"""Of the group of each class's options in a command's help."""


def add_slide_and_points(parser: argparse.ArgumentParser, *, points_required: bool) -> None:
    """Add the slide and its file of candidates."""
    parser.add_argument("slide", type=Path, help="whole-slide image")
    parser.add_argument(
        "--points",
        type=Path,
        required=points_required,
        metavar="FILE",
        help="candidates: GeoJSON of QuPath, a CSV with x and y, or a file of a detector",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="name of a model or a model folder (default: %(default)s)"
    )


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add how progress is shown."""
    group = parser.add_argument_group("progress")
    group.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="on standard error; bar: a line every ten seconds where that is no terminal; "
        "json: one object a line, for programs (default: %(default)s)",
    )
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="add messages and progress to this file, each with its time"
    )


def add_options(
    parser: argparse._ActionsContainer, kind: type, *, only: Collection[str] = (), but: Collection[str] = ()
) -> None:
    """Add the flags of a class of options, as a group: of all fields, of those in `only`, or all but `but`.

    A command that has a few of them alone shows these among its own options.
    """
    group = parser if only else parser.add_argument_group(_TITLES[kind])
    for name, stated in options_of(kind):
        if name not in but and (not only or name in only):
            for flag in stated.flags:
                _add_flag(group, flag)


def _add_flag(parser: argparse._ActionsContainer, flag: Flag) -> None:
    further: dict[str, Any] = {"help": flag.meaning, "dest": flag.name}
    if flag.default is False:
        parser.add_argument(flag.word, action="store_true", **further)
        return
    if flag.choices:
        further["choices"] = flag.choices
    if flag.repeated:
        further |= {"action": "append", "default": []}
    else:
        further |= {"default": flag.default, "type": told_by_argparse(flag.parse), "nargs": flag.numbers}
    parser.add_argument(flag.word, metavar=flag.metavar, **further)


def told_by_argparse(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let the user see the message of a ValueError; of a plain number argparse's own says it."""
    if parse in (int, float, str):
        return parse

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(str(e)) from None

    return parsed


def options_given(args: argparse.Namespace, kind: type[_Options]) -> _Options:
    """Make a value of a class of options from what the command line says; other fields have their default.

    Raises InvalidOption.
    """
    given: dict[str, Any] = {}
    for name, stated in options_of(kind):
        values = [getattr(args, flag.name) for flag in stated.flags if hasattr(args, flag.name)]
        if values:
            value = stated.combine(*values) if stated.combine else values[0]
            given[name] = tuple(value) if isinstance(value, list) else value
    return kind(**given)
