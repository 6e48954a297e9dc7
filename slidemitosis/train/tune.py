"""Search for a recipe's numbers by Optuna on one fold's validation figures: `slidemitosis tune`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import write_text
from slidemitosis.train.command import prepare_run
from slidemitosis.train.paths import claim_folder
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.run import check_fold, train_single

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.train.command import TrainOptions
    from slidemitosis.train.recipe.recipe import Range
    from slidemitosis.train.run import Progress

log = logging.getLogger(__name__)

JOURNAL, BEST = "trials.journal", "best.json"


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far, by the balanced accuracy of the fold's validation figures."""

    recipe: str
    values: Mapping[str, float]
    balanced_accuracy: float
    trials: int

    def to_text(self) -> str:
        """Return its score, and the command that trains with its values."""
        sets = " ".join(f"--set {k}={v!r}" for k, v in self.values.items())
        return (
            f"best of {self.trials} trials: validation balanced accuracy {self.balanced_accuracy:.4f}, "
            "chosen on these figures and so too good\n"
            f"slidemitosis train {self.recipe} {sets} ..."
        )


def tune_recipe(options: TrainOptions, *, trials: int, fold: int, progress: Progress | None = None) -> Best:
    """Train with values drawn by Optuna's TPE until there are `trials` trials; return the best of them.

    The recipe's table `tune` names the numbers and their ranges. Test figures take no part: what counts is
    the balanced accuracy of the fold's validation figures. After an interruption the same command goes on in
    `out` and finds the same. Raises InvalidOption, and OutputError if `out` holds trials of another recipe,
    data or seed, or cannot be written.
    """
    out = options.out
    ranges = load_recipe(options.recipe, overrides=options.overrides).tune
    if not ranges:
        raise InvalidOption(f"recipe {options.recipe}: has no table [tune] that says what to look for")
    if trials < 1:
        raise InvalidOption(f"--trials must be 1 or more, not {trials}")
    run = prepare_run(options)
    check_fold(run, fold)
    _check_ranges(options, ranges)
    study = _study(out, fingerprint=f"{run.fingerprint} fold {fold}")
    while (done := _done(study)) < trials:
        # A seed for each trial: an interrupted one is repeated with the same values.
        study.sampler = optuna.samplers.TPESampler(seed=1_000_003 * options.seed + done)

        def objective(trial: optuna.Trial, done: int = done) -> float:
            values = {k: trial.suggest_float(k, r.low, r.high, log=r.log) for k, r in ranges.items()}
            overrides = [*options.overrides, *(f"{k}={v!r}" for k, v in values.items())]
            run = prepare_run(replace(options, overrides=overrides, out=out / f"trial-{done}"))
            value = train_single(run, fold, progress=progress)
            log.info("trial %d: balanced accuracy %.4f with %s", done, value, values)
            return value

        study.optimize(objective, n_trials=1)
    best = Best(options.recipe, study.best_params, study.best_value, done)
    text = json.dumps({"values": dict(best.values), "balanced_accuracy": best.balanced_accuracy}, indent=2)
    write_text(out / BEST, text + "\n")
    return best


def _check_ranges(options: TrainOptions, ranges: Mapping[str, Range]) -> None:
    """Raise InvalidOption for a range that holds what the recipe cannot have, before a trial draws it."""
    for key, between in ranges.items():
        for value in (between.low, between.high):
            load_recipe(options.recipe, overrides=[*options.overrides, f"{key}={value!r}"])


def _study(out: Path, *, fingerprint: str) -> optuna.Study:
    """Return the trials in `out`, those of an earlier command among them; a refusal writes nothing."""
    claim_folder(out, first=JOURNAL)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(out / JOURNAL)))
    if storage.get_all_studies():
        study = optuna.load_study(study_name="tune", storage=storage)
    else:
        study = optuna.create_study(study_name="tune", storage=storage, direction="maximize")
    earlier = study.user_attrs.get("fingerprint")
    if _done(study) and earlier != fingerprint:
        raise OutputError(
            f"{out}: holds trials of another recipe, data, seed or fold, which are not replaced; "
            "choose another --out"
        )
    if earlier != fingerprint:
        study.set_user_attr("fingerprint", fingerprint)
    return study


def _done(study: optuna.Study) -> int:
    return sum(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)
