"""One slide, from files to files."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis import results
from slidemitosis.candidates import counts_text
from slidemitosis.cards import DEFAULT_MODEL, find_model
from slidemitosis.errors import InvalidOption, ReadingFailed
from slidemitosis.extras import HARD, stated_extras
from slidemitosis.geometry import PixelSize
from slidemitosis.loader import PatchLoader
from slidemitosis.objects import feature_collection_text, qupath_feature
from slidemitosis.prepare import Prepared, ReadOptions, prepare
from slidemitosis.rates import slide_rate
from slidemitosis.summary import slide_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from slidemitosis.candidates import Unit
    from slidemitosis.cards import ModelCard
    from slidemitosis.classify import SizedForward
    from slidemitosis.geometry import Origin
    from slidemitosis.predictions import Prediction
    from slidemitosis.rates import SlideRate
    from slidemitosis.slides import Reader

log = logging.getLogger(__name__)

BLANK = "nothing to be seen: bare glass, or no pixels here; is the place right?"
BATCH_SIZE = 64
"""Patches a batch unless told otherwise: enough to keep a device busy, few enough for small memories."""


@dataclass(frozen=True, slots=True)
class SlideResult:
    """What `classify_slide` found, and where it wrote it."""

    rate: SlideRate
    predictions: tuple[Prediction, ...]
    """One for each selected candidate, in the order of the points file."""
    summary: dict[str, Any]
    """What `summary.json` holds."""
    objects_path: Path
    candidates_path: Path
    summary_path: Path


@dataclass(slots=True)
class _Seconds:
    """Where the time went."""

    preparing: float = 0.0
    """Opening the slide, reading the candidates, placing the windows."""
    loading: float = 0.0
    """Importing torch and loading the model; reading goes on meanwhile."""
    reading: float = 0.0
    """In the reader processes, added up."""
    waiting: float = 0.0
    """Of the classifying process, for patches."""
    computing: float = 0.0
    writing: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """How to classify; see `classify_slide`. None means: choose what suits the device."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    views: int = 1
    workers: int | None = None


def classify_slide(
    slide: str | Path,
    points: str | Path,
    *,
    out: str | Path | None = None,
    model: str | Path = DEFAULT_MODEL,
    reader: Reader = "auto",
    mpp: float | tuple[float, float] | None = None,
    origin: Origin = "auto",
    candidate_classes: Sequence[str] = (),
    unit: Unit | None = None,
    keep_duplicates: bool = False,
    allow_upsampling: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    views: int = 1,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SlideResult:
    """Classify the candidate mitoses of one slide and write objects, table and summary.

    slide: a whole-slide image. points: candidates as GeoJSON of QuPath, or a CSV with x and y.
    out: folder for the results; by default `<slide name>.slidemitosis` beside `points`.
    model: name of a shipped model, or a model folder.
    reader: "auto", "openslide" or "tiffslide". mpp: um/px of level 0, one number or (x, y), where the
    metadata lack it or are wrong. origin: what the candidates count from on a slide with bounds:
    "level0" or "bounds"; "auto" refuses such a slide. candidate_classes: the classes that are
    candidates; by default those that read as mitosis. unit: "px" or "um", for a CSV whose header does
    not say. keep_duplicates: classify candidates with one id, or within 2 um, as often as they stand.
    allow_upsampling: accept slides coarser than 0.6 um/px.
    device: "auto", "cpu", "cuda", "cuda:N" or "mps". precision: "auto", "fp32", "fp16" or "bf16".
    batch_size: patches a batch; halved where the device runs out of memory. views: 1, or 8 for the mean
    over rotations and reflections. workers: reader processes; 0 reads in this process.
    progress: called with (candidates done, candidates in all).

    In a script, call it under `if __name__ == "__main__":` or with workers=0, since worker processes
    import the script anew. Raises a SlideMitosisError, and then writes nothing.
    """
    if isinstance(candidate_classes, str):
        raise InvalidOption(f"candidate_classes must be a list of names, such as [{candidate_classes!r}]")
    read = ReadOptions(
        reader=reader,
        mpp=_given_mpp(mpp),
        origin=origin,
        candidate_classes=tuple(candidate_classes),
        unit=unit,
        keep_duplicates=keep_duplicates,
        allow_upsampling=allow_upsampling,
    )
    compute = ComputeOptions(
        device=device, precision=precision, batch_size=batch_size, views=views, workers=workers
    )
    _check(compute)
    compute = dataclasses.replace(compute, workers=default_workers() if workers is None else workers)
    slide, points = Path(slide), Path(points)
    folder = Path(out) if out is not None else results.default_folder(slide, points)
    return _run(slide, points, folder, card=find_model(model), read=read, compute=compute, progress=progress)


def _run(
    slide: Path,
    points: Path,
    folder: Path,
    *,
    card: ModelCard,
    read: ReadOptions,
    compute: ComputeOptions,
    progress: Callable[[int, int], None] | None,
) -> SlideResult:
    seconds = _Seconds()
    started = time.perf_counter()
    prepared = prepare(slide, points, read, card.patch)
    _say_what_was_selected(prepared)
    seconds.preparing = time.perf_counter() - started
    results.check_folder(folder, slide, points)
    with results.staged_folder(folder) as stage:
        predictions, how = _classify(prepared, card, compute, seconds, progress)
        rate = slide_rate(predictions)
        written = time.perf_counter()
        _write_tables(stage, prepared, predictions, card)
        seconds.writing = time.perf_counter() - written
        summary = slide_summary(prepared, read=read, card=card, how=how, rate=rate, predictions=predictions)
        summary["seconds"] = {k: round(v, 3) for k, v in dataclasses.asdict(seconds).items()}
        summary["seconds"]["total"] = round(time.perf_counter() - started, 3)
        results.write_text(stage / results.SUMMARY, results.summary_text(summary))
    return SlideResult(
        rate=rate,
        predictions=tuple(predictions),
        summary=summary,
        objects_path=folder / results.OBJECTS,
        candidates_path=folder / results.CANDIDATES,
        summary_path=folder / results.SUMMARY,
    )


def _given_mpp(mpp: float | tuple[float, float] | None) -> PixelSize | None:
    if mpp is None:
        return None
    both = mpp if isinstance(mpp, tuple | list) else (mpp, mpp)
    if len(both) != 2 or any(isinstance(v, bool) or not isinstance(v, int | float) for v in both):
        raise InvalidOption(f"mpp must be one number of um/px, or two (x, y), not {mpp!r}")
    return PixelSize(*map(float, both))


def _check(compute: ComputeOptions) -> None:
    """Refuse what cannot be meant before anything is read."""
    if compute.views not in (1, 8):
        raise InvalidOption(f"views must be 1 or 8, not {compute.views}")
    for name, value, low, high in (
        ("batch size", compute.batch_size, 1, 4096),
        ("workers", compute.workers, 0, 256),
    ):
        if value is not None and not (isinstance(value, int) and low <= value <= high):
            raise InvalidOption(f"{name} must be a whole number from {low} to {high}, not {value!r}")


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


def _classify(
    prepared: Prepared,
    card: ModelCard,
    compute: ComputeOptions,
    seconds: _Seconds,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Prediction], dict[str, Any]]:
    """The predictions, and how they were computed, for the summary."""
    predictions = list(prepared.predictions)
    how: dict[str, Any] = dataclasses.asdict(compute) | {"device": None, "precision": None}
    if not prepared.windows:
        return predictions, how
    # Reading starts before torch is imported, which takes longer than reading a slide's figures.
    loader = PatchLoader(
        prepared.open_slide,
        prepared.windows,
        patch=card.patch.side,
        batch_size=compute.batch_size or BATCH_SIZE,
        workers=compute.workers or 0,
    )
    with loader:
        loading = time.perf_counter()
        from slidemitosis.classify import SizedForward, choose_device, choose_precision  # noqa: PLC0415
        from slidemitosis.models import build_model  # noqa: PLC0415

        device = choose_device(compute.device)
        precision = choose_precision(compute.precision, device)
        model = build_model(card, device=device)
        forward = SizedForward(model, piece=loader.batch_size, views=compute.views, precision=precision)
        seconds.loading = time.perf_counter() - loading
        _fill_in(
            predictions, loader=loader, forward=forward, prepared=prepared, seconds=seconds, progress=progress
        )
    _refuse_all_unreadable(predictions, prepared)
    how |= {"device": device, "precision": precision, "batch_size": forward.piece}
    return predictions, how


def default_workers() -> int:
    """Reader processes: a quarter of the processors given to us, since computing needs them too; 1 to 4."""
    # What a cluster's scheduler grants is less than what the machine has.
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, mine // 4))


def _fill_in(
    predictions: list[Prediction],
    *,
    loader: PatchLoader,
    forward: SizedForward,
    prepared: Prepared,
    seconds: _Seconds,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Classify what the loader reads, and put the outcome in the candidates' places."""
    card = forward.model.card
    done, total = 0, len(prepared.windows)
    if progress:
        progress(done, total)
    clock = time.perf_counter()
    for batch in loader:
        arrived = time.perf_counter()
        seconds.waiting += arrived - clock
        seconds.reading += batch.read_seconds
        for row, reason in batch.unreadable:
            i = prepared.to_read[row]
            predictions[i] = dataclasses.replace(predictions[i], status="unreadable", reason=reason)
        outputs = forward(batch.pixels)
        probabilities = card.decision.probability(outputs.logit)
        extras = stated_extras(card, outputs.extra, probabilities)
        blank = blank_patches(batch.pixels, crop=min(c for n in card.networks for c in n.crops))
        for k, row in enumerate(batch.indices):
            i, p = prepared.to_read[row], round(float(probabilities[k]), 6)
            told = {name: round(float(column[k]), 6) for name, column in extras.items()}
            doubt = told.pop(HARD, None)
            predictions[i] = (
                dataclasses.replace(predictions[i], status="blank", reason=BLANK)
                if blank[k]
                else dataclasses.replace(
                    predictions[i],
                    status="classified",
                    probability=p,
                    atypical=p >= card.decision.threshold,
                    p_hard=doubt if card.hardness else None,
                    subtypes=told,
                )
            )
        done += len(batch.indices) + len(batch.unreadable)
        clock = time.perf_counter()
        seconds.computing += clock - arrived
        if progress:
            progress(done, total)


def blank_patches(pixels: NDArray[np.uint8], *, crop: int) -> NDArray[np.bool_]:
    """Which patches, uint8 (B, S, S, 3), show nothing in their central `crop` px: bool (B,).

    Nothing is: 98 % of the pixels within 16 grey levels, as on bare glass or where a slide has no
    pixels. The palest of 4,773 real figures (AMi-Br, AtNorM-MD) spans 78.
    """
    if len(pixels) == 0:
        return np.zeros(0, np.bool_)
    start = (pixels.shape[1] - crop) // 2
    centre = pixels[:, start : start + crop, start : start + crop].astype(np.float32).mean(axis=3)
    low, high = np.percentile(centre.reshape(len(pixels), -1), (1, 99), axis=1)
    blank: NDArray[np.bool_] = high - low < 16
    return blank


def _refuse_all_unreadable(predictions: list[Prediction], prepared: Prepared) -> None:
    tried = [predictions[i] for i in prepared.to_read]
    if all(p.status == "unreadable" for p in tried):
        raise ReadingFailed(
            f"{prepared.slide.path}: not one of {len(tried)} candidates could be read, "
            f"the slide is damaged or cut off: {tried[0].reason}"
        )


def _write_tables(
    stage: Path, prepared: Prepared, predictions: Sequence[Prediction], card: ModelCard
) -> None:
    per_um = (1 / prepared.mpp.x, 1 / prepared.mpp.y)
    model, upsampled = f"{card.name} {card.version}", prepared.upsampled
    features = (
        qupath_feature(p, model=model, upsampled=upsampled, pixels_per_um=per_um) for p in predictions
    )
    results.write_text(stage / results.OBJECTS, feature_collection_text(features))
    table = results.candidates_csv(predictions, upsampled=upsampled)
    results.write_text(stage / results.CANDIDATES, table)
