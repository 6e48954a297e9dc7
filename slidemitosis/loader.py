"""Patches of many candidates, read by worker processes into shared memory.

The workers know numpy, Pillow and a slide library, never torch. Each one holds its own open slide,
since slide handles cannot cross processes. Jobs go to a worker, and answers come back, through a
pipe of its own: with no queue shared between workers, one that is killed can never leave a lock
behind. Batches come out in the order of the jobs whatever the workers' speed, and every patch
depends on its window alone, so that results are the same for any number of workers.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Self

import numpy as np

from slidemitosis.errors import ReadingFailed, UnreadableSlide
from slidemitosis.interrupts import interrupts_wait
from slidemitosis.slots import SlotLayout, Slots
from slidemitosis.worker import ReopeningSlide, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from numpy.typing import NDArray

    from slidemitosis.geometry import Window
    from slidemitosis.slides import Slide

# Jobs that a worker may hold: one that it reads, one that waits so that it never idles.
_DEPTH = 2
# Deaths after which reading is given up: the machine is out of memory, or the library is broken.
_MOST_DEATHS = 20
_NO_ROW = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches of a few candidates, in the order of reading."""

    indices: NDArray[np.int64]
    """Position of each patch's window in the list given to the loader, (B,)."""
    pixels: NDArray[np.uint8]
    """RGB, (B, patch, patch, 3)."""
    unreadable: tuple[tuple[int, str], ...]
    """(position of the window, reason) of those that could not be read; they are not among the pixels."""
    read_seconds: float
    """Time that the worker took to read this batch."""


@dataclass(slots=True)
class _Job:
    """A batch on its way."""

    number: int
    slot: int
    failures: dict[int, str] = field(default_factory=dict)
    """Row of the batch -> reason."""
    deaths_at: dict[int, int] = field(default_factory=dict)
    """Row of the batch -> how often a worker has died while reading it."""
    seconds: float = 0.0


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    jobs: deque[_Job] = field(default_factory=deque)
    ready: bool = False


class PatchLoader:
    """Read the patches of `windows`, in the order given, in batches.

    Use it as a context manager, and iterate over it once. Reading starts on entering, so that
    whatever the caller still has to load can be loaded meanwhile.

    `open_slide` is called in every worker and must be picklable. `workers` 0 reads in this process,
    which suits debugging and scripts without an `if __name__ == "__main__"` guard.

    Raises, while iterating: UnreadableSlide if a worker cannot open the slide, ReadingFailed if
    workers cannot start or keep dying.
    """

    def __init__(
        self,
        open_slide: Callable[[], Slide],
        windows: Sequence[Window],
        *,
        patch: int,
        batch_size: int,
        workers: int,
    ) -> None:
        self._open_slide = open_slide
        self._windows = windows
        self.batch_size = batch_size
        self._count = -(-len(windows) // batch_size)
        self._worker_count = min(workers, self._count)
        self._workers: list[_Worker] = []
        self._deaths = 0
        self._layout = SlotLayout(self._worker_count * (_DEPTH + 1), batch_size, patch)
        self._slots: Slots | None = None
        self._waiting: deque[_Job] = deque()
        self._unborn = iter(range(self._count))
        self._free_slots: list[int] = []

    def __enter__(self) -> Self:
        if self._worker_count:
            self._slots = Slots(self._layout)
            self._free_slots = list(range(self._layout.count))
            try:
                with interrupts_wait():
                    for _ in range(self._worker_count):
                        self._workers.append(self._start_worker())
                self._hand_out()
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __iter__(self) -> Iterator[Batch]:
        if not self._worker_count:
            yield from self._read_here()
            return
        finished: dict[int, _Job] = {}
        for number in range(self._count):
            while True:
                self._hand_out()
                if number in finished:
                    break
                for job in self._listen():
                    finished[job.number] = job
            job = finished.pop(number)
            batch = self._batch(job)
            self._free_slots.append(job.slot)
            self._hand_out()
            yield batch

    def _rows(self, number: int) -> range:
        first = number * self.batch_size
        return range(first, min(first + self.batch_size, len(self._windows)))

    def _batch(self, job: _Job) -> Batch:
        assert self._slots is not None
        rows = self._rows(job.number)
        good = [i for i in range(len(rows)) if i not in job.failures]
        pixels = self._slots.take(job.slot, len(rows))
        return Batch(
            indices=np.array([rows[i] for i in good], dtype=np.int64),
            pixels=pixels[good] if job.failures else pixels,
            unreadable=tuple((rows[i], reason) for i, reason in sorted(job.failures.items())),
            read_seconds=job.seconds,
        )

    def _start_worker(self) -> _Worker:
        assert self._slots is not None
        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work,
            args=(theirs, self._open_slide, self._layout, self._slots.name),
            name="slidemitosis reader",
            daemon=True,
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self) -> None:
        """Give every worker work up to its depth, the least busy first, the earliest job first."""
        assert self._slots is not None
        while True:
            worker = min(self._workers, key=lambda w: len(w.jobs))
            if len(worker.jobs) >= _DEPTH:
                return
            if self._waiting:
                job = self._waiting.popleft()
            elif self._free_slots and (number := next(self._unborn, None)) is not None:
                job = _Job(number, self._free_slots.pop())
            else:
                return
            worker.jobs.append(job)
            rows = enumerate(self._rows(job.number))
            windows = [(row, self._windows[i]) for row, i in rows if row not in job.failures]
            # The slot still holds the last job's row; a worker that dies before it begins died of none.
            self._slots.set_row(job.slot, _NO_ROW)
            # A worker that has just died takes nothing; _listen finds that out and redoes its jobs.
            with contextlib.suppress(OSError):
                worker.connection.send((job.slot, windows))

    def _listen(self) -> list[_Job]:
        """Wait until something happens; the jobs that are finished by it."""
        by_connection = {w.connection: w for w in self._workers}
        finished = []
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                kind, value = worker.connection.recv()
            except (EOFError, OSError):
                finished += self._bury(worker)
                continue
            if kind == "ready":
                worker.ready = True
            elif kind == "cannot open":
                raise value
            else:
                job = worker.jobs.popleft()
                failures, seconds = value
                job.failures.update(failures)
                job.seconds += seconds
                finished.append(job)
        return finished

    def _bury(self, worker: _Worker) -> list[_Job]:
        """Replace a dead worker and let its jobs be done again.

        A candidate that two workers died of is unreadable. Returns the job if nothing of it is left.
        """
        worker.process.join()
        code = worker.process.exitcode
        if not worker.ready:
            raise ReadingFailed(
                f"a reader process ended at its start (exit code {code}); in a script, call slidemitosis "
                'under `if __name__ == "__main__":`, or pass workers=0'
            )
        self._deaths += 1
        if self._deaths > _MOST_DEATHS:
            raise ReadingFailed(
                f"reader processes died {self._deaths} times (last exit code {code}); "
                "is there enough memory? Fewer --workers need less"
            )
        worker.connection.close()
        finished = []
        jobs = list(worker.jobs)
        if jobs and self._step_over(jobs[0], code):
            finished = [jobs.pop(0)]
        self._waiting.extendleft(reversed(jobs))
        with interrupts_wait():
            self._workers[self._workers.index(worker)] = self._start_worker()
        return finished

    def _step_over(self, job: _Job, code: int | None) -> bool:
        """Note at which row the worker died; True if nothing of the job remains to be read.

        The other rows are all read again: what the dead worker could not read of them it took with it.
        """
        assert self._slots is not None
        row = self._slots.row(job.slot)
        if row != _NO_ROW:
            job.deaths_at[row] = job.deaths_at.get(row, 0) + 1
            if job.deaths_at[row] >= 2:
                job.failures[row] = f"two reader processes died while reading it (exit code {code})"
        return len(job.failures) == len(self._rows(job.number))

    def _read_here(self) -> Iterator[Batch]:
        reader = ReopeningSlide(self._open_slide, self._layout.patch)
        with contextlib.closing(reader):
            for number in range(self._count):
                started = time.perf_counter()
                indices, pixels, unreadable = [], [], []
                for row in self._rows(number):
                    try:
                        pixels.append(reader.read(self._windows[row]))
                        indices.append(row)
                    except UnreadableSlide as e:
                        unreadable.append((row, str(e)))
                yield Batch(
                    indices=np.array(indices, dtype=np.int64),
                    pixels=np.array(pixels, np.uint8).reshape(-1, self._layout.patch, self._layout.patch, 3),
                    unreadable=tuple(unreadable),
                    read_seconds=time.perf_counter() - started,
                )

    def _stop(self) -> None:
        """End the workers, politely and then not, and give back the shared memory."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(0.5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers = []
        if self._slots is not None:
            self._slots.close()
            self._slots.remove()
            self._slots = None
