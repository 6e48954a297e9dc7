"""Calibrate a model on labelled figures of somebody's own slides: `slidemitosis calibrate`."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from slidemitosis._version import __version__
from slidemitosis.calibration.local import fit_local
from slidemitosis.engines.choose import load_engine
from slidemitosis.errors import InvalidOption
from slidemitosis.labels import Reason
from slidemitosis.models.files import networks_digest
from slidemitosis.models.local import FORMAT, LocalCalibration
from slidemitosis.train.data.figures import join
from slidemitosis.train.data.read import read_data
from slidemitosis.train.data.reviewed import read_review_sample
from slidemitosis.train.data.seen import read_seen, seen_notes
from slidemitosis.train.data.table import read_table
from slidemitosis.train.paths import seen_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.models.local import Reviewed
    from slidemitosis.options import ComputeOptions
    from slidemitosis.train.data.figures import Figures, LabelledData
    from slidemitosis.train.data.table import Table

log = logging.getLogger(__name__)

LEAST = 30
"""With fewer figures a shift can hardly be told from chance."""
_REASONS = get_args(Reason)
"""Why a figure was labelled, as the column "reason" of a table says."""
_REMEDY = "review all figures of some slides, or a random sample of them"


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A local calibration, and the fractions of atypical figures among those that it was fitted on."""

    local: LocalCalibration
    labelled: float
    expected_before: float
    """Mean of P(atypical) by the model's own card."""
    expected: float
    """The same by the local calibration."""


def calibrate_model(
    card: ModelCard,
    named: Sequence[tuple[str, Path]],
    *,
    compute: ComputeOptions,
    reviewed: Reviewed | None = None,
    tumour: str | None = None,
) -> Calibrated:
    """Fit a model's probabilities to labelled figures that it was not trained on.

    named: layouts of `read.LAYOUTS`, each with its path; of a set with official test figures, these are
    taken. reviewed: which figures were labelled, where no column "reason" says it. tumour: that of the
    slides.

    Raises InvalidOption, also where figures were labelled for what the model said of them, where the model
    was trained on them, and where there are fewer than 30 or a class is absent.
    """
    folders = [path for name, path in named if name == "review"]
    tables = [(name, path) for name, path in named if name != "review"]
    samples = [read_review_sample(path) for path in folders]
    how = settle_reviewed([path for _, path in tables], reviewed, told=[kind for _, kind in samples])
    data = [read_data(name, path) for name, path in tables] + [sample for sample, _ in samples]
    figures = _own_figures(card, data)
    with contextlib.closing(load_engine(card, compute)) as engine:
        logits = engine.submit(figures.pixels)().logit
    decision = card.decision_for(views=compute.views, point="counting")
    fitted = fit_local(
        decision,
        logits,
        figures.atypical,
        slides=figures.slides,
        views=compute.views,
        protocol=f"{'all' if how == 'all' else 'a random sample of the'} figures of own slides, labelled; "
        f"slidemitosis {__version__}",
    )
    if fitted.spread is None:
        log.warning("the slides of the figures are not known, so that rates will have no interval")
    local = LocalCalibration(
        format=FORMAT,
        model=card.name,
        version=card.version,
        networks=networks_digest(card),
        reviewed=how,
        tumour=tumour,
        labels={name: digest for d in data for name, digest in d.hashes.items()},
        slides=tuple(sorted(set(figures.slides) - {""})),
        calibration=fitted,
    )
    now = dataclasses.replace(decision, calibration=fitted)
    return Calibrated(
        local,
        labelled=float(figures.atypical.mean()),
        expected_before=float(decision.probability(logits).mean()),
        expected=float(now.probability(logits).mean()),
    )


def _own_figures(card: ModelCard, data: Sequence[LabelledData]) -> Figures:
    """Return the labelled figures. Raises InvalidOption where the model cannot be calibrated on them."""
    sets = dict(d.scored for d in data)
    if len(sets) < len(data):
        raise InvalidOption("two of the data sets have one name: give each once, or rename a file")
    path = seen_path(card.folder)
    if path and (notes := seen_notes([(card.name, read_seen(path))], sets)):
        raise InvalidOption(f"{'; '.join(notes)}: calibrate on figures of other slides")
    figures = join(list(sets.values()))
    if len(figures) < LEAST:
        raise InvalidOption(f"{len(figures)} labelled figures are too few to calibrate on; label 50 or more")
    side = figures.pixels.shape[1]
    if side != card.patch.side:
        raise InvalidOption(f"patches are {side} px, the model {card.name} sees {card.patch.side} px")
    return figures


def settle_reviewed(
    paths: Sequence[Path], stated: Reviewed | None, *, told: Sequence[Reviewed] = ()
) -> Reviewed:
    """Tell which figures were labelled, from the tables' columns "reason", or from what is stated.

    told: which figures of folders of results were reviewed.

    Raises InvalidOption where nothing says it, and where figures were chosen by what the model said of them.
    """
    known: set[str] = set(told)
    untold = False
    for path in paths:
        if path.is_file():
            table = read_table(path, ("label",))
            refuse_changed_only(table)
            reasons = [_reason(table, row) for row in range(len(table))]
            known |= set(reasons) - {""}
            untold |= "" in reasons
        else:
            untold = True
    if untold and stated is None:
        raise InvalidOption(f"say which figures were labelled by --reviewed all or random: {_REMEDY}")
    known |= {stated} if stated else set()
    if known == {"all", "random"} and stated:
        raise InvalidOption(
            f"--reviewed {stated}, but the column reason says otherwise; leave the option out"
        )
    return "random" if "random" in known else "all"


def _reason(table: Table, row: int) -> str:
    reason = table.text(row, "reason").lower()
    if reason and reason not in _REASONS:
        raise table.bad(row, "reason", f"{reason!r} is not known; use {', '.join(_REASONS)}")
    if reason in ("doubt", "found"):
        raise table.bad(
            row,
            "reason",
            f"{reason}: figures that were labelled for what the model said of them mislead a calibration; "
            f"{_REMEDY}",
        )
    return reason


def refuse_changed_only(table: Table) -> None:
    """Raise InvalidOption if every label differs from the model's call: only its errors were exported."""
    called = [row for row in range(len(table)) if table.text(row, "model_call")]
    if called and all(table.label(row, "label") != table.label(row, "model_call") for row in called):
        raise InvalidOption(
            f"{table.path}: every label differs from the model's call: only its errors are here, and a "
            f"calibration learns the reverse of the truth from them; {_REMEDY}, and export all of these"
        )
