"""From the batches of one slide, as they are read, to the predictions of its candidates."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from slidemitosis.errors import ReadingFailed
from slidemitosis.prediction import classified
from slidemitosis.reading.batches import READ_SIZE, gathered, one_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from slidemitosis.classify.timing import Stopwatch
    from slidemitosis.engines.engine import Forward
    from slidemitosis.prediction import Prediction
    from slidemitosis.reading.batches import Batch
    from slidemitosis.reading.prepare import Prepared


def predict_batches(
    prepared: Prepared,
    batches: Iterable[Batch],
    forward: Forward,
    *,
    clock: Stopwatch,
    progress: Callable[[int, int], None] | None,
) -> list[Prediction]:
    """The predictions of a slide, filled in with what the model says of the batches of its windows.

    batches: of READ_SIZE windows each, in whatever order. clock: "reading", "waiting" and "computing" are
    counted. progress: called with (candidates done, candidates in all). Raises ReadingFailed if not one
    candidate could be read.
    """
    predictions = list(prepared.predictions)
    done, total = 0, len(prepared.windows)
    if progress:
        progress(done, total)
    joined = gathered(batches, max(1, forward.piece // READ_SIZE), count=-(-total // READ_SIZE))
    with clock.during("computing"):
        for batch, outputs in one_ahead(_awaited(joined, clock), lambda b: forward.submit(b.pixels)):
            for row, reason in batch.unreadable:
                i = prepared.to_read[row]
                predictions[i] = dataclasses.replace(predictions[i], status="unreadable", reason=reason)
            rows = [prepared.to_read[row] for row in batch.indices]
            found = classified([predictions[i] for i in rows], batch.pixels, outputs, forward.card)
            for i, prediction in zip(rows, found, strict=True):
                predictions[i] = prediction
            done += len(batch.indices) + len(batch.unreadable)
            if progress:
                progress(done, total)
    _refuse_all_unreadable([predictions[i] for i in prepared.to_read], prepared)
    return predictions


def _awaited(batches: Iterable[Batch], clock: Stopwatch) -> Iterator[Batch]:
    """The batches; what each was waited for is not computing."""
    started = time.perf_counter()
    for batch in batches:
        seconds = time.perf_counter() - started
        clock.add("waiting", seconds)
        clock.add("computing", -seconds)
        clock.add("reading", batch.read_seconds)
        yield batch
        started = time.perf_counter()


def _refuse_all_unreadable(tried: Sequence[Prediction], prepared: Prepared) -> None:
    if all(p.status == "unreadable" for p in tried):
        raise ReadingFailed(
            f"{prepared.slide.path}: not one of {len(tried)} candidates could be read, "
            f"the slide is damaged or cut off: {tried[0].reason}"
        )
