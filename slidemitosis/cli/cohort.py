"""The command `cohort`: many slides."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.cohort_executors import add_executor, chosen_executor
from slidemitosis.cli.options import add_model, add_options, add_progress, options_given
from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption
from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
from slidemitosis.options.option import options_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.cohort.executors.events import Event
    from slidemitosis.cohort.slides import Cohort, CohortSlide, Outcome

INCOMPLETE = 3
"""Exit code where not all slides are done."""


def add_cohort(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis cohort`."""
    parser.add_argument(
        "slides",
        type=Path,
        help="a CSV with the columns slide and points, a folder of pairs, or a QuPath project",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results; the same one to go on")
    parser.add_argument(
        "--search",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder in which slides that were moved are looked for by name; repeat for several",
    )
    parser.add_argument(
        "--join",
        type=Path,
        metavar="CSV",
        help="a table with a column name, slide or patient, whose columns join ours",
    )
    parser.add_argument("--dry-run", action="store_true", help="look at every slide; classify none")
    parser.add_argument("--force", action="store_true", help="do slides again that are done")
    add_model(parser)
    machines = parser.add_argument_group("processes and machines")
    add_executor(machines)
    machines.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="do the I-th of N parts of the cohort, and no tables",
    )
    machines.add_argument(
        "--collect", action="store_true", help="write the tables of what has been done; open no slide"
    )
    # What a viewer says of one image is in the list, in the slide's row.
    add_options(parser, ReadOptions, but=[name for name, o in options_of(ReadOptions) if o.per_slide])
    add_options(parser, RateOptions)
    add_options(parser, ComputeOptions)
    parser.add_argument("--no-report", action="store_true", help="leave report.html and cohort.html out")
    add_progress(parser)
    parser.set_defaults(run=_cohort)


def _shard(text: str) -> slice:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N, such as 3/20")
    return slice(int(part) - 1, None, int(parts))


def _cohort(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.cohort.lists.read import read_cohort  # noqa: PLC0415

    cohort = read_cohort(args.slides, read=options_given(args, ReadOptions), search=args.search)
    if args.join:
        from slidemitosis.cohort.lists.join import join_columns, unfit_text  # noqa: PLC0415

        cohort, unfit = join_columns(cohort, args.join)
        if unfit:
            report.message("warning", unfit_text(args.join, unfit))
    if args.area_class and any(s.area_mm2 is not None for s in cohort.slides):
        raise InvalidOption(
            f"{args.slides} has area_mm2, and --area-class says the area too: give one of them"
        )
    if args.collect:
        return _collect(cohort, args.out, report, page=not args.no_report)
    return _run(cohort, args, report)


def _collect(cohort: Cohort, out: Path, report: Report, *, page: bool) -> int:
    from slidemitosis.cohort.run import collect_cohort  # noqa: PLC0415

    counts, written = collect_cohort(cohort, out, page=page)
    _say_done(report, counts, len(cohort.slides), written)
    return 0 if counts["done"] == len(cohort.slides) else INCOMPLETE


def _say_done(report: Report, counts: Mapping[str, int], slides: int, written: Sequence[Path]) -> None:
    report.done(tables=[str(path) for path in written])
    print_table([("slides", _counts_text(counts, slides)), *(("written", str(path)) for path in written)])


def _run(cohort: Cohort, args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.cohort.job import CohortPlan  # noqa: PLC0415
    from slidemitosis.cohort.run import run_cohort  # noqa: PLC0415

    slides = cohort.slides[args.shard] if args.shard else cohort.slides
    plan = CohortPlan(
        out=args.out,
        model=args.model,
        compute=options_given(args, ComputeOptions),
        rates=options_given(args, RateOptions),
        force=args.force,
        dry=args.dry_run,
        reports=not args.no_report,
    )
    report.outcome = "what is done is kept, and the same command goes on"
    teller = _Teller(report, len(slides), dry=args.dry_run)
    with chosen_executor(args, plan, slides=len(slides)) as executor:
        if args.dry_run:
            for event in executor.run(slides, wait=False):
                teller(event)
            report.done()
            print_table([("slides", _counts_text(teller.counts, len(slides)))])
            return 0 if teller.counts["ready"] == len(slides) else INCOMPLETE
        mine = slides if args.shard else None
        result = run_cohort(cohort, args.out, executor, slides=mine, tell=teller, page=not args.no_report)
    _say_done(report, result.counts, len(slides), result.written)
    return 0 if result.complete else INCOMPLETE


def _counts_text(counts: Mapping[str, int], slides: int) -> str:
    told = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
    return f"{slides}: {told}" if told else f"{slides}"


class _Teller:
    """What happens to the slides of a cohort, for those who look on."""

    def __init__(self, report: Report, slides: int, *, dry: bool) -> None:
        self._report, self._slides, self._dry = report, slides, dry
        self.counts: Counter[str] = Counter()
        self._ended = 0
        self._candidates: dict[str, int] = {}
        """Done of each slide at work; of those that ended, all."""
        report.slides(0, slides, candidates=0)

    def __call__(self, event: Event) -> None:
        from slidemitosis.cohort.executors import events  # noqa: PLC0415

        match event:
            case events.Progress(slide, done, _):
                self._candidates[slide.name] = done
            case events.Message(slide, level, text):
                self._report.message(level, f"{slide.name}: {text}")
            case events.Held(slide):
                self._report.message("info", f"{slide.name}: another run is at work on it")
            case events.Ended(slide, outcome):
                self._end(slide, outcome)
        self._report.slides(self._ended, self._slides, candidates=sum(self._candidates.values()))

    def _end(self, slide: CohortSlide, outcome: Outcome) -> None:
        self._ended += 1
        status = "ready" if self._dry and outcome.status == "done" else outcome.status
        self.counts[status] += 1
        self._report.slide_ended(slide.name, outcome.status, fresh=outcome.fresh)
        if outcome.status != "done":
            level = "warning" if outcome.status == "failed" else "info"
            self._report.message(level, f"{slide.name} {outcome.status} ({outcome.step}): {outcome.cause}")
