"""Classify several slides at the same time, each in a process of this machine.

Each process takes one slide at a time, and holds that slide's lock itself. The slide of a process that dies
is recorded as failed, and a new process, on the same device, takes the next slide.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.cohort.executors.events import Ended, Held, LogTo, Message, Progress
from slidemitosis.cohort.slides import Outcome
from slidemitosis.errors import ModelError, ReadingFailed, SlideMitosisError
from slidemitosis.interrupts import interrupts_wait, leave_interrupts_to_parent, processes_start
from slidemitosis.reading.processes import GONE, Child, bury, end, listen, receive, send, start_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from slidemitosis.cohort.executors.events import Event
    from slidemitosis.cohort.job import CohortPlan
    from slidemitosis.cohort.slides import CohortSlide

_PROGRESS_EVERY = 0.2  # seconds
_MOST_EARLY_DEATHS = 3


@dataclass(slots=True, eq=False, kw_only=True)
class _Process(Child):
    device: str
    slide: CohortSlide | None = None
    started: bool = False
    """Whether it has said that it is ready; from then on it dies of the slide that it has."""


class LocalJobs:
    """An executor: processes of this machine. Use it as a context manager.

    devices: there is one process for each, which computes on it in place of the plan's own device. A name may
    stand there several times.
    """

    def __init__(self, plan: CohortPlan, *, devices: Sequence[str], threads: int) -> None:
        self._plan = plan
        self._free = deque(devices)
        """Devices on which no process computes."""
        self._threads = threads
        self._processes: list[_Process] = []
        self._early_deaths = 0

    def __enter__(self) -> LocalJobs:
        return self

    def __exit__(self, *_: object) -> None:
        with interrupts_wait():
            # A process that finds its pipe closed ends in good order.
            end(self._processes, at_once=False)
            self._processes.clear()

    def run(self, slides: Sequence[CohortSlide], *, wait: bool) -> Iterator[Event]:
        """Do these slides and yield what happens. `wait` for those of another run, or pass them by."""
        todo = deque(slides)
        while todo or any(p.slide is not None for p in self._processes):
            while todo and (worker := self._idle()) is not None:
                worker.slide = todo.popleft()
                send(worker.connection, (worker.slide, wait))  # one that has died is found out below
            yield from self._listen(todo)

    def _idle(self) -> _Process | None:
        """Return a process without a slide, a new one where a device is free; None if all are busy."""
        idle = next((p for p in self._processes if p.slide is None), None)
        if idle is None and self._free:
            device = self._free.popleft()
            plan = _on_device(self._plan, device)
            with processes_start():
                # Not a daemon: it has reader processes of its own.
                process, connection = start_process(
                    _serve, plan, self._threads, name="slidemitosis slide", daemon=False
                )
                idle = _Process(process=process, connection=connection, device=device)
                self._processes.append(idle)
        return idle

    def _listen(self, todo: deque[CohortSlide]) -> Iterator[Event]:
        for worker, event in listen(self._processes):
            if event is GONE:
                yield from self._remove(worker, todo)
                continue
            worker.started = True
            if event is None:
                continue
            if isinstance(event, SlideMitosisError):
                raise event
            if isinstance(event, Ended | Held):
                worker.slide = None
            yield event

    def _remove(self, worker: _Process, todo: deque[CohortSlide]) -> Iterator[Event]:
        """Remove a process that has died. If it had begun with a slide, yield that slide's failure."""
        self._processes.remove(worker)
        self._free.append(worker.device)
        code, slide = bury(worker), worker.slide
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


def _on_device(plan: CohortPlan, device: str) -> CohortPlan:
    return dataclasses.replace(plan, compute=dataclasses.replace(plan.compute, device=device))


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}; the memory may have run out" if name == "SIGKILL" else name


class _ParentGone(KeyboardInterrupt):
    """The parent process has ended: an interrupt, so that nothing takes it for the slide's fault."""


def _serve(connection: Connection, plan: CohortPlan, threads: int) -> None:
    """Run in a process: take slides from the pipe, classify them, and send back how they ended."""
    leave_interrupts_to_parent()
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
            _tell(connection, e)
            return
        try:
            _tell(connection, None)
            _answer(connection, jobs, log)
        finally:
            jobs.close()


def _answer(connection: Connection, jobs: Any, log: logging.Logger) -> None:
    from slidemitosis.cohort.store import HeldElsewhere  # noqa: PLC0415

    while (message := receive(connection)) is not GONE:
        slide, wait = message
        handler = LogTo(lambda *message, slide=slide: _tell(connection, Message(slide, *message)))
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
        _tell(connection, event)


class _Teller:
    """Tell the parent of progress, not more often than anybody looks."""

    def __init__(self, connection: Connection, slide: CohortSlide) -> None:
        self._connection, self._slide = connection, slide
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last >= _PROGRESS_EVERY:
            self._last = now
            _tell(self._connection, Progress(self._slide, done, total))


def _tell(connection: Connection, event: object) -> None:
    if not send(connection, event):
        raise _ParentGone
