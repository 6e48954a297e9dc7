"""Compare runs: a table like Banerjee et al.'s, and tests between groups, runs and AUROCs."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.train.evaluate import statistics
from slidemitosis.train.evaluate.comparison import (
    AurocComparison,
    Comparison,
    DataComparison,
    RankComparison,
    Row,
)
from slidemitosis.train.evaluate.evaluated import METRICS, read_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.evaluate.evaluated import Entry, Predicted, Run

ALPHA = 0.05
"""The level of which a note says that a test of so few scores cannot reach it."""


def compare_runs(
    runs: Sequence[Path],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare evaluation folders on every data set that they share.

    `groups` names runs (by folder, or by its name) of each group; the default is a group for each family
    in the reports. `draws` and `seed` are those of the bootstrap of slides. Raises InvalidOption, in one
    line, for fewer than two runs, a folder that is no evaluation, no common data set, figures or labels
    that differ between runs, and groups that name no run, or one run twice.
    """
    read = read_runs(runs)
    grouped = _groups(read, groups)
    shared = [d for d in read[0].data() if all(d in run.data() for run in read)]
    if not shared:
        each = "; ".join(f"{run.name}: {', '.join(run.data())}" for run in read)
        raise InvalidOption(f"the runs have no data set in common ({each}); evaluate them on the same data")
    others = sorted({d for run in read for d in run.data()} - set(shared))
    notes = [f"Left out, since not every run was evaluated on it: {name}." for name in others]
    if len(grouped) < 2:
        notes.append(
            "No tests between groups: the reports name fewer than two families, and no groups were given."
        )
    data = tuple(_compare_on(name, read, grouped, draws=draws, seed=seed) for name in shared)
    members = {name: tuple(run.name for run in group) for name, group in grouped.items()}
    return Comparison(tuple(run.name for run in read), members, data, tuple(notes))


def _groups(runs: Sequence[Run], asked: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[Run, ...]]:
    if asked is None:
        families = dict.fromkeys(run.family for run in runs if run.family is not None)
        return {f: tuple(run for run in runs if run.family == f) for f in families}
    if len(asked) < 2:
        raise InvalidOption(f"{len(asked)} group given, and tests between groups need two or more")
    # A run is meant by its path, its name in the tables, or its folder's name where no other run has that.
    ends = [run.path.name for run in runs]
    known = {run.path.name: run for run in runs if ends.count(run.path.name) == 1}
    known |= {run.name: run for run in runs} | {str(run.path): run for run in runs}
    found: dict[str, tuple[Run, ...]] = {}
    taken: set[str] = set()
    for name, members in asked.items():
        if not members:
            raise InvalidOption(f"group {name}: no runs; write {name}=RUN,RUN")
        group = []
        for member in members:
            run = known.get(str(Path(member)))
            if run is None:
                raise InvalidOption(
                    f"group {name}: {member} is none of the runs ({', '.join(run.name for run in runs)})"
                )
            if run.name in taken:
                raise InvalidOption(f"group {name}: {member} is in a group already; name each run once")
            taken.add(run.name)
            group.append(run)
        found[name] = tuple(group)
    return found


def _compare_on(
    data: str, runs: Sequence[Run], groups: Mapping[str, Sequence[Run]], *, draws: int, seed: int
) -> DataComparison:
    wholes, figures = _same_figures(data, runs)
    notes = [
        f"{run.name}: folds alone, without an ensemble or a single network; not in the tests of AUROCs."
        for run in runs
        if run.name not in wholes
    ]
    slides = None if figures is None or "" in figures.slides else figures.slides
    aurocs: list[AurocComparison] = []
    if len(wholes) > 1:
        counts = np.bincount(next(iter(wholes.values())).atypical, minlength=2)
        if counts.min() < 2:
            notes.append("Fewer than two figures of a class: no tests of AUROCs.")
        else:
            aurocs = _auroc_tests(wholes, slides, draws=draws, seed=seed)
            if slides is None:
                notes.append("The slide of a figure is not told: no interval by slide.")
    group_tests = [
        _between_groups(a, b, groups, data, metric) for a, b in combinations(groups, 2) for metric in METRICS
    ]
    fold_tests = [
        _between_folds(a, b, data, metric)
        for a, b in combinations(runs, 2)
        if a.folds(data) and a.folds(data).keys() == b.folds(data).keys()
        for metric in METRICS
    ]
    return DataComparison(
        data=data,
        figures=None if figures is None else len(figures.names),
        atypical=None if figures is None else int(figures.atypical.sum()),
        slides=None if slides is None else len(set(slides)),
        rows=tuple(_row(run, data) for run in runs),
        groups=_corrected(group_tests),
        folds=_corrected(fold_tests),
        aurocs=_corrected(aurocs),
        points=tuple((run.name, p) for run in runs if (w := run.whole(data)) for p in w.points),
        notes=tuple(notes),
    )


def _same_figures(data: str, runs: Sequence[Run]) -> tuple[dict[str, Predicted], Predicted | None]:
    """Read the predictions of each run's ensemble or single network, in one order, and the figures of all.

    Folds may each have figures of their own, as in a cross-validation; those of one fold must be the same
    in every run. Runs whose networks all saw the same figures must agree on these. The figures are None
    where there is no such run and no ensemble.
    """
    wholes: dict[str, Predicted] = {}
    first: dict[int | None, Predicted] = {}
    common: Predicted | None = None
    for run in runs:
        whole = run.whole(data)
        entries = [*run.folds(data).values(), *([whole] if whole else [])]
        mine = {entry.fold: run.predicted(entry) for entry in entries}
        for fold, predicted in mine.items():
            same = predicted.ordered_as(first.setdefault(fold, predicted))
            if fold is None:
                wholes[run.name] = same
        one, *others = mine.values()
        if all(sorted(p.names) == sorted(one.names) for p in others):
            common = common or one
            one.ordered_as(common)
    return wholes, first.get(None, common)


def _row(run: Run, data: str) -> Row:
    folds, whole = run.folds(data), run.whole(data)
    return Row(
        run=run.name,
        family=run.family,
        backbone=run.backbone,
        folds=tuple(folds),
        mean_sd={metric: _mean_sd(list(folds.values()), metric) for metric in METRICS},
        whole=whole.role if whole and whole.role != "fold" else None,
        whole_scores={metric: whole.metrics.get(metric) if whole else None for metric in METRICS},
    )


def _mean_sd(entries: Sequence[Entry], metric: str) -> tuple[float, float] | None:
    scores = [s for e in entries if (s := e.metrics.get(metric)) is not None]
    if not scores or len(scores) < len(entries):
        return None
    return float(np.mean(scores)), float(np.std(scores))


def _between_groups(
    a: str, b: str, groups: Mapping[str, Sequence[Run]], data: str, metric: str
) -> RankComparison:
    """Make Wilcoxon's test where both groups hold the same backbones and folds, else Mann and Whitney's."""
    scores = [[pair for run in groups[name] for pair in _scores(run, data, metric)] for name in (a, b)]
    keys = [[key for key, _ in each] for each in scores]
    known = all(backbone is not None for each in keys for backbone, _ in each)
    paired = known and set(keys[0]) == set(keys[1]) and all(len(set(each)) == len(each) > 0 for each in keys)
    if paired:
        scores = [sorted(each, key=lambda pair: (pair[0][0] or "", pair[0][1])) for each in scores]
    values = [[score for _, score in each] for each in scores]
    return _rank_test(a, b, metric, values[0], values[1], paired=paired)


def _scores(run: Run, data: str, metric: str) -> list[tuple[tuple[str | None, int], float | None]]:
    """Return each network's score under (backbone, fold), -1 without folds; an ensemble is no network."""
    folds, whole = run.folds(data), run.whole(data)
    if folds:
        return [((run.backbone, fold), e.metrics.get(metric)) for fold, e in folds.items()]
    return [((run.backbone, -1), whole.metrics.get(metric))] if whole and whole.role == "single" else []


def _between_folds(a: Run, b: Run, data: str, metric: str) -> RankComparison:
    values = [[e.metrics.get(metric) for e in run.folds(data).values()] for run in (a, b)]
    return _rank_test(a.name, b.name, metric, values[0], values[1], paired=True)


def _rank_test(
    a: str,
    b: str,
    metric: str,
    scores_a: Sequence[float | None],
    scores_b: Sequence[float | None],
    *,
    paired: bool,
) -> RankComparison:
    known_a, known_b = ([s for s in scores if s is not None] for scores in (scores_a, scores_b))
    found: statistics.SignedRank | statistics.RankSum | None = None
    if len(known_a) < len(scores_a) or len(known_b) < len(scores_b):
        note = "a score is missing"
    elif not known_a or not known_b:
        note = "no scores of folds or single networks"
    elif paired:
        found = statistics.wilcoxon_pairs(known_a, known_b)
        note = _too_few_pairs(len(known_a))
    else:
        found = statistics.mann_whitney(known_a, known_b)
        note = "all scores are equal"
    if found is not None:
        limited = found.smallest_p > ALPHA
        note = f"p cannot be below {found.smallest_p:.4g}: never significant at {ALPHA}" if limited else ""
    return RankComparison(
        a=a,
        b=b,
        metric=metric,
        test="Wilcoxon signed-rank" if paired else "Mann-Whitney U",
        sizes=(len(scores_a), len(scores_b)),
        difference=found.difference if found else None,
        statistic=found.statistic if found else None,
        p=found.p if found else None,
        p_holm=None,
        smallest_p=found.smallest_p if found else None,
        note=note,
    )


def _too_few_pairs(pairs: int) -> str:
    """Say that a test has too few pairs, or too few that differ."""
    fewest = statistics.FEWEST_PAIRS
    if pairs < fewest:
        return f"{pairs} pair{'s' * (pairs != 1)} of scores: the test needs {fewest} or more"
    return f"fewer than {fewest} of {pairs} pairs differ"


def _auroc_tests(
    wholes: Mapping[str, Predicted], slides: Sequence[str] | None, *, draws: int, seed: int
) -> list[AurocComparison]:
    atypical = next(iter(wholes.values())).atypical
    drawn: dict[str, NDArray[np.float64]] = {}
    if slides is not None:
        logits = [p.logit for p in wholes.values()]
        found = statistics.bootstrap_aurocs(atypical, logits, slides, draws=draws, seed=seed)
        drawn = dict(zip(wholes, found, strict=True))
    tests = []
    for (a, of_a), (b, of_b) in combinations(wholes.items(), 2):
        test = statistics.delong(atypical, of_a.logit, of_b.logit)
        by_slide = None
        if slides is not None:
            by_slide = statistics.difference_over_draws(test.difference, drawn[a] - drawn[b], slides)
        tests.append(
            AurocComparison(
                a=a,
                b=b,
                auroc_a=test.auroc_a,
                auroc_b=test.auroc_b,
                difference=test.difference,
                interval=test.interval,
                interval_by_slide=by_slide.interval if by_slide else None,
                z=test.z,
                p=test.p,
                p_holm=None,
            )
        )
    return tests


_Test = TypeVar("_Test", RankComparison, AurocComparison)


def _corrected(tests: Sequence[_Test]) -> tuple[_Test, ...]:
    adjusted = statistics.holm([t.p for t in tests])
    return tuple(replace(t, p_holm=p) for t, p in zip(tests, adjusted, strict=True))
