"""Evaluation folders with scores known beforehand, written for the tests that read them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

N = 40
LABELS = [int(i % 4 == 0) for i in range(N)]
NAMES = [f"f{i}.png" for i in range(N)]
SLIDES = [f"s{i // 5}" for i in range(N)]
COLUMNS = ("figure", "data", "slide", "domain", "atypical", "logit", "p_atypical", "called", "p_hard")
FOLDS = (0.80, 0.81, 0.82, 0.83, 0.84)


def logits(seed: int, gain: float) -> list[float]:
    return [float(v) for v in np.random.default_rng(seed).normal(0, 1, N) + gain * np.array(LABELS)]


@dataclass
class Written:
    """An evaluation folder in the making."""

    folder: Path
    family: str | None = "end-to-end"
    backbone: str | None = "resnet"
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        role: str,
        score: float | None,
        *,
        fold: int | None = None,
        data: str = "A",
        names: Sequence[str] = NAMES,
        labels: Sequence[int] = LABELS,
        slides: Sequence[str] = SLIDES,
        logit: Sequence[float] | None = None,
    ) -> Written:
        """One model on one data set. Its BA at 0.5 is `score`, its AUROC 0.1 more."""
        model = role if fold is None else f"{role}-{fold}"
        metrics = {
            "balanced_accuracy": 0.5,
            "balanced_accuracy_at_half": score,
            "auroc": None if score is None else score + 0.1,
            "confusion": [[1, 2], [3, 4]],
        }
        entry = {"model": model, "role": role, "fold": fold, "data": data, "metrics": metrics, "views": 1}
        self.entries.append(entry)
        values = logits(fold or 0, 1) if logit is None else logit
        (self.folder / "predictions").mkdir(parents=True, exist_ok=True)
        path = self.folder / "predictions" / f"{model}--{data}.csv"
        with path.open("w", newline="", encoding="utf-8") as f:
            table = csv.writer(f)
            table.writerow(COLUMNS)
            for name, slide, label, value in zip(names, slides, labels, values, strict=True):
                table.writerow((name, data, slide, "", label, value, 0.5, 1, 0.1))
        return self

    def folds(self, *scores: float | None, data: str = "A") -> Written:
        for fold, score in enumerate(scores):
            self.add("fold", score, fold=fold, data=data)
        return self

    def write(self) -> Path:
        report: dict[str, Any] = {
            "format": 1,
            "family": self.family,
            "recipe": None,
            "backbone": self.backbone,
            "more": {},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report | {"entries": self.entries})
        (self.folder / "report.json").write_text(text, encoding="utf-8")
        return self.folder


def full(folder: Path, *, gain: float = 1.0, seed: int = 0, lead: float = 0.0, **of: Any) -> Path:
    """Five folds and their ensemble."""
    scores = [round(s + lead, 6) for s in FOLDS]
    return Written(folder, **of).folds(*scores).add("ensemble", 0.9, logit=logits(seed, gain)).write()
