"""`slidemitosis train`: a recipe on labelled figures, fold by fold, to model folders.

    OUT/recipe.toml     the effective recipe
    OUT/training-figures.csv  names, slides and hashes, so that they are known when they are met again
    OUT/run.json        data with hashes, folds, seed, device, versions, state of the source
    OUT/fold-K/         a model folder, with *-history.csv and validation.csv
    OUT/ensemble/       the folds' networks as one model
    OUT/evaluation/     scores of all of them on the test figures

The same command goes on where it was interrupted: finished folds are kept, the one that was being
trained goes on after its last whole epoch.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import write_text, write_whole
from slidemitosis.models.card import CARD_NAME, ModelCard, read_card, write_card
from slidemitosis.toml_tables import dump
from slidemitosis.train.data.figures import join
from slidemitosis.train.data.leakage import check_leakage, drop_leaks
from slidemitosis.train.data.seen import write_seen
from slidemitosis.train.data.split import folds
from slidemitosis.train.decisions import calibrated, training_prior, with_hardness
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
    fold_folder,
    history_path,
)
from slidemitosis.train.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from slidemitosis.train.data.figures import Figures, LabelledData
    from slidemitosis.train.fit.loop import Fit
    from slidemitosis.train.recipe.recipe import Recipe

log = logging.getLogger(__name__)

Leaks = Literal["refuse", "drop", "allow"]
"""What is done with training figures of slides that are in a test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is trained, on what, and where to."""

    recipe: Recipe
    name: str
    """Of the recipe; the models are named after it."""
    data: Sequence[LabelledData]
    training: Figures
    """Of all data sets together, leaks dropped."""
    tests: dict[str, Figures]
    """Figures for scores alone, by the name of their data set."""
    out: Path
    seed: int
    device: str
    workers: int = 0
    smoke: bool = False
    leaks: Leaks = "refuse"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that the models depend on."""
        told = {
            "recipe": dump(self.recipe),
            "data": {d.name: dict(d.hashes) for d in self.data},
            "figures": self.training.names,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def gather_figures(
    data: Sequence[LabelledData], held_out: Sequence[LabelledData], *, leaks: Leaks
) -> tuple[Figures, dict[str, Figures]]:
    """(training figures of all data sets, test figures by data set).

    Tested on are the official test rows of the training sets and, of the held-out sets, theirs, or
    all figures where a set has none. Raises InvalidOption where figures or slides are in both and
    `leaks` is "refuse"; "drop" takes them out of training. Raises it, too, where two sets have one name.
    """
    training = join([d.training for d in data])
    named = [d.scored for d in data if d.test is not None] + [d.scored for d in held_out]
    for names in ([d.name for d in data], [name for name, _ in named]):
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidOption(f"two data sets are called {twice[0]!r}: give each once, or rename one")
    tests = dict(named)
    if leaks == "drop":
        before = len(training)
        training = drop_leaks(training, list(tests.values()))
        if len(training) < before:
            log.warning(
                "%d figures of slides that are in a test set are not trained on", before - len(training)
            )
        if not len(training):
            raise InvalidOption("every training figure is of a slide that is in a test set: give other data")
    check_leakage(training, list(tests.values()), allow=leaks == "allow")
    return training, tests


def train_folds(
    run: Run, *, only: Sequence[int] = (), progress: Callable[[str, int, int], None] | None = None
) -> list[ModelCard]:
    """Train the folds (all, or `only` these) and, of two or more, the ensemble; the cards of all of them.

    `progress` is called with (what is trained, figures seen, figures in all). Raises InvalidOption,
    and OutputError where `run.out` holds another run or cannot be written.
    """
    splits = folds(run.training, run.recipe.split)
    wanted = sorted(set(only)) or list(range(len(splits)))
    if not set(wanted) <= set(range(len(splits))):
        raise InvalidOption(f"folds are numbered 0 to {len(splits) - 1}, not {', '.join(map(str, wanted))}")
    _begin(run, wanted)
    cards = []
    for k in wanted:
        training, validation = (run.training.take(rows) for rows in splits[k])
        folder = fold_folder(run.out, k)
        if not (folder / CARD_NAME).exists():
            folder.mkdir(exist_ok=True)
            try:
                _train_fold(run, k, training, validation, folder, progress)
            except BaseException:
                _leave_no_beginning(run.out, folder)
                raise
        cards.append(read_card(folder))
    folders = [fold_folder(run.out, k) for k in range(len(splits))]
    finished = [read_card(f) for f in folders if (f / CARD_NAME).exists()]  # those of earlier commands, too
    if len(finished) > 1:
        ensemble = make_ensemble(run, finished)
        cards += [ensemble] if ensemble else []
    return cards


def _begin(run: Run, wanted: Sequence[int]) -> None:
    """Write what is known before the training, or find that it is the same run."""
    path = run.out / RUN_FILE
    try:
        run.out.mkdir(parents=True, exist_ok=True)
        if path.exists():
            # Where no epoch was finished, as without the pretrained weights, there is nothing to lose.
            if _fingerprint(path) != run.fingerprint and any(run.out.glob("fold-*/*")):
                raise OutputError(
                    f"{run.out}: holds a run of another recipe, data or seed, which is not replaced; "
                    "choose another --out"
                )
        elif any(run.out.iterdir()):
            raise OutputError(f"{run.out}: holds other files; choose another --out")
    except OSError as e:
        if isinstance(e, OutputError):
            raise
        raise OutputError(f"{run.out}: cannot be written: {e.strerror}; choose another --out") from e
    write_text(run.out / RECIPE, dump(run.recipe))
    write_seen(run.training, run.out / SEEN)
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
    write_whole(path, (json.dumps(told, indent=2) + "\n").encode())


def _leave_no_beginning(out: Path, folder: Path) -> None:
    """Take away what was written before a training that failed in its first epoch."""
    if not any(folder.iterdir()):
        folder.rmdir()
    if {p.name for p in out.iterdir()} <= {RECIPE, RUN_FILE, SEEN}:
        shutil.rmtree(out)


def _fingerprint(path: Path) -> str | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        told = None
    return told.get("fingerprint") if isinstance(told, dict) else None


def train_single(run: Run, fold: int, *, progress: Callable[[str, int, int], None] | None = None) -> float:
    """Train the networks of one fold and keep no model: the balanced accuracy of its validation figures."""
    splits = folds(run.training, run.recipe.split)
    if not 0 <= fold < len(splits):
        raise InvalidOption(f"folds are numbered 0 to {len(splits) - 1}, not {fold}")
    run.out.mkdir(parents=True, exist_ok=True)
    training, validation = (run.training.take(rows) for rows in splits[fold])
    fits = _train_networks(run, f"fold {fold}", training, validation, run.out, progress)
    for layout in run.recipe.network.outputs:
        checkpoint_path(run.out, layout).unlink()
    return fits[0].kept.balanced_accuracy


def _train_networks(
    run: Run,
    what: str,
    training: Figures,
    validation: Figures,
    folder: Path,
    progress: Callable[[str, int, int], None] | None,
) -> list[Fit]:
    """One network for each of the recipe's layouts, each with its checkpoint in `folder`."""
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


def _train_fold(
    run: Run,
    k: int,
    training: Figures,
    validation: Figures,
    folder: Path,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    """Train the networks of one fold and write its model; the card comes last."""
    layouts = run.recipe.network.outputs
    fits = _train_networks(run, f"fold {k}", training, validation, folder, progress)
    parts = [
        write_network(fit.network, network_part(run.recipe, layout), folder)
        for layout, fit in zip(layouts, fits, strict=True)
    ]
    card = new_card(
        folder,
        name=f"{run.name}-fold-{k}",
        recipe=run.recipe,
        networks=parts,
        data=[_trained_on(training)],
        citation=dict.fromkeys(c for d in run.data for c in d.citation),
        training_prior=training_prior(training, run.recipe),
    )
    scored = score_figures(card, validation, data="validation", device=run.device)
    write_predictions(scored, folder / VALIDATION)
    protocol = (
        f"fold {k} of {run.recipe.split.folds} by {run.recipe.split.group}, kept out of training: "
        f"{_counts(validation)}; {_chosen(run.recipe)} on the same figures; one view"
    )
    card = calibrated(card, scored, target_prior=_share(run), protocol=protocol)
    write_card(with_hardness(card, scored))
    for layout in layouts:
        checkpoint_path(folder, layout).unlink(missing_ok=True)


def make_ensemble(run: Run, members: Sequence[ModelCard]) -> ModelCard | None:
    """One model of the folds' networks, those that collapsed left out; None if fewer than two are left.

    Its temperature, threshold and validation counts come from out-of-fold predictions: each figure's
    logit is of the one member that never saw it.
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
        scores=(),
        folder=folder,
    )
    pooled = Scored.join([s for _, s in left])
    card = calibrated(
        card,
        pooled,
        target_prior=_share(run),
        protocol=(
            f"{len(cards)} of {run.recipe.split.folds} folds by {run.recipe.split.group}: "
            f"{len(pooled):,} figures, each scored by the one member that was not trained on it; "
            f"{_chosen(run.recipe)} on the same figures; one view"
        ),
    )
    write_predictions(pooled, folder / VALIDATION)
    card = with_hardness(card, pooled)
    write_card(card)
    return card


def _chosen(recipe: Recipe) -> str:
    epoch = "epoch, " if recipe.stopping.keep == "best" else ""
    return f"{epoch}temperature and threshold were chosen"


def _share(run: Run) -> float:
    """Of AMF among the figures of the data sets, for which the probabilities are stated."""
    return round(float(run.training.atypical.mean()), 4)


def _trained_on(figures: Figures) -> str:
    return f"{' and '.join(dict.fromkeys(figures.data))}: {_counts(figures)}"


def _counts(figures: Figures) -> str:
    slides = {s for s in figures.slides if s}
    known = f" of {len(slides):,} slides" if slides else ""
    return f"{len(figures):,} figures ({int(figures.atypical.sum()):,} AMF){known}"
