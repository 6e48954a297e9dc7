"""What is read goes on to be computed: one batch ahead, and each second is counted once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from slidemitosis import SlideClassifier
from slidemitosis.classify.stream import predict_batches
from slidemitosis.classify.timing import Stopwatch
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.models.looks import SlideLooks
from slidemitosis.options import ComputeOptions, ReadOptions
from slidemitosis.prediction import Prediction
from slidemitosis.reading.batches import one_ahead
from slidemitosis.reading.prepare import prepare
from tests.conftest import write_aperio, write_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from slidemitosis.reading.batches import Batch


@given(st.integers(0, 6))
def test_each_item_is_begun_before_the_one_before_it_is_waited_for(n: int) -> None:
    events = []

    def begin(i: int) -> Callable[[], str]:
        events.append(f"begin {i}")

        def outcome() -> str:
            events.append(f"wait {i}")
            return str(i)

        return outcome

    assert list(one_ahead(range(n), begin)) == [(i, str(i)) for i in range(n)]
    for i in range(n - 1):
        assert events.index(f"begin {i + 1}") < events.index(f"wait {i}")
    for i in range(n - 2):  # two are in memory, and no more
        assert events.index(f"wait {i}") < events.index(f"begin {i + 2}")


def test_no_second_is_counted_twice(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [draw_phantom().pixels[:400, :400]])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (200, 300)])
    progress = []

    def slowly(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            time.sleep(0.3)
            yield batch

    with SlideClassifier("lite0", compute=ComputeOptions(device="cpu", workers=0)) as classifier:
        prepared = prepare(slide, points, ReadOptions(), classifier.card.patch)
        engine, clock, looks = classifier.engine, Stopwatch(), SlideLooks()
        predictions = predict_batches(
            prepared,
            slowly(classifier.read(prepared)),
            engine,
            classifier.decision,
            looks=looks,
            clock=clock,
            progress=lambda *done: progress.append(done),
        )
    assert [isinstance(said, Prediction) and not said.blank for said in predictions] == [True, True]
    assert progress == [(0, 2), (2, 2)]
    assert looks.figures == 2
    seconds = clock.told()
    assert seconds["waiting"] >= 0.3
    assert seconds["computing"] > 0
    assert seconds["waiting"] + seconds["computing"] <= seconds["total"] + 0.002  # each is rounded
