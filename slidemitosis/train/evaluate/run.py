"""Evaluate models on labelled figures, and write a report with its files: `slidemitosis evaluate`.

OUT/report.md, report.json               scores with intervals; folds, ensemble, cross-validation apart
OUT/predictions/MODEL--DATA.csv          what each model says of each figure
OUT/roc-DATA.png, reliability-DATA.png   plots, and the same as SVG
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.engines.choose import load_engine
from slidemitosis.errors import InvalidOption
from slidemitosis.files import given_name, write_text, writing
from slidemitosis.models.card import CARD_NAME, Score, read_card, write_card
from slidemitosis.models.shipped import find_model
from slidemitosis.models.subtypes import stated_extras
from slidemitosis.options import ComputeOptions
from slidemitosis.train.data.seen import check_seen, read_seen
from slidemitosis.train.evaluate.metrics import Metrics, Scored
from slidemitosis.train.evaluate.plots import confusion_plot, reliability_plot, roc_plot
from slidemitosis.train.evaluate.report import EvaluationReport, build_entry, validation_fold
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions, write_report
from slidemitosis.train.paths import (
    ENSEMBLE,
    EVALUATION,
    PREDICTIONS,
    RUN_FILE,
    VALIDATION,
    file_name,
    predictions_path,
    seen_path,
)
from slidemitosis.train.readme import model_readme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.evaluate.report import Entry, Role, ValidationFold
    from slidemitosis.train.recipe.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A model that is evaluated, and its role in a run."""

    card: ModelCard
    role: Role = "single"
    fold: int | None = None
    run: str = ""


def score_figures(
    card: ModelCard, figures: Figures, *, data: str, device: str = "cpu", views: int = 1
) -> Scored:
    """Compute the model's outputs for labelled figures, in fp32, as `slidemitosis classify` does."""
    return score_sets(card, {data: figures}, device=device, views=views)[data]


def score_sets(
    card: ModelCard, sets: Mapping[str, Figures], *, device: str = "cpu", views: int = 1
) -> dict[str, Scored]:
    """Do what `score_figures` does for several data sets, by name; the weights are read once."""
    if not sets:
        return {}
    for data, figures in sets.items():
        if figures.pixels.shape[1] != card.patch.side:
            raise InvalidOption(
                f"{data}: patches are {figures.pixels.shape[1]} px, "
                f"the model {card.name} sees {card.patch.side} px"
            )
    compute = ComputeOptions(device=device, precision="fp32", views=views)
    with contextlib.closing(load_engine(card, compute)) as engine:
        return {
            data: _scored(card, figures, data, engine.submit(figures.pixels)(), views)
            for data, figures in sets.items()
        }


def _scored(card: ModelCard, figures: Figures, data: str, outputs: Outputs, views: int) -> Scored:
    """State what the model says; its calls are those at the threshold of the best balanced accuracy."""
    decision = card.decision_for(views=views, point="balanced")
    probability, fitted = decision.probability(outputs.logit), decision.calibration
    beside = card.decision.probability(outputs.logit)
    return Scored(
        model=card.name,
        data=data,
        names=figures.names,
        slides=figures.slides,
        domains=figures.domains,
        atypical=figures.atypical,
        logit=outputs.logit,
        probability=probability,
        threshold=decision.threshold,
        points={"counting": fitted.counting.threshold, "balanced": fitted.balanced.threshold}
        if fitted
        else {},
        extra=stated_extras(card, outputs.extra, probability, p_uncalibrated=beside),
        subtypes=tuple(s[0] if s else "" for s in figures.subtypes),
        hardness=figures.hardness,
    )


def find_models(words: Sequence[str]) -> list[Member]:
    """Find models by name or folder; a folder of `slidemitosis train` gives its folds and ensemble."""
    members: list[Member] = []
    runs = [w for w in words if (Path(w) / RUN_FILE).is_file()]
    for word in words:
        if word in runs:
            members += run_members(Path(word), name=given_name(Path(word)) if len(words) > 1 else "")
        else:
            members.append(Member(find_model(word)))
    names = [m.card.name for m in members]
    for name in names:
        if names.count(name) > 1:
            raise InvalidOption(f"two of the models are called {name!r}: evaluate them one by one")
    return members


def run_members(folder: Path, *, name: str = "") -> list[Member]:
    """Find the folds and the ensemble that a run has so far. Raises InvalidOption where there is no fold."""
    found = {int(p.parent.name.rpartition("-")[2]): p.parent for p in folder.glob(f"fold-*/{CARD_NAME}")}
    members = [Member(read_card(path), "fold", fold, name) for fold, path in sorted(found.items())]
    if not members:
        raise InvalidOption(f"{folder}: no fold of this run is trained yet; run `slidemitosis train` again")
    if len(members) == 1:
        members = [dataclasses.replace(members[0], role="single", fold=None)]
    if (folder / ENSEMBLE / CARD_NAME).is_file():
        members.append(Member(read_card(folder / ENSEMBLE), "ensemble", None, name))
    return members


def evaluate_models(
    members: Sequence[Member],
    sets: Mapping[str, Figures],
    *,
    out: Path,
    views: int = 1,
    device: str = "cpu",
    allow_leaks: bool = False,
) -> EvaluationReport:
    """Score every model on every data set and write the report into `out`, in place of an earlier one.

    Scores of the folds of a run on their own validation figures are taken from what its training wrote.
        Raises InvalidOption, also where a data set has figures or slides that a model saw in training, unless
        `allow_leaks`; and OutputError if `out` cannot be written.
    """
    runs = list(dict.fromkeys(m.card.folder.parent for m in members))
    seen = [(m.card.name, read_seen(path)) for m in members if (path := seen_path(m.card.folder))]
    notes = check_seen(seen, sets, allow=allow_leaks)
    scored = [score_sets(m.card, sets, device=device, views=views) for m in members]
    with writing(out):
        (out / PREDICTIONS).mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    for data in sets:
        for m, of_sets in zip(members, scored, strict=True):
            write_predictions(of_sets[data], predictions_path(out, model=m.card.name, data=data))
            entries.append(build_entry(of_sets[data], role=m.role, fold=m.fold, run=m.run, views=views))
            log.info("%s on %s: %s", m.card.name, data, _in_short(entries[-1].metrics))
        _draw([s[data] for s in scored], members, out, file_name(data))
    about: dict[str, str] = {}
    if len(runs) == 1 and (told := _told(runs[0])):
        about = {k: told[k] for k in ("recipe", "family", "backbone")}
    smoke = [run.name for run in runs if _told(run).get("smoke")]
    notes += [f"{name} was trained with --smoke: its scores mean nothing." for name in smoke]
    notes += [f"{m.card.name}: {COLLAPSED}" for m in members if _collapsed(m)]
    report = EvaluationReport(
        entries=tuple(entries), notes=tuple(notes), validation=_validation(members), **about
    )
    write_report(report, out)
    return report


def evaluate_run(
    folder: Path, recipe: Recipe, tests: Mapping[str, Figures], *, device: str = "cpu"
) -> EvaluationReport | None:
    """Score a run's models on its test figures, and write the scores into their cards and READMEs.

    None where the run has neither test figures nor two folds, whose validation figures were scored.
    """
    members = run_members(folder)
    report = None
    if tests or _validation(members):
        allow = _told(folder)["leaks"] == "allow"
        report = evaluate_models(members, tests, out=folder / EVALUATION, device=device, allow_leaks=allow)
    for m in members:
        entries = [e for e in report.entries if e.model == m.card.name] if report else []
        card = dataclasses.replace(m.card, scores=tuple(filter(None, map(score_of, entries))))
        write_card(card)
        notes = [n for n in report.notes if COLLAPSED not in n] if report else []
        notes += [COLLAPSED] if _collapsed(m) else []
        scores = [(e.data, e.metrics) for e in entries]
        write_text(card.folder / "README.md", model_readme(card, recipe, scores, notes=notes))
    return report


COLLAPSED = "it has collapsed, since every validation figure is given one class."


def _collapsed(member: Member) -> bool:
    """Tell whether the training has collapsed, from its validation figures and without any test figure."""
    path = member.card.folder / VALIDATION
    return member.role != "ensemble" and path.is_file() and read_predictions(path).collapsed


def _validation(members: Sequence[Member]) -> tuple[ValidationFold, ...]:
    """Measure folds on their validation figures, from the predictions that the training wrote."""
    return tuple(
        validation_fold(read_predictions(path), run=m.run, model=m.card.name, fold=m.fold)
        for m in members
        if m.fold is not None and (path := m.card.folder / VALIDATION).is_file()
    )


def _told(run: Path) -> dict[str, Any]:
    path = run / RUN_FILE
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return told


def _draw(scored: Sequence[Scored], members: Sequence[Member], out: Path, data: str) -> None:
    roc_plot(scored, out / f"roc-{data}")
    reliability_plot(scored, out / f"reliability-{data}")
    for s, m in zip(scored, members, strict=True):
        known = set(s.extra) & set(s.subtypes)
        if known and m.role != "fold":
            confusion_plot(s, out / f"confusion-{file_name(m.card.name)}--{data}")


def _in_short(m: Metrics) -> str:
    values = {"BA at 0.5": m.balanced_accuracy_at_half, "AUROC": m.auroc}
    return ", ".join(f"{k} {v:.4f}" for k, v in values.items() if v is not None)


def score_of(entry: Entry) -> Score | None:
    """Make a line of the card's scores; None where one class is absent."""
    m = entry.metrics
    if m.balanced_accuracy is None or m.balanced_accuracy_at_half is None or m.auroc is None:
        return None
    return Score(
        data=entry.data,
        figures=m.figures,
        atypical=m.atypical,
        views=entry.views,
        balanced_accuracy=round(m.balanced_accuracy, 4),
        balanced_accuracy_at_half=round(m.balanced_accuracy_at_half, 4),
        auroc=round(m.auroc, 4),
    )
