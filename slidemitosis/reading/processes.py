"""Start child processes with a pipe each, talk with them, find out which have died, and end the others.

With no queue shared between processes, one that is killed can never leave a lock behind. Neither numpy nor
torch is imported here: a process may set its number of threads before it loads them.
"""

from __future__ import annotations

import multiprocessing as mp
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

GONE = object()
"""Stands in place of a message where the process at the other end of a pipe has ended."""
_PATIENCE = 10.0  # seconds that a process whose pipe is closed has to end by itself


@dataclass(slots=True, eq=False)
class Child:
    """A process, and our end of its pipe."""

    process: SpawnProcess
    connection: Connection


_Child = TypeVar("_Child", bound=Child)


def start_process(
    work: Callable[..., None], *args: object, name: str, daemon: bool
) -> tuple[SpawnProcess, Connection]:
    """Start a process that runs `work(its end of the pipe, *args)`; return it and our end of the pipe."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *args), name=name, daemon=daemon)
    process.start()
    theirs.close()
    return process, ours


def send(connection: Connection, message: object) -> bool:
    """Send a message; return False if the process at the other end has ended."""
    try:
        connection.send(message)
    except OSError:
        return False
    return True


def receive(connection: Connection) -> Any:
    """Wait for the next message; return `GONE` if the process at the other end has ended."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return GONE


def listen(children: Iterable[_Child], *, timeout: float | None = None) -> Iterator[tuple[_Child, Any]]:
    """Wait until a child says something or dies; yield each that has, with its message or `GONE`.

    timeout: seconds after which nothing more is waited for.
    """
    by_connection: dict[Any, _Child] = {child.connection: child for child in children}
    for connection in wait(list(by_connection), timeout):
        yield by_connection[connection], receive(by_connection[connection].connection)


def bury(child: Child) -> int | None:
    """Return the exit code of a child that is gone, and close its pipe."""
    child.connection.close()
    child.process.join(_PATIENCE)
    _kill(child)
    return child.process.exitcode


def end(children: Iterable[Child], *, at_once: bool) -> None:
    """Close the pipes of processes, so that they end, or terminate them `at_once`; kill those that remain."""
    children = list(children)
    for child in children:
        child.connection.close()
        if at_once:
            child.process.terminate()
    deadline = time.monotonic() + (0.5 if at_once else _PATIENCE)
    for child in children:
        child.process.join(max(0.0, deadline - time.monotonic()))
        _kill(child)
        if not child.process.is_alive():
            child.process.close()


def _kill(child: Child) -> None:
    """Kill a process that has not ended; one that waits for a dead disk may not end even then."""
    if child.process.is_alive():
        child.process.kill()
        child.process.join(_PATIENCE)
