"""How often the intervals of rates hold the truth that they are about.

python benchmarks/coverage.py [PREDICTIONS ...]

Prints Markdown tables: 2,000 simulated slides for each number of figures and each true fraction. PREDICTIONS
are tables of labelled figures with their slides that `slidemitosis evaluate` writes, of the default model:
how often the intervals hold the labelled fraction of a slide.
"""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.models.shipped import find_model
from slidemitosis.options import ErrorCounts
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.rates.correction import corrected_fraction
from slidemitosis.rates.counts import SlideRate
from slidemitosis.rates.intervals import jeffreys_interval, wilson_interval
from slidemitosis.rates.pooling import pooled
from slidemitosis.rates.slide import validated_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Interval = Callable[[int, int], tuple[float, float]]

DRAWS = 2000
FIGURES = (10, 50, 500)
FRACTIONS = (0.1, 0.2, 0.4)


def raw_coverage(interval: Interval, n: int, p: float | None, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Share of slides of n figures whose interval holds their true fraction; None: any from .05 to .5."""
    rng = np.random.default_rng(seed)
    truth = np.full(draws, p) if p is not None else rng.uniform(0.05, 0.5, draws)
    ends = np.array([interval(k, n) for k in range(n + 1)])[rng.binomial(n, truth)]
    return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def corrected_coverage(
    n: int, p: float, *, known: ErrorCounts, differ: bool, told: bool, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Share of slides whose corrected interval holds their true fraction, and its mean width.

    `known` is taken for the truth; each slide is corrected by counts of as many figures, drawn anew. With
    `differ` each slide has a sensitivity and a specificity of its own; `told`: the correction knows.
    """
    rng = np.random.default_rng(seed)
    held, width = 0, 0.0
    for _ in range(draws):
        se, sp = (slides_own(m, s, differ=differ, rng=rng) for m, s in sides(known))
        k = int(rng.binomial(n, p * se + (1 - p) * (1 - sp)))
        found = corrected_fraction(k, n, drawn_counts(known, differ=differ, told=told, rng=rng)).interval
        if found is not None:  # else it counts as one that does not hold the truth
            held += found[0] <= p <= found[1]
            width += found[1] - found[0]
    return held / draws, width / draws


def sides(known: ErrorCounts) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and SD between slides of the sensitivity and of the specificity."""
    assert known.sensitivity is not None
    assert known.specificity is not None
    return (known.sensitivity, known.sensitivity_sd), (known.specificity, known.specificity_sd)


def slides_own(mean: float, sd: float, *, differ: bool, rng: np.random.Generator) -> float:
    if not differ or sd == 0:
        return mean
    size = mean * (1 - mean) / sd**2 - 1
    return float(rng.beta(mean * size, (1 - mean) * size))


def drawn_counts(known: ErrorCounts, *, differ: bool, told: bool, rng: np.random.Generator) -> ErrorCounts:
    """What another validation of the same size might count; figures of a slide alike where slides differ."""
    counts = []
    for (right, wrong), (alike, not_alike) in zip(
        ((known.tp, known.fn), (known.tn, known.fp)), known.effective, strict=True
    ):
        n = round(alike + not_alike) if differ else right + wrong
        share = rng.binomial(n, right / (right + wrong)) / n
        counts += [round(share * (right + wrong)), right + wrong - round(share * (right + wrong))]
    base = known if told else ErrorCounts(tp=0, fn=0, tn=0, fp=0)
    return dataclasses.replace(base, **dict(zip(("tp", "fn", "tn", "fp"), counts, strict=True)))


def pooled_coverage(
    units: int, known: ErrorCounts, *, p: float = 0.2, sd: float = 0.1, draws: int = DRAWS // 4, seed: int = 0
) -> tuple[float, float, float]:
    """Coverage for cohorts of slides that differ: drawing slides, as called and corrected; for these slides.

    Slides have 1 to some hundred figures, 8 in the median, and true fractions with mean p and this SD.
    """
    rng = np.random.default_rng(seed)
    (mean_se, _), (mean_sp, _) = sides(known)
    read = p * mean_se + (1 - p) * (1 - mean_sp)
    held = np.zeros(3)
    for _ in range(draws):
        n = np.maximum(1, np.exp(rng.normal(np.log(8), 1.1, units))).astype(int)
        truth = np.array([slides_own(p, sd, differ=True, rng=rng) for _ in n])
        se, sp = (np.array([slides_own(m, s, differ=True, rng=rng) for _ in n]) for m, s in sides(known))
        k = rng.binomial(n, truth * se + (1 - truth) * (1 - sp))
        rates = [SlideRate(atypical=int(a), normal=int(b - a)) for a, b in zip(k, n, strict=True)]
        found = pooled(rates, errors=drawn_counts(known, differ=True, told=True, rng=rng))
        assert found.corrected is not None
        held[0] += holds(found.fraction_interval, read)
        held[1] += holds(found.corrected_interval, p)
        held[2] += holds(found.corrected.interval, float(truth @ n / n.sum()))
    a, b, c = (held / draws).tolist()
    return a, b, c


def holds(interval: tuple[float, float] | None, value: float) -> bool:
    return interval is not None and interval[0] <= value <= interval[1]


def real_slides(paths: Iterable[Path]) -> NDArray[np.int64]:
    """(S, 3): figures called atypical, all figures, and figures labelled atypical, of each slide."""
    slides: dict[tuple[Path, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                counts = slides[path, row["slide"]]
                for i, value in enumerate((row["called"], "1", row["atypical"])):
                    counts[i] += int(value)
    return np.array(list(slides.values()))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(f'{v:.3f}' if isinstance(v, float) else str(v) for v in row)} |")
    print()


def print_raw() -> None:
    fractions = [0.05, *FRACTIONS, None]
    rows = [
        [name, n, *(raw_coverage(interval, n, p) for p in fractions)]
        for name, interval in (("Wilson", wilson_interval), ("Jeffreys", jeffreys_interval))
        for n in (5, *FIGURES)
    ]
    print_table(["interval", "figures", *(f"{p}" if p else ".05 to .5" for p in fractions)], rows)


def print_corrected(known: ErrorCounts) -> None:
    alone = ErrorCounts(tp=known.tp, fn=known.fn, tn=known.tn, fp=known.fp)
    cases = (
        ("alike; counts alone", alone, False, True),
        ("differ; counts alone", known, True, False),
        ("differ; card's spread told", known, True, True),
    )
    fractions = (0.0, *FRACTIONS)
    rows = []
    for name, truth, differ, told in cases:
        for n in FIGURES:
            found = [corrected_coverage(n, p, known=truth, differ=differ, told=told) for p in fractions]
            rows.append([name, n, *(f"{held:.3f} ({width:.2f})" for held, width in found)])
    print_table(["slides", "figures", *(f"{p}" for p in fractions)], rows)


def print_real(paths: Sequence[Path], known: ErrorCounts) -> None:
    alone = ErrorCounts(tp=known.tp, fn=known.fn, tn=known.tn, fp=known.fp)
    slides = real_slides(paths)
    methods: dict[str, Callable[[int, int], tuple[float, float] | None]] = {
        "as called, Wilson": wilson_interval,
        "corrected, counts alone": lambda k, n: corrected_fraction(k, n, alone).interval,
        "corrected, card's spread told": lambda k, n: corrected_fraction(k, n, known).interval,
    }
    bins = ((1, 9), (10, 29), (30, 10**9))
    rows = []
    for name, interval in methods.items():
        row: list[object] = [name]
        for least, most in bins:
            some = [s for s in slides.tolist() if least <= s[1] <= most]
            row.append(f"{sum(holds(interval(k, n), y / n) for k, n, y in some)} of {len(some)}")
        rows.append(row)
    print_table(["interval", "1 to 9 figures", "10 to 29", "30 or more"], rows)


def main() -> None:
    known = validated_errors(find_model(DEFAULT_MODEL).validation)
    print_raw()
    print_corrected(known)
    rows = [[units, *pooled_coverage(units, known)] for units in (2, 3, 5, 10, 20, 50, 150)]
    print_table(
        ["slides", "drawing slides, as called", "drawing slides, corrected", "these slides, corrected"], rows
    )
    if sys.argv[1:]:
        print_real([Path(p) for p in sys.argv[1:]], known)


if __name__ == "__main__":
    main()
