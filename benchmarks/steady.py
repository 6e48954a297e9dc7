"""Patches a second in a steady state: readers have started, kernels are loaded, it lasts so many seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import tempfile
import time
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from slidemitosis.classify.stream import predict_batches
from slidemitosis.classify.timing import Stopwatch
from slidemitosis.engines.choose import load_engine
from slidemitosis.models.card import write_card
from slidemitosis.models.classifier import empty_network
from slidemitosis.models.looks import SlideLooks
from slidemitosis.options import ComputeOptions
from slidemitosis.reading.batches import READ_SIZE, one_ahead
from slidemitosis.train.export import network_part, new_card, write_network
from slidemitosis.train.recipe.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slidemitosis.classify.classifier import SlideClassifier
    from slidemitosis.engines.engine import Engine, Outputs
    from slidemitosis.reading.prepare import Prepared

MOST = 2_000_000
"""Patches that no reader gives and no card computes within a measurement."""


@dataclasses.dataclass(frozen=True)
class Rate:
    patches: float
    """A second."""
    busy: float | None
    """Share of the time between the first kernel of each batch and its last; None without CUDA."""
    told: float | None
    """Share of the time in which nvidia-smi saw a kernel; None where it says nothing."""
    main: float
    """Share of the time in which the main thread had the processor."""


class _FullError(Exception):
    """The time is full."""


class Busy:
    """An `Engine` with CUDA events around what each batch queues: on one stream, so that none overlap."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def submit(self, patches: np.ndarray) -> Callable[[], Outputs]:
        if not self.engine.device.startswith("cuda"):
            return self.engine.submit(patches)
        stream = torch.cuda.current_stream(self.engine.device)
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record(stream)
        outputs = self.engine.submit(patches)
        last.record(stream)
        self.events.append((first, last))
        return outputs

    def seconds(self) -> float | None:
        if not self.events:
            return None
        torch.cuda.synchronize(self.engine.device)
        return sum(a.elapsed_time(b) for a, b in self.events) / 1000


class Window:
    """The time that is measured: it begins when a while has gone, and ends with `_FullError`."""

    def __init__(self, busy: Busy, seconds: float) -> None:
        self._busy, self._seconds = busy, seconds
        self._warm = time.perf_counter() + min(2.0, seconds / 4)
        self._begun: tuple[float, float, int] | None = None
        self._smi = contextlib.ExitStack()
        self._told: list[float] = []
        self.rate: Rate | None = None

    def __call__(self, done: int, _total: int = 0) -> None:
        now = time.perf_counter()
        if self._begun is None:
            if done and now > self._warm:
                self._told = self._smi.enter_context(utilization(self._busy.engine.device))
                self._busy.events.clear()
                self._begun = time.perf_counter(), time.thread_time(), done
            return
        begun, main, before = self._begun
        if (seconds := now - begun) < self._seconds:
            return
        main = (time.thread_time() - main) / seconds
        self._smi.close()
        computed = self._busy.seconds()
        busy = None if computed is None else min(1.0, computed / seconds)
        told = float(np.mean(self._told)) / 100 if self._told else None
        self.rate = Rate((done - before) / seconds, busy, told, main)
        raise _FullError


@contextlib.contextmanager
def utilization(device: str) -> Iterator[list[float]]:
    """Fill a list, when the block ends, with the per cents of the time that nvidia-smi saw a kernel run."""
    found: list[float] = []
    if not device.startswith("cuda"):
        yield found
        return
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "250"]
    command += ["-i", f"GPU-{uuid}"] if uuid else []
    with tempfile.TemporaryFile("w+") as out:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        except OSError:
            yield found
            return
        try:
            yield found
        finally:
            process.terminate()
            process.wait()
        out.seek(0)
        found += [float(line) for line in out if line.strip().isdigit()][1:]  # the first is of before


def measured(window: Window, run: Callable[[], object]) -> Rate:
    with contextlib.suppress(_FullError):
        run()
    assert window.rate is not None, "it ended before the time was full"
    return window.rate


def from_memory(engine: Engine, patches: np.ndarray, seconds: float) -> Rate:
    """Compute the same patches, one batch begun ahead as in classifying."""
    size = max(READ_SIZE, engine.piece)
    pieces = [patches[i : i + size] for i in range(0, len(patches) - size + 1, size)] or [patches]
    window = Window(busy := Busy(engine), seconds)

    def run() -> None:
        done = 0
        for piece, _ in one_ahead(cycle(pieces), busy.submit):
            done += len(piece)
            window(done)

    return measured(window, run)


def again(prepared: Prepared) -> Prepared:
    """A slide whose figures come over and over."""
    times = -(-MOST // len(prepared.windows))
    return dataclasses.replace(prepared, windows=prepared.windows * times, to_read=prepared.to_read * times)


def end_to_end(classifier: SlideClassifier, prepared: Prepared, seconds: float) -> Rate:
    """Do what `classify` does between preparing and rating: read, compute, and say it of each figure."""
    window = Window(busy := Busy(classifier.engine), seconds)
    repeated = again(prepared)
    return measured(
        window,
        lambda: predict_batches(
            repeated,
            classifier.read(repeated),
            busy,
            classifier.decision,
            looks=SlideLooks(),
            clock=Stopwatch(),
            progress=window,
        ),
    )


def reading_alone(classifier: SlideClassifier, prepared: Prepared, seconds: float) -> Rate:
    window = Window(Busy(classifier.engine), seconds)

    def run() -> None:
        done = 0
        for batch in classifier.read(again(prepared)):
            done += len(batch.indices)
            window(done)

    return measured(window, run)


def some_patches(classifier: SlideClassifier, prepared: Prepared, number: int) -> np.ndarray:
    few = dataclasses.replace(prepared, windows=prepared.windows[:number])
    batches = sorted(classifier.read(few), key=lambda b: b.number)
    return np.concatenate([b.pixels for b in batches])


def against_cpu(classifier: SlideClassifier, patches: np.ndarray) -> tuple[float, int]:
    """Largest difference of P(atypical) from float32 on the CPU, and the number of calls that differ."""
    options = ComputeOptions(engine="torch", device="cpu", precision="fp32")
    cpu = load_engine(classifier.card, options)
    decision = classifier.decision
    ours, theirs = (decision.probability(e.submit(patches)().logit) for e in (classifier.engine, cpu))
    calls = [np.round(p, 6) >= decision.threshold for p in (ours, theirs)]
    return float(np.abs(ours - theirs).max()), int((calls[0] != calls[1]).sum())


def random_convnext(folder: Path) -> Path:
    """A model of ConvNeXt V2 Base with random weights, which sees the whole patch of 128 px."""
    overrides = ["backbone.architecture=convnextv2_base", "input.crops=[128]", "input.resize=128"]
    recipe = load_recipe("lite0", overrides=overrides)
    part = network_part(recipe, "type")
    folder.mkdir()
    part = write_network(empty_network(part), part, folder)
    write_card(
        new_card(
            folder, name=folder.name, recipe=recipe, networks=[part], data=(), citation=(), training_prior=0.5
        )
    )
    return folder
