"""Train a recipe on labelled figures, fold by fold, into model folders: `slidemitosis train`.

    OUT/recipe.toml           the recipe as it is run, with what the command line changed
    OUT/training-figures.csv  names, slides and hashes, by which an evaluation recognises these figures
    OUT/run.json              data with hashes, folds, seed, device, versions, state of the source
    OUT/fold-K/               a model folder, with *-history.csv, validation.csv and the same hashes in short
    OUT/ensemble/             the folds' networks as one model
    OUT/evaluation/           scores of all of them on the test figures

After an interruption the same command goes on: finished folds are kept, and the unfinished one goes on after
its last whole epoch.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.calibration.looks import measure_looks
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import write_text, write_whole
from slidemitosis.models.card import CARD_NAME, ModelCard, read_card, write_card
from slidemitosis.options.compute import VIEWS
from slidemitosis.toml_tables import dump, plain
from slidemitosis.train.data.seen import seen_of, write_seen, write_short
from slidemitosis.train.data.split import folds
from slidemitosis.train.decisions import calibrated, training_prior, with_calibrations, with_hardness
from slidemitosis.train.evaluate.metrics import Scored
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions
from slidemitosis.train.evaluate.run import score_figures
from slidemitosis.train.export import gather_networks, network_part, new_card, write_network
from slidemitosis.train.fit.loop import Job, train_network
from slidemitosis.train.paths import (
    ENSEMBLE,
    RECIPE,
    RUN_FILE,
    SEEN,
    VALIDATION,
    checkpoint_path,
    claim_folder,
    fold_folder,
    history_path,
    validation_path,
)
from slidemitosis.train.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.train.data.figures import Figures, LabelledData
    from slidemitosis.train.data.gather import Leaks
    from slidemitosis.train.data.split import Fold
    from slidemitosis.train.fit.loop import Fit
    from slidemitosis.train.recipe.recipe import Recipe

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""A function that is called with (what is trained, figures seen, figures in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training: a recipe, its figures, and the folder for its models."""

    recipe: Recipe
    name: str
    """Name of the recipe, after which the models are named."""
    data: Sequence[LabelledData]
    training: Figures
    """Training figures of all data sets together, without leaks that were dropped."""
    tests: dict[str, Figures]
    """Figures for scores alone, by the name of their data set."""
    out: Path
    seed: int
    device: str
    workers: int = 0
    smoke: bool = False
    leaks: Leaks = "refuse"
    views: tuple[int, ...] = VIEWS
    """Numbers of views for which models are calibrated."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that the models depend on."""
        told = {
            "recipe": plain(self.recipe),
            "data": {d.name: dict(d.hashes) for d in self.data},
            "figures": self.training.names,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def train_folds(run: Run, *, only: Sequence[int] = (), progress: Progress | None = None) -> list[ModelCard]:
    """Train the folds (all, or `only` these) and, from two or more, the ensemble; return their cards.

    Folds that are finished are not trained again. Raises InvalidOption, and OutputError if `run.out` holds
    another run or cannot be written.
    """
    splits = folds(run.training, run.recipe.split)
    wanted = sorted(set(only)) or list(range(len(splits)))
    if not set(wanted) <= set(range(len(splits))):
        raise InvalidOption(f"folds are numbered 0 to {len(splits) - 1}, not {', '.join(map(str, wanted))}")
    _begin(run, wanted)
    cards = [_finish_fold(run, k, splits[k], progress) for k in wanted]
    folders = [fold_folder(run.out, k) for k in range(len(splits))]
    finished = [read_card(f) for f in folders if (f / CARD_NAME).exists()]  # those of earlier commands, too
    if len(finished) < 2:
        return cards
    if run.views:
        calibrate_members(run, finished)
    ensemble = make_ensemble(run, finished)
    cards = [read_card(card.folder) for card in cards]
    return [*cards, ensemble] if ensemble else cards


def check_fold(run: Run, fold: int) -> list[Fold]:
    """Return the folds of a run. Raises InvalidOption if `fold` is the number of none of them."""
    splits = folds(run.training, run.recipe.split)
    if not 0 <= fold < len(splits):
        raise InvalidOption(f"folds are numbered 0 to {len(splits) - 1}, not {fold}")
    return splits


def train_single(run: Run, fold: int, *, progress: Progress | None = None) -> float:
    """Train the networks of one fold, keep no model, and return the validation figures' balanced accuracy."""
    splits = check_fold(run, fold)
    run.out.mkdir(parents=True, exist_ok=True)
    fits = _train_networks(run, f"fold {fold}", *_parts(run, splits[fold]), run.out, progress)
    _remove_checkpoints(run, run.out)
    return fits[0].kept.balanced_accuracy


def _parts(run: Run, rows: Fold) -> tuple[Figures, Figures]:
    """Return the figures of a fold: those to train on and those to validate."""
    training, validation = rows
    return run.training.take(training), run.training.take(validation)


def _begin(run: Run, wanted: Sequence[int]) -> None:
    """Write what is known before the training. Raises OutputError if another run has begun in the folder."""
    path = run.out / RUN_FILE
    # A run that has not finished an epoch, as without its pretrained weights, has nothing to lose.
    if (
        claim_folder(run.out, first=RUN_FILE)
        and _recorded_fingerprint(path) != run.fingerprint
        and any(run.out.glob("fold-*/*"))
    ):
        raise OutputError(
            f"{run.out}: holds a run of another recipe, data or seed, which is not replaced; "
            "choose another --out"
        )
    told: dict[str, Any] = {
        "format": 1,
        "fingerprint": run.fingerprint,
        "recipe": run.name,
        "family": run.recipe.family,
        "backbone": run.recipe.backbone.name or run.recipe.backbone.architecture,
        "smoke": run.smoke,
        "leaks": run.leaks,
        "seed": run.seed,
        "device": run.device,
        "folds": list(wanted),
        "data": [
            {
                "name": d.name,
                "training": len(d.training),
                "test": None if d.test is None else len(d.test),
                "hashes": dict(d.hashes),
            }
            for d in run.data
        ],
        "tests": {name: len(figures) for name, figures in run.tests.items()},
        "versions": versions(),
    }
    # First, since it marks the folder as this run's, whatever else there is no room for.
    write_whole(path, (json.dumps(told, indent=2) + "\n").encode())
    write_text(run.out / RECIPE, dump(run.recipe))
    write_seen(run.training, run.out / SEEN)


def _recorded_fingerprint(path: Path) -> str | None:
    """Return the fingerprint of the run that a run file records; None if the file is damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise OutputError(f"{path.parent}: cannot be written: {e.strerror}; choose another --out") from e
    except ValueError:
        told = None
    return told.get("fingerprint") if isinstance(told, dict) else None


def _finish_fold(run: Run, k: int, rows: Fold, progress: Progress | None) -> ModelCard:
    """Train a fold and write its model, unless that is done; return its card."""
    folder = fold_folder(run.out, k)
    if not (folder / CARD_NAME).exists():
        folder.mkdir(exist_ok=True)
        try:
            _train_fold(run, k, *_parts(run, rows), folder, progress)
        except BaseException:
            _remove_beginning(run.out, folder)
            raise
    card = read_card(folder)
    if not all(validation_path(folder, views).exists() for views in run.views):
        _score_validation(run, card, run.training.take(rows[1]))
    return card


def _remove_beginning(out: Path, folder: Path) -> None:
    """Remove what was written before a training that failed in its first epoch."""
    if not any(folder.iterdir()):
        folder.rmdir()
    if {p.name for p in out.iterdir()} <= {RECIPE, RUN_FILE, SEEN}:
        shutil.rmtree(out)


def _train_fold(
    run: Run, k: int, training: Figures, validation: Figures, folder: Path, progress: Progress | None
) -> None:
    """Train the networks of one fold and write its model; the card comes last."""
    recipe = run.recipe
    fits = _train_networks(run, f"fold {k}", training, validation, folder, progress)
    parts = [
        write_network(fit.network, network_part(recipe, layout), folder)
        for layout, fit in zip(recipe.network.outputs, fits, strict=True)
    ]
    card = new_card(
        folder,
        name=f"{run.name}-fold-{k}",
        recipe=recipe,
        networks=parts,
        data=[_trained_on(training)],
        citation=dict.fromkeys(c for d in run.data for c in d.citation),
        training_prior=training_prior(training, recipe),
        looks=measure_looks(run.training.pixels, run.training.slides),
    )
    how = f"fold {k} of {recipe.split.folds} by {recipe.split.groups}, kept out of training: "
    scored = _score_validation(run, card, validation)
    card = with_calibrations(card, {v: scored[v] for v in run.views}, protocol=how + _counts(validation))
    _write_model(run, card, scored[1], protocol=how + _counts(validation))
    _remove_checkpoints(run, folder)


def _score_validation(run: Run, card: ModelCard, figures: Figures) -> dict[int, Scored]:
    """Score figures that a model was not trained on, and write the scores into its folder; by views."""
    found = {}
    for views in sorted({1, *run.views}):
        found[views] = score_figures(card, figures, data="validation", device=run.device, views=views)
        write_predictions(found[views], validation_path(card.folder, views))
    return found


def calibrate_members(run: Run, members: Sequence[ModelCard], *, domain_sd: float = 0.0) -> None:
    """Calibrate each fold's model on the validation figures of all folds: more than on those of its own.

    Each figure is scored by the one network that was not trained on it, which is as good as any other of
    them.
    """
    for_all = {}
    for views in run.views:
        parts = [validation_path(m.folder, views) for m in members]
        if all(part.exists() for part in parts):
            for_all[views] = Scored.join([read_predictions(part) for part in parts])
    protocol = f"{_out_of_fold(run, members)}; this model is one of the {len(members)}"
    fitted = with_calibrations(members[0], for_all, protocol=protocol, domain_sd=domain_sd).calibrations
    for member in members:
        write_card(dataclasses.replace(member, calibrations=fitted))


def _out_of_fold(run: Run, members: Sequence[ModelCard]) -> str:
    figures = sum(len(read_predictions(validation_path(m.folder, 1))) for m in members)
    return (
        f"{len(members)} of {run.recipe.split.folds} folds by {run.recipe.split.groups}: "
        f"{figures:,} figures, each scored by the one network that was not trained on it"
    )


def _train_networks(
    run: Run, what: str, training: Figures, validation: Figures, folder: Path, progress: Progress | None
) -> list[Fit]:
    """Train one network for each of the recipe's layouts, each with its checkpoint in `folder`."""
    fits = []
    for layout in run.recipe.network.outputs:
        named = what if len(run.recipe.network.outputs) == 1 else f"{what}, {layout}"
        log.info("%s: %d figures to train on, %d to validate", named, len(training), len(validation))
        job = Job(
            recipe=run.recipe,
            part=network_part(run.recipe, layout),
            training=training,
            validation=validation,
            seed=run.seed,
            device=run.device,
            workers=run.workers,
            fingerprint=f"{run.fingerprint} {what} {layout}",
        )
        fit = train_network(
            job,
            checkpoint=checkpoint_path(folder, layout),
            history=history_path(folder, layout),
            progress=functools.partial(progress, named) if progress else None,
        )
        if fit.kept.collapsed:
            log.warning("%s has collapsed: every validation figure is given one class", named)
        fits.append(fit)
    return fits


def _remove_checkpoints(run: Run, folder: Path) -> None:
    for layout in run.recipe.network.outputs:
        checkpoint_path(folder, layout).unlink(missing_ok=True)


def make_ensemble(run: Run, members: Sequence[ModelCard]) -> ModelCard | None:
    """Write one model of the folds' networks, without those that collapsed; None if fewer than two are left.

    Its temperature, threshold and validation counts come from out-of-fold predictions: each figure is scored
    by the one member that was not trained on it. These are no predictions of the ensemble, so that it has no
    `calibrations`: see `nested`.
    """
    folder = run.out / ENSEMBLE
    # An earlier one may have had other members.
    shutil.rmtree(folder, ignore_errors=True)
    scored = [(m, read_predictions(m.folder / VALIDATION)) for m in members]
    # Two epochs from random weights collapse as a rule, and --smoke is to show every step.
    left = [(m, s) for m, s in scored if run.smoke or not s.collapsed]
    if len(left) < len(members):
        log.warning("%d collapsed folds are left out of the ensemble", len(members) - len(left))
    if len(left) < 2:
        log.warning("no ensemble: fewer than two folds are left")
        return None
    folder.mkdir()
    cards = [m for m, _ in left]
    card = dataclasses.replace(
        cards[0],
        name=f"{run.name}-ensemble",
        networks=gather_networks(cards, folder),
        data=(_trained_on(run.training),),
        calibrations=(),
        scores=(),
        folder=folder,
    )
    pooled = Scored.join([s for _, s in left])
    write_predictions(pooled, folder / VALIDATION)
    protocol = (
        f"{len(cards)} of {run.recipe.split.folds} folds by {run.recipe.split.groups}: "
        f"{len(pooled):,} figures, each scored by the one member that was not trained on it"
    )
    return _write_model(run, card, pooled, protocol=protocol)


def _write_model(run: Run, card: ModelCard, scored: Scored, *, protocol: str) -> ModelCard:
    """Write a card with temperature, threshold and counts from figures that its model was not trained on."""
    # Probabilities are stated for the share of AMF in the data sets.
    share = round(float(run.training.atypical.mean()), 4)
    epoch = "epoch, " if run.recipe.stopping.keep == "best" else ""
    protocol += f"; {epoch}temperature and threshold were chosen on the same figures; one view"
    card = with_hardness(calibrated(card, scored, target_prior=share, protocol=protocol), scored)
    # All of the run's, of whatever fold: what a fold did not learn from has chosen its epoch and threshold.
    write_short(seen_of(run.training), card.folder / SEEN)
    write_card(card)
    return card


def _trained_on(figures: Figures) -> str:
    return f"{' and '.join(dict.fromkeys(figures.data))}: {_counts(figures)}"


def _counts(figures: Figures) -> str:
    slides = {s for s in figures.slides if s}
    known = f" of {len(slides):,} slides" if slides else ""
    return f"{len(figures):,} figures ({int(figures.atypical.sum()):,} AMF){known}"
