"""Measures of what a model says of labelled figures, each with the class that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import HARDNESS, POSITIVE, SUBTYPES
from slidemitosis.prediction import likeliest_subtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ECE_BINS = 15
# Fields of Scored with a value for each figure, besides "names" and what "extra" holds.
_TEXTS = ("slides", "domains", "subtypes", "hardness")
_NUMBERS = ("atypical", "logit", "probability")


@dataclass(frozen=True, slots=True)
class Scored:
    """N labelled figures of one data set, and what one model says of each."""

    model: str
    data: str
    names: tuple[str, ...]
    slides: tuple[str, ...]
    """"" where the data set does not say."""
    domains: tuple[str, ...]
    """"" where the data set does not say."""
    atypical: NDArray[np.int64]
    """The true label, 1 for AMF, (N,)."""
    logit: NDArray[np.floating]
    """Evidence for AMF before any prior correction, (N,); of AMF subtypes, already their sum."""
    probability: NDArray[np.floating]
    """Calibrated P(AMF), (N,)."""
    threshold: float
    """Of the probability."""
    extra: dict[str, NDArray[np.floating]]
    """Further probabilities, (N,) each, by name: "hard", and the subtypes, as the model's card states them
    (in the validation predictions of a training, before it is calibrated)."""
    subtypes: tuple[str, ...]
    """The true subtype by the first expert, "" where there is none."""
    hardness: tuple[str, ...]
    """"hard" where the experts disagree, "easy" where they do not, "" below two votes."""
    points: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of the model's operating points, by name; empty where it has none."""

    def __post_init__(self) -> None:
        n, where = len(self.names), f"scores of {self.model} on {self.data}"
        wrong = [k for k in _TEXTS if len(getattr(self, k)) != n]
        numbers = {k: getattr(self, k) for k in _NUMBERS} | self.extra
        wrong += [k for k, v in numbers.items() if v.shape != (n,)]
        if wrong:
            raise InvalidOption(f"{where}: {n} names, but not as many {', '.join(wrong)}")
        if not np.isin(self.atypical, (0, 1)).all():
            raise InvalidOption(f"{where}: labels must be 0 or 1")
        if not all(np.isfinite(v).all() for v in numbers.values()):
            raise InvalidOption(f"{where}: a logit or probability is no finite number")
        within = (self.probability >= 0) & (self.probability <= 1)
        if not (within.all() and 0 <= self.threshold <= 1):
            raise InvalidOption(f"{where}: threshold and probabilities must lie in 0 to 1")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def called(self) -> NDArray[np.bool_]:
        """Tell which figures are called atypical at the threshold, (N,)."""
        at_or_above: NDArray[np.bool_] = self.probability >= self.threshold
        return at_or_above

    @property
    def collapsed(self) -> bool:
        """Tell whether the network gives every figure one class."""
        return collapsed(self.logit >= 0)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Scored:
        """Return the figures of these rows, in this order."""
        index = np.asarray(rows, dtype=np.intp)
        taken: dict[str, Any] = {k: getattr(self, k)[index] for k in _NUMBERS}
        taken |= {k: tuple(getattr(self, k)[i] for i in index) for k in ("names", *_TEXTS)}
        return replace(self, extra={k: v[index] for k, v in self.extra.items()}, **taken)

    @staticmethod
    def join(parts: Sequence[Scored]) -> Scored:
        """Chain the figures of all parts as if one model had seen them: for out-of-fold predictions.

        Models that were calibrated apart have thresholds of their own: joined they have 0.5. Raises
        InvalidOption if there is no part, or if further outputs differ.
        """
        if not parts or any(set(p.extra) != set(parts[0].extra) for p in parts):
            raise InvalidOption("scores to be joined must have the same outputs")
        thresholds = {p.threshold for p in parts}
        joined: dict[str, Any] = {k: np.concatenate([getattr(p, k) for p in parts]) for k in _NUMBERS}
        joined |= {k: tuple(v for p in parts for v in getattr(p, k)) for k in ("names", *_TEXTS)}
        joined |= {k: " + ".join(dict.fromkeys(getattr(p, k) for p in parts)) for k in ("model", "data")}
        extra = {k: np.concatenate([p.extra[k] for p in parts]) for k in parts[0].extra}
        threshold = thresholds.pop() if len(thresholds) == 1 else 0.5
        return replace(parts[0], extra=extra, threshold=threshold, **joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """P(hard) against the experts' votes."""

    figures: int
    """Figures that two or more experts saw."""
    hard: int
    """Figures of these on which they disagree."""
    expected: float
    """Sum of P(hard), which equals `hard` where it is calibrated for these figures."""
    auroc: float | None
    """None where all figures are hard or all are easy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Measures of one model on some figures, AMF being positive; None where the figures needed are absent.

    Sensitivity needs AMF, specificity needs NMF, Brier score and ECE need any figure at all, and all
    others need both classes.
    """

    figures: int
    atypical: int
    """How many of the figures are AMF."""
    balanced_accuracy: float | None
    """(sensitivity + specificity) / 2, at the model's threshold."""
    balanced_accuracy_at_half: float | None
    """The same where the raw sigmoid of the logit is 0.5 or more, as the published benchmark reports it."""
    sensitivity: float | None
    """Share of AMF that are called so, at the threshold."""
    specificity: float | None
    """Share of NMF that are called so, at the threshold."""
    f1: float | None
    """2 TP / (2 TP + FP + FN), which is 2 TP / (called AMF + truly AMF), at the threshold."""
    auroc: float | None
    """Of the logits: P(an AMF lies above an NMF), ties counted half."""
    average_precision: float | None
    """Of the logits: the sum over distinct values of precision times the step in recall."""
    brier: float | None
    """Mean of (P(AMF) - label) squared, of the calibrated probability."""
    ece: float | None
    """Expected calibration error, see `calibration_error`."""


MEASURES = tuple(f.name for f in fields(Metrics) if f.name not in {"figures", "atypical"})
"""Names of the fields of Metrics that are measures, not counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtypeRow:
    """One subtype against all others; a share of no figures is None."""

    name: str
    figures: int
    """Figures that truly are of it."""
    auroc: float | None
    sensitivity: float | None
    specificity: float | None
    ppv: float | None
    """Of the figures called so, the share that are."""
    npv: float | None
    """Of the figures not called so, the share that are not."""


def metrics_of(scored: Scored) -> Metrics:
    """Compute every measure from all figures of `scored`."""
    y = scored.atypical
    both = len(np.unique(y)) == 2
    called, amf = scored.called, y == 1
    sensitivity, specificity = sides(called, amf)
    return Metrics(
        figures=len(scored),
        atypical=int(y.sum()),
        balanced_accuracy=mean_of_both(sensitivity, specificity),
        balanced_accuracy_at_half=mean_of_both(*sides(scored.logit >= 0, amf)),
        sensitivity=sensitivity,
        specificity=specificity,
        f1=share(2 * (called & amf).sum(), called.sum() + amf.sum()) if both else None,
        auroc=float(roc_auc_score(y, scored.logit)) if both else None,
        average_precision=float(average_precision_score(y, scored.logit)) if both else None,
        brier=float(np.mean((scored.probability - y) ** 2)) if len(y) else None,
        ece=calibration_error(scored.probability, y),
    )


def share(part: float, whole: float) -> float | None:
    """Return part / whole, or None where the whole is 0."""
    return float(part / whole) if whole else None


def sides(called: NDArray[np.bool_], amf: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """Return sensitivity and specificity."""
    return share((called & amf).sum(), amf.sum()), share((~called & ~amf).sum(), (~amf).sum())


def mean_of_both(a: float | None, b: float | None) -> float | None:
    """Return the mean, or None where one is None."""
    return None if a is None or b is None else (a + b) / 2


def bins_of(probability: NDArray[np.floating], *, bins: int = ECE_BINS) -> NDArray[np.int64]:
    """Return the bin of each probability, 0 to bins - 1: ((m - 1) / bins, m / bins], with 0 in the first."""
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    return np.searchsorted(edges, probability, side="left").astype(np.int64)


def calibration_error(
    probability: NDArray[np.floating], atypical: NDArray[np.int64], *, bins: int = ECE_BINS
) -> float | None:
    """Compute the expected calibration error of P(AMF); None without figures.

    The sum over equal-width bins of n_b / n |share of AMF - mean P(AMF)|: Guo et al. 2017, eq. 3, of
    the probability of the positive class, not of the confidence in whichever class is called.
    """
    if not len(probability):
        return None
    gap = np.bincount(bins_of(probability, bins=bins), weights=probability - atypical, minlength=bins)
    return float(np.abs(gap).sum() / len(probability))


def collapsed(calls: NDArray[np.bool_] | NDArray[np.floating]) -> bool:
    """Tell whether calls, or probabilities at 0.5, give every figure one class; False without figures.

    Give it the raw sigmoid: calibrated probabilities for a low prior may all lie below 0.5.
    """
    return len(np.unique(np.asarray(calls) >= 0.5)) == 1


def confusion(scored: Scored) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Count subtypes, (C classes, int64 (C, C)): rows are the first expert's, columns the model's.

    The model's is that of `slidemitosis classify`: the likeliest subtype of the type that is called. Figures
    without a subtype, or with one that the model does not know, are left out.
    """
    classes, truth, called, _ = _subtypes(scored)
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, (truth, called), 1)
    return classes, matrix


def subtype_table(scored: Scored) -> tuple[SubtypeRow, ...]:
    """Measure each subtype against all others, as AUCMEDI's paper on AMi-Br does.

    AUROC is of the probabilities as they are stated. Calls and figures are those of `confusion`; empty for a
    model that tells no subtypes.
    """
    classes, truth, called, p = _subtypes(scored)
    rows = []
    for c, name in enumerate(classes):
        is_c, says_c = truth == c, called == c
        tp, n_c, said = int((is_c & says_c).sum()), int(is_c.sum()), int(says_c.sum())
        n = len(truth)
        tn = n - n_c - said + tp
        rows.append(
            SubtypeRow(
                name=name,
                figures=n_c,
                auroc=float(roc_auc_score(is_c, p[:, c])) if 0 < n_c < n else None,
                sensitivity=share(tp, n_c),
                specificity=share(tn, n - n_c),
                ppv=share(tp, said),
                npv=share(tn, n - said),
            )
        )
    return tuple(rows)


def first_expert_accuracy(scored: Scored) -> float | None:
    """Compute balanced accuracy at 0.5 of the raw sigmoid against the type of the first expert's subtype.

    A model of subtypes learns what that expert said, not what the majority said: on AMi-Br 306 of the 832
    figures that the majority calls AMF have a subtype of NMF. None unless that expert has both types.
    """
    rows = [i for i, s in enumerate(scored.subtypes) if s]
    truth = np.array([scored.subtypes[i].startswith(POSITIVE) for i in rows], np.bool_)
    return mean_of_both(*sides(scored.logit[rows] >= 0, truth))


def doubt(scored: Scored) -> Doubt | None:
    """Measure P(hard) on figures that two or more experts saw; None without it or without such figures."""
    hard, known = hard_figures(scored)
    if HARDNESS[1] not in scored.extra or not len(known):
        return None
    p = scored.extra[HARDNESS[1]][known]
    both = len(set(hard.tolist())) == 2
    return Doubt(
        figures=len(known),
        hard=int(hard.sum()),
        expected=float(p.sum()),
        auroc=float(roc_auc_score(hard, p)) if both else None,
    )


def hard_figures(scored: Scored) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (1 for hard and 0 for easy, rows), int64 (M,) each, of the M figures of which it is known."""
    known = np.flatnonzero(np.array(scored.hardness, dtype=object) != "")
    hard = np.array([scored.hardness[i] == HARDNESS[1] for i in known], dtype=np.int64)
    return hard, known.astype(np.int64)


def _subtypes(
    scored: Scored,
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64], NDArray[np.floating]]:
    """Return (C classes, true index (M,), called index (M,), probabilities (M, C)) of figures with a subtype.

    Where a model knows subtypes of one type alone, a figure called the other type is given the likeliest.
    """
    classes = tuple(s for s in SUBTYPES if s in scored.extra)
    rows = [i for i, s in enumerate(scored.subtypes) if s in classes]
    truth = np.array([classes.index(scored.subtypes[i]) for i in rows], dtype=np.int64)
    columns = [scored.extra[c][rows] for c in classes]
    p = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    names = []
    for atypical, row in zip(scored.called[rows].tolist(), p.tolist(), strict=True):
        told = dict(zip(classes, row, strict=True))
        names.append(likeliest_subtype(told, atypical=atypical) or max(classes, key=lambda c: told[c]))
    return classes, truth, np.array([classes.index(n) for n in names], dtype=np.int64), p
