"""The few lines of an evaluation report that are shown when a training ends; report.md has the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.train.evaluate.report import EvaluationReport, Spread

_SHOWN = {"balanced_accuracy_at_half": "BA at 0.5", "auroc": "AUROC"}


def summary_rows(report: EvaluationReport) -> list[tuple[str, str]]:
    """Make a row for each data set and model, folds taken together, and one for each note of the report."""
    rows = [("note", note) for note in report.notes]
    runs = {(e.run, e.data) for e in report.entries if e.role == "ensemble"}
    for e in report.entries:
        if e.role == "fold" and (len(report.folds) or (e.run, e.data) in runs):
            continue
        told = ", ".join(f"{name} {_number(getattr(e.metrics, field))}" for field, name in _SHOWN.items())
        of = f"{e.metrics.figures:,} figures, {e.metrics.atypical:,} atypical"
        rows.append(("scores", f"{e.data}, {e.model}: {told} ({of})"))
    rows += [
        ("scores", f"{f.data}, mean of {f.folds} folds: {_means(f.measures)}")
        for f in report.folds
        if f.domain is None
    ]
    own = "on their own validation figures"
    rows += [("folds", f"{own}, mean of {v.folds}: {_means(v.measures)}") for v in report.cross_validation]
    return rows


def _means(measures: Mapping[str, Spread]) -> str:
    return ", ".join(
        f"{name} {measures[field].mean:.4f} \u00b1 {measures[field].sd:.4f}"
        for field, name in _SHOWN.items()
        if field in measures
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
