"""Hold back Ctrl-C and SIGTERM where half of a thing would be worse than all or nothing of it."""

from __future__ import annotations

import contextlib
import signal
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def processes_start() -> Iterator[None]:
    """Do as `interrupts_wait` in a block that starts processes: none of them takes its parent's Ctrl-C."""
    if hasattr(signal, "pthread_sigmask"):
        # Python would start this process with the first of them, and let interrupts through from then on.
        resource_tracker.ensure_running()
    with interrupts_wait():
        yield


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM take effect after the block.

    Where the system can block signals, processes that are started in the block cannot take a Ctrl-C that is
    meant for their parent; but see `processes_start`. Threads other than the main one get no signals: there
    the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda number, _frame: came.append(number)) for kind in kinds}
    can_block = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if can_block else set()
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
