"""The summary of one slide: everything that a reader, or a later program, may want to know of a run."""

from __future__ import annotations

import dataclasses
import platform
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

import slidemitosis
from slidemitosis.cards import SUBTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slidemitosis.cards import ModelCard
    from slidemitosis.predictions import Prediction
    from slidemitosis.prepare import Prepared, ReadOptions
    from slidemitosis.rates import SlideRate


def slide_summary(
    prepared: Prepared,
    *,
    read: ReadOptions,
    card: ModelCard,
    how: dict[str, Any],
    rate: SlideRate,
    predictions: Sequence[Prediction],
) -> dict[str, Any]:
    """What `summary.json` says of one slide, but for the seconds; docs/outputs.md explains each key.

    `how` is how it was computed: device, precision, batch size, views, workers.
    """
    slide, selection = prepared.slide, prepared.selection
    return {
        "slide": {
            "path": str(slide.path.resolve()),
            "name": slide.path.name,
            "bytes": slide.path.stat().st_size,
            "reader": slide.reader,
            "reader_version": slide.reader_version,
            "vendor": slide.vendor,
            "width_px": slide.size[0],
            "height_px": slide.size[1],
            "bounds_px": dataclasses.asdict(slide.bounds) if slide.bounds else None,
            "mpp_x": prepared.mpp.x,
            "mpp_y": prepared.mpp.y,
            "mpp_source": "given" if read.mpp else "metadata",
        },
        "reading": {
            "model_mpp": card.patch.mpp,
            "level": prepared.plan.level,
            "resampling": prepared.plan.resampling,
            "upsampled": prepared.upsampled,
            "offset_px": list(prepared.offset),
        },
        "points": {
            "path": str(prepared.candidates.path.resolve()),
            "bytes": prepared.candidates.path.stat().st_size,
            "format": prepared.candidates.format,
            "unit": prepared.candidates.unit,
            "objects": len(prepared.candidates),
            "selected_by": selection.rule,
            "selected": _class_list(selection.taken),
            "left_out": _class_list(selection.left),
        },
        "model": {
            "name": card.name,
            "version": card.version,
            "sha256": card.weights_sha256,
            "threshold": card.decision.threshold,
        },
        "counts": {
            "candidates": len(predictions),
            "classified": rate.classified,
            "atypical": rate.atypical,
            "normal": rate.normal,
            "unreadable": rate.unreadable,
            "outside": rate.outside,
            "blank": rate.blank,
            "duplicates": rate.duplicates,
        },
        "fraction_amf_of_all": rate.fraction,
        "fraction_amf_of_all_wilson_95": rate.fraction_interval,
        "ratio_amf_to_nmf": rate.ratio,
        "few_figures": rate.few_figures,
        "subtypes": _subtype_counts(predictions),
        "mean_p_hard": _mean_p_hard(predictions),
        "not_classified": [
            {"id": p.candidate.id, "source": p.candidate.source, "status": p.status, "reason": p.reason}
            for p in predictions
            if p.status != "classified"
        ],
        "options": {**dataclasses.asdict(read), **how},
        "versions": _versions(),
    }


def _subtype_counts(predictions: Sequence[Prediction]) -> dict[str, int] | None:
    """Classified figures by their likeliest subtype, in the order of SUBTYPES; None where none is told."""
    told = Counter(p.subtype for p in predictions if p.subtype)
    return {name: told[name] for name in SUBTYPES if told[name]} or None


def _mean_p_hard(predictions: Sequence[Prediction]) -> float | None:
    """Mean probability of the classified figures that experts disagree; None where it is not told."""
    told = [p.p_hard for p in predictions if p.p_hard is not None]
    return round(statistics.fmean(told), 6) if told else None


def _class_list(counts: Mapping[str | None, int]) -> list[dict[str, Any]]:
    return [{"class": name, "count": n} for name, n in counts.items()]


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415

    ours = {"slidemitosis": slidemitosis.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in ("numpy", "pillow", "timm", "torch")}
