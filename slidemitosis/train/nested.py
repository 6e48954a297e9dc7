"""Calibrate an ensemble on figures that none of its networks has seen: `slidemitosis train --nested`.

The predictions by which folds are calibrated are those of single networks. An ensemble's are others:
averaging moves their mean. So for each fold (of five, say) the ensemble is made again of the other four: five
networks, each without a part of these. It then scores the fold, of whose slides none of them has seen a
figure. With five folds that is 25 trainings.

    OUT/nested/fold-K/                      a run of its own, of the figures outside of fold K
    OUT/nested/fold-K/outer.csv             what its ensemble says of fold K; outer-8-views.csv alike
    OUT/nested/without-DOMAIN/              the same with one network and a domain, where there are several

After an interruption the same command goes on.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.calibration.spread import domain_shift_sd
from slidemitosis.errors import InvalidOption
from slidemitosis.models.card import CARD_NAME, read_card, write_card
from slidemitosis.train.data.split import folds
from slidemitosis.train.decisions import with_calibrations
from slidemitosis.train.evaluate.metrics import Scored
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions
from slidemitosis.train.evaluate.run import score_figures
from slidemitosis.train.paths import ENSEMBLE, NESTED, file_name, fold_folder
from slidemitosis.train.run import calibrate_members, train_folds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.data.split import Fold
    from slidemitosis.train.run import Progress, Run

log = logging.getLogger(__name__)


def train_nested(run: Run, *, only: Sequence[int] = (), progress: Progress | None = None) -> ModelCard | None:
    """Train and score the ensembles without each fold (all, or `only` these); then `calibrate_ensemble`.

    Raises what `train_folds` raises.
    """
    splits = folds(run.training, run.recipe.split)
    for k in sorted(set(only)) or range(len(splits)):
        _score_fold(run, k, splits[k], progress)
    if not only or max(only) == len(splits) - 1:
        _score_domains(run, progress)
    return calibrate_ensemble(run)


def calibrate_ensemble(run: Run) -> ModelCard | None:
    """Calibrate a run's ensemble and its folds' models on what nested training has scored so far.

    Return the card of the ensemble; None where there is no ensemble yet, or nothing was scored.
    """
    splits = folds(run.training, run.recipe.split)
    folder = run.out / ENSEMBLE
    done = [k for k in range(len(splits)) if all(outer_path(run.out, k, v).exists() for v in run.views)]
    if not (folder / CARD_NAME).exists() or not done:
        return None
    scored = {v: Scored.join([read_predictions(outer_path(run.out, k, v)) for k in done]) for v in run.views}
    protocol = (
        f"nested, {len(done)} of {len(splits)} folds by {run.recipe.split.groups}: "
        f"{sum(len(splits[k][1]) for k in done):,} figures, each scored by an ensemble of {len(splits)} "
        "networks, none of which was trained on a figure of its fold"
    )
    folders = [fold_folder(run.out, k) for k in range(len(splits))]
    members = [read_card(f) for f in folders if (f / CARD_NAME).exists()]
    domain_sd = _domain_sd(run, members[0])
    calibrate_members(run, members, domain_sd=domain_sd)
    card = with_calibrations(read_card(folder), scored, protocol=protocol, domain_sd=domain_sd)
    write_card(card)
    return card


def _score_domains(run: Run, progress: Progress | None) -> None:
    """Train one network without each domain, and score the domain, where there are several.

    How far its probabilities are off there is how far they may be off for a scanner, a laboratory or a tumour
    that no network has seen.
    """
    names = sorted(set(run.training.domains))
    if len(names) < 2 or "" in names:
        return
    of_figures = np.array(run.training.domains)
    for name in names:
        path = domain_path(run.out, name)
        if path.exists():
            continue
        rest, domain = (
            run.training.take(np.flatnonzero(rows)) for rows in (of_figures != name, of_figures == name)
        )
        inner = dataclasses.replace(run, training=rest, tests={}, out=path.parent, views=())
        log.info("without the domain %s: one network", name)
        try:
            (card,) = train_folds(inner, only=[0], progress=_named(progress, f"without {name}"))
        except InvalidOption as e:  # the others are too few for folds
            log.warning("the domain %s says nothing of new domains: %s", name, e)
            continue
        write_predictions(score_figures(card, domain, data=name, device=run.device), path)


def _domain_sd(run: Run, member: ModelCard) -> float:
    """Return how far domains shift the log-odds of a network that has not seen them; 0 if it is not known."""
    paths = [domain_path(run.out, name) for name in sorted(set(run.training.domains))]
    scored = [read_predictions(path) for path in paths if path.exists()]
    of_one_view = [c for c in member.calibrations if c.views == 1]
    return domain_shift_sd(of_one_view[0], [(s.logit, s.atypical) for s in scored]) if of_one_view else 0.0


def domain_path(out: Path, domain: str) -> Path:
    """Return the file of what a network that was trained without a domain says of it."""
    return out / NESTED / f"without-{file_name(domain)}" / "outer.csv"


def _named(progress: Progress | None, name: str) -> Progress | None:
    """Return what is told the progress of a part that has a name."""
    if progress is None:
        return None
    return lambda what, seen, of: progress(f"{name}, {what}", seen, of)


def outer_path(out: Path, fold: int, views: int) -> Path:
    """Return the file of what the ensemble without a fold says of that fold, seen in so many views."""
    return fold_folder(out / NESTED, fold) / ("outer.csv" if views == 1 else f"outer-{views}-views.csv")


def _score_fold(run: Run, k: int, rows: Fold, progress: Progress | None) -> None:
    """Train the ensemble without one fold, and score the fold; what is done is not done again."""
    if all(outer_path(run.out, k, views).exists() for views in run.views):
        return
    training, outside = (run.training.take(part) for part in rows)
    folder = fold_folder(run.out / NESTED, k)
    inner = dataclasses.replace(run, training=training, tests={}, out=folder, views=())
    log.info("without fold %d: an ensemble of %d networks", k, run.recipe.split.folds)
    cards = train_folds(inner, progress=_named(progress, f"without fold {k}"))
    # Fewer than two networks are left where the others have collapsed.
    model = cards[-1] if len(cards) > run.recipe.split.folds else cards[0]
    for views in run.views:
        scored = score_figures(model, outside, data="outer", device=run.device, views=views)
        write_predictions(scored, outer_path(run.out, k, views))
