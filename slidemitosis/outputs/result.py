"""SlideResult: everything that was found on one slide, and its files."""

from __future__ import annotations

import functools
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.files import staged_folder, write_parts, write_text
from slidemitosis.outputs.folder import (
    CANDIDATES,
    OBJECTS,
    REGIONS,
    SUMMARY,
    check_folder,
    check_no_answers,
    summary_text,
)
from slidemitosis.outputs.hot_spot_object import hot_spot_features
from slidemitosis.outputs.objects import feature_collection, qupath_feature
from slidemitosis.outputs.regions import region_features, regions_csv
from slidemitosis.outputs.summary import slide_summary
from slidemitosis.outputs.table import candidates_csv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ReadOptions
    from slidemitosis.outputs.summary import Computed
    from slidemitosis.prediction import CandidateResult
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.slide import Rated
    from slidemitosis.reading.prepare import Prepared


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The files of one slide's results."""

    objects: Path
    candidates: Path
    summary: Path
    regions: Path | None
    """None where there are no regions."""

    @property
    def all(self) -> tuple[Path, ...]:
        """All of them."""
        files = self.objects, self.candidates, self.regions, self.summary
        return tuple(path for path in files if path)

    @classmethod
    def of(cls, folder: Path) -> ResultFiles:
        """Name the files in a folder of results that are there, or are always made."""
        regions = folder / REGIONS
        return cls(
            folder / OBJECTS, folder / CANDIDATES, folder / SUMMARY, regions if regions.exists() else None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideResult:
    """What was found on one slide, and how. Nothing is written until `write` is called."""

    prepared: Prepared
    """The slide and its candidates as they were read."""
    candidates: tuple[CandidateResult, ...]
    """One for each selected candidate, in the order of the points file."""
    rated: Rated
    """Counts, fractions, area and hot spot."""
    card: ModelCard
    read: ReadOptions
    computed: Computed
    seconds: Mapping[str, float]
    """What each part of the work took; docs/outputs.md explains the parts."""
    answers_of: tuple[Path, ...] = ()
    """Folders of results whose answers of persons count in this one."""

    @property
    def rate(self) -> SlideRate:
        """Counts and the fraction of all figures."""
        return self.rated.rate

    def summary(self) -> dict[str, Any]:
        """Make what `summary.json` says, but for the seconds; docs/outputs.md explains each key."""
        return slide_summary(
            self.prepared,
            read=self.read,
            card=self.card,
            computed=self.computed,
            rated=self.rated,
            results=self.candidates,
        )

    def write(self, folder: str | Path) -> ResultFiles:
        """Write objects, table and summary into a folder, all of them or none.

        Raises OutputError where they cannot be written, or would replace an input, a stranger's file,
        results of other inputs, or answers of a person that do not count in these.
        """
        folder = Path(folder)
        check_folder(folder, self.prepared.slide.path, self.prepared.candidates.path)
        if folder.resolve() not in self.answers_of:
            check_no_answers(folder)
        with staged_folder(folder, last=SUMMARY, gone=(REGIONS,)) as stage:
            self.write_into(stage)
        return ResultFiles.of(folder)

    def write_into(self, stage: Path) -> dict[str, float]:
        """Write the files into a folder as they are made; return the seconds, those of writing included."""
        started = time.perf_counter()
        upsampled = self.prepared.upsampled
        files = ResultFiles.of(stage)
        write_parts(files.objects, feature_collection(self._objects()))
        write_parts(files.candidates, candidates_csv(self.candidates, upsampled=upsampled))
        if self.rated.regions is not None:
            write_parts(stage / REGIONS, regions_csv(self.rated.regions))
        took = time.perf_counter() - started
        seconds = {**self.seconds, "writing": round(took, 3), "total": round(self.seconds["total"] + took, 3)}
        write_text(files.summary, summary_text({**self.summary(), "seconds": seconds}))
        return seconds

    @property
    def _model(self) -> str:
        return f"{self.card.name} {self.card.version}"

    def _objects(self) -> Iterator[bytes]:
        regions = region_features(self.rated.regions or (), shift=self.prepared.frames.shift)
        return itertools.chain(self._features(), self._hot_spot(), regions)

    def _features(self) -> Iterator[bytes]:
        mpp, prepared = self.prepared.mpp, self.prepared
        same_for_all = functools.partial(
            qupath_feature,
            model=self._model,
            threshold=self.rated.decision.threshold,
            upsampled=prepared.upsampled,
            pixels_per_um=(1 / mpp.x, 1 / mpp.y),
            taken=prepared.selection.taken,
            shift=prepared.frames.shift,
        )
        return map(same_for_all, self.candidates)

    def _hot_spot(self) -> Iterator[bytes]:
        spot, offset = self.rated.hot_spot, self.prepared.frames.objects
        found = hot_spot_features(spot, mpp=self.prepared.mpp, offset=offset, model=self._model)
        return (json.dumps(feature).encode() for feature in found)
