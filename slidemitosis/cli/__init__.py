"""The command `slidemitosis`: words in, calls out. Nothing but `__main__` imports this module.

Exit codes: 0 done; 2 bad input or options, one line says what; 3 some slides of a cohort are not done;
130 interrupted.
"""

from __future__ import annotations

import _thread
import argparse
import functools
import io
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from slidemitosis._version import __version__
from slidemitosis.cli.bench import add_bench
from slidemitosis.cli.cohort import add_cohort
from slidemitosis.cli.convert import add_convert
from slidemitosis.cli.models import add_models
from slidemitosis.cli.patches import add_patches
from slidemitosis.cli.qupath import add_qupath
from slidemitosis.cli.report import LogToReport, Report
from slidemitosis.cli.review import add_count
from slidemitosis.cli.review_page import add_review
from slidemitosis.cli.slides import add_classify, add_demo, add_inspect
from slidemitosis.cli.training import add_calibrate, add_compare, add_data, add_evaluate, add_train, add_tune
from slidemitosis.errors import SlideMitosisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sys import UnraisableHookArgs
    from types import FrameType


class _Parser(argparse.ArgumentParser):
    """One line for a wrong option, rather than the whole usage."""

    def error(self, message: str) -> NoReturn:
        print(f"slidemitosis: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    args = _parser().parse_args(argv)
    report = Report(getattr(args, "progress", "none"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path that the terminal cannot show
    log = logging.getLogger("slidemitosis")
    handler = LogToReport(report)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    # A program that starts this one ends it by SIGTERM; temporary files and workers must go then too.
    before = signal.signal(signal.SIGTERM, _interrupt)
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_raise_again, report, hook)
    try:
        return args.run(args, report) or 0
    except SlideMitosisError as e:
        report.close()
        report.message("error", " ".join(str(e).split()))
        return 2
    except KeyboardInterrupt as e:
        report.close()
        report.message("error", f"interrupted; {e if e.args else report.outcome}")
        return 130
    except BrokenPipeError:
        # Whoever reads our output, `head` say, has gone; what was asked for is done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
        log.removeHandler(handler)
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _raise_again(
    report: Report, otherwise: Callable[[UnraisableHookArgs], object], what: UnraisableHookArgs
) -> None:
    """An interrupt that came where nothing can be raised, as in a callback of a weak reference, comes again.

    Python would print it and go on as if it had not been.
    """
    if not issubclass(what.exc_type, KeyboardInterrupt):
        otherwise(what)
    elif not report.is_done:
        threading.Timer(0.01, _thread.interrupt_main).start()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="slidemitosis", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"slidemitosis {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_classify(commands.add_parser("classify", help="classify the candidates of one slide"))
    add_cohort(commands.add_parser("cohort", help="classify the candidates of many slides, and go on"))
    add_count(
        commands.add_parser("count", help="count what persons said of figures, beside the model's rate")
    )
    add_review(commands.add_parser("review", help="look at figures and say what they are"))
    add_inspect(commands.add_parser("inspect", help="show what would be read; classify nothing"))
    add_patches(commands.add_parser("patches", help="classify patches that are cut already"))
    add_convert(commands.add_parser("convert", help="candidates of any format as GeoJSON or CSV"))
    add_models(commands.add_parser("models", help="list the models that come with this package"))
    add_bench(commands.add_parser("bench", help="where the time goes on your slide and machine"))
    add_demo(commands.add_parser("demo", help="draw a small slide and classify it"))
    add_qupath(commands.add_parser("qupath", help="the scripts for QuPath: install, or show where"))
    add_train(commands.add_parser("train", help="train a recipe's models on labelled figures"))
    add_evaluate(commands.add_parser("evaluate", help="score models on labelled figures"))
    add_calibrate(commands.add_parser("calibrate", help="adapt a model's rates to your own labelled figures"))
    add_compare(commands.add_parser("compare", help="compare runs by their scores on the same figures"))
    add_tune(commands.add_parser("tune", help="look for a recipe's best numbers on its folds"))
    add_data(commands.add_parser("data", help="look at labelled figures before training"))
    return parser


_DESCRIPTION = (
    "Classify candidate mitoses on whole-slide images as normal or atypical mitotic figures. "
    "For research use only."
)
