"""EvaluationReport: the measures of models on data sets, and how they are built from scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate.bootstrap import Intervals, intervals
from slidemitosis.train.evaluate.metrics import (
    MEASURES,
    Doubt,
    Metrics,
    Scored,
    SubtypeRow,
    confusion,
    doubt,
    first_expert_accuracy,
    metrics_of,
    subtype_table,
)
from slidemitosis.train.evaluate.points import PointScores, point_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

Role = Literal["single", "fold", "ensemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The figures of one domain."""

    name: str
    """"" where the data set does not say."""
    metrics: Metrics
    intervals: Intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model on one data set."""

    model: str
    role: Role
    """A fold is one of several networks trained alike; an ensemble is all of them as one model."""
    fold: int | None
    """The number of a fold; None for other roles."""
    run: str
    """The run of folds and their ensemble; "" where all entries of the report are of one run."""
    data: str
    views: int
    """1: the patch as it is; 8: mean over the dihedral views."""
    threshold: float
    collapsed: bool
    """The network gives every figure one class."""
    metrics: Metrics
    intervals: Intervals
    domains: tuple[Domain, ...]
    """Sorted by name; empty where all figures are of one domain."""
    subtypes: tuple[SubtypeRow, ...]
    """Empty where the model or the data tell no subtypes."""
    classes: tuple[str, ...]
    """The subtypes of rows (the first expert's) and columns (the model's) of `confusion`."""
    confusion: tuple[tuple[int, ...], ...]
    first_expert: float | None = None
    """Balanced accuracy at 0.5 of a model of subtypes against the type of the first expert's subtype."""
    points: tuple[PointScores, ...] = ()
    """Its operating points; empty where the model has none."""
    doubt: Doubt | None = None
    """None where the model or the data tell no hardness."""

    def __post_init__(self) -> None:
        if (self.role == "fold") != (self.fold is not None):
            raise InvalidOption(f"{self.model} on {self.data}: a fold, and nothing else, has a number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A measure over the folds."""

    mean: float
    sd: float
    """Divided by the number of folds (ddof 0), as the published benchmark reports it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSummary:
    """The folds of one run on one data set, each scored by itself, not as an ensemble."""

    run: str
    data: str
    domain: str | None
    """None over all figures."""
    folds: int
    measures: dict[str, Spread]
    """Measures that every fold has, by field of Metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFold:
    """A fold's network on the figures that were kept out of its training, one view.

    Its measures need no calibration, which was fitted on these figures.
    """

    run: str
    model: str
    fold: int
    figures: int
    atypical: int
    """How many of the figures are AMF."""
    collapsed: bool
    """The network gives every figure one class; the other folds have converged."""
    balanced_accuracy_at_half: float | None
    """As in Metrics, and so are the others."""
    auroc: float | None
    average_precision: float | None


VALIDATED = ("balanced_accuracy_at_half", "auroc", "average_precision")
"""Names of the fields of ValidationFold that are measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """The folds of one run on their own validation figures."""

    run: str
    folds: int
    measures: dict[str, Spread]
    """Over all folds, of the measures that every fold has."""
    converged_folds: int
    converged: dict[str, Spread]
    """Over the folds that have not collapsed; empty where all have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """The measures of models on data sets."""

    entries: tuple[Entry, ...]
    family: str | None = None
    """Of the recipe, where the models share one: "end-to-end", "linear probe", "LoRA"."""
    backbone: str | None = None
    recipe: str | None = None
    notes: tuple[str, ...] = ()
    """A sentence each, shown above the tables."""
    validation: tuple[ValidationFold, ...] = ()
    """Of runs with two folds or more."""

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names of the models, in the order of the entries."""
        return tuple(dict.fromkeys(e.model for e in self.entries))

    @property
    def data(self) -> tuple[str, ...]:
        """Return the names of the data sets, in the order of the entries."""
        return tuple(dict.fromkeys(e.data for e in self.entries))

    @property
    def folds(self) -> tuple[FoldSummary, ...]:
        """Summarise each run's folds on each data set by mean and SD, over all and by domain."""
        keys = dict.fromkeys((e.data, e.run) for e in self.entries if e.role == "fold")
        folds = [
            [e for e in self.entries if (e.role, e.data, e.run) == ("fold", data, run)] for data, run in keys
        ]
        return tuple(summary for entries in folds for summary in _summarise(entries))

    @property
    def cross_validation(self) -> tuple[CrossValidation, ...]:
        """Summarise each run's folds on their validation figures, over all folds and over converged ones."""
        runs = dict.fromkeys(v.run for v in self.validation)
        return tuple(_cross_validation([v for v in self.validation if v.run == run]) for run in runs)


def build_entry(
    scored: Scored,
    *,
    role: Role = "single",
    fold: int | None = None,
    run: str = "",
    views: int = 1,
    draws: int = 2000,
    seed: int = 0,
) -> Entry:
    """Measure one model on one data set; `draws` and `seed` are those of the bootstrap."""
    names = sorted(set(scored.domains)) if len(set(scored.domains)) > 1 else []
    domains = []
    for name in names:
        part = scored.take([i for i, d in enumerate(scored.domains) if d == name])
        found = intervals(part, draws=draws, seed=seed)
        domains.append(Domain(name=name, metrics=metrics_of(part), intervals=found))
    classes, matrix = confusion(scored)
    told = bool(matrix.sum())
    return Entry(
        model=scored.model,
        role=role,
        fold=fold,
        run=run,
        data=scored.data,
        views=views,
        threshold=scored.threshold,
        collapsed=scored.collapsed,
        metrics=metrics_of(scored),
        intervals=intervals(scored, draws=draws, seed=seed),
        domains=tuple(domains),
        subtypes=subtype_table(scored) if told else (),
        classes=classes if told else (),
        confusion=tuple(tuple(row) for row in matrix.tolist()) if told else (),
        first_expert=first_expert_accuracy(scored) if told else None,
        points=point_scores(scored),
        doubt=doubt(scored),
    )


def validation_fold(scored: Scored, *, run: str, model: str, fold: int) -> ValidationFold:
    """Measure a fold's network on its validation figures."""
    m = metrics_of(scored)
    return ValidationFold(
        run=run,
        model=model,
        fold=fold,
        figures=m.figures,
        atypical=m.atypical,
        collapsed=scored.collapsed,
        balanced_accuracy_at_half=m.balanced_accuracy_at_half,
        auroc=m.auroc,
        average_precision=m.average_precision,
    )


def _cross_validation(folds: Sequence[ValidationFold]) -> CrossValidation:
    converged = [f for f in folds if not f.collapsed]
    return CrossValidation(
        run=folds[0].run,
        folds=len(folds),
        measures=_spreads(folds, VALIDATED),
        converged_folds=len(converged),
        converged=_spreads(converged, VALIDATED),
    )


def _summarise(entries: Sequence[Entry]) -> list[FoldSummary]:
    """Summarise the folds of one run on one data set: over all, then by domain."""
    parts: dict[str | None, list[Metrics]] = {None: [e.metrics for e in entries]}
    for entry in entries:
        for domain in entry.domains:
            parts.setdefault(domain.name, []).append(domain.metrics)
    run, data = entries[0].run, entries[0].data
    return [
        FoldSummary(run=run, data=data, domain=name, folds=len(metrics), measures=_spreads(metrics, MEASURES))
        for name, metrics in parts.items()
    ]


def _spreads(folds: Sequence[Metrics] | Sequence[ValidationFold], names: Sequence[str]) -> dict[str, Spread]:
    """Compute mean and SD of the measures of these names that every fold has; none of no folds."""
    spreads = {}
    for name in names:
        values = [getattr(f, name) for f in folds]
        if values and None not in values:
            spreads[name] = Spread(mean=float(np.mean(values)), sd=float(np.std(values)))
    return spreads
