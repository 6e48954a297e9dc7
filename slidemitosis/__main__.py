"""The command `slidemitosis`, and `python -m slidemitosis`: Ctrl-C ends both without a traceback.

It stands apart from the command line itself, since each process that Python spawns imports this module anew.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def run() -> int:
    """Load and run the command line; the exit code."""
    _have_streams()
    try:
        from slidemitosis.cli import INTERRUPTED, main  # noqa: PLC0415 - what is loaded may be interrupted

        code = main()
        return _end_interrupted(code) if code == INTERRUPTED else code
    except (MemoryError, ImportError, OSError) as e:  # while it is loaded; `main` answers what comes later
        from slidemitosis.limits import lacking  # noqa: PLC0415

        if (what := lacking(e)) is None:
            raise
        print(f"slidemitosis: error: {what}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before `main` can answer it, or after
        print("slidemitosis: error: interrupted", file=sys.stderr)
        _end_interrupted(130)
    finally:
        # All is done and said. While Python takes itself apart it could only print where a Ctrl-C found it.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_interrupted(code: int) -> NoReturn:
    """End the process with this code.

    Python ends itself by SIGINT, whatever is returned, once a KeyboardInterrupt has come through the text of
    a program that was being run, as the making of any dataclass is: it takes the interrupt for unanswered.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _have_streams() -> None:
    """Open the standard streams that are closed, as in a service or without a console, to nowhere.

    Python then has None in their place, and the system gives their numbers to the next files that are opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    sys.exit(run())
