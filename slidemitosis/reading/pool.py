"""Patches of many candidates, read by worker processes into shared memory.

The workers know numpy, Pillow and the readers of slides, never torch. They live as long as their pool,
for one slide after another; each one holds its own open slide, since slide handles cannot cross
processes.

Windows come in an order in which neighbours share tiles. Each worker gets a stretch of them, so that a tile
is decoded by one worker alone. A worker that is done with its own takes from the end of the longest stretch.
Where several batches are joined to be computed at once, as many workers share a stretch: one alone would be
long about each, all would be done with theirs at about the same time, and a GPU would wait.
Batches come out as they are finished. Every patch depends on its window alone, and every batch on its number
alone, so that results are the same for any number of workers.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from slidemitosis.errors import ReadingFailed, SlideMitosisError, UnreadableSlide
from slidemitosis.interrupts import interrupts_wait, processes_start
from slidemitosis.options.compute import MOST_WORKERS
from slidemitosis.reading import memory
from slidemitosis.reading.batches import Batch
from slidemitosis.reading.processes import GONE, Child, bury, end, listen, send, start_process
from slidemitosis.reading.slots import SlotLayout, Slots
from slidemitosis.reading.worker import ReopeningSlide, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slidemitosis.reading.windows import Window
    from slidemitosis.slides.slide import Slide

log = logging.getLogger(__name__)

# Jobs that a worker may hold: one that it reads, one that waits so that it never idles.
_DEPTH = 2
# Deaths after which a slide is given up: the machine is out of memory, or the library is broken.
_MOST_DEATHS = 20
_NO_ROW = -1
STILLNESS = 300.0
"""Seconds that a reader process may be at one figure, or at opening a slide, before it is taken for hung."""
_LOOKS = 20
"""How often within that time it is looked at."""


class _Reading:
    """The windows of one slide, and which batches of them are still to be read."""

    def __init__(
        self,
        open_slide: Callable[[], Slide],
        windows: Sequence[Window],
        *,
        batch_size: int,
        workers: int,
        joined: int,
    ) -> None:
        self.open_slide = open_slide
        self.windows = windows
        self.batch_size = batch_size
        self.count = -(-len(windows) // batch_size)
        self.deaths = 0
        self.waiting: deque[_Job] = deque()
        """Jobs of workers that died, to be done again."""
        self.workers = max(1, min(workers, self.count))
        parts = -(-self.workers // joined)
        borders = [self.count * k // parts for k in range(parts + 1)]
        self._stretches = [deque(range(a, b)) for a, b in itertools.pairwise(borders)]

    def rows(self, number: int) -> range:
        """Return the positions of a batch's windows."""
        first = number * self.batch_size
        return range(first, min(first + self.batch_size, len(self.windows)))

    def next_job(self, worker: int) -> _Job | None:
        """Return what the worker at this position should do next; None if nothing is left."""
        if self.waiting:
            return self.waiting.popleft()
        own = self._stretches[worker % len(self._stretches)] if worker < self.workers else deque[int]()
        if own:
            return _Job(self, own.popleft())
        longest = max(self._stretches, key=len)
        return _Job(self, longest.pop()) if longest else None


@dataclass(slots=True)
class _Job:
    """One batch, from the moment that a worker is to read it."""

    reading: _Reading
    number: int
    slot: int = -1
    """Place in the memory of the worker that has the job."""
    failures: dict[int, str] = field(default_factory=dict)
    """Row of the batch -> reason."""
    deaths_at: dict[int, int] = field(default_factory=dict)
    """Row of the batch -> how often a worker has died while reading it."""
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Worker(Child):
    slots: Slots
    """Its own shared memory, which the worker that replaces it takes over."""
    free: list[int]
    """Numbers of the slots that no job has."""
    jobs: deque[_Job] = field(default_factory=deque)
    reading: _Reading | None = None
    """The reading whose slide it has been told to open."""
    ready: bool = False
    """Whether it has said that it has started."""
    place: object = None
    """The figure at which it was seen last."""
    still: float = 0.0
    """Seconds that it has been seen there."""
    hung: bool = False
    """Whether it was ended since it had been there for too long."""


def workers_with_room(*, patch: int, batch_size: int) -> int:
    """Return how many reader processes find shared memory, 1 or more, if others take as much as they do.

    A container has 64 MB of it unless more is asked for.
    """
    free, each = memory.free(), SlotLayout(_DEPTH + 1, batch_size, patch)
    return MOST_WORKERS if free is None else max(1, free // 2 // (each.count * each.slot_bytes))


class ReaderPool:
    """Reader processes for the patches of one slide after another.

    Use it as a context manager. `workers` 0 reads in this process, which suits debugging and scripts
    without an `if __name__ == "__main__"` guard. Processes start when there is work for them.

    joined: number of batches that are computed at once, see `batches.gathered`.
    """

    def __init__(self, *, patch: int, batch_size: int, workers: int, joined: int = 1) -> None:
        self.batch_size = batch_size
        self._joined = joined
        self._most = workers
        self._layout = SlotLayout(_DEPTH + 1, batch_size, patch)
        self._workers: list[_Worker] = []
        self._reading: _Reading | None = None
        self._finished: deque[tuple[_Worker, _Job]] = deque()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and give back the shared memory. Nothing can be read afterwards."""
        self._closed = True
        self._stop()

    def read(self, open_slide: Callable[[], Slide], windows: Sequence[Window]) -> Iterator[Batch]:
        """Begin to read; return an iterator over the batches in the order in which they are finished.

        `open_slide` is called in every worker and must be picklable. What is left of an earlier slide is
        dropped. Raises, here or while iterating: UnreadableSlide if a worker cannot open the slide,
        ReadingFailed if workers cannot start or keep dying.
        """
        if self._closed:
            raise ReadingFailed(
                "these reader processes have ended: read within the `with` block of their pool"
            )
        reading = _Reading(
            open_slide, windows, batch_size=self.batch_size, workers=self._most, joined=self._joined
        )
        with self._stopped_if_broken_off():
            for worker, job in self._finished:
                worker.free.append(job.slot)
            self._finished.clear()
            self._close_slide()
            self._reading = reading
            if self._most and windows:
                self._start_workers(reading.workers)
                self._hand_out(reading)
        return self._batches(reading) if self._most else self._read_here(reading)

    def _batches(self, reading: _Reading) -> Iterator[Batch]:
        for _ in range(reading.count):
            if self._reading is not reading:
                raise ReadingFailed("another slide has been begun: one pool reads one slide at a time")
            with self._stopped_if_broken_off():
                while not self._finished:
                    self._listen(reading)
                worker, job = self._finished.popleft()
                batch = self._batch(worker, job)
                worker.free.append(job.slot)
                self._hand_out(reading)
            yield batch
        with self._stopped_if_broken_off():
            self._close_slide()

    def _close_slide(self) -> None:
        """Let the workers close the slide, so that its file can be moved, and forget its tiles."""
        self._reading = None
        for worker in self._workers:
            if worker.reading is not None:
                worker.reading = None
                send(worker.connection, ("slide", None))

    @contextlib.contextmanager
    def _stopped_if_broken_off(self) -> Iterator[None]:
        """End all workers if the block is broken off, since a message to or from them may have been lost.

        New workers then read the next slide. A slide that cannot be opened leaves the workers as they are.
        """
        try:
            yield
        except BaseException as e:
            if isinstance(e, ReadingFailed) or not isinstance(e, SlideMitosisError):
                with interrupts_wait():
                    self._stop()
            raise

    def _batch(self, worker: _Worker, job: _Job) -> Batch:
        rows = job.reading.rows(job.number)
        good = [i for i in range(len(rows)) if i not in job.failures]
        pixels = worker.slots.take(job.slot, len(rows))
        return Batch(
            number=job.number,
            indices=np.array([rows[i] for i in good], dtype=np.int64),
            pixels=pixels[good] if job.failures else pixels,
            unreadable=tuple((rows[i], reason) for i, reason in sorted(job.failures.items())),
            read_seconds=job.seconds,
        )

    def _start_workers(self, number: int) -> None:
        """Start workers until there are `number` of them."""
        with processes_start():
            while len(self._workers) < number:
                slots = Slots(self._layout)
                try:
                    self._workers.append(self._start_worker(slots))
                except BaseException:
                    slots.remove()
                    raise

    def _start_worker(self, slots: Slots) -> _Worker:
        try:
            started = start_process(work, self._layout, slots.name, name="slidemitosis reader", daemon=True)
        except OSError as e:
            raise ReadingFailed(
                f"no reader process can be started: {e.strerror or e}; use --workers 0 or fewer"
            ) from e
        return _Worker(*started, slots, list(range(self._layout.count)))

    def _hand_out(self, reading: _Reading) -> None:
        """Give every worker work up to its depth, the least busy first."""
        while True:
            able = [i for i, w in enumerate(self._workers) if len(w.jobs) < _DEPTH and w.free]
            if not able:
                return
            position = min(able, key=lambda i: len(self._workers[i].jobs))
            job = reading.next_job(position)
            if job is None:
                return
            self._send(self._workers[position], job)

    def _send(self, worker: _Worker, job: _Job) -> None:
        reading = job.reading
        job.slot = worker.free.pop()
        worker.jobs.append(job)
        rows = enumerate(reading.rows(job.number))
        windows = [(row, reading.windows[i]) for row, i in rows if row not in job.failures]
        # The slot still holds the last job's row; a worker that dies before it begins died of none.
        worker.slots.set_row(job.slot, _NO_ROW)
        # A worker that has just died takes nothing; _listen finds that out and redoes its jobs.
        if worker.reading is not reading:
            worker.reading = reading
            send(worker.connection, ("slide", reading.open_slide))
        send(worker.connection, ("job", (job.slot, windows)))

    def _listen(self, reading: _Reading) -> None:
        """Wait until a worker says something or dies, and note the jobs that are finished by it."""
        began = time.monotonic()
        for worker, message in listen(self._workers, timeout=STILLNESS / _LOOKS):
            if message is GONE:
                self._replace(worker, reading)
                continue
            kind, value = message
            if kind == "ready":
                worker.ready = True
                continue
            job = worker.jobs.popleft()
            if job.reading is not reading:  # a slide that was given up
                worker.free.append(job.slot)
            elif kind == "cannot open":
                worker.free.append(job.slot)
                raise value
            else:
                failures, seconds = value
                job.failures.update(failures)
                job.seconds += seconds
                self._finished.append((worker, job))
        # At most the time between two looks: the machine may have slept, or the whole run been stopped.
        self._end_the_hung(min(time.monotonic() - began, STILLNESS / _LOOKS))
        self._hand_out(reading)

    def _end_the_hung(self, seconds: float) -> None:
        """End each worker that has been at one place for too long, `seconds` of it since it was last looked
        at.

        It is then replaced as any that dies.
        """
        for worker in self._workers:
            job = worker.jobs[0] if worker.jobs else None
            place = job and (id(job), worker.slots.row(job.slot))
            worker.still = worker.still + seconds if place == worker.place and job else 0.0
            worker.place = place
            if worker.still > STILLNESS and not worker.hung:
                worker.hung = True
                log.warning(
                    "a reader process did nothing for %.0f s, and was ended; does the slide's disk answer?",
                    STILLNESS,
                )
                worker.process.kill()

    def _replace(self, worker: _Worker, reading: _Reading) -> None:
        """Replace a dead worker and let its jobs be done again.

        A candidate at which two workers died is unreadable.
        """
        code = bury(worker)
        how = f"did nothing for {STILLNESS:.0f} s" if worker.hung else f"exit code {code}"
        # If others have started, one that was killed at its start is only to be replaced.
        if not any(w.ready for w in self._workers):
            remedy = (
                'in a script, call slidemitosis under `if __name__ == "__main__":`, or pass workers=0'
                if code and code > 0
                else "is there enough memory? Fewer --workers need less"
            )
            raise ReadingFailed(f"a reader process ended at its start ({how}); {remedy}")
        reading.deaths += 1
        if reading.deaths > _MOST_DEATHS:
            raise ReadingFailed(
                f"reader processes died {reading.deaths} times (at last: {how}); "
                "is there enough memory, and does the slide's disk answer? Fewer --workers need less"
            )
        jobs = [job for job in worker.jobs if job.reading is reading]
        with interrupts_wait():
            successor = self._start_worker(worker.slots)
            self._workers[self._workers.index(worker)] = successor
        held = [job for w, job in self._finished if w is worker]
        successor.free = [s for s in successor.free if s not in {job.slot for job in held}]
        self._finished = deque((successor if w is worker else w, job) for w, job in self._finished)
        if jobs and self._step_over(worker, jobs[0], how):
            done = jobs.pop(0)
            successor.free.remove(done.slot)
            self._finished.append((successor, done))
        reading.waiting.extendleft(reversed(jobs))

    def _step_over(self, worker: _Worker, job: _Job, how: str) -> bool:
        """Note at which row the worker died; return whether nothing of the job remains to be read.

        The other rows are all read again, since the dead worker never said which of them it could not read.
        """
        row = worker.slots.row(job.slot)
        if row != _NO_ROW:
            job.deaths_at[row] = job.deaths_at.get(row, 0) + 1
            if job.deaths_at[row] >= 2:
                job.failures[row] = f"two reader processes died while reading it ({how})"
        return len(job.failures) == len(job.reading.rows(job.number))

    def _read_here(self, reading: _Reading) -> Iterator[Batch]:
        with contextlib.closing(ReopeningSlide(reading.open_slide, self._layout.patch)) as reader:
            for number in range(reading.count):
                started = time.perf_counter()
                indices, pixels, unreadable = [], [], []
                for row in reading.rows(number):
                    try:
                        pixels.append(reader.read(reading.windows[row]))
                        indices.append(row)
                    except UnreadableSlide as e:
                        unreadable.append((row, str(e)))
                yield Batch(
                    number=number,
                    indices=np.array(indices, dtype=np.int64),
                    pixels=np.array(pixels, np.uint8).reshape(-1, self._layout.patch, self._layout.patch, 3),
                    unreadable=tuple(unreadable),
                    read_seconds=time.perf_counter() - started,
                )

    def _stop(self) -> None:
        """End the workers and give back the shared memory."""
        end(self._workers, at_once=True)
        for worker in self._workers:
            worker.slots.remove()
        self._workers = []
        self._finished.clear()
        self._reading = None
