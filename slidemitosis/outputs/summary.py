"""The summary of one slide: everything that a reader, or a later program, may want to know of a run."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis._version import __version__
from slidemitosis.labels import SUBTYPES
from slidemitosis.outputs.rate_fields import (
    area_fields,
    corrected_fields,
    count_fields,
    fraction_fields,
    hot_spot_fields,
    review_fields,
)
from slidemitosis.outputs.regions import region_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.models.decision import Decision
    from slidemitosis.options import ReadOptions
    from slidemitosis.prediction import CandidateResult
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.slide import Rated
    from slidemitosis.reading.prepare import Prepared


SCHEMA = 2
"""Of `summary.json`. Summaries without a number are of schema 1, in which the calls alone made the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """How patches were computed: the options, and what they left open; None where nothing was computed."""

    engine: str
    """"onnx" or "torch"; the one that was asked for where nothing was computed."""
    device: str | None
    precision: str | None
    batch_size: int | None
    views: int
    operating_point: str
    """The one that was asked for; `model.operating_point` is the one that made the calls."""
    calibration: str | None
    """Path of the local calibration, as it was given."""
    compiled: bool
    workers: int | None


def slide_summary(
    prepared: Prepared,
    *,
    read: ReadOptions,
    card: ModelCard,
    computed: Computed,
    rated: Rated,
    results: Sequence[CandidateResult],
) -> dict[str, Any]:
    """Make what `summary.json` says of one slide, but for the seconds; docs/outputs.md explains each key."""
    return {
        "schema": SCHEMA,
        "slide": _slide(prepared, read),
        "reading": _reading(prepared, card),
        "points": _points(prepared),
        "model": _model(card, computed, rated.decision),
        "counts": count_fields(rated.rate),
        **fraction_fields(rated.rate, rated.expected),
        "unlike_training": None if rated.unlike is None else round(rated.unlike, 1),
        "warnings": list(rated.warnings),
        **_corrected(rated),
        "review": review_fields(rated.review),
        "expected_subtypes": expected_subtypes(rated.rate, card),
        "expected_hard": expected_hard(rated.rate, card),
        "analysed_area": area_fields(rated.area),
        "hot_spot": _hot_spot(rated, prepared),
        "regions": None if rated.regions is None else [region_fields(r) for r in rated.regions],
        "not_classified": _not_classified(results),
        "options": {
            **dataclasses.asdict(read),
            **dataclasses.asdict(rated.options),
            **dataclasses.asdict(computed),
        },
        "versions": _versions(computed, direct=_not_direct(prepared) is None),
    }


def _slide(prepared: Prepared, read: ReadOptions) -> dict[str, Any]:
    slide = prepared.slide
    return {
        "path": str(slide.path.absolute()),
        "name": slide.path.name,
        **prepared.slide_seen.identity,
        "quickhash": slide.quickhash,
        "reader": slide.reader,
        "reader_version": slide.reader_version,
        "vendor": slide.vendor,
        "width_px": slide.size[0],
        "height_px": slide.size[1],
        "bounds_px": dataclasses.asdict(slide.bounds) if slide.bounds else None,
        "mpp_x": prepared.mpp.x,
        "mpp_y": prepared.mpp.y,
        "mpp_source": "given" if read.mpp else "metadata",
    }


def _not_direct(prepared: Prepared) -> str | None:
    """Why tiles of the level that is read are not decoded directly; None where they are."""
    return prepared.slide.not_direct[prepared.plan.level]


def _reading(prepared: Prepared, card: ModelCard) -> dict[str, Any]:
    frames, not_direct = prepared.frames, _not_direct(prepared)
    return {
        "model_mpp": card.patch.mpp,
        "patch_px": card.patch.side,
        "level": prepared.plan.level,
        "direct": not_direct is None,
        "not_direct": not_direct,
        "resampling": prepared.plan.resampling,
        "upsampled": prepared.upsampled,
        "offset_px": list(frames.points),
        "offset_by": frames.points_by,
        "objects_frame": frames.objects_frame,
        "objects_offset_px": list(frames.objects),
        "objects_offset_by": frames.objects_by,
    }


def _points(prepared: Prepared) -> dict[str, Any]:
    candidates, selection, seen = prepared.candidates, prepared.selection, prepared.points_seen
    return {
        "path": str(candidates.path.absolute()) if candidates.path else None,
        "bytes": seen.identity["bytes"] if seen else _bytes(candidates.path),
        "format": candidates.format,
        "unit": candidates.unit,
        "objects": len(candidates),
        "selected_by": selection.rule,
        "selected": _class_list(selection.taken),
        "left_out": _class_list(selection.left),
    }


def _bytes(path: Path | None) -> int | None:
    """Return the size of the file that candidates in memory come from, if there is one."""
    return path.stat().st_size if path and path.is_file() else None


def _class_list(counts: Mapping[str | None, int]) -> list[dict[str, Any]]:
    return [{"class": name, "count": n} for name, n in counts.items()]


def _model(card: ModelCard, computed: Computed, decision: Decision) -> dict[str, Any]:
    fitted = decision.calibration
    return {
        "name": card.name,
        "version": card.version,
        "sha256": card.weights_sha256,
        "graph_sha256": card.graph.sha256 if card.graph and computed.engine == "onnx" else None,
        "operating_point": decision.point,
        "threshold": decision.threshold,
        "calibration": dataclasses.asdict(fitted) if fitted else None,
    }


def _corrected(rated: Rated) -> dict[str, Any]:
    protocol = None if rated.options.errors else rated.decision.validation.protocol
    return corrected_fields(rated.corrected, rated.errors, protocol=protocol)


def _hot_spot(rated: Rated, prepared: Prepared) -> dict[str, Any] | None:
    annotated = rated.area is not None and rated.area.area.source == "annotations"
    among = "figures within the annotations" if annotated else "all figures"
    return hot_spot_fields(rated.hot_spot, mpp=prepared.mpp, among=among)


def _not_classified(results: Sequence[CandidateResult]) -> list[dict[str, Any]]:
    return [
        {"id": c.id, "source": c.source, "status": r.status, "reason": r.reason}
        for r in results
        if r.status != "classified"
        for c in [r.placed.candidate]
    ]


def expected_subtypes(rate: SlideRate, card: ModelCard) -> dict[str, float] | None:
    """Sum the probabilities of each subtype that the model tells, two decimals; None where it tells none.

    Not the number of figures whose likeliest subtype it is: a rare one is hardly ever the likeliest.
    """
    known = [name for name in card.extra_outputs if name in SUBTYPES]
    return {name: round(rate.subtype_sums.get(name, 0.0), 2) for name in known} or None


def expected_hard(rate: SlideRate, card: ModelCard) -> float | None:
    """Sum the probabilities that experts disagree, two decimals; None where the model tells none."""
    return round(rate.hard_sum, 2) if card.hardness else None


def _versions(computed: Computed, *, direct: bool) -> dict[str, str]:
    """Of what read and computed; a package that goes by another name here is left out."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    used = ["numpy", "pillow", *(["simplejpeg"] * direct)]
    used += {"onnx": ["onnxruntime"], "torch": ["timm", "torch"]}.get(computed.engine, [])
    versions = {"slidemitosis": __version__, "python": platform.python_version()}
    for name in used:
        with contextlib.suppress(PackageNotFoundError):  # onnxruntime has several
            versions[name] = version(name)
    return versions
