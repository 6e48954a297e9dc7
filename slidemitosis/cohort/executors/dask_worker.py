"""Classify slides on a worker of a Dask cluster, one at a time, with a model that is kept loaded."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing as mp
import os
import pickle
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slidemitosis._version import __version__
from slidemitosis.cohort.executors.events import Ended, Held, LogTo
from slidemitosis.cohort.job import SlideJobs
from slidemitosis.cohort.store import CohortStore, HeldElsewhere
from slidemitosis.errors import ClusterFailed, OutputError, ReadingFailed, SlideMitosisError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slidemitosis.cohort.job import CohortPlan
    from slidemitosis.cohort.slides import CohortSlide
    from slidemitosis.models.card import ModelCard

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """One slide that a worker is to do, and how."""

    slide: CohortSlide
    plan: CohortPlan
    """The run's options; its paths are absolute."""
    card: ModelCard
    """The card of the model on the machine that sent the order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer to an order: how the slide ended."""

    end: Ended | Held | SlideMitosisError
    """An error concerns the whole run, not this slide alone."""
    messages: tuple[tuple[str, str], ...] = ()
    """Level and text of each message that was logged meanwhile."""
    candidates: int = 0
    """Number of candidates that were classified or unreadable."""


class _Kept:
    """The model and the reader processes of the last plan."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Held while a slide is at work: a worker may have several threads, a model serves one at a time."""
        self._jobs: SlideJobs | None = None
        self._of: tuple[CohortPlan, ModelCard] | None = None

    def jobs(self, plan: CohortPlan, card: ModelCard) -> SlideJobs:
        """Return the jobs of this plan. Raises ModelError, or ClusterFailed if `card` is another."""
        if self._jobs is None or self._of != (plan, card):
            self.forget()
            jobs = SlideJobs(_fitted(plan))
            if jobs.classifier.card != card:
                jobs.close()
                raise ClusterFailed(f"its model {plan.model} differs from the one here; install the same")
            self._jobs, self._of = jobs, (plan, card)
        return self._jobs

    def forget(self) -> None:
        """End the reader processes and drop the model."""
        jobs, self._jobs = self._jobs, None
        if jobs is not None:
            jobs.close()


_kept = _Kept()


def classify(version: str, order: bytes) -> Answer:
    """Do one slide.

    version: of slidemitosis on the machine that sent the order; order: a pickled Order, which is opened only
    if the version here is the same.
    """
    if version != __version__:
        ours = __version__
        return Answer(ClusterFailed(f"it has slidemitosis {ours}, this machine {version}; install the same"))
    wanted: Order = pickle.loads(order)  # noqa: S301 - who can reach a Dask worker can run anything on it
    messages: list[tuple[str, str]] = []
    candidates = 0

    def progress(done: int, _total: int) -> None:
        nonlocal candidates
        candidates = done

    with _kept.lock, _collected(messages):
        try:
            _use_given_threads()
            _check_folder(wanted.plan)
            jobs = _kept.jobs(wanted.plan, wanted.card)
            # Never waits: that would keep the worker from slides that are free.
            end: Ended | Held | SlideMitosisError = Ended(
                wanted.slide, jobs.run(wanted.slide, wait=False, progress=progress)
            )
        except HeldElsewhere:
            end = Held(wanted.slide)
        except SlideMitosisError as e:
            end = e
        except Exception as e:  # noqa: BLE001 - one that Dask cannot send would be waited for for ever
            log.error("%s: %s", wanted.slide.name, traceback.format_exc())
            end = ReadingFailed(f"{wanted.slide.name}: {type(e).__name__}: {e}")
    return Answer(end, tuple(messages), candidates)


def forget() -> None:
    """Give back what is kept for the next slide, since there is none."""
    with _kept.lock:
        _kept.forget()


def _use_given_threads() -> None:
    """Set as many threads as the worker was given; its nanny sets 1 in the environment."""
    from distributed import get_worker

    os.environ["OMP_NUM_THREADS"] = str(get_worker().state.nthreads)


def _check_folder(plan: CohortPlan) -> None:
    """Raise OutputError if the folder of results is not shared: what is written there would not be found."""
    if not plan.dry and not CohortStore(plan.out).begun:
        raise OutputError(
            f"it does not see {plan.out}; --out must be a folder that all machines share under one path"
        )


def _fitted(plan: CohortPlan) -> CohortPlan:
    """Return the plan as this process can carry it out."""
    if not mp.current_process().daemon or plan.compute.workers == 0:
        return plan
    # A daemon, as a worker under a nanny is, may not start processes.
    if plan.compute.workers is not None:
        log.info(
            "a worker with a nanny reads slides by itself; start it with --no-nanny for reader processes"
        )
    return dataclasses.replace(plan, compute=dataclasses.replace(plan.compute, workers=0))


@contextlib.contextmanager
def _collected(messages: list[tuple[str, str]]) -> Iterator[None]:
    """Collect what the library logs: it is for the user of the run, not for the worker's own log."""
    ours = logging.getLogger("slidemitosis")
    handler = LogTo(lambda *message: messages.append(message))
    before = ours.level, ours.propagate
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before[0])
        ours.propagate = before[1]
