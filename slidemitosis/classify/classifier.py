"""One slide, from files to files."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from slidemitosis.candidates import counts_text
from slidemitosis.classify.stream import predict_batches
from slidemitosis.classify.timing import Stopwatch
from slidemitosis.engines.choose import ComputeOptions, default_workers, load_forward
from slidemitosis.errors import InvalidOption
from slidemitosis.files import staged_folder, write_text
from slidemitosis.models.files import check_graph
from slidemitosis.models.shipped import DEFAULT_MODEL, find_model
from slidemitosis.outputs.folder import CANDIDATES, OBJECTS, SUMMARY, result_folder, summary_text
from slidemitosis.outputs.slide_results_TMP import write_objects_and_table
from slidemitosis.outputs.summary import slide_summary
from slidemitosis.rates.slide import Rated, RateOptions, analysed_area, check_band, rate_slide, set_apart
from slidemitosis.reading.batches import READ_SIZE
from slidemitosis.reading.pool import ReaderPool
from slidemitosis.reading.prepare import Prepared, ReadOptions, given_pixel_size, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slidemitosis.candidates import Format, Unit
    from slidemitosis.engines.choose import EngineName
    from slidemitosis.engines.engine import Forward
    from slidemitosis.geometry import Origin, Viewer
    from slidemitosis.prediction import Prediction
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.reading.batches import Batch
    from slidemitosis.slides.open import Reader

log = logging.getLogger(__name__)


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
        folder = result_folder(Path(out) if out is not None else None, slide, points)
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
        clock = Stopwatch()
        rates = rates or RateOptions()
        with clock.during("preparing"):
            check_band(rates, self.card)
            prepared = prepare(slide, points, read, self.card.patch)
            _say_what_was_selected(prepared)
            area = analysed_area(prepared, rates, read.area_classes)
        with staged_folder(folder, last=SUMMARY) as stage:
            predictions, how = self._predict(prepared, clock, progress)
            with clock.during("rating"):
                predictions = set_apart(predictions, rates.abstain)
                rated = rate_slide(predictions, prepared=prepared, card=self.card, options=rates, area=area)
            with clock.during("writing"):
                write_objects_and_table(stage, prepared, predictions, rated=rated, card=self.card)
            summary = slide_summary(
                prepared, read=read, card=self.card, how=how, rated=rated, predictions=predictions
            )
            summary["seconds"] = clock.told()
            for name, text in (beside(summary, rated) if beside else {}).items():
                write_text(stage / name, text)
            write_text(stage / SUMMARY, summary_text(summary))
        return SlideResult(
            rated=rated,
            predictions=tuple(predictions),
            summary=summary,
            objects_path=folder / OBJECTS,
            candidates_path=folder / CANDIDATES,
            summary_path=folder / SUMMARY,
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
        self, prepared: Prepared, clock: Stopwatch, progress: Callable[[int, int], None] | None
    ) -> tuple[list[Prediction], dict[str, Any]]:
        """The predictions, and how they were computed, for the summary."""
        how: dict[str, Any] = dataclasses.asdict(self.compute) | {"device": None, "precision": None}
        if not prepared.windows:
            return list(prepared.predictions), how
        # Reading starts before the model is loaded, which takes longer than reading a slide's figures.
        batches = self.read(prepared)
        with clock.during("loading"):
            forward = self.forward
        predictions = predict_batches(prepared, batches, forward, clock=clock, progress=progress)
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
