"""From the batches of one slide, as they are read, to the predictions of its candidates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slidemitosis.errors import ReadingFailed
from slidemitosis.models.looks import figure_looks
from slidemitosis.prediction import LeftOut, predict
from slidemitosis.reading.batches import READ_SIZE, batches_at_once, gathered, one_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from slidemitosis.classify.timing import Stopwatch
    from slidemitosis.engines.engine import Engine
    from slidemitosis.models.decision import Decision
    from slidemitosis.models.looks import SlideLooks
    from slidemitosis.prediction import Prediction
    from slidemitosis.reading.batches import Batch
    from slidemitosis.reading.prepare import Prepared
    from slidemitosis.report.keeper import PatchKeeper


def predict_batches(
    prepared: Prepared,
    batches: Iterable[Batch],
    engine: Engine,
    decision: Decision,
    *,
    looks: SlideLooks,
    clock: Stopwatch,
    progress: Callable[[int, int], None] | None,
    keeper: PatchKeeper | None = None,
) -> list[Prediction | LeftOut]:
    """Predict the patches of a slide; return what is said of each candidate, in the points file's order.

    batches: of READ_SIZE windows each, in whatever order. clock: "reading", "waiting" and "computing" are
    counted. looks: those of the patches that are not blank are added, if the card has any to compare with.
    progress: called with (candidates done, candidates in all). keeper: keeps the patches that a report shows.
    Raises ReadingFailed if not one candidate could be read.
    """
    said: dict[int, Prediction | LeftOut] = {
        i: placed.left_out for i, placed in enumerate(prepared.placed) if placed.left_out
    }
    done, total = 0, len(prepared.windows)
    if progress:
        progress(done, total)
    joined = gathered(batches, batches_at_once(engine.piece), count=-(-total // READ_SIZE))
    with clock.during("computing"):
        for batch, outputs in one_ahead(_awaited(joined, clock), lambda b: engine.submit(b.pixels)):
            said |= {prepared.to_read[row]: LeftOut("unreadable", why) for row, why in batch.unreadable}
            found = predict(batch.pixels, outputs, engine.card, decision)
            if engine.card.looks is not None:
                looks.add(figure_looks(batch.pixels)[[not p.blank for p in found]])
            rows = [prepared.to_read[row] for row in batch.indices]
            said |= zip(rows, found, strict=True)
            if keeper is not None:
                keeper.add(rows, batch.pixels, found)
            done += len(batch.indices) + len(batch.unreadable)
            if progress:
                progress(done, total)
    tried = [said[i] for i in prepared.to_read]
    if isinstance(first := tried[0], LeftOut) and all(isinstance(of_it, LeftOut) for of_it in tried):
        raise ReadingFailed(
            f"{prepared.slide.path}: not one of {len(tried)} candidates could be read, "
            f"the slide is damaged or cut off: {first.reason}"
        )
    return [said[i] for i in range(len(prepared.placed))]


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
