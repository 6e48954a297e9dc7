"""Comparison: the scores of several runs on the data sets that they share, and the tests between them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.train.evaluate.points import PointScores


@dataclass(frozen=True, slots=True)
class Row:
    """One run in the table of one data set. Folds and ensemble are never mixed."""

    run: str
    family: str | None
    backbone: str | None
    folds: tuple[int, ...]
    mean_sd: Mapping[str, tuple[float, float] | None]
    """Mean and SD (ddof 0) of the folds' scores, by metric. None without folds, or where one has no score."""
    whole: Literal["single", "ensemble"] | None
    """Which model `whole_scores` are of."""
    whole_scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class RankComparison:
    """A test of ranks between two groups or two runs, of one metric."""

    a: str
    b: str
    metric: str
    test: Literal["Wilcoxon signed-rank", "Mann-Whitney U"]
    sizes: tuple[int, int]
    """How many scores a and b have; for Wilcoxon's test they are pairs."""
    difference: float | None
    """Median of a - b over pairs; for Mann and Whitney's test, median of a minus median of b."""
    statistic: float | None
    p: float | None
    """Two-sided; None where the test cannot be made."""
    p_holm: float | None
    smallest_p: float | None
    """The smallest p that so few scores can give."""
    note: str
    """Why there is no p, or why it cannot be small."""


@dataclass(frozen=True, slots=True)
class AurocComparison:
    """DeLong's test between the ensembles (or single networks) of two runs, and the interval by slide."""

    a: str
    b: str
    auroc_a: float
    auroc_b: float
    difference: float
    interval: tuple[float, float] | None
    """95 %, DeLong, as if figures were independent: too narrow. None where its variance is degenerate."""
    interval_by_slide: tuple[float, float] | None
    """95 %, whole slides drawn with replacement. None where slides are not told, or there is one only."""
    z: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class DataComparison:
    """All runs on one data set. Each of the three lists of tests is one family for Holm's correction."""

    data: str
    figures: int | None
    """None where there are folds alone, each on other figures."""
    atypical: int | None
    slides: int | None
    """None where the slide of a figure is not told."""
    rows: tuple[Row, ...]
    groups: tuple[RankComparison, ...]
    folds: tuple[RankComparison, ...]
    aurocs: tuple[AurocComparison, ...]
    points: tuple[tuple[str, PointScores], ...]
    """(Run, scores) at each operating point of its ensemble or single network."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare_runs` found."""

    runs: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    """The runs in each group."""
    data: tuple[DataComparison, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """Return the comparison as JSON, field for field as in the classes; null where there is no value."""
        return json.dumps({"format": 1} | asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
