"""The command `slidemitosis`, and `python -m slidemitosis`: Ctrl-C ends both without a traceback.

It stands apart from the command line itself, since each process that Python spawns imports this module anew.
"""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Load and run the command line; the exit code."""
    try:
        from slidemitosis.cli import main  # noqa: PLC0415 - what is loaded may be interrupted

        return main()
    except KeyboardInterrupt:  # before `main` can answer it, or after
        print("slidemitosis: error: interrupted", file=sys.stderr)
        return 130
    finally:
        # All is done and said. While Python takes itself apart it could only print where a Ctrl-C found it.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(run())
