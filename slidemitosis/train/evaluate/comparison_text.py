"""Write a comparison as Markdown: tables, and under each what its tests can and cannot say; and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.files import make_folder, write_text
from slidemitosis.train.evaluate.evaluated import METRICS
from slidemitosis.train.evaluate.points import POINTS, point_table
from slidemitosis.train.markdown import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from slidemitosis.train.evaluate.comparison import (
        AurocComparison,
        Comparison,
        DataComparison,
        RankComparison,
        Row,
    )

_NONE = "-"


def comparison_markdown(comparison: Comparison) -> str:
    """Return the whole comparison as Markdown, one section for each data set."""
    parts = [f"# Comparison of {len(comparison.runs)} runs"]
    if comparison.groups:
        members = [f"- {cell(name)}: {cell(', '.join(runs))}" for name, runs in comparison.groups.items()]
        parts += ["Groups:", "\n".join(members)]
    parts += comparison.notes
    for data in comparison.data:
        parts += _section(data)
    parts.append(
        "Folds share training figures: their scores are not independent. "
        "p (Holm) is adjusted within each table of tests."
    )
    return "\n\n".join(parts) + "\n"


def _section(data: DataComparison) -> list[str]:
    parts = [f"## {cell(data.data)}"]
    if data.figures is not None:
        slides = "slides not told" if data.slides is None else f"{data.slides} slides"
        parts.append(f"{data.figures} figures, of which {data.atypical} AMF; {slides}.")
    parts += [_score_table(data.rows), _SCORES]
    parts += data.notes
    if data.points:
        parts += ["### Operating points", POINTS, point_table(data.points)]
    if data.groups:
        parts += ["### Between groups", _rank_table(data.groups), _GROUPS]
    if data.folds:
        parts += ["### Between runs, paired by fold", _rank_table(data.folds), _FOLDS]
    if data.aurocs:
        parts += ["### AUROC on the same figures", _auroc_table(data.aurocs), _AUROCS]
    return parts


_SCORES = (
    "Of the folds: mean ± SD (ddof 0) of their scores. An ensemble is one model, scored once; "
    "it is not the mean of its folds."
)
_GROUPS = (
    "Scores of folds, or of single networks; ensembles take no part. Wilcoxon: pairs of the same "
    "backbone and fold. Mann-Whitney: all scores of one group against all of the other."
)
_FOLDS = (
    "With five folds the smallest two-sided p is 0.0625, so that no difference, however large, is "
    "significant at 0.05."
)
_AUROCS = (
    "Of the ensembles, or of single networks, on their logits. DeLong takes figures as independent; "
    "those of one slide are not, so that its interval is too narrow. By slide: bootstrap of whole slides."
)


def _score_table(rows: Iterable[Row]) -> str:
    head = ["Run", "Family", "Backbone", "Folds", *(f"{name}, folds" for name in METRICS.values())]
    head += ["Ensemble or single", *(f"{name}, of it" for name in METRICS.values())]
    cells = []
    for r in rows:
        what = [r.run, r.family or _NONE, r.backbone or _NONE, str(len(r.folds)) if r.folds else _NONE]
        of_folds = [_told("{:.4f} ± {:.4f}", r.mean_sd[m]) for m in METRICS]
        cells.append(
            [*what, *of_folds, r.whole or _NONE, *(_told("{:.4f}", r.whole_scores[m]) for m in METRICS)]
        )
    return table(head, cells)


def _rank_table(tests: Iterable[RankComparison]) -> str:
    head = ["a", "b", "Score", "Test", "n", "Median difference", "W or U", "p", "p (Holm)", "Note"]
    cells = []
    for t in tests:
        paired = t.test == "Wilcoxon signed-rank"
        n = f"{t.sizes[0]} pairs" if paired else f"{t.sizes[0]} and {t.sizes[1]}"
        tested = [_told("{:+.4f}", t.difference), _told("{:g}", t.statistic), _p(t.p), _p(t.p_holm), t.note]
        cells.append([t.a, t.b, METRICS[t.metric], t.test, n, *tested])
    return table(head, cells)


def _auroc_table(tests: Iterable[AurocComparison]) -> str:
    head = ["a", "b", "AUROC a", "AUROC b", "Difference", "95 %, DeLong", "95 %, by slide", "z", "p"]
    head += ["p (Holm)"]
    cells = []
    for t in tests:
        aurocs = [_told("{:.4f}", t.auroc_a), _told("{:.4f}", t.auroc_b), _told("{:+.4f}", t.difference)]
        intervals = [_told("{:+.4f} to {:+.4f}", i) for i in (t.interval, t.interval_by_slide)]
        cells.append([t.a, t.b, *aurocs, *intervals, _told("{:.2f}", t.z), _p(t.p), _p(t.p_holm)])
    return table(head, cells)


def _told(form: str, value: float | tuple[float, ...] | None) -> str:
    """Write one number or several in a form; "none" for None."""
    return _NONE if value is None else form.format(*(value if isinstance(value, tuple) else (value,)))


def _p(value: float | None) -> str:
    if value is None:
        return _NONE
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write comparison.md and comparison.json into `folder`. Raises OutputError."""
    make_folder(folder)
    write_text(folder / "comparison.md", comparison_markdown(comparison))
    write_text(folder / "comparison.json", comparison.to_json())
