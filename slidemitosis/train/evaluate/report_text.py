"""The Markdown of an evaluation report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.train.evaluate.points import POINTS, point_table
from slidemitosis.train.evaluate.report import VALIDATED
from slidemitosis.train.markdown import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slidemitosis.train.evaluate.bootstrap import Intervals
    from slidemitosis.train.evaluate.metrics import Metrics
    from slidemitosis.train.evaluate.report import Domain, Entry, EvaluationReport, FoldSummary, Spread

HEADINGS = {
    "balanced_accuracy": "BA at threshold",
    "balanced_accuracy_at_half": "BA at 0.5",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "ece": "ECE",
}
_BY_DOMAIN = ("balanced_accuracy", "balanced_accuracy_at_half", "sensitivity", "specificity", "auroc")
NONE = "none"
_LEGEND = (
    "BA is balanced accuracy, (sensitivity + specificity) / 2. *BA at threshold*, sensitivity, specificity "
    "and F1 are of the calibrated probability at the model's own threshold, chosen on validation figures; "
    "*BA at 0.5* is of the raw sigmoid, as the published benchmark reports it. Average precision, like "
    "AUROC, is of the ranking; Brier score and ECE (15 bins of equal width) are of the calibrated "
    f"probability, and lower is better. *{NONE}*: a class that the measure needs is absent."
)


def report_markdown(report: EvaluationReport) -> str:
    """Return the report as Markdown: measures with four decimals, intervals in brackets.

    Subtypes are shown of single models and ensembles, and of folds where there is no ensemble.
    """
    about = {"Recipe": report.recipe, "Family": report.family, "Backbone": report.backbone}
    head = [f"{name}: {value}" for name, value in about.items() if value]
    blocks = ["# Evaluation", *([". ".join(head) + "."] if head else []), _LEGEND]
    if report.notes:
        blocks.insert(-1, "\n".join(f"- {n}" for n in report.notes))
    for data in report.data:
        entries = [e for e in report.entries if e.data == data]
        folds = [f for f in report.folds if f.data == data]
        scores = _rows(entries, folds, domain=None, names=tuple(HEADINGS))
        blocks += [f"## {data}", _describe(entries), table(["model", *HEADINGS.values()], scores)]
        blocks += [
            f"- {cell(e.model)} has collapsed: every figure gets one class." for e in entries if e.collapsed
        ]
        if rows := [(e.model, p) for e in entries if e.role != "fold" for p in e.points]:
            blocks += ["### Operating points", POINTS, point_table(rows)]
        if any(e.domains for e in entries):
            blocks += ["### By domain", _domains(entries, folds)]
        whole = {e.run for e in entries if e.role == "ensemble"}
        told = [e for e in entries if e.subtypes and not (e.role == "fold" and e.run in whole)]
        blocks += [block for e in told for block in _subtypes(e)]
        blocks += _doubt([e for e in entries if not (e.role == "fold" and e.run in whole)])
    if not report.data:
        blocks.append("No test figures: nothing was scored but the folds' own validation figures.")
    return "\n\n".join([*blocks, *_cross_validation(report)]) + "\n"


def _describe(entries: Sequence[Entry]) -> str:
    """Say how many figures there are and how the intervals were found, from the first entry for all."""
    metrics, found = entries[0].metrics, entries[0].intervals
    views = sorted({e.views for e in entries})
    text = f"{metrics.figures:,} figures ({metrics.atypical:,} AMF); views: {', '.join(map(str, views))}. "
    if not found.bounds:
        return f"{text}No intervals: {found.units} {_plural(found.unit, found.units)} to draw from."
    left_out = f" ({found.left_out:,} left out, a class being absent)" if found.left_out else ""
    return (
        f"{text}In brackets: {100 * found.level:g} % interval from {found.draws:,} draws{left_out} of "
        f"{found.units:,} {_plural(found.unit, found.units)}. ± is the SD over folds (ddof 0)."
    )


def _plural(unit: str, count: int) -> str:
    return unit if count == 1 else " or ".join(f"{u}s" for u in unit.split(" or "))


def _domains(entries: Sequence[Entry], folds: Sequence[FoldSummary]) -> str:
    """Make a row for each domain and model; folds, which report.json holds singly, as mean and SD."""
    counts = {d.name: f"{d.metrics.figures:,} ({d.metrics.atypical:,})" for e in entries for d in e.domains}
    rows = [
        [name.strip() or "unknown", count, *row]
        for name, count in counts.items()
        for row in _rows(entries, folds, domain=name, names=_BY_DOMAIN)
    ]
    return table(["domain", "figures (AMF)", "model", *(HEADINGS[m] for m in _BY_DOMAIN)], rows)


def _rows(
    entries: Sequence[Entry], folds: Sequence[FoldSummary], *, domain: str | None, names: Sequence[str]
) -> list[list[str]]:
    """List single models, then each run: folds (over all domains only), their mean and SD, ensemble."""

    def of(run: str | None, role: str, prefix: str = "") -> list[list[str]]:
        those = [e for e in entries if e.role == role and run in {None, e.run}]
        found: list[tuple[Entry, Entry | Domain]] = [
            (e, part)
            for e in those
            for part in ([e] if domain is None else [d for d in e.domains if d.name == domain])
        ]
        return [[f"{prefix}{e.model}", *_measures(part.metrics, part.intervals, names)] for e, part in found]

    rows = of(None, "single")
    # In the order of the entries.
    for run in dict.fromkeys(e.run for e in entries if e.role != "single"):
        rows += of(run, "fold") if domain is None else []
        for f in (f for f in folds if (f.run, f.domain) == (run, domain)):
            name = f"mean ± SD of {f.folds} {_plural('fold', f.folds)}"
            rows.append([f"{f.run}: {name}" if f.run else name, *_spreads(f.measures, names)])
        rows += of(run, "ensemble", "ensemble: ")
    return rows


_HOW_VALIDATED = (
    "Each fold's network on the figures that were kept out of its training, one view; ± is the SD over folds "
    "(ddof 0). Where the epoch that is kept was chosen on the same figures, as most recipes do, these scores "
    "are a little too good. They are no scores of the ensemble. A fold that gives every figure one class has "
    "collapsed, the others have converged."
)


def _cross_validation(report: EvaluationReport) -> list[str]:
    """List each run's folds, then their mean and SD, then those of converged folds where some collapsed."""
    rows = []
    for summary in report.cross_validation:
        for v in (v for v in report.validation if v.run == summary.run):
            name = f"{v.model} (collapsed)" if v.collapsed else v.model
            rows.append(
                [name, f"{v.figures:,} ({v.atypical:,})", *(_number(getattr(v, m)) for m in VALIDATED)]
            )
        kinds = {"": (summary.folds, summary.measures)}
        if summary.converged_folds < summary.folds:
            kinds["converged "] = (summary.converged_folds, summary.converged)
        for kind, (folds, measures) in kinds.items():
            name = f"mean ± SD of {folds} {kind}{_plural('fold', folds)}"
            name = f"{summary.run}: {name}" if summary.run else name
            rows.append([name, "", *_spreads(measures, VALIDATED)])
    head = ["model", "figures (AMF)", *(HEADINGS[m] for m in VALIDATED)]
    return ["## Cross-validation", _HOW_VALIDATED, table(head, rows)] if rows else []


_HOW_SUBTYPES = (
    "Each subtype against all others. True is the first expert's, called the likeliest one of the type that "
    "is called. AUROC is of the probabilities as they are stated: those of a type share out its own."
)


def _subtypes(entry: Entry) -> list[str]:
    rows = [
        [
            r.name,
            f"{r.figures:,}",
            *map(_number, (r.auroc, r.sensitivity, r.specificity, r.ppv, r.npv)),
        ]
        for r in entry.subtypes
    ]
    known = [r.auroc for r in entry.subtypes if r.auroc is not None]
    if known:
        total = sum(r.figures for r in entry.subtypes)
        rows.append(["mean AUROC", f"{total:,}", _number(sum(known) / len(known)), "", "", "", ""])
    types = (
        f"NMF or AMF at 0.5: BA {_number(entry.first_expert)} against the "
        f"first expert's type, {_number(entry.metrics.balanced_accuracy_at_half)} against the majority's."
    )
    head = ["subtype", "figures", "AUROC", "sensitivity", "specificity", "PPV", "NPV"]
    counts = [[name, *map(str, row)] for name, row in zip(entry.classes, entry.confusion, strict=True)]
    return [
        f"### Subtypes: {entry.model}",
        _HOW_SUBTYPES,
        table(head, rows),
        types,
        "Rows: the first expert; columns: the model.",
        table(["", *entry.classes], counts),
    ]


def _doubt(entries: Iterable[Entry]) -> list[str]:
    told = [(e.model, e.doubt) for e in entries if e.doubt]
    rows = [[m, f"{d.figures:,}", f"{d.hard:,}", f"{d.expected:,.1f}", _number(d.auroc)] for m, d in told]
    head = ["model", "figures with two votes or more", "experts disagree", "sum of P(hard)"]
    head += ["AUROC of P(hard)"]
    return ["### Doubt", table(head, rows)] if rows else []


def _measures(metrics: Metrics, found: Intervals, names: Iterable[str]) -> list[str]:
    cells = []
    for name in names:
        bounds = found.bounds.get(name)
        between = f" [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else ""
        cells.append(_number(getattr(metrics, name)) + between)
    return cells


def _spreads(found: Mapping[str, Spread], names: Iterable[str]) -> list[str]:
    return [f"{found[n].mean:.4f} ± {found[n].sd:.4f}" if n in found else NONE for n in names]


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"
