"""Split figures into folds: those to train on, and those kept for validation."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.recipe.recipe import SplitRecipe

log = logging.getLogger(__name__)


Fold = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
"""(training rows, validation rows), sorted."""


def folds(figures: Figures, spec: SplitRecipe) -> list[Fold]:
    """Return the rows of each fold; no group is on both sides.

    Every figure is a validation figure of exactly one fold. With five folds by slide, the seed 42 and
    the algorithm "benchmark", on AMi-Br's training rows in their file's order, these are the folds of
    Banerjee et al. 2026 (see `_assign`). Raises InvalidOption if a group is not known, if there are
    fewer groups than folds, or if a fold would lack a class.
    """
    if spec.folds < 2:
        raise InvalidOption(f"split.folds must be 2 or more, not {spec.folds}")
    counts = np.bincount(figures.atypical, minlength=2)
    if counts.min() == 0:
        raise InvalidOption(
            f"{figures.sets}: {counts[0]} NMF and {counts[1]} AMF: folds need figures of both classes"
        )
    groups = _groups(figures, spec)
    strata = _strata(figures, spec)
    as_published = spec.algorithm == "benchmark"
    fold_of = _assign(strata, groups, folds=spec.folds, seed=spec.seed, as_published=as_published)
    _check_classes(figures, fold_of, spec)
    return [(np.flatnonzero(fold_of != i), np.flatnonzero(fold_of == i)) for i in range(spec.folds)]


def _groups(figures: Figures, spec: SplitRecipe) -> NDArray[np.int64]:
    """Return the number of each figure's group, (N,), in the order of the groups' names.

    Slides of one name are one group whichever data set they are in: AMi-Br and MIDOG25 share some.
    """
    if spec.group == "figure":
        names = np.arange(len(figures))
    else:
        names = np.array(
            {"slide": figures.slides, "patient": figures.patients, "domain": figures.domains}[spec.group]
        )
        if spec.block and spec.group != "domain":
            names = np.where(names == "", _blocks(figures, spec.block), names)
        unknown = np.flatnonzero(names == "")
        if len(unknown):
            remedy = (
                "slide"
                if spec.group == "domain"
                else "figure, or split.block where their order is that of slides"
            )
            raise InvalidOption(
                f"{figures.take(unknown).sets}: the data set does not say {spec.group}s "
                f"({len(unknown)} of {len(figures)} figures without one): use --set split.group={remedy}"
            )
        if spec.group == "domain":
            _refuse_slides_of_two_domains(figures)
    known, groups = np.unique(names, return_inverse=True)
    if len(known) < spec.folds:
        raise InvalidOption(
            f"{figures.sets}: fewer {spec.group}s than folds, {len(known)} for {spec.folds}: "
            + (f"use --set split.folds={len(known)}, or more data" if len(known) > 1 else "give more data")
        )
    return groups.astype(np.int64)


def _blocks(figures: Figures, size: int) -> NDArray[np.str_]:
    """Return the name of each figure's block of `size` neighbours in its data set, (N,)."""
    before: Counter[str] = Counter()
    names = []
    for data in figures.data:
        names.append(f"{data}, block {before[data] // size}")
        before[data] += 1
    return np.array(names)


def _refuse_slides_of_two_domains(figures: Figures) -> None:
    """Raise InvalidOption for a slide whose domain two data sets name differently, by scanner and tumour."""
    domain_of: dict[str, str] = {}
    for slide, domain in zip(figures.slides, figures.domains, strict=True):
        if slide and domain_of.setdefault(slide, domain) != domain:
            raise InvalidOption(
                f"{figures.sets}: slide {slide} is in two domains, {domain_of[slide]} and {domain}: "
                "use --set split.group=slide, or data sets without common slides"
            )


def _strata(figures: Figures, spec: SplitRecipe) -> NDArray[np.int64]:
    """Return the number of each figure's stratum, (N,)."""
    if spec.stratify == "type":
        return figures.atypical
    if spec.stratify == "type-hardness":
        if not (np.isfinite(figures.votes).sum(axis=1) > 1).any():
            raise InvalidOption(
                f"{figures.sets}: no figure has two experts' votes, which tell hard from easy: "
                "use --set split.stratify=type"
            )
        return 2 * figures.atypical + figures.hard
    if not any(figures.subtypes):
        raise InvalidOption(f"{figures.sets}: no figure has a subtype: use --set split.stratify=type")
    pairs = zip(figures.subtypes, figures.atypical, strict=True)
    names, strata = np.unique([s[0] if s else ("AMF" if a else "NMF") for s, a in pairs], return_inverse=True)
    few = [name for name, n in zip(names, np.bincount(strata), strict=True) if n < spec.folds]
    if few:
        log.warning("%s: fewer figures than folds, so that not every fold has one", ", ".join(few))
    return strata.astype(np.int64)


def _assign(
    strata: NDArray[np.int64], groups: NDArray[np.int64], *, folds: int, seed: int, as_published: bool
) -> NDArray[np.int64]:
    """Return the fold in whose validation part each figure is, (N,).

    `as_published`: StratifiedGroupKFold(folds, shuffle=True, random_state=seed) as scikit-learn 1.5 to
    1.7 computed it (BSD-3-Clause; after J. Wasikowski's public kernel, Apache-2.0), written out because
    the benchmark's folds are those of that version. It shuffles the groups' counts but not the groups: a
    fold is balanced by the counts of other slides than its own, that is, by chance alone. scikit-learn 1.8
    repaired that and so gives other folds, which are those of this function without `as_published`.
    """
    totals = np.bincount(strata)
    present = np.flatnonzero(totals)
    counts = np.zeros((groups.max() + 1, len(present)))
    np.add.at(counts, (groups, np.searchsorted(present, strata)), 1)
    # RandomState's stream is frozen by numpy, unlike a Generator's.
    shuffled = np.random.RandomState(seed).permutation(len(counts))
    counts = counts[shuffled]
    in_fold = np.zeros((folds, len(present)))
    fold_of_group = np.empty(len(counts), np.int64)
    for i in np.argsort(-np.std(counts, axis=1), kind="stable"):
        fold = _best_fold(in_fold, counts[i], totals[present])
        in_fold[fold] += counts[i]
        fold_of_group[i if as_published else shuffled[i]] = fold
    return fold_of_group[groups]


def _best_fold(in_fold: NDArray[np.float64], group: NDArray[np.float64], totals: NDArray[np.int64]) -> int:
    """Return the fold to add a group of these counts, (C,), to so that the folds, (folds, C), differ least.

    Of equal folds it is the one with the fewest figures, then the first. The operations are scikit-learn's
    one by one: a sum in another order may differ in its last bit and so choose another fold.
    """
    best, least, fewest = 0, np.inf, np.inf
    for i in range(len(in_fold)):
        in_fold[i] += group
        spread = float(np.mean(np.std(in_fold / totals.reshape(1, -1), axis=0)))
        in_fold[i] -= group
        figures = float(np.sum(in_fold[i]))
        if spread < least or (np.isclose(spread, least) and figures < fewest):
            best, least, fewest = i, spread, figures
    return best


def _check_classes(figures: Figures, fold_of: NDArray[np.int64], spec: SplitRecipe) -> None:
    """Raise InvalidOption if a part of a fold lacks a class: it cannot be trained on or scored."""
    for fold in range(spec.folds):
        for label, name in enumerate(("NMF", "AMF")):
            has = figures.atypical == label
            inside = int((has & (fold_of == fold)).sum())
            if 0 < inside < has.sum():
                continue
            part = "training" if inside else "validation"
            raise InvalidOption(
                f"{figures.sets}: fold {fold} of {spec.folds} has no {name} in its {part} part "
                f"({has.sum()} {name} in all): use --set split.folds with fewer folds, another "
                "split.seed, or more data"
            )
