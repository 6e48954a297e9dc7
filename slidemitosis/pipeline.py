"""One slide, from files to files."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from slidemitosis import results
from slidemitosis.batches import gathered
from slidemitosis.candidates import counts_text
from slidemitosis.cards import DEFAULT_MODEL, find_model
from slidemitosis.engine import ComputeOptions, default_workers, load_forward
from slidemitosis.errors import InvalidOption, ReadingFailed
from slidemitosis.loader import ReaderPool
from slidemitosis.model_files import check_graph
from slidemitosis.objects import feature_collection, qupath_feature
from slidemitosis.predict import classified
from slidemitosis.prepare import Prepared, ReadOptions, given_pixel_size, prepare
from slidemitosis.rating import Rated, RateOptions, analysed_area, check_band, rate_slide, set_apart
from slidemitosis.spot_object import hot_spot_features
from slidemitosis.summary import slide_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slidemitosis.batches import Batch
    from slidemitosis.candidates import Format, Unit
    from slidemitosis.cards import ModelCard
    from slidemitosis.engine import EngineName
    from slidemitosis.geometry import Origin, Viewer
    from slidemitosis.outputs import Forward, Outputs
    from slidemitosis.predictions import Prediction
    from slidemitosis.rates import SlideRate
    from slidemitosis.slides import Reader

log = logging.getLogger(__name__)

READ_SIZE = 64
"""Patches a batch of the readers. Jobs and answers of this size fit the pipes of every system, so that
neither side ever waits for the other to read."""


@dataclass(frozen=True, slots=True)
class SlideResult:
    """What `classify_slide` found, and where it wrote it."""

    rated: Rated
    """Counts, fractions, area and hot spot."""
    predictions: tuple[Prediction, ...]
    """One for each selected candidate, in the order of the points file."""
    summary: dict[str, Any]
    """What `summary.json` holds."""
    objects_path: Path
    candidates_path: Path
    summary_path: Path

    @property
    def rate(self) -> SlideRate:
        """Counts and the fraction of all figures."""
        return self.rated.rate


@dataclass(slots=True)
class _Seconds:
    """Where the time went."""

    preparing: float = 0.0
    """Opening the slide, reading the candidates, placing the windows."""
    loading: float = 0.0
    """Importing what computes and loading the model; the first batches are read meanwhile."""
    reading: float = 0.0
    """In the reader processes, added up."""
    waiting: float = 0.0
    """Of the classifying process, for patches."""
    computing: float = 0.0
    rating: float = 0.0
    """Counting, and looking for the hot spot."""
    writing: float = 0.0


class SlideClassifier:
    """A model and its reader processes, kept for any number of slides, one after the other.

    Use it as a context manager; in a script, under `if __name__ == "__main__":` or with workers=0, since
    worker processes import the script anew. Processes start, and the model is loaded, with the first slide.

    model: name of a shipped model, or a model folder.
    engine: "onnx" (CPU, without torch), "torch", or "auto": onnx where the model has a graph and there is no
    GPU. device: "auto", "cpu", "cuda", "cuda:N" or "mps". precision: "auto", "fp32", "fp16" or "bf16".
    batch_size: patches that are computed at once; halved where the device runs out of memory. views: 1, or 8
    for the mean over rotations and reflections. compiled: let torch.compile the network, which takes minutes
    and pays for many thousand figures, if at all. workers: reader processes; 0 reads in this process.
    Raises UnknownModel, InvalidCard, InvalidOption.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        engine: EngineName = "auto",
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        views: int = 1,
        compiled: bool = False,
        workers: int | None = None,
    ) -> None:
        self.compute = ComputeOptions(
            engine=engine,
            device=device,
            precision=precision,
            batch_size=batch_size,
            views=views,
            compiled=compiled,
            workers=default_workers() if workers is None else workers,
        )
        self.card = find_model(model)
        if engine == "onnx":
            check_graph(self.card)
        self._pool = ReaderPool(
            patch=self.card.patch.side, batch_size=READ_SIZE, workers=self.compute.workers or 0
        )
        self._forward: Forward | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the reader processes and drop the model. No slide can be classified after it."""
        try:
            if self._forward is not None:
                self._forward.close()
        finally:
            self._pool.close()

    def classify(
        self,
        slide: str | Path,
        points: str | Path,
        *,
        out: str | Path | None = None,
        reader: Reader = "auto",
        mpp: float | tuple[float, float] | None = None,
        origin: Origin = "auto",
        viewer: Viewer | None = None,
        candidate_classes: Sequence[str] = (),
        area_classes: Sequence[str] = (),
        unit: Unit | None = None,
        format: Format | None = None,
        keep_duplicates: bool = False,
        allow_upsampling: bool = False,
        rates: RateOptions | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> SlideResult:
        """Classify the candidate mitoses of one slide; options as those of `classify_slide`.

        After an error the next slide can be classified all the same.
        """
        for names in (candidate_classes, area_classes):
            if isinstance(names, str):
                raise InvalidOption(f"classes must be a list of names, such as [{names!r}]")
        read = ReadOptions(
            reader=reader,
            mpp=given_pixel_size(mpp),
            origin=origin,
            viewer=viewer,
            candidate_classes=tuple(candidate_classes),
            area_classes=tuple(area_classes),
            unit=unit,
            format=format,
            keep_duplicates=keep_duplicates,
            allow_upsampling=allow_upsampling,
        )
        slide, points = Path(slide), Path(points)
        folder = Path(out) if out is not None else results.default_folder(slide, points)
        results.check_folder(folder, slide, points)
        return self.classify_into(folder, slide, points, read=read, rates=rates, progress=progress)

    def classify_into(
        self,
        folder: Path,
        slide: Path,
        points: Path,
        *,
        read: ReadOptions,
        rates: RateOptions | None = None,
        progress: Callable[[int, int], None] | None = None,
        beside: Callable[[dict[str, Any], Rated], Mapping[str, str]] | None = None,
    ) -> SlideResult:
        """`classify` with its options as one value, into a folder that is ours: what is in it is replaced.

        beside: makes further files of summary and rate, text by name, that appear together with the others.
        """
        seconds = _Seconds()
        started = time.perf_counter()
        rates = rates or RateOptions()
        check_band(rates, self.card)
        prepared = prepare(slide, points, read, self.card.patch)
        _say_what_was_selected(prepared)
        area = analysed_area(prepared, rates, read.area_classes)
        seconds.preparing = time.perf_counter() - started
        with results.staged_folder(folder) as stage:
            predictions, how = self._predict(prepared, seconds, progress)
            computed = time.perf_counter()
            predictions = set_apart(predictions, rates.abstain)
            rated = rate_slide(predictions, prepared=prepared, card=self.card, options=rates, area=area)
            written = time.perf_counter()
            seconds.rating = written - computed
            _write_tables(stage, prepared, predictions, rated, self.card)
            seconds.writing = time.perf_counter() - written
            summary = slide_summary(
                prepared, read=read, card=self.card, how=how, rated=rated, predictions=predictions
            )
            summary["seconds"] = {k: round(v, 3) for k, v in dataclasses.asdict(seconds).items()}
            summary["seconds"]["total"] = round(time.perf_counter() - started, 3)
            for name, text in (beside(summary, rated) if beside else {}).items():
                results.write_text(stage / name, text)
            results.write_text(stage / results.SUMMARY, results.summary_text(summary))
        return SlideResult(
            rated=rated,
            predictions=tuple(predictions),
            summary=summary,
            objects_path=folder / results.OBJECTS,
            candidates_path=folder / results.CANDIDATES,
            summary_path=folder / results.SUMMARY,
        )

    @property
    def forward(self) -> Forward:
        """The model, loaded when it is first asked for."""
        if self._forward is None:
            self._forward = load_forward(self.card, self.compute)
            if self._forward.device == "cpu" and self.card.graph is None:
                export = f"slidemitosis models export {self.card.folder}"
                log.info("%s has no ONNX graph, which is several times as fast: %s", self.card.name, export)
        return self._forward

    def read(self, prepared: Prepared) -> Iterator[Batch]:
        """Begin to read the patches of a slide, by the reader processes of this classifier."""
        return self._pool.read(prepared.open_slide, prepared.windows)

    def _predict(
        self, prepared: Prepared, seconds: _Seconds, progress: Callable[[int, int], None] | None
    ) -> tuple[list[Prediction], dict[str, Any]]:
        """The predictions, and how they were computed, for the summary."""
        predictions = list(prepared.predictions)
        how: dict[str, Any] = dataclasses.asdict(self.compute) | {"device": None, "precision": None}
        if not prepared.windows:
            return predictions, how
        # Reading starts before the model is loaded, which takes longer than reading a slide's figures.
        batches = self.read(prepared)
        loading = time.perf_counter()
        forward = self.forward
        seconds.loading = time.perf_counter() - loading
        _fill_in(
            predictions,
            batches=batches,
            forward=forward,
            prepared=prepared,
            seconds=seconds,
            progress=progress,
        )
        _refuse_all_unreadable(predictions, prepared)
        how |= {k: getattr(forward, k) for k in ("engine", "device", "precision")}
        return predictions, how | {"batch_size": forward.piece}


def classify_slide(
    slide: str | Path,
    points: str | Path,
    *,
    out: str | Path | None = None,
    model: str | Path = DEFAULT_MODEL,
    reader: Reader = "auto",
    mpp: float | tuple[float, float] | None = None,
    origin: Origin = "auto",
    viewer: Viewer | None = None,
    candidate_classes: Sequence[str] = (),
    area_classes: Sequence[str] = (),
    unit: Unit | None = None,
    format: Format | None = None,
    keep_duplicates: bool = False,
    allow_upsampling: bool = False,
    rates: RateOptions | None = None,
    engine: EngineName = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    views: int = 1,
    compiled: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SlideResult:
    """Classify the candidate mitoses of one slide and write objects, table and summary.

    slide: a whole-slide image. points: candidates as GeoJSON of QuPath, a CSV with x and y, or a file of
    another format of docs/candidates.md.
    out: folder for the results; by default `<slide name>.slidemitosis` beside `points`.
    reader: "auto", "openslide" or "tiffslide". mpp: um/px of level 0, one number or (x, y), where the
    metadata lack it or are wrong. origin: what the candidates count from on a slide with bounds:
    "level0" or "bounds"; "auto" goes by the viewer or the candidates' format, and refuses where neither
    tells. viewer: the size of the image as QuPath states it, and how it reads it; this settles on a slide
    with bounds what the objects, and with "auto" the candidates, count from. candidate_classes: the
    classes that are candidates; by default those that read as mitosis. area_classes: the classes of the
    annotations that bound the area in which figures were looked for. unit: "px" or "um", for a CSV whose
    header does not say. format: that of `points`, one of `slidemitosis.candidates.FORMATS`; by default its
    content tells. keep_duplicates: classify candidates with one id, or within 2 um, as often as they
    stand. allow_upsampling: accept slides coarser than 0.6 um/px. rates: see `RateOptions`.
    model, engine, device, precision, batch_size, views, compiled, workers: see `SlideClassifier`, which suits
    many slides. progress: called with (candidates done, candidates in all).

    In a script, call it under `if __name__ == "__main__":` or with workers=0. Raises a SlideMitosisError, and
    then writes nothing.
    """
    classifier = SlideClassifier(
        model,
        engine=engine,
        device=device,
        precision=precision,
        batch_size=batch_size,
        views=views,
        compiled=compiled,
        workers=workers,
    )
    with classifier:
        return classifier.classify(
            slide,
            points,
            out=out,
            reader=reader,
            mpp=mpp,
            origin=origin,
            viewer=viewer,
            candidate_classes=candidate_classes,
            area_classes=area_classes,
            unit=unit,
            format=format,
            keep_duplicates=keep_duplicates,
            allow_upsampling=allow_upsampling,
            rates=rates,
            progress=progress,
        )


def _say_what_was_selected(prepared: Prepared) -> None:
    """Which classes are candidates and which are not, where there was something to select."""
    selection = prepared.selection
    if selection.rule == "one class":
        log.warning(
            "candidates: %s, the only class, though its name does not say mitosis",
            counts_text(selection.taken),
        )
    if selection.left:
        log.info("candidates: %s; left out: %s", counts_text(selection.taken), counts_text(selection.left))
    if prepared.upsampled:
        log.warning(
            "%s has %s um/px, coarser than the model's pixels: patches are upsampled; the model was not "
            "trained on such",
            prepared.slide.path.name,
            prepared.mpp,
        )


def _fill_in(
    predictions: list[Prediction],
    *,
    batches: Iterator[Batch],
    forward: Forward,
    prepared: Prepared,
    seconds: _Seconds,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Classify what the readers read, and put the outcome in the candidates' places."""
    done, total = 0, len(prepared.windows)
    if progress:
        progress(done, total)
    for batch, outputs in _computed(batches, forward, seconds, count=-(-total // READ_SIZE)):
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


def _computed(
    batches: Iterator[Batch], forward: Forward, seconds: _Seconds, *, count: int
) -> Iterator[tuple[Batch, Outputs]]:
    """Each batch with its outputs; while one is waited for, the next is already begun."""
    begun: deque[tuple[Batch, Callable[[], Outputs]]] = deque()
    clock = time.perf_counter()
    for batch in gathered(batches, max(1, forward.piece // READ_SIZE), count=count):
        seconds.waiting += time.perf_counter() - clock
        seconds.reading += batch.read_seconds
        clock = time.perf_counter()
        begun.append((batch, forward.submit(batch.pixels)))
        if len(begun) > 1:
            ready, outputs = begun.popleft()
            yield ready, outputs()
        seconds.computing += time.perf_counter() - clock
        clock = time.perf_counter()
    for ready, outputs in begun:
        yield ready, outputs()
    seconds.computing += time.perf_counter() - clock


def _refuse_all_unreadable(predictions: list[Prediction], prepared: Prepared) -> None:
    tried = [predictions[i] for i in prepared.to_read]
    if all(p.status == "unreadable" for p in tried):
        raise ReadingFailed(
            f"{prepared.slide.path}: not one of {len(tried)} candidates could be read, "
            f"the slide is damaged or cut off: {tried[0].reason}"
        )


def _write_tables(
    stage: Path, prepared: Prepared, predictions: Sequence[Prediction], rated: Rated, card: ModelCard
) -> None:
    per_um = (1 / prepared.mpp.x, 1 / prepared.mpp.y)
    model, upsampled = f"{card.name} {card.version}", prepared.upsampled
    shift = prepared.frames.shift
    features = (
        qupath_feature(
            p,
            model=model,
            upsampled=upsampled,
            pixels_per_um=per_um,
            taken=prepared.selection.taken,
            shift=shift,
        )
        for p in predictions
    )
    spots = hot_spot_features(rated.hot_spot, mpp=prepared.mpp, offset=prepared.frames.objects, model=model)
    last = (json.dumps(spot).encode() for spot in spots)
    results.write_parts(stage / results.OBJECTS, feature_collection(itertools.chain(features, last)))
    table = results.candidates_csv(predictions, upsampled=upsampled)
    results.write_parts(stage / results.CANDIDATES, table)
