"""A slide classified and written in one go, with options by their names, for tests of what the files hold."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis import ComputeOptions, PixelSize, ReadOptions, SlideClassifier
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.outputs.folder import result_folder
from tests.qupath_rules import qupath_features

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis import SlideResult
    from slidemitosis.outputs.result import ResultFiles
    from slidemitosis.prediction import CandidateResult
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.slide import Rated

_READ = {f.name for f in dataclasses.fields(ReadOptions)}


def rows_of(found: Written) -> list[dict[str, str]]:
    """Read the rows of `candidates.csv`."""
    with found.files.candidates.open(newline="") as f:
        return list(csv.DictReader(f))


def objects_of(found: Written) -> list[dict[str, Any]]:
    """Read the objects, as QuPath would."""
    return qupath_features(found.files.objects.read_bytes())


@dataclass(frozen=True)
class Written:
    """A result and its files."""

    result: SlideResult
    files: ResultFiles
    summary: dict[str, Any]

    @property
    def rate(self) -> SlideRate:
        return self.result.rate

    @property
    def rated(self) -> Rated:
        return self.result.rated

    @property
    def candidates(self) -> tuple[CandidateResult, ...]:
        return self.result.candidates


def read_options(*, mpp: Any = None, **options: Any) -> ReadOptions:
    """Make the options of reading; `mpp` as one number or as (x, y)."""
    match mpp:
        case float():
            mpp = PixelSize(mpp, mpp)
        case (x, y):
            mpp = PixelSize(x, y)
    return ReadOptions(mpp=mpp, **options)


def classify(
    slide: Path,
    points: Path,
    *,
    out: Path | None = None,
    model: str | Path = DEFAULT_MODEL,
    rates: Any = None,
    progress: Any = None,
    classifier: SlideClassifier | None = None,
    **options: Any,
) -> Written:
    """Classify with options by their names, and write beside the points or to `out`."""
    read = read_options(**{k: v for k, v in options.items() if k in _READ})
    compute = ComputeOptions(**{k: v for k, v in options.items() if k not in _READ})
    given = contextlib.nullcontext(classifier) if classifier else None
    with given or SlideClassifier(model, compute=compute) as opened:
        folder = result_folder(out, slide, points)
        result = opened.classify(slide, points, read=read, rates=rates, progress=progress)
    files = result.write(folder)
    seconds = json.loads(files.summary.read_text(encoding="utf-8"))["seconds"]
    return Written(result, files, {**result.summary(), "seconds": seconds})
