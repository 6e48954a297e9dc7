"""Evaluation folders as runs to compare: the scores of report.json and the predictions beside it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.models.card import CARD_NAME
from slidemitosis.toml_tables import InvalidTable, build
from slidemitosis.train.evaluate.points import PointScores
from slidemitosis.train.evaluate.report_files import REPORT_JSON, read_report_table, read_rows, unreadable
from slidemitosis.train.paths import EVALUATION, RUN_FILE, predictions_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

METRICS = {"balanced_accuracy_at_half": "BA at 0.5", "auroc": "AUROC"}
"""The scores that are compared, by name in report.json: the two of the protocol of Banerjee et al."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One network, or the ensemble of a run, on one data set."""

    model: str
    role: Literal["single", "fold", "ensemble"]
    fold: int | None
    data: str
    metrics: Mapping[str, float | None]
    """Every number in the report's metrics, by its name there; None where the report has null."""
    points: tuple[PointScores, ...] = ()
    """Empty in reports of earlier versions, and of models that have no operating points."""


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation folder. It holds one model: its folds, their ensemble, or a single network."""

    name: str
    """The folder's name, with as many of the folders above it as tell it from the other runs."""
    path: Path
    family: str | None
    backbone: str | None
    entries: tuple[Entry, ...]

    def data(self) -> tuple[str, ...]:
        """Return the names of the data sets that it was evaluated on."""
        return tuple(dict.fromkeys(e.data for e in self.entries))

    def folds(self, data: str) -> dict[int, Entry]:
        """Return the networks of the folds on `data`, by rising fold."""
        found = {
            e.fold: e for e in self.entries if e.data == data and e.role == "fold" and e.fold is not None
        }
        return dict(sorted(found.items()))

    def whole(self, data: str) -> Entry | None:
        """Return the ensemble on `data`, or else the single network; None where there are folds alone."""
        found = {e.role: e for e in self.entries if e.data == data}
        return found.get("ensemble", found.get("single"))

    def predicted(self, entry: Entry) -> Predicted:
        """Read the predictions of `entry`. Raises InvalidOption if their file is missing or wrong."""
        return _predicted(predictions_path(self.path, model=entry.model, data=entry.data))


@dataclass(frozen=True, slots=True)
class Predicted:
    """The figures of one data set in the order of their file, and one network's logits."""

    path: Path
    names: tuple[str, ...]
    slides: tuple[str, ...]
    """"" where the data set does not tell."""
    atypical: NDArray[np.int64]
    """(N,) 1 for AMF."""
    logit: NDArray[np.float64]
    """(N,) evidence for AMF."""

    def ordered_as(self, other: Predicted) -> Predicted:
        """Return these predictions in the order of `other`.

        Some published sets give a name twice, once in each class; such figures must stand in the same order.
        Raises InvalidOption unless figures and labels are the same.
        """
        mine = self
        if self.names != other.names:
            gone, new = Counter(other.names) - Counter(self.names), Counter(self.names) - Counter(other.names)
            if gone or new:
                example = min(gone or new)
                raise InvalidOption(
                    f"{self.path}: other figures than in {other.path}: {new.total()} are here only and "
                    f"{gone.total()} there only, such as {example}; evaluate both runs on the same figures"
                )
            if len(set(self.names)) < len(self.names):
                raise InvalidOption(
                    f"{self.path}: names of figures repeat, in another order than in {other.path}; "
                    "evaluate both runs with one version of the data set"
                )
            place = {name: i for i, name in enumerate(self.names)}
            mine = self._take([place[name] for name in other.names])
        differing = np.flatnonzero(mine.atypical != other.atypical)
        if len(differing):
            raise InvalidOption(
                f"{self.path}: {len(differing)} labels differ from {other.path}, first that of "
                f"{mine.names[differing[0]]}; evaluate both runs with one version of the labels"
            )
        return mine

    def _take(self, rows: Sequence[int]) -> Predicted:
        names, slides = (tuple(values[i] for i in rows) for values in (self.names, self.slides))
        return Predicted(self.path, names, slides, self.atypical[rows], self.logit[rows])


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """Read evaluation folders, in their order.

    Raises InvalidOption, in one line, for one folder alone or one given twice, for a folder without
    `report.json`, and for a report that is not JSON, of another format, without a needed key, or with
    several models on one data set.
    """
    if len(folders) < 2:
        raise InvalidOption(f"{len(folders)} run given, and a comparison needs two or more")
    resolved = [folder.resolve() for folder in folders]
    twice = [str(folder) for folder, n in Counter(resolved).items() if n > 1]
    if twice:
        raise InvalidOption(f"{twice[0]}: given twice; give each run once")
    return tuple(
        _read_run(folder, name) for folder, name in zip(folders, _shortest_names(resolved), strict=True)
    )


def _shortest_names(folders: Sequence[Path]) -> list[str]:
    """Return the last part of each path, or as many more parts as tell all apart."""
    names: list[str] = []
    for depth in range(1, max(len(f.parts) for f in folders) + 1):
        names = ["/".join(f.parts[-depth:]) for f in folders]
        if len(set(names)) == len(names):
            break
    return names


def _read_run(folder: Path, name: str) -> Run:
    # A run of `slidemitosis train` has its evaluation inside.
    is_run = (folder / RUN_FILE).is_file()
    evaluation = folder / EVALUATION if is_run else folder
    path = evaluation / REPORT_JSON
    if not path.is_file():
        raise InvalidOption(f"{folder}: {_why_no_report(folder, is_run=is_run)}")
    folder = evaluation
    report = read_report_table(path)
    rows = report.get("entries")
    if not isinstance(rows, list):
        raise unreadable(path, "entries must be a list")
    if not rows:
        raise unreadable(path, "no test figures were scored", "evaluate the run on labelled figures")
    run = Run(
        name=name,
        path=folder,
        family=_text(report, "family", path, optional=True),
        backbone=_text(report, "backbone", path, optional=True),
        entries=tuple(_entry(row, path) for row in rows),
    )
    _check_one_model(run, path)
    return run


def _why_no_report(folder: Path, *, is_run: bool) -> str:
    """Say why a folder has no scores, and what gives them."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "is a file; give the folder that it is in"
    if is_run:
        return "a training without scores: it is not finished (the same `slidemitosis train` goes on)"
    if (folder / CARD_NAME).is_file():
        evaluate = f"slidemitosis evaluate {folder} --data NAME=PATH --out FOLDER"
        return f"a model, which has no scores of its own: `{evaluate}`, and compare that FOLDER"
    return f"no {REPORT_JSON} here; give a folder that `slidemitosis train` or `slidemitosis evaluate` wrote"


def _entry(row: Any, path: Path) -> Entry:
    if not isinstance(row, dict):
        raise unreadable(path, "an entry is no table")
    role, fold, metrics = row.get("role"), row.get("fold"), row.get("metrics")
    if role not in {"single", "fold", "ensemble"}:
        raise unreadable(path, f"role must be single, fold or ensemble, not {role!r}")
    if role == "fold" and (not isinstance(fold, int) or isinstance(fold, bool)):
        raise unreadable(path, f"an entry of role fold needs the fold's number, not {fold!r}")
    if not isinstance(metrics, dict):
        raise unreadable(path, "an entry has no metrics")
    # Type, not isinstance: a truth value is no number.
    numbers = {
        k: v for k, v in metrics.items() if v is None or (type(v) in (int, float) and math.isfinite(v))
    }
    model, data = _text(row, "model", path), _text(row, "data", path)
    try:
        points = tuple(build(PointScores, p, where="points") for p in row.get("points") or ())
    except (InvalidTable, TypeError) as e:
        raise unreadable(path, f"an entry's points cannot be read ({e})") from e
    return Entry(model or "", role, fold if role == "fold" else None, data or "", numbers, points)


def _text(table: Mapping[str, Any], key: str, path: Path, *, optional: bool = False) -> str | None:
    value = table.get(key)
    if not (isinstance(value, str) and value) and not (optional and value is None):
        raise unreadable(path, f"{key} must be text, not {value!r}")
    return value


def _check_one_model(run: Run, path: Path) -> None:
    """Refuse a run that holds several models, which could be compared only by picking one of them unasked."""
    for data in run.data():
        entries = [e for e in run.entries if e.data == data]
        for role in ("ensemble", "single", "fold"):
            keys = Counter(e.fold for e in entries if e.role == role)
            if max(keys.values(), default=0) > 1:
                models = ", ".join(e.model for e in entries if e.role == role)
                kind = "models of one fold" if role == "fold" else f"{role} models"
                wrong = f"several {kind} on {data} ({models})"
                raise unreadable(path, wrong, "evaluate each into a folder of its own")


def _predicted(path: Path) -> Predicted:
    _, rows = read_rows(path, ("figure", "slide", "atypical", "logit"))
    try:
        atypical = np.array([{"0": 0, "1": 1}[r["atypical"]] for r in rows], np.int64)
        logit = np.array([float(r["logit"]) for r in rows])
    except (KeyError, TypeError, ValueError) as e:
        raise unreadable(path, f"atypical is not 0 or 1, or logit no number ({e})") from e
    if not np.isfinite(logit).all():
        raise unreadable(path, "a logit is not finite")
    return Predicted(
        path, tuple(r["figure"] for r in rows), tuple(r["slide"] or "" for r in rows), atypical, logit
    )
