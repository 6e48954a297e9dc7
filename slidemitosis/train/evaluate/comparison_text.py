"""Write a comparison as Markdown: tables, and under each what its tests can and cannot say; and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.files import make_folder, write_text
from slidemitosis.train.evaluate.evaluated import METRICS
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
    return table(head, map(_score_row, rows))


def _score_row(r: Row) -> list[str]:
    what = [r.run, r.family or _NONE, r.backbone or _NONE, str(len(r.folds)) if r.folds else _NONE]
    whole = [_number(r.whole_scores[m]) for m in METRICS]
    return [*what, *(_mean_sd(r.mean_sd[m]) for m in METRICS), r.whole or _NONE, *whole]


def _rank_table(tests: Iterable[RankComparison]) -> str:
    head = ["a", "b", "Score", "Test", "n", "Median difference", "W or U", "p", "p (Holm)", "Note"]
    return table(head, map(_rank_row, tests))


def _rank_row(t: RankComparison) -> list[str]:
    paired = t.test == "Wilcoxon signed-rank"
    n = f"{t.sizes[0]} pairs" if paired else f"{t.sizes[0]} and {t.sizes[1]}"
    statistic = _NONE if t.statistic is None else f"{t.statistic:g}"
    tested = [_signed(t.difference), statistic, _p(t.p), _p(t.p_holm), t.note]
    return [t.a, t.b, METRICS[t.metric], t.test, n, *tested]


def _auroc_table(tests: Iterable[AurocComparison]) -> str:
    head = ["a", "b", "AUROC a", "AUROC b", "Difference", "95 %, DeLong", "95 %, by slide", "z", "p"]
    head += ["p (Holm)"]
    return table(head, map(_auroc_row, tests))


def _auroc_row(t: AurocComparison) -> list[str]:
    z = _NONE if t.z is None else f"{t.z:.2f}"
    intervals = [_interval(t.interval), _interval(t.interval_by_slide)]
    aurocs = [_number(t.auroc_a), _number(t.auroc_b), _signed(t.difference)]
    return [t.a, t.b, *aurocs, *intervals, z, _p(t.p), _p(t.p_holm)]


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return _NONE if value is None else f"{value:+.4f}"


def _mean_sd(value: tuple[float, float] | None) -> str:
    return _NONE if value is None else f"{value[0]:.4f} ± {value[1]:.4f}"


def _interval(value: tuple[float, float] | None) -> str:
    return _NONE if value is None else f"{value[0]:+.4f} to {value[1]:+.4f}"


def _p(value: float | None) -> str:
    if value is None:
        return _NONE
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write comparison.md and comparison.json into `folder`. Raises OutputError."""
    make_folder(folder)
    write_text(folder / "comparison.md", comparison_markdown(comparison))
    write_text(folder / "comparison.json", comparison.to_json())
