"""Ctrl-C and SIGTERM, held back where half of a thing would be worse than all or nothing of it."""

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
    """`interrupts_wait` for a block that starts processes: none of them can take their parent's Ctrl-C."""
    if hasattr(signal, "pthread_sigmask"):
        # Python would start this one with the first of them, and let interrupts through from then on.
        resource_tracker.ensure_running()
    with interrupts_wait():
        yield


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM take effect after the block.

    Processes that are started in the block cannot take a Ctrl-C that is meant for their parent, where
    the system can block signals; but see `processes_start`. In other threads than the main one, which get
    no signals, the block runs as it is.
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
