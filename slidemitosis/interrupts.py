"""Hold back Ctrl-C and its like where half of a thing would be worse than all or nothing of it."""

from __future__ import annotations

import contextlib
import signal
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


_OF_TERMINAL = {getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)}
"""What a terminal sends to every process in it: for Ctrl-C, for Ctrl-\\, and when it is closed."""
INTERRUPTS = (*_OF_TERMINAL, signal.SIGTERM)
"""What ends a run in good order."""


def leave_interrupts_to_parent() -> None:
    """Let a process ignore what a terminal sends: its parent decides, and ends it."""
    for kind in _OF_TERMINAL:
        signal.signal(kind, signal.SIG_IGN)


@contextlib.contextmanager
def processes_start() -> Iterator[None]:
    """Do as `interrupts_wait` in a block that starts processes: none of them takes its parent's Ctrl-C."""
    if hasattr(signal, "pthread_sigmask"):
        # Python would start this process with the first of them, and let interrupts through from then on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINAL - {signal.SIGINT})
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with interrupts_wait():
        yield


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let interrupts take effect after the block.

    Where the system can block signals, processes that are started in the block cannot take what a terminal
    sends, which is meant for their parent; but see `processes_start`. Threads other than the main one get no
    signals: there the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # One that is ignored, as by nohup, stays so.
    kinds = [kind for kind in INTERRUPTS if signal.getsignal(kind) is not signal.SIG_IGN]
    before = {kind: signal.signal(kind, lambda number, _frame: came.append(number)) for kind in kinds}
    can_block = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINAL) if can_block else set()
    try:
        yield
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for kind, handler in before.items():
            # None is a handler that was not set from Python, and cannot be set again from it.
            signal.signal(kind, signal.SIG_DFL if handler is None else handler)
        for number in came:
            signal.raise_signal(number)
