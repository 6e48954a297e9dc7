"""Classify slides on the workers of a Dask cluster, in folders that all machines share.

Each worker has one slide at a time, which uses all of its threads. If a worker is lost, another does its
slide again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pickle
import queue
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis._version import __version__
from slidemitosis.cohort.executors import dask_worker
from slidemitosis.cohort.executors.events import Ended, Held, Message, Progress
from slidemitosis.cohort.slides import Outcome
from slidemitosis.cohort.store import CohortStore
from slidemitosis.errors import ClusterFailed, OutputError, SlideMitosisError
from slidemitosis.models.local import chosen_card
from slidemitosis.models.shipped import shipped_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client, Future

    from slidemitosis.cohort.executors.events import Event
    from slidemitosis.cohort.job import CohortPlan
    from slidemitosis.cohort.slides import CohortSlide

log = logging.getLogger(__name__)

GPU = "GPU"
"""Name of a resource: a worker offers one for each GPU that it may use."""
_LOOK_EVERY = 1.0  # seconds between two looks at the workers
_HELD_PAUSE = 2.0  # seconds until a slide that another run holds is tried again
_MOST_LOST = 3
_PATIENCE = 30.0  # seconds for an answer to come, or for files of another machine to be seen


@dataclass(frozen=True, slots=True)
class _Job:
    slide: CohortSlide
    worker: str


class DaskJobs:
    """An executor: the workers of a Dask cluster. Use it as a context manager.

    client: connected; it is left open. The folder of results, the slides, their candidates and a model that
    does not come with this package must be where all workers see them under the same paths. Where the plan's
    device is a CUDA one, only workers with the resource "GPU" get slides.
    """

    def __init__(self, plan: CohortPlan, *, client: Client) -> None:
        self._card = chosen_card(plan.model, plan.compute)
        folder = self._card.folder
        # A model that comes with the package may lie elsewhere on the workers.
        model = folder.name if folder.parent == shipped_models() else folder.absolute()
        calibration = plan.compute.calibration
        compute = dataclasses.replace(plan.compute, calibration=calibration and calibration.absolute())
        self._plan = dataclasses.replace(plan, out=plan.out.absolute(), model=model, compute=compute)
        self._client = client
        self._address = client.scheduler.address  # which a client that has lost its scheduler forgets
        self._store = CohortStore(self._plan.out)
        self._resources = {GPU: 1} if plan.compute.device.startswith("cuda") else {}
        self._at_work: dict[Future[dask_worker.Answer], _Job] = {}
        self._ended: queue.SimpleQueue[Future[dask_worker.Answer]] = queue.SimpleQueue()
        self._lost: Counter[str] = Counter()
        """By the slide's name: how many workers were lost with it."""
        self._there: set[str] = set()
        """Addresses of the workers that the scheduler knows."""
        self._ready: set[str] = set()
        """Those of them that take slides."""
        self._looked = -_LOOK_EVERY
        self._told = ""

    def __enter__(self) -> DaskJobs:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # A slide that has begun is finished by its worker, and what it writes is recognised by the next run.
        with contextlib.suppress(Exception):  # the scheduler may be gone, with all that is to be given back
            if self._at_work:
                self._client.cancel(list(self._at_work))
            if kind is None:
                submit = self._client.submit
                for given in [submit(dask_worker.forget, workers=[w], pure=False) for w in self._ready]:
                    given.result(timeout=_LOOK_EVERY)

    def run(self, slides: Sequence[CohortSlide], *, wait: bool) -> Iterator[Event]:
        """Do these slides and yield what happens. `wait` for those of another run, or pass them by.

        Raises ClusterFailed if the scheduler is lost, or a worker cannot do anything.
        """
        todo = deque(slides)
        held: deque[tuple[float, CohortSlide]] = deque()
        while todo or held or self._at_work:
            while held and held[0][0] <= time.monotonic():
                todo.append(held.popleft()[1])
            self._look()
            yield from self._give_up_lost(todo)
            self._hand_out(todo)
            for future in self._finished():
                for event in self._answered(future, self._at_work[future]):
                    if isinstance(event, Held) and wait:
                        held.append((time.monotonic() + _HELD_PAUSE, event.slide))
                    else:
                        yield event

    def _look(self) -> None:
        """Note which workers are there, if the last look was not just now."""
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        with self._asking():
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self._looked = time.monotonic()
        self._there = set(workers)
        self._ready = {
            address
            for address, worker in workers.items()
            if worker["status"] == "running"
            and all(worker["resources"].get(name, 0) >= n for name, n in self._resources.items())
        }
        self._say_if_none_is_ready()

    def _say_if_none_is_ready(self) -> None:
        told = ""
        if not self._there:
            told = "no worker is there yet: waiting"
        elif self._resources and not self._ready:
            told = f"none of {len(self._there)} workers offers a GPU (--resources GPU=1): waiting"
        if told and told != self._told:
            log.warning("%s", told)
        self._told = told

    def _give_up_lost(self, todo: deque[CohortSlide]) -> Iterator[Event]:
        """Let the slides of lost workers be done again; yield the failure of one that lost too many."""
        for future, job in list(self._at_work.items()):
            if job.worker in self._there or future.done():
                continue
            del self._at_work[future]
            future.cancel()
            slide = job.slide
            self._lost[slide.name] += 1
            if self._lost[slide.name] < _MOST_LOST:
                yield Message(slide, "warning", f"its worker {job.worker} was lost; it is done again")
                todo.appendleft(slide)
            else:
                yield Ended(slide, _killed(self._lost[slide.name], job.worker))

    def _hand_out(self, todo: deque[CohortSlide]) -> None:
        idle = sorted(self._ready - {job.worker for job in self._at_work.values()})
        for worker in idle[: len(todo)]:
            slide = todo.popleft()
            order = dask_worker.Order(slide, self._plan, self._card)
            with self._asking():
                future = self._client.submit(
                    dask_worker.classify,
                    __version__,
                    pickle.dumps(order),
                    workers=[worker],
                    resources=self._resources or None,
                    pure=False,
                )
            self._at_work[future] = _Job(slide, worker)
            future.add_done_callback(self._ended.put)

    def _finished(self) -> list[Future[dask_worker.Answer]]:
        """Wait a while for a future to end; return those that have."""
        try:
            finished = [self._ended.get(timeout=_LOOK_EVERY)]
            while not self._ended.empty():
                finished.append(self._ended.get())
        except queue.Empty:
            return []
        return [f for f in finished if f in self._at_work]

    def _answered(self, future: Future[dask_worker.Answer], job: _Job) -> Iterator[Event]:
        from distributed import CancelledError, KilledWorker

        try:
            answer = future.result(timeout=_PATIENCE)
        except TimeoutError:
            return  # its worker died with the answer, which the next look finds out
        except KilledWorker as e:
            del self._at_work[future]
            yield Ended(job.slide, _killed(e.allowed_failures + 1, job.worker))
            return
        except CancelledError as e:
            raise self._gone() from e
        except Exception as e:
            reason = f"{type(e).__name__}: {' '.join(str(e).split())}"
            raise ClusterFailed(
                f"worker {job.worker} cannot do anything: {reason}; is slidemitosis installed for it?"
            ) from e
        del self._at_work[future]
        for level, text in answer.messages:
            yield Message(job.slide, level, text)
        if isinstance(answer.end, SlideMitosisError):
            raise type(answer.end)(f"worker {job.worker}: {answer.end}")
        if answer.candidates:
            yield Progress(job.slide, answer.candidates, answer.candidates)
        if isinstance(answer.end, Held):
            yield Held(job.slide)
            return
        if not self._plan.dry:
            self._await_files(job, answer.end.outcome)
        yield Ended(job.slide, answer.end.outcome)

    def _await_files(self, job: _Job, outcome: Outcome) -> None:
        """Wait until what a worker wrote is seen here; a network's folder may take its time.

        Raises OutputError if it never is: the worker has written to another folder of this path.
        """
        deadline = time.monotonic() + _PATIENCE
        while not self._is_seen(job.slide.name, outcome):
            if time.monotonic() > deadline:
                raise OutputError(
                    f"worker {job.worker} says that {job.slide.name} is {outcome.status}, {self._plan.out} "
                    "does not; --out must be a folder that all machines share under one path"
                )
            time.sleep(0.2)

    def _is_seen(self, name: str, outcome: Outcome) -> bool:
        # NFS asks the server for what is new in a folder when the folder is opened, and not before.
        with contextlib.suppress(OSError):
            os.listdir(self._store.folder(name))  # noqa: PTH208
        row, failure = self._store.row(name), self._store.failure(name)
        return {"done": row, "failed": failure}.get(outcome.status, {}) is not None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the scheduler. Raises ClusterFailed where Dask has lost it."""
        try:
            yield
        except Exception as e:
            # A client that gives up reconnecting closes itself, and then raises whatever its parts raise.
            if isinstance(e, OSError) or self._client.status != "running":
                raise self._gone() from e
            raise

    def _gone(self) -> ClusterFailed:
        return ClusterFailed(f"the scheduler {self._address} is gone; what is done is kept")


def _killed(times: int, worker: str) -> Outcome:
    cause = f"{times} workers were lost while they had it (the last: {worker}); the memory may have run out"
    return Outcome("failed", "process", cause)
