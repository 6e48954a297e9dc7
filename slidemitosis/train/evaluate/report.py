"""The report of an evaluation: what is in it, as JSON and Markdown, and the predictions behind it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.files import write_whole
from slidemitosis.toml_tables import InvalidTable, build
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
from slidemitosis.train.evaluate.report_text import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Role = Literal["single", "fold", "ensemble"]
FORMAT = 1
REPORT_JSON, REPORT_TEXT = "report.json", "report.md"
COLUMNS = (
    "figure",
    "data",
    "slide",
    "domain",
    "atypical",
    "logit",
    "p_atypical",
    "called",
    "subtype",
    "hardness",
    "model",
    "threshold",
)
"""Of a predictions file, before one column p_<name> for each further output."""


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
    """A fold is one of several networks that are trained alike; an ensemble is all of them as one model."""
    fold: int | None
    """Its number, of a fold."""
    run: str
    """What folds and their ensemble have in common; "" where all entries of the report are of one run."""
    data: str
    views: int
    """1: the patch as it is; 8: mean over the dihedral views."""
    threshold: float
    collapsed: bool
    """The network gives every figure one class."""
    metrics: Metrics
    intervals: Intervals
    domains: tuple[Domain, ...]
    """Sorted by name; empty where all figures are of one."""
    subtypes: tuple[SubtypeRow, ...]
    """Empty where the model or the data tell none."""
    classes: tuple[str, ...]
    """Of rows (the first expert's) and columns (the model's) of `confusion`."""
    confusion: tuple[tuple[int, ...], ...]
    first_expert: float | None = None
    """Of a model of subtypes: balanced accuracy at 0.5 against the type of the first expert's subtype."""
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
    """The folds of one run on one data set, each scored by itself. It is no ensemble."""

    run: str
    data: str
    domain: str | None
    """None: over all figures."""
    folds: int
    measures: dict[str, Spread]
    """By the name of the field of Metrics; those that every fold has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """Models on data sets."""

    entries: tuple[Entry, ...]
    family: str | None = None
    """Of the recipe, where the models are of one: "end-to-end", "linear probe", "LoRA"."""
    backbone: str | None = None
    recipe: str | None = None
    notes: tuple[str, ...] = ()
    """A sentence each, shown above the tables."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names, in the order of the entries."""
        return tuple(dict.fromkeys(e.model for e in self.entries))

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets, in the order of the entries."""
        return tuple(dict.fromkeys(e.data for e in self.entries))

    @property
    def folds(self) -> tuple[FoldSummary, ...]:
        """Mean and SD of each run's folds on each data set, over all and by domain."""
        keys = dict.fromkeys((e.data, e.run) for e in self.entries if e.role == "fold")
        return tuple(
            summary
            for data, run in keys
            for summary in _summarise(
                [e for e in self.entries if (e.role, e.data, e.run) == ("fold", data, run)]
            )
        )

    def to_json(self) -> dict[str, Any]:
        """What report.json holds, null for what is not known; "folds" is computed from the entries."""
        head = {"format": FORMAT, "models": list(self.models), "data": list(self.data)}
        told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
        folds = [dataclasses.asdict(f) for f in self.folds]
        return (
            head
            | {k: v for k, v in told.items() if k != "entries"}
            | {
                "folds": folds,
                "entries": told["entries"],
            }
        )

    def to_markdown(self) -> str:
        """A table for each data set, then by domain, then the subtypes."""
        return markdown(self)


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
    """Everything that is measured of one model on one data set; `draws` and `seed` are the bootstrap's."""
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
        doubt=doubt(scored),
    )


def _summarise(entries: Sequence[Entry]) -> list[FoldSummary]:
    """Of the folds of one run on one data set: over all, then by domain."""
    parts: dict[str | None, list[Metrics]] = {None: [e.metrics for e in entries]}
    for entry in entries:
        for domain in entry.domains:
            parts.setdefault(domain.name, []).append(domain.metrics)
    return [
        FoldSummary(
            run=entries[0].run,
            data=entries[0].data,
            domain=name,
            folds=len(metrics),
            measures=_spreads(metrics),
        )
        for name, metrics in parts.items()
    ]


def _spreads(metrics: Sequence[Metrics]) -> dict[str, Spread]:
    spreads = {}
    for name in MEASURES:
        values = [getattr(m, name) for m in metrics]
        if None not in values:
            spreads[name] = Spread(mean=float(np.mean(values)), sd=float(np.std(values)))
    return spreads


def write_report(report: EvaluationReport, folder: Path) -> tuple[Path, Path]:
    """Write report.md and report.json into `folder`; their paths. Raises OutputError."""
    text, data = folder / REPORT_TEXT, folder / REPORT_JSON
    write_whole(text, report.to_markdown().encode())
    told = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(data, (told + "\n").encode())
    return text, data


def read_report(path: Path) -> EvaluationReport:
    """What `write_report` wrote as report.json. Raises InvalidOption, in one line, for any other file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise InvalidOption(f"{path}: cannot be read as a report ({e}); evaluate again") from e
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise InvalidOption(f"{path}: format {found!r}, and this version reads {FORMAT}; evaluate again")
    computed = ("format", "models", "data", "folds")
    try:
        return build(
            EvaluationReport, {k: v for k, v in told.items() if k not in computed}, where="the top level"
        )
    except (InvalidTable, InvalidOption) as e:
        raise InvalidOption(f"{path}: {e}; evaluate again") from None


def write_predictions(scored: Scored, path: Path) -> None:
    """One row a figure, numbers in full; `read_predictions` gives `scored` back. Raises OutputError.

    Raises InvalidOption if there is no figure.
    """
    if not len(scored):
        raise InvalidOption(f"{path}: no figures were scored")
    lines = [_line([*COLUMNS, *(f"p_{name}" for name in scored.extra)])]
    numbers = [scored.logit, scored.probability, *scored.extra.values()]
    columns = [np.asarray(n, dtype=np.float64).tolist() for n in numbers]
    for i, (logit, p, *extra) in enumerate(zip(*columns, strict=True)):
        row = [scored.names[i], scored.data, scored.slides[i], scored.domains[i], int(scored.atypical[i])]
        row += [repr(logit), repr(p), int(scored.called[i]), scored.subtypes[i]]
        row += [scored.hardness[i], scored.model]
        lines.append(_line([*row, repr(float(scored.threshold)), *map(repr, extra)]))
    write_whole(path, "".join(lines).encode("utf-8", "surrogateescape"))


def _line(cells: Sequence[object]) -> str:
    out = io.StringIO(newline="")
    # Only a carriage return in the terminator makes Python 3.11 quote a cell that holds one.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def read_predictions(path: Path) -> Scored:
    """What `write_predictions` wrote; logits and probabilities as float64.

    Raises InvalidOption, in one line, for a file that cannot be read, lacks a column or figures, holds
    several models or data sets, or contradicts itself.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, csv.Error) as e:
        raise InvalidOption(f"{path}: cannot be read as predictions ({e}); evaluate again") from e
    # Predictions of earlier versions do not tell hardness.
    if missing := [c for c in COLUMNS if c not in columns and c != "hardness"]:
        raise InvalidOption(f"{path}: no column {', '.join(missing)}; evaluate again")
    if not rows or any(None in r or None in r.values() for r in rows):
        raise InvalidOption(f"{path}: no figures, or a row of another length than its head; evaluate again")
    several = [c for c in ("model", "data", "threshold") if len({r[c] for r in rows}) > 1]
    if several:
        raise InvalidOption(f"{path}: more than one {several[0]}; evaluate again")
    try:
        scored = _scored(rows, [c for c in columns if c not in COLUMNS])
    except ValueError as e:
        raise InvalidOption(f"{path}: {e}; evaluate again") from e
    if [str(int(c)) for c in scored.called] != [r["called"] for r in rows]:
        raise InvalidOption(f"{path}: called is not what p_atypical and threshold say; evaluate again")
    return scored


def _scored(rows: Sequence[dict[str, str]], extra: Sequence[str]) -> Scored:
    """Raises ValueError for what is no number, and InvalidOption, which is one, for what Scored refuses."""
    return Scored(
        model=rows[0]["model"],
        data=rows[0]["data"],
        names=tuple(r["figure"] for r in rows),
        slides=tuple(r["slide"] for r in rows),
        domains=tuple(r["domain"] for r in rows),
        atypical=np.array([int(r["atypical"]) for r in rows], dtype=np.int64),
        logit=np.array([float(r["logit"]) for r in rows]),
        probability=np.array([float(r["p_atypical"]) for r in rows]),
        threshold=float(rows[0]["threshold"]),
        extra={c.removeprefix("p_"): np.array([float(r[c]) for r in rows]) for c in extra},
        subtypes=tuple(r["subtype"] for r in rows),
        hardness=tuple(r.get("hardness", "") for r in rows),
    )
