"""The command `slidemitosis`: words in, calls out. Nothing but `__main__` imports this module.

Exit codes: 0 done; 2 bad input or options, one line says what; 3 some slides of a cohort are not done, or a
second run differs; 130 interrupted.
"""

from __future__ import annotations

import _thread
import errno
import functools
import io
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from slidemitosis._version import __version__
from slidemitosis.cli.bench import add_bench
from slidemitosis.cli.cohort import add_cohort
from slidemitosis.cli.completion import add_completion
from slidemitosis.cli.convert import add_convert
from slidemitosis.cli.count import add_count
from slidemitosis.cli.doctor import add_doctor
from slidemitosis.cli.examples import EXAMPLES
from slidemitosis.cli.models import add_models
from slidemitosis.cli.pages import add_report
from slidemitosis.cli.parser import Parser
from slidemitosis.cli.patches import add_patches
from slidemitosis.cli.qupath import add_qupath
from slidemitosis.cli.report import LogToReport, Report
from slidemitosis.cli.rerun import add_rerun
from slidemitosis.cli.review_page import add_review
from slidemitosis.cli.slides import add_classify, add_demo, add_inspect
from slidemitosis.cli.training import add_calibrate, add_compare, add_data, add_evaluate, add_train, add_tune
from slidemitosis.errors import SlideMitosisError
from slidemitosis.interrupts import INTERRUPTS
from slidemitosis.limits import lacking

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from sys import UnraisableHookArgs
    from types import FrameType


INTERRUPTED = 130
"""Exit code after Ctrl-C and its like."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    args = _parser().parse_args(argv)
    report = Report(getattr(args, "progress", "none"), log=getattr(args, "log", None))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path that the terminal cannot show
    log = logging.getLogger("slidemitosis")
    handler = LogToReport(report)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    # However it is ended, by the program that started it or by a terminal that closes: temporary files and
    # workers must go then too. What is ignored, as by nohup, stays so.
    before = {
        kind: signal.signal(kind, _interrupt)
        for kind in INTERRUPTS
        if signal.getsignal(kind) not in (signal.SIG_IGN, signal.default_int_handler)
    }
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_raise_again, report, hook)
    try:
        report.open_log()
        code = args.run(args, report) or 0
        sys.stdout.flush()
        return int(code)
    except SlideMitosisError as e:
        report.close()
        report.message("error", " ".join(str(e).split()))
        return 2
    except KeyboardInterrupt as e:
        report.close()
        report.message("error", f"interrupted; {e if e.args else report.outcome}")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads our output, `head` say, has gone; what was asked for is done.
        _drop_output()
    except Exception as e:
        told = _told(e, report)
        if told is None:
            raise
        report.close()
        report.message("error", told)
        return 2
    finally:
        sys.unraisablehook = hook
        for kind, earlier in before.items():
            signal.signal(kind, earlier)
        log.removeHandler(handler)
        report.close_log()
    return 0


def _told(e: Exception, report: Report) -> str | None:
    """Say in one line what the system does not give, such as memory; None for a fault of this program."""
    if (what := lacking(e)) is not None:
        return f"{what}; {report.outcome}"
    if not isinstance(e, OSError):
        return None
    # Whatever else is written says what it is.
    if e.filename is None and e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        _drop_output()
        return f"standard output cannot be written: {e.strerror}; {report.outcome}"
    where = f"{e.filename}: " if e.filename else ""
    return f"{where}{e.strerror or e}; {report.outcome}"


def _drop_output() -> None:
    """Let nothing be printed any more, which would fail when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _parser() -> Parser:
    parser = Parser(prog="slidemitosis", description=_DESCRIPTION, examples=_FIRST_STEPS)
    parser.add_argument("--version", action="version", version=f"slidemitosis {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, add, meaning in _COMMANDS:
        described = f"{meaning[0].upper()}{meaning[1:]}."
        add(commands.add_parser(name, help=meaning, description=described, examples=EXAMPLES[name]))
    return parser


_COMMANDS: tuple[tuple[str, Callable[[argparse.ArgumentParser], None], str], ...] = (
    ("classify", add_classify, "classify the candidates of one slide"),
    ("cohort", add_cohort, "classify the candidates of many slides, and go on"),
    ("report", add_report, "make report.html or cohort.html again"),
    ("review", add_review, "look at figures and say what they are"),
    ("count", add_count, "count what persons said of figures, beside the model's rate"),
    ("rerun", add_rerun, "classify a slide again as its summary says, and compare"),
    ("inspect", add_inspect, "show what would be read; classify nothing"),
    ("patches", add_patches, "classify patches that are cut already"),
    ("convert", add_convert, "candidates of any format as GeoJSON or CSV"),
    ("models", add_models, "list the models that come with this package"),
    ("bench", add_bench, "where the time goes on your slide and machine"),
    ("doctor", add_doctor, "what works on this machine, and what to do where something does not"),
    ("demo", add_demo, "draw a small slide and classify it"),
    ("qupath", add_qupath, "the scripts for QuPath: install, or show where"),
    ("train", add_train, "train a recipe's models on labelled figures"),
    ("evaluate", add_evaluate, "score models on labelled figures"),
    ("calibrate", add_calibrate, "adapt a model's rates to your own labelled figures"),
    ("compare", add_compare, "compare runs by their scores on the same figures"),
    ("tune", add_tune, "look for a recipe's best numbers on its folds"),
    ("data", add_data, "look at labelled figures before training"),
    (
        "completion",
        lambda parser: add_completion(parser, _parser),
        "let a shell complete commands and options",
    ),
)

_FIRST_STEPS = ("demo", "classify slide.svs --points slide.geojson", "classify --help")

_DESCRIPTION = (
    "Classify candidate mitoses on whole-slide images as normal or atypical mitotic figures. "
    "For research use only."
)
