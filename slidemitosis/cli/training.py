"""Run the commands for model builders: train, evaluate, compare, tune, data check."""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.cli.options import add_model, add_options, add_progress, options_given
from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption
from slidemitosis.options import ComputeOptions, RateOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.train.command import TrainOptions
    from slidemitosis.train.data.figures import LabelledData

_DATA_HELP = (
    "labelled figures: NAME is ami-br, atnorm-br, atnorm-md, midog25, folder, csv, slides, or review for "
    "results that were reviewed; repeat for several"
)


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=PATH, such as ami-br=AMi-Br")
    return name, Path(path)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)


def _add_data(parser: argparse._ActionsContainer, flag: str, **further: Any) -> None:
    parser.add_argument(flag, type=_named, action="append", default=[], metavar="NAME=PATH", **further)


def _add_computing(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("computing")
    add_options(group, ComputeOptions, only=("device",))
    add_progress(parser)
    return group


def _add_set(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change a key of the recipe, such as {example}; repeat for several",
    )


def _add_recipe(parser: argparse.ArgumentParser, *, test: bool) -> None:
    parser.add_argument("recipe", help="name of a recipe of this package, or a TOML file")
    _add_set(parser, "schedule.epochs=5 or backbone=resnet34d")
    parser.add_argument("--seed", type=_count, default=0, help="of everything random (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder; the same command goes on in it")
    parser.add_argument(
        "--smoke", action="store_true", help="every step on a few dozen figures, from random weights"
    )
    figures = parser.add_argument_group("figures")
    _add_data(figures, "--data", required=True, help=_DATA_HELP)
    if test:
        _add_data(figures, "--test", dest="held_out", help="figures for scores alone, as NAME=PATH")
    leaks = figures.add_mutually_exclusive_group()
    leaks.add_argument(
        "--drop-leaks",
        dest="leaks",
        action="store_const",
        const="drop",
        help="do not train on slides that are in a test set",
    )
    leaks.add_argument(
        "--allow-leaks",
        dest="leaks",
        action="store_const",
        const="allow",
        help="train also on slides that are in a test set: the scores will flatter",
    )
    parser.set_defaults(leaks="refuse")
    computing = _add_computing(parser)
    computing.add_argument(
        "--workers", type=_count, default=0, metavar="N", help="processes that augment (default: 0, none)"
    )


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis train`."""
    _add_recipe(parser, test=True)
    parser.add_argument(
        "--fold",
        type=int,
        action="append",
        default=[],
        metavar="K",
        help="train this fold alone; repeat for several (default: all, and the ensemble)",
    )
    parser.add_argument(
        "--nested",
        action="store_true",
        help="also train the ensemble anew without each fold, to calibrate the ensemble: six times the work",
    )
    parser.set_defaults(run=_train)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis evaluate`."""
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="name or folder of a model, or a folder of `train`"
    )
    _add_data(parser, "--data", required=True, help=_DATA_HELP + "; official test rows where there are some")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument(
        "--views", type=int, choices=(1, 8), default=1, help="8: mean of rotations and mirrors"
    )
    parser.add_argument(
        "--allow-leaks",
        action="store_true",
        help="score a model also on slides and figures that it saw in training: the scores will flatter "
        "(default: refuse them)",
    )
    _add_computing(parser)
    parser.set_defaults(run=_evaluate)


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis calibrate`."""
    parser.add_argument("data", nargs="+", type=_named, metavar="NAME=PATH", help=_DATA_HELP)
    add_model(parser)
    parser.add_argument(
        "--reviewed",
        choices=("all", "random"),
        help="which figures were labelled: all of their slides, or a random sample of these "
        "(default: as the table's column reason says)",
    )
    parser.add_argument("--out", type=Path, default=Path("calibration.toml"), help="(default: %(default)s)")
    add_options(parser, RateOptions, only=("tumour",))
    add_options(parser, ComputeOptions, only=("views", "device", "engine"))
    parser.set_defaults(run=_calibrate)


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis compare`."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folder of `train` or of `evaluate`"
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=RUN,RUN",
        help="runs to be compared as one group (default: by the families of their recipes)",
    )
    parser.add_argument("--out", type=Path, help="folder for comparison.md and comparison.json")
    parser.set_defaults(run=_compare)


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis tune`."""
    _add_recipe(parser, test=False)
    parser.add_argument("--trials", type=_count, default=20, help="trainings in all (default: %(default)s)")
    parser.add_argument("--fold", type=int, default=0, metavar="K", help="to validate on (default: 0)")
    parser.set_defaults(run=_tune)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis data`."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="count figures by class, domain and split, and look for leaks")
    check.add_argument("data", nargs="+", type=_named, metavar="NAME=PATH", help=_DATA_HELP)
    check.add_argument("--recipe", default="benchmark", help="whose folds are shown (default: %(default)s)")
    _add_set(check, "split.folds=3")
    check.set_defaults(run=_check)


_EXTRA = ("torch", "timm", "torchvision", "sklearn", "scipy", "matplotlib", "peft")


def _require_train(*more: str) -> None:
    """Raise InvalidOption, in place of an ImportError, if the package is installed for classifying alone."""
    absent = [name for name in (*_EXTRA, *more) if importlib.util.find_spec(name) is None]
    if absent:
        raise InvalidOption(
            f'{", ".join(absent)} not installed, which this command needs: pip install "slidemitosis[train]"'
        )


def _read(named: Sequence[tuple[str, Path]]) -> list[LabelledData]:
    from slidemitosis.train.data.read import read_data  # noqa: PLC0415

    return [read_data(name, path) for name, path in named]


def _options(args: argparse.Namespace) -> TrainOptions:
    """Return the options of `train` and `tune`, named like the fields, with their data sets read."""
    from slidemitosis.train.command import TrainOptions  # noqa: PLC0415

    given = {f.name: getattr(args, f.name) for f in fields(TrainOptions) if f.name in args}
    return TrainOptions(**given | {k: _read(given[k]) for k in ("data", "held_out") if k in given})


def _train(args: argparse.Namespace, report: Report) -> None:
    _require_train()
    from slidemitosis.train.command import prepare_run  # noqa: PLC0415
    from slidemitosis.train.evaluate.report_files import REPORT_TEXT  # noqa: PLC0415
    from slidemitosis.train.evaluate.report_summary import summary_rows  # noqa: PLC0415
    from slidemitosis.train.evaluate.run import evaluate_run  # noqa: PLC0415
    from slidemitosis.train.nested import calibrate_ensemble, train_nested  # noqa: PLC0415
    from slidemitosis.train.paths import EVALUATION  # noqa: PLC0415
    from slidemitosis.train.run import train_folds  # noqa: PLC0415

    run = prepare_run(_options(args))
    report.outcome = "the same command goes on after the last whole epoch"

    def progress(what: str, seen: int, total: int) -> None:
        report.progress(seen, total, what=f"training {what}")

    cards = train_folds(run, only=args.fold, progress=progress)
    if args.nested:
        train_nested(run, only=args.fold, progress=progress)
    else:
        calibrate_ensemble(run)  # on what an earlier command with --nested has scored
    result = evaluate_run(run.out, run.recipe, run.tests, device=run.device)
    report.done(models=", ".join(str(c.folder) for c in cards))
    rows = [("model", str(card.folder)) for card in cards]
    if result is None:
        print_table([("scores", "no test figures: nothing was scored"), *rows])
    else:
        print_table([*summary_rows(result), *rows, ("report", str(run.out / EVALUATION / REPORT_TEXT))])


def _evaluate(args: argparse.Namespace, report: Report) -> None:
    _require_train()
    from slidemitosis.engines.torch_engine import choose_device  # noqa: PLC0415
    from slidemitosis.train.evaluate.report_text import report_markdown  # noqa: PLC0415
    from slidemitosis.train.evaluate.run import evaluate_models, find_models  # noqa: PLC0415

    sets = {}
    for data in _read(args.data):
        name, figures = data.scored
        if name in sets:
            raise InvalidOption(f"--data names {name} twice")
        sets[name] = figures
    members, device = find_models(args.models), choose_device(args.device)
    report.outcome = "the report is not whole; the same command writes it anew"
    result = evaluate_models(
        members, sets, out=args.out, views=args.views, device=device, allow_leaks=args.allow_leaks
    )
    report.done(report=str(args.out))
    print(report_markdown(result))


def _calibrate(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.models.local import refuse_other_file, write_local  # noqa: PLC0415
    from slidemitosis.models.shipped import find_model  # noqa: PLC0415
    from slidemitosis.train.calibrate import calibrate_model  # noqa: PLC0415

    refuse_other_file(args.out)  # before the figures are read
    made = calibrate_model(
        find_model(args.model),
        args.data,
        compute=options_given(args, ComputeOptions),
        reviewed=args.reviewed,
        tumour=options_given(args, RateOptions).tumour,
    )
    write_local(made.local, args.out)
    fitted = made.local.calibration
    which = "all of their slides" if made.local.reviewed == "all" else "a random sample"
    use = f"--model {args.model} --views {fitted.views} --calibration {args.out}"
    rows = [
        ("model", f"{made.local.model} {made.local.version}, {fitted.views} view{'s' * (fitted.views > 1)}"),
        ("figures", f"{fitted.figures} of {fitted.slides or 'unknown'} slides, {which}"),
        ("labelled", f"{made.labelled:.1%} atypical"),
        (
            "expected",
            f"{made.expected_before:.1%} by the model's card, {made.expected:.1%} by this calibration",
        ),
        ("thresholds", f"counting {fitted.counting.threshold}, balanced {fitted.balanced.threshold}"),
        ("written", str(args.out)),
        ("use", f"slidemitosis classify SLIDE --points FILE {use}"),
    ]
    print_table(rows)


def _compare(args: argparse.Namespace, _report: Report) -> None:
    _require_train()
    from slidemitosis.train.evaluate.compare import compare_runs  # noqa: PLC0415
    from slidemitosis.train.evaluate.comparison_text import comparison_markdown, write_comparison  # noqa: PLC0415

    groups = {}
    for text in args.group:
        name, _, runs = text.partition("=")
        if not (name and runs):
            raise InvalidOption(f"--group {text!r} must be NAME=RUN,RUN")
        groups[name] = runs.split(",")
    result = compare_runs(args.runs, groups=groups or None)
    if args.out:
        write_comparison(result, args.out)
    print(comparison_markdown(result))


def _tune(args: argparse.Namespace, report: Report) -> None:
    _require_train("optuna")
    from slidemitosis.train.tune import tune_recipe  # noqa: PLC0415

    options = _options(args)
    report.outcome = "the same command goes on after the last whole epoch"
    best = tune_recipe(
        options,
        trials=args.trials,
        fold=args.fold,
        progress=lambda what, seen, total: report.progress(seen, total, what=what),
    )
    report.done(best=" ".join(f"{k}={v!r}" for k, v in best.values.items()))
    print(best.to_text())


def _check(args: argparse.Namespace, _report: Report) -> None:
    _require_train()
    from slidemitosis.train.data.describe import describe  # noqa: PLC0415
    from slidemitosis.train.recipe.recipe import load_recipe  # noqa: PLC0415

    print(describe(_read(args.data), load_recipe(args.recipe, overrides=args.overrides).split))
