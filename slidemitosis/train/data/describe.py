"""Describe data sets as text: `slidemitosis data check`."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import SUBTYPES
from slidemitosis.train.data.figures import join
from slidemitosis.train.data.leakage import shared_figures, shared_slides
from slidemitosis.train.data.split import folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures, LabelledData
    from slidemitosis.train.recipe.recipe import SplitRecipe

_HEADER = ("", "figures", "NMF", "AMF", "AMF %", "slides", "patients", "black padding")


def describe(data: Sequence[LabelledData], spec: SplitRecipe | None) -> str:
    """Return counts by class, part and domain, experts and subtypes of each data set, and leaks between them.

    With `spec` also the validation part of each fold of the training figures, or the reason why there are
    none. The text ends without a newline.
    """
    texts = [_describe_one(one, spec) for one in data]
    texts.append(_leakage([part for one in data for part in _parts(one)]))
    return "\n\n".join(texts)


def _parts(data: LabelledData) -> list[tuple[str, Figures]]:
    """Return the name and the figures of each part that has some."""
    if data.test is None:
        return [(data.name, data.training)]
    both = ((f"{data.name} training", data.training), (f"{data.name} test", data.test))
    return [(name, part) for name, part in both if len(part)]


def _describe_one(data: LabelledData, spec: SplitRecipe | None) -> str:
    figures = join([part for _, part in _parts(data)])
    padded = _padded(figures)
    n_training = len(data.training)
    parts: list[tuple[str, NDArray[np.intp]]] = [("all", np.arange(len(figures)))]
    if data.test is not None:
        parts.append(("training", np.arange(n_training)))
    notes = []
    if spec is not None and n_training:
        try:
            parts += [(f"  fold {i}", rows) for i, (_, rows) in enumerate(folds(data.training, spec))]
            notes.append(
                f"fold: the validation part of each of {spec.folds} folds by {spec.groups}, stratified by "
                f"{spec.stratify}, seed {spec.seed}"
            )
        except InvalidOption as e:
            notes.append(f"no folds: {e}")
    if data.test is not None:
        parts.append(("test", np.arange(n_training, len(figures))))
    domains = sorted(set(figures.domains) - {""})
    parts += [(f"domain {d}", np.flatnonzero(np.array(figures.domains) == d)) for d in domains]
    table = [_HEADER, *(_row(name, figures, rows, padded) for name, rows in parts)]
    side = figures.pixels.shape[1]
    lines = [f"{data.name}: {len(figures):,} figures, patches of {side} x {side} px", *_aligned(table)]
    lines += [*notes, *_experts(figures), *_subtypes(figures)]
    lines += [f"SHA-256 of {name}: {digest}" for name, digest in data.hashes.items()]
    return "\n".join(lines)


def _row(name: str, figures: Figures, rows: NDArray[np.intp], padded: NDArray[np.bool_]) -> tuple[str, ...]:
    atypical = int(figures.atypical[rows].sum())
    share = f"{100 * atypical / len(rows):.1f}" if len(rows) else "-"
    slides = {figures.slides[i] for i in rows}
    patients = {figures.patients[i] for i in rows}
    return (
        name,
        f"{len(rows):,}",
        f"{len(rows) - atypical:,}",
        f"{atypical:,}",
        share,
        _known(slides),
        _known(patients),
        f"{int(padded[rows].sum()):,}",
    )


def _known(names: set[str]) -> str:
    told = names - {""}
    more = " and unknown" if told and "" in names else ""
    return f"{len(told):,}{more}" if told else "unknown"


def _padded(figures: Figures) -> NDArray[np.bool_]:
    """Return whether one edge of each patch is black from end to end, (N,): beyond the slide's edge."""
    p = figures.pixels
    padded = np.zeros(len(figures), np.bool_)
    for edge in (p[:, 0], p[:, -1], p[:, :, 0], p[:, :, -1]):
        padded |= ~edge.any(axis=(1, 2))
    return padded


def _experts(figures: Figures) -> list[str]:
    asked = np.isfinite(figures.votes).sum(axis=1)
    several = asked > 1
    if not several.any():
        return ["experts: one vote at most for each figure" if asked.any() else "experts: no votes"]
    n, agree = int(several.sum()), int((several & ~figures.hard).sum())
    share = f"{100 * agree / n:.1f} %"
    lines = [
        f"experts: {figures.votes.shape[1]}; those asked agree on {agree:,} of {n:,} figures ({share})",
    ]
    for i, votes in enumerate(figures.votes.T, 1):
        said = np.isfinite(votes)
        if said.any():
            same = int((votes[said] == figures.atypical[said]).sum())
            lines.append(
                f"  expert {i}: {int((votes == 1).sum()):,} AMF of {int(said.sum()):,}; with the label "
                f"{100 * same / said.sum():.1f} %"
            )
    return lines


def _subtypes(figures: Figures) -> list[str]:
    if not any(figures.subtypes):
        return ["subtypes: none"]
    first = Counter(s[0] for s in figures.subtypes if s)
    lines = ["subtypes, by the first expert who gave one:"]
    lines += _aligned([(f"  {name}", f"{first[name]:,}") for name in SUBTYPES])
    two = [s for s in figures.subtypes if len(s) > 1]
    if two:
        same = sum(len(set(s)) == 1 for s in two)
        lines.append(f"  experts agree on {same:,} of {len(two):,} ({100 * same / len(two):.1f} %)")
    return lines


def _leakage(parts: Sequence[tuple[str, Figures]]) -> str:
    lines = []
    for (name_a, a), (name_b, b) in combinations(parts, 2):
        pairs, slides = shared_figures(a, b), shared_slides(a, b)
        if pairs or slides:
            of_a = sum(s in slides for s in a.slides)
            lines.append(
                f"  {name_a} and {name_b} share {len(pairs):,} figures and {len(slides):,} slides, "
                f"which {of_a:,} figures of {name_a} are of"
            )
    lines = lines or ["  none found"]
    silent = [name for name, part in parts if "" in part.slides]
    if silent and len(parts) > 1:
        lines.append(
            f"  not every slide is known of {', '.join(silent)}: there only identical images are found"
        )
    return "\n".join(["leakage between data sets:", *lines])


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows of text: the first column aligned to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines
