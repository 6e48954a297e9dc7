"""Where the time goes on a user's own slide and machine, and what limits it."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.engines.choose import available_processors
from slidemitosis.errors import InvalidOption
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.reading.batches import READ_SIZE, one_ahead
from slidemitosis.slides.open import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from slidemitosis.classify.classifier import SlideClassifier
    from slidemitosis.engines.engine import Engine
    from slidemitosis.options import ReadOptions
    from slidemitosis.options.read import Reader
    from slidemitosis.reading.prepare import Prepared

_PEAK_PATCHES = 256
_PEAK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SlideBench:
    """What one run on a slide took."""

    figures: int
    """Patches that were read and classified."""
    drawn: bool
    """Whether their places were drawn at random, for want of a file of points."""
    not_direct: str | None
    """Why tiles are not decoded directly; None where they are."""
    engine: str
    device: str
    workers: int
    processors: int
    model: str
    reading_alone: float
    """Patches a second that the reader processes give while nothing is computed."""
    computing_alone: float
    """Patches a second that the engine computes from memory."""
    seconds: dict[str, float]
    """Of the whole run; see docs/outputs.md."""

    @property
    def together(self) -> float:
        """Patches a second of both together, without preparing, loading and writing."""
        return self.figures / (self.seconds["waiting"] + self.seconds["computing"])

    @property
    def hint(self) -> str:
        """What limits the run, and what may help."""
        s = self.seconds
        running = s["waiting"] + s["computing"]
        if s["preparing"] + s["loading"] + s["writing"] > running:
            return "what limits: starting and writing; more slides in one run share the start"
        if s["waiting"] > s["computing"] or self.reading_alone < self.computing_alone:
            more = "more processors would help"
            if self.workers < self.processors:
                more = f"more --workers may help (now {self.workers}, of {self.processors} processors)"
            reason = f"; tiles are not decoded directly: {self.not_direct}" if self.not_direct else ""
            return f"what limits: reading; {more}{reason}"
        if self.device == "cpu":
            small = "; --model lite0 is five times as fast" if self.model == DEFAULT_MODEL else ""
            return f"what limits: computing; more processors or a GPU would help{small}"
        return "what limits: computing; a larger --batch-size may help"


def bench_slide(
    classifier: SlideClassifier,
    slide: Path,
    points: Path | None,
    read: ReadOptions,
    *,
    figures: int,
    progress: Callable[[int, int], None] | None = None,
) -> SlideBench:
    """Read alone, classify, and compute alone; the same patches each time.

    Without `points`, `figures` places are drawn at random over the slide. What is written goes to a temporary
    folder. Raises what classifying raises; InvalidOption if there is nothing to classify, or if it is said
    how to understand points where there are none.
    """
    classes = read.candidate_classes, read.area_classes, read.region_classes
    of_points = (*classes, read.unit, read.format, read.viewer)
    if points is None and (any(of_points) or read.origin != "auto"):
        raise InvalidOption(
            "--candidate-class, --area-class, --regions, --unit, --format, --origin and --viewer-size are of "
            "points: give --points too"
        )
    with tempfile.TemporaryDirectory(prefix="slidemitosis-bench-") as folder:
        places = points or _draw_points(slide, Path(folder) / "drawn.csv", figures, read.reader)
        if points is None:
            read = dataclasses.replace(read, origin="level0", keep_duplicates=True)
        begun = classifier.begin(slide, places, read=read)
        prepared = begun.prepared
        if not prepared.windows:
            raise InvalidOption(f"{places}: no candidate to classify, and so nothing to measure")
        result = classifier.finish(begun, progress=progress)
        seconds = result.write_into(Path(folder))
        reading, patches = _read_alone(classifier, prepared)
        computing = _compute_alone(classifier.engine, patches)
    computed = result.computed
    assert computed.device is not None
    assert computed.workers is not None
    return SlideBench(
        figures=len(prepared.windows),
        drawn=points is None,
        not_direct=prepared.slide.not_direct[prepared.plan.level],
        engine=computed.engine,
        device=computed.device,
        workers=computed.workers,
        processors=available_processors(),
        model=classifier.card.name,
        reading_alone=reading,
        computing_alone=computing,
        seconds=seconds,
    )


def _draw_points(slide_path: Path, table: Path, figures: int, reader: Reader) -> Path:
    """A table of places all over the slide, the same for the same slide."""
    with open_slide(slide_path, reader=reader) as slide:
        area = slide.info.area
    rng = np.random.default_rng(0)
    xy = rng.uniform((area.x, area.y), (area.x + area.width, area.y + area.height), (figures, 2))
    rows = [f"{x:.1f},{y:.1f}" for x, y in xy]
    table.write_text("\n".join(["x_px,y_px", *rows]), encoding="utf-8")
    return table


def _read_alone(classifier: SlideClassifier, prepared: Prepared) -> tuple[float, NDArray[np.uint8]]:
    """Patches a second of processes that have started, and some of the patches, (B, side, side, 3)."""
    kept: list[NDArray[np.uint8]] = []
    started = time.perf_counter()
    for batch in classifier.read(prepared):
        if sum(len(k) for k in kept) < _PEAK_PATCHES:
            kept.append(batch.pixels)
    return len(prepared.windows) / (time.perf_counter() - started), np.concatenate(kept)


def _compute_alone(engine: Engine, patches: NDArray[np.uint8]) -> float:
    """Patches a second, begun one batch ahead as in classifying."""
    size = max(READ_SIZE, engine.piece)
    pieces = [patches[i : i + size] for i in range(0, len(patches), size)]
    started = time.perf_counter()

    def rounds() -> Iterator[NDArray[np.uint8]]:
        while time.perf_counter() - started < _PEAK_SECONDS:
            yield from pieces

    done = sum(len(piece) for piece, _ in one_ahead(rounds(), engine.submit))
    return done / (time.perf_counter() - started)
