"""Classify the candidate mitoses of slides; nothing is written."""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from slidemitosis.candidates import counts_text
from slidemitosis.classify.stream import predict_batches
from slidemitosis.classify.timing import Stopwatch
from slidemitosis.engines.choose import GPU_PIECE, default_workers, gpu_computes, load_engine
from slidemitosis.errors import ReadingFailed, SlideError
from slidemitosis.models.files import SeenModel, check_graph
from slidemitosis.models.local import chosen_card
from slidemitosis.models.looks import SlideLooks
from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.outputs.folder import REVIEW, SUMMARY
from slidemitosis.outputs.result import SlideResult
from slidemitosis.outputs.summary import Computed
from slidemitosis.prediction import candidate_result, left_out_warnings
from slidemitosis.rates.slide import analysed_area, check_band, rate_slide
from slidemitosis.reading.batches import READ_SIZE, batches_at_once
from slidemitosis.reading.pool import ReaderPool, workers_with_room
from slidemitosis.reading.prepare import Prepared, prepare, prepare_candidates
from slidemitosis.review.settle import known_in, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from slidemitosis.candidates import Candidates
    from slidemitosis.engines.engine import Engine
    from slidemitosis.models.decision import Decision
    from slidemitosis.prediction import LeftOut, Prediction
    from slidemitosis.rates.area import AnalysedArea
    from slidemitosis.reading.batches import Batch
    from slidemitosis.report.keeper import PatchKeeper
    from slidemitosis.review.settle import Known

    Progress = Callable[[int, int], None]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A slide of which all is settled, and nothing read or classified yet."""

    prepared: Prepared
    read: ReadOptions
    rates: RateOptions
    area: AnalysedArea | None
    known: Known
    """What persons have said of the figures before."""
    answers_of: tuple[Path, ...]
    clock: Stopwatch


class SlideClassifier:
    """A model and its reader processes, kept for any number of slides, one after the other.

    Use it as a context manager; in a script, under `if __name__ == "__main__":` or with workers=0, since
    worker processes import the script anew. Processes start, and the model is loaded, with the first slide.

    model: name of a shipped model, or a model folder. Raises UnknownModel, InvalidCard, InvalidOption.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL, *, compute: ComputeOptions | None = None) -> None:
        compute = compute or ComputeOptions()
        self.card = chosen_card(model, compute)
        gpu, patch = gpu_computes(compute), self.card.patch.side
        workers = compute.workers
        if workers is None:
            room = workers_with_room(patch=patch, batch_size=READ_SIZE)
            workers = min(default_workers(on_gpu=gpu), room)
        self.compute = dataclasses.replace(compute, workers=workers)
        self._model_seen = SeenModel.of(self.card)
        if compute.engine == "onnx":
            check_graph(self.card)
        # The engine, which would tell its piece, is loaded when reading has begun.
        piece = compute.batch_size or (GPU_PIECE if gpu else 1)
        self._pool = ReaderPool(
            patch=patch, batch_size=READ_SIZE, workers=workers, joined=batches_at_once(piece)
        )
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the reader processes and drop the model. No slide can be classified after it."""
        try:
            if self._engine is not None:
                self._engine.close()
        finally:
            self._pool.close()

    def classify(
        self,
        slide: str | Path,
        points: str | Path,
        *,
        read: ReadOptions | None = None,
        rates: RateOptions | None = None,
        answers_of: Sequence[str | Path] = (),
        progress: Progress | None = None,
    ) -> SlideResult:
        """Classify the candidate mitoses of one slide; see `classify_slide`.

        After an error the next slide can be classified all the same.
        """
        begun = self.begin(slide, points, read=read, rates=rates, answers_of=answers_of)
        return self.finish(begun, progress=progress)

    def classify_candidates(
        self,
        slide: str | Path,
        candidates: Candidates,
        *,
        read: ReadOptions | None = None,
        rates: RateOptions | None = None,
        answers_of: Sequence[str | Path] = (),
        progress: Progress | None = None,
    ) -> SlideResult:
        """Classify candidates that are in memory; see `classify_slide`."""
        begun = self._begun(partial(prepare_candidates, Path(slide), candidates), read, rates, answers_of)
        return self.finish(begun, progress=progress)

    def begin(
        self,
        slide: str | Path,
        points: str | Path,
        *,
        read: ReadOptions | None = None,
        rates: RateOptions | None = None,
        answers_of: Sequence[str | Path] = (),
    ) -> Begun:
        """Settle everything about a slide and its candidates that can be wrong; read no patch.

        Whoever writes results makes sure of their folder between this and `finish`, which may take long.
        Raises what `classify_slide` raises.
        """
        folders = _with_that_of_points(Path(points), answers_of)
        return self._begun(partial(prepare, Path(slide), Path(points)), read, rates, folders)

    def _begun(
        self,
        make: Callable[..., Prepared],
        read: ReadOptions | None,
        rates: RateOptions | None,
        answers_of: Sequence[str | Path],
    ) -> Begun:
        """`make` prepares the slide, given the options of reading and the size of the patches."""
        clock, read, rates = Stopwatch(), read or ReadOptions(), rates or RateOptions()
        with clock.during("preparing"):
            check_band(rates, self.decision, model=self.card.name)
            prepared = make(read, self.card.patch)
            _say_what_was_selected(prepared)
            area = analysed_area(prepared, rates, read.area_classes)
            folders = tuple(Path(folder).resolve() for folder in answers_of)
            known = known_in(*folders)
        return Begun(
            prepared=prepared,
            read=read,
            rates=rates,
            area=area,
            known=known,
            answers_of=folders,
            clock=clock,
        )

    def finish(
        self, begun: Begun, *, progress: Progress | None = None, keeper: PatchKeeper | None = None
    ) -> SlideResult:
        """Read and classify the patches of a slide, and rate it.

        keeper: keeps the patches that a report shows, for `report.make.write_report`. Raises UnreadableSlide,
        UnreadableCandidates, WeightsMismatch where slide, candidates or model were changed meanwhile, too.
        """
        prepared, clock = begun.prepared, begun.clock
        looks = SlideLooks()
        try:
            said, computed = self._predict(prepared, looks, clock, progress, keeper)
        except (ReadingFailed, SlideError):
            self.check_unchanged(prepared)  # which is then the cause
            raise
        self.check_unchanged(prepared)
        with clock.during("rating"):
            by_model = [
                candidate_result(placed, of_it, band=begun.rates.abstain)
                for placed, of_it in zip(prepared.placed, said, strict=True)
            ]
            candidates = settled(by_model, begun.known, reviewer=begun.rates.reviewer)
            rated = rate_slide(
                candidates,
                prepared=prepared,
                card=self.card,
                decision=self.decision,
                options=begun.rates,
                area=begun.area,
                looks=looks,
            )
        rate = rated.rate  # those outside were told of before
        total = rate.candidates - rate.duplicates
        for told in left_out_warnings(total, unreadable=rate.unreadable, blank=rate.blank):
            log.warning("%s: %s", prepared.slide.path.name, told)
        return SlideResult(
            prepared=prepared,
            candidates=candidates,
            rated=rated,
            card=self.card,
            read=begun.read,
            computed=computed,
            seconds=clock.told(),
            answers_of=begun.answers_of,
        )

    def check_unchanged(self, prepared: Prepared) -> None:
        """Refuse results of a slide, candidates or a model that were changed since they were first looked at.

        Raises UnreadableSlide, UnreadableCandidates, WeightsMismatch.
        """
        prepared.check_unchanged()
        self._model_seen.check_unchanged(graph=self._engine is not None and self._engine.name == "onnx")

    @property
    def decision(self) -> Decision:
        """How this classifier makes probabilities and calls of what the model gives."""
        return self.card.decision_for(views=self.compute.views, point=self.compute.operating_point)

    @property
    def engine(self) -> Engine:
        """The engine, made and the model loaded when it is first asked for."""
        if self._engine is None:
            self._engine = load_engine(self.card, self.compute)
            if self._engine.device == "cpu" and self.card.graph is None:
                export = f"slidemitosis models export {self.card.folder}"
                log.info("%s has no ONNX graph, which is several times as fast: %s", self.card.name, export)
        return self._engine

    def read(self, prepared: Prepared) -> Iterator[Batch]:
        """Begin to read the patches of a slide, by the reader processes of this classifier."""
        return self._pool.read(prepared.open_slide, prepared.windows)

    def _predict(
        self,
        prepared: Prepared,
        looks: SlideLooks,
        clock: Stopwatch,
        progress: Progress | None,
        keeper: PatchKeeper | None,
    ) -> tuple[list[Prediction | LeftOut], Computed]:
        """What is said of each candidate, and how it was computed."""
        given = self.compute.calibration
        open_yet = {"device": None, "precision": None, "calibration": None if given is None else str(given)}
        computed = Computed(**dataclasses.asdict(self.compute) | open_yet)
        if not prepared.windows:
            return [placed.left_out for placed in prepared.placed if placed.left_out], computed
        # Reading starts before the model is loaded, which takes longer than reading a slide's figures.
        batches = self.read(prepared)
        with clock.during("loading"):
            engine = self.engine
        said = predict_batches(
            prepared,
            batches,
            engine,
            self.decision,
            looks=looks,
            clock=clock,
            progress=progress,
            keeper=keeper,
        )
        return said, dataclasses.replace(
            computed,
            engine=engine.name,
            device=engine.device,
            precision=engine.precision,
            batch_size=engine.piece,
        )


def classify_slide(
    slide: str | Path,
    points: str | Path,
    *,
    model: str | Path = DEFAULT_MODEL,
    read: ReadOptions | None = None,
    compute: ComputeOptions | None = None,
    rates: RateOptions | None = None,
    answers_of: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> SlideResult:
    """Classify the candidate mitoses of one slide; `SlideResult.write` writes what was found.

    slide: a whole-slide image. points: candidates as GeoJSON of QuPath, a CSV with x and y, or a file of
    another format of docs/candidates.md. model: name of a shipped model, or a model folder;
    `SlideClassifier` keeps one for many slides. answers_of: folders of earlier results whose answers of
    persons count, such as the one that is written to; those that the points file's classes state always do.
    progress: called with (candidates done, candidates in all).

    In a script, call it under `if __name__ == "__main__":` or with ComputeOptions(workers=0). Raises a
    SlideMitosisError.
    """
    with SlideClassifier(model, compute=compute) as classifier:
        return classifier.classify(
            slide, points, read=read, rates=rates, answers_of=answers_of, progress=progress
        )


def classify_candidates(
    slide: str | Path,
    candidates: Candidates,
    *,
    model: str | Path = DEFAULT_MODEL,
    read: ReadOptions | None = None,
    compute: ComputeOptions | None = None,
    rates: RateOptions | None = None,
    answers_of: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> SlideResult:
    """Classify candidates that are in memory, such as `Candidates.from_xy(xy)`; else as `classify_slide`."""
    with SlideClassifier(model, compute=compute) as classifier:
        return classifier.classify_candidates(
            slide, candidates, read=read, rates=rates, answers_of=answers_of, progress=progress
        )


def _with_that_of_points(points: Path, answers_of: Sequence[str | Path]) -> Sequence[str | Path]:
    """Return the folders, before them that of the points if it is one of results that were reviewed."""
    of_points = points.parent
    reviewed = (of_points / SUMMARY).exists() and (of_points / REVIEW).exists()
    return (of_points, *answers_of) if reviewed else answers_of


def _say_what_was_selected(prepared: Prepared) -> None:
    """Log which classes are candidates and which are not, where there was something to select."""
    selection = prepared.selection
    if selection.rule == "one class":
        log.warning(
            "candidates: %s, the only class, though its name does not say mitosis",
            counts_text(selection.taken),
        )
    elif selection.left or len(selection.taken) > 1:
        left = counts_text(selection.left)
        log.info("candidates: %s; left out: %s", counts_text(selection.taken), left)
    if prepared.upsampled:
        log.warning(
            "%s has %s um/px, coarser than the model's pixels: patches are upsampled; the model was not "
            "trained on such",
            prepared.slide.path.name,
            prepared.mpp,
        )
