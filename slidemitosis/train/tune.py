"""`slidemitosis tune`: a recipe's numbers, looked for by Optuna on one fold's validation figures."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import write_text
from slidemitosis.train.command import prepare_run
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.run import train_single

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.train.data.figures import LabelledData
    from slidemitosis.train.recipe.recipe import Range
    from slidemitosis.train.run import Leaks, Run

log = logging.getLogger(__name__)

JOURNAL, BEST = "trials.journal", "best.json"


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far."""

    recipe: str
    values: Mapping[str, float]
    balanced_accuracy: float
    trials: int

    def to_text(self) -> str:
        """What it is, and the command that trains with it."""
        sets = " ".join(f"--set {k}={v!r}" for k, v in self.values.items())
        return (
            f"best of {self.trials} trials: validation balanced accuracy {self.balanced_accuracy:.4f}, "
            "chosen on these figures and so too good\n"
            f"slidemitosis train {self.recipe} {sets} ..."
        )


def tune_recipe(
    name: str,
    *,
    overrides: Sequence[str],
    data: Sequence[LabelledData],
    out: Path,
    seed: int,
    device: str,
    workers: int,
    smoke: bool,
    leaks: Leaks,
    trials: int,
    fold: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Best:
    """Train with values drawn by Optuna's TPE until there are `trials` trials; the best of them.

    The recipe's table `tune` says which numbers are looked for and where. Test figures take no part:
    what counts is the balanced accuracy of the fold's validation figures. The same command goes on in
    `out`, to what an unbroken one finds. Raises InvalidOption, and OutputError where `out` holds
    trials of another recipe, data or seed, or cannot be written.
    """
    ranges = load_recipe(name, overrides=overrides).tune
    if not ranges:
        raise InvalidOption(f"recipe {name}: has no table [tune] that says what to look for")
    if trials < 1:
        raise InvalidOption(f"--trials must be 1 or more, not {trials}")

    def prepare(values: Mapping[str, float], folder: Path) -> Run:
        return prepare_run(
            name,
            overrides=[*overrides, *(f"{k}={v!r}" for k, v in values.items())],
            data=data,
            held_out=(),
            out=folder,
            seed=seed,
            device=device,
            workers=workers,
            smoke=smoke,
            leaks=leaks,
        )

    study = _study(out, fingerprint=f"{prepare({}, out).fingerprint} fold {fold}")
    while (done := _done(study)) < trials:
        # By the number of those done, so that one that was interrupted goes on with the same values.
        study.sampler = optuna.samplers.TPESampler(seed=1_000_003 * seed + done)

        def objective(trial: optuna.Trial, done: int = done) -> float:
            values = _suggest(trial, ranges)
            value = train_single(prepare(values, out / f"trial-{done}"), fold, progress=progress)
            log.info("trial %d: balanced accuracy %.4f with %s", done, value, values)
            return value

        study.optimize(objective, n_trials=1)
    best = Best(name, study.best_params, study.best_value, done)
    text = json.dumps({"values": dict(best.values), "balanced_accuracy": best.balanced_accuracy}, indent=2)
    write_text(out / BEST, text + "\n")
    return best


def _study(out: Path, *, fingerprint: str) -> optuna.Study:
    """The trials in `out`, those of an earlier command among them."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / JOURNAL).exists() and any(out.iterdir()):
            raise OutputError(f"{out}: holds other files; choose another --out")
    except OSError as e:
        if isinstance(e, OutputError):
            raise
        raise OutputError(f"{out}: cannot be written: {e.strerror}; choose another --out") from e
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="tune",
        storage=JournalStorage(JournalFileBackend(str(out / JOURNAL))),
        direction="maximize",
        load_if_exists=True,
    )
    if _done(study) and study.user_attrs["fingerprint"] != fingerprint:
        raise OutputError(
            f"{out}: holds trials of another recipe, data, seed or fold, which are not replaced; "
            "choose another --out"
        )
    study.set_user_attr("fingerprint", fingerprint)
    return study


def _done(study: optuna.Study) -> int:
    return sum(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)


def _suggest(trial: optuna.Trial, ranges: Mapping[str, Range]) -> dict[str, float]:
    return {k: trial.suggest_float(k, r.low, r.high, log=r.log) for k, r in ranges.items()}
