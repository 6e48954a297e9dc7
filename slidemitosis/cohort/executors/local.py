"""Slides classified at the same time by several processes of this machine.

Each has a pipe of its own, takes one slide at a time, and holds that slide's lock itself. A process that dies
takes one slide with it, which is recorded as failed; another takes its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing as mp
import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, Any

from slidemitosis.cohort.executors.events import Ended, Held, Message, Progress
from slidemitosis.cohort.slides import Outcome
from slidemitosis.errors import ModelError, ReadingFailed, SlideMitosisError
from slidemitosis.interrupts import interrupts_wait, processes_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from slidemitosis.cohort.executors.events import Event
    from slidemitosis.cohort.job import CohortPlan
    from slidemitosis.cohort.slides import CohortSlide

_PROGRESS_EVERY = 0.2  # seconds
_PATIENCE = 10  # seconds that a process is given to end by itself
_MOST_EARLY_DEATHS = 3


@dataclass(slots=True)
class _Process:
    process: SpawnProcess
    connection: Connection
    slide: CohortSlide | None = None
    started: bool = False
    """Whether it has said that it is ready; what it dies of then is the slide that it has."""


class LocalJobs:
    """Processes of this machine. Use it as a context manager."""

    def __init__(self, plan: CohortPlan, *, processes: int, threads: int) -> None:
        self._plan = plan
        self._most = processes
        self._threads = threads
        self._processes: list[_Process] = []
        self._early_deaths = 0

    def __enter__(self) -> LocalJobs:
        return self

    def __exit__(self, *_: object) -> None:
        with interrupts_wait():
            self._stop()

    def run(self, slides: Sequence[CohortSlide], *, wait: bool) -> Iterator[Event]:
        """Do these slides, and say what happens. `wait` for those that another run holds, or pass them by."""
        todo = deque(slides)
        busy = 0
        while todo or busy:
            while todo and (worker := self._idle()) is not None:
                worker.slide = todo.popleft()
                # One that has died takes nothing; that is found out below.
                with contextlib.suppress(OSError):
                    worker.connection.send((worker.slide, wait))
            busy = sum(p.slide is not None for p in self._processes)
            if busy:
                yield from self._listen(todo)
            busy = sum(p.slide is not None for p in self._processes)

    def _idle(self) -> _Process | None:
        """A process without a slide; a new one where more are allowed."""
        idle = next((p for p in self._processes if p.slide is None), None)
        if idle is None and len(self._processes) < self._most:
            with processes_start():
                idle = self._start()
                self._processes.append(idle)
        return idle

    def _start(self) -> _Process:
        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        # Not a daemon: it has reader processes of its own.
        process = context.Process(
            target=_serve, args=(theirs, self._plan, self._threads), name="slidemitosis slide"
        )
        process.start()
        theirs.close()
        return _Process(process, ours)

    def _listen(self, todo: deque[CohortSlide]) -> Iterator[Event]:
        by_connection: dict[Any, _Process] = {p.connection: p for p in self._processes}
        for connection in wait_for(list(by_connection)):
            worker = by_connection[connection]
            try:
                event: Event | SlideMitosisError | None = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker, todo)
                continue
            worker.started = True
            if event is None:
                continue
            if isinstance(event, SlideMitosisError):
                raise event
            if isinstance(event, Ended | Held):
                worker.slide = None
            yield event

    def _bury(self, worker: _Process, todo: deque[CohortSlide]) -> Iterator[Event]:
        """A process has died. If it had begun with a slide, it is that slide's failure."""
        worker.process.join(_PATIENCE)
        self._processes.remove(worker)
        code, slide = worker.process.exitcode, worker.slide
        worker.connection.close()
        if not worker.started:
            self._early_deaths += 1
            if self._early_deaths > _MOST_EARLY_DEATHS:
                raise ReadingFailed(
                    f"processes for slides do not start (exit code {code}); see the error above"
                )
            if slide is not None:
                todo.appendleft(slide)
        elif slide is not None:
            cause = f"the process that classified it died ({_death(code)})"
            yield Ended(slide, Outcome("failed", "process", cause))

    def _stop(self) -> None:
        # A process that finds its pipe closed ends in good order; one that does not look is ended.
        for p in self._processes:
            p.connection.close()
        deadline = time.monotonic() + _PATIENCE
        for p in self._processes:
            p.process.join(max(0.0, deadline - time.monotonic()))
            if p.process.is_alive():
                p.process.kill()
                p.process.join()
        self._processes.clear()


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}; the memory may have run out" if name == "SIGKILL" else name


class _ParentGone(KeyboardInterrupt):
    """Whoever wanted this slide is no more: an interrupt, so that nothing takes it for the slide's fault."""


def _serve(connection: Connection, plan: CohortPlan, threads: int) -> None:
    """A process's life: a slide comes, how it ended goes."""
    # Ctrl-C goes to all processes of a terminal; the one that began this says what is to become of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    log = logging.getLogger("slidemitosis")
    log.setLevel(logging.INFO)
    log.propagate = False
    from slidemitosis.cohort.job import SlideJobs  # noqa: PLC0415 - after the number of threads is set

    if threads == 1 and plan.compute.workers is None:
        # With a processor for each slide, a reader process would only take turns with the one that computes.
        plan = dataclasses.replace(plan, compute=dataclasses.replace(plan.compute, workers=0))
    with contextlib.suppress(_ParentGone):
        try:
            jobs = SlideJobs(plan)
        except SlideMitosisError as e:
            _send(connection, e)
            return
        try:
            _send(connection, None)
            _answer(connection, jobs, log)
        finally:
            jobs.close()


def _answer(connection: Connection, jobs: Any, log: logging.Logger) -> None:
    from slidemitosis.cohort.store import HeldElsewhere  # noqa: PLC0415

    while True:
        try:
            slide, wait = connection.recv()
        except (EOFError, OSError):
            return
        handler = _ToParent(connection, slide)
        log.addHandler(handler)
        try:
            event: Event | SlideMitosisError = Ended(
                slide, jobs.run(slide, wait=wait, progress=_Teller(connection, slide))
            )
        except HeldElsewhere:
            event = Held(slide)
        except (ModelError, OSError, SlideMitosisError) as e:
            event = e if isinstance(e, SlideMitosisError) else ReadingFailed(f"{slide.name}: {e}")
        finally:
            log.removeHandler(handler)
        _send(connection, event)


class _Teller:
    """Tells the parent of progress, not more often than anybody looks."""

    def __init__(self, connection: Connection, slide: CohortSlide) -> None:
        self._connection, self._slide = connection, slide
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last >= _PROGRESS_EVERY:
            self._last = now
            _send(self._connection, Progress(self._slide, done, total))


class _ToParent(logging.Handler):
    """What the library logs about a slide, for the parent to show."""

    def __init__(self, connection: Connection, slide: CohortSlide) -> None:
        super().__init__(logging.INFO)
        self._connection, self._slide = connection, slide

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._connection, Message(self._slide, record.levelname.lower(), record.getMessage()))


def _send(connection: Connection, event: object) -> None:
    try:
        connection.send(event)
    except OSError:
        raise _ParentGone from None
