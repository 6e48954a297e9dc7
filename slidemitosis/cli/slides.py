"""The commands for one slide: classify, inspect, demo."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.options import (
    add_model,
    add_options,
    add_progress,
    add_slide_and_points,
    options_given,
)
from slidemitosis.cli.pages import add_report_options, limits_given
from slidemitosis.cli.rates import not_classified, rate_rows
from slidemitosis.cli.report import Report, print_table
from slidemitosis.errors import InvalidOption
from slidemitosis.files import writing
from slidemitosis.labels import NEGATIVE, POSITIVE
from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions

if TYPE_CHECKING:
    import argparse

    from slidemitosis.classify.classifier import Begun, SlideClassifier
    from slidemitosis.models.card import ModelCard
    from slidemitosis.outputs.result import ResultFiles, SlideResult
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.reading.frames import Frames
    from slidemitosis.report.choice import Limits
    from slidemitosis.slides.slide import SlideInfo


def add_classify(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis classify`."""
    add_slide_and_points(parser, points_required=True)
    add_model(parser)
    parser.add_argument(
        "--out", type=Path, help="folder for results (default: <slide name>.slidemitosis beside the points)"
    )
    add_options(parser, ReadOptions)
    add_options(parser, RateOptions)
    add_options(parser, ComputeOptions)
    add_report_options(parser)
    add_progress(parser)
    parser.set_defaults(run=_classify)


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis inspect`."""
    add_slide_and_points(parser, points_required=False)
    add_model(parser)
    parser.add_argument(
        "--sheet", type=Path, metavar="PNG", help="write contact sheets of all patches, with ids"
    )
    add_options(parser, ReadOptions)
    parser.set_defaults(run=_inspect)


def _classify(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.classify.classifier import SlideClassifier  # noqa: PLC0415
    from slidemitosis.outputs.folder import result_folder  # noqa: PLC0415

    read, rates = options_given(args, ReadOptions), options_given(args, RateOptions)
    with SlideClassifier(args.model, compute=options_given(args, ComputeOptions)) as classifier:
        folder = result_folder(args.out, args.slide, args.points)
        begun = classifier.begin(args.slide, args.points, read=read, rates=rates, answers_of=[folder])
        _finish(classifier, begun, folder, report, limits=limits_given(args))


def _finish(
    classifier: SlideClassifier, begun: Begun, folder: Path, report: Report, *, limits: Limits | None
) -> ResultFiles:
    """Classify, write, and print what was found. That the folder can be written is known before.

    limits: how many figures the report shows; None: there is none.
    """
    from slidemitosis.files import staged_folder  # noqa: PLC0415
    from slidemitosis.outputs.folder import REGIONS, REPORT, SUMMARY  # noqa: PLC0415
    from slidemitosis.outputs.result import ResultFiles  # noqa: PLC0415
    from slidemitosis.report.keeper import PatchKeeper  # noqa: PLC0415
    from slidemitosis.report.make import write_report  # noqa: PLC0415

    with staged_folder(folder, last=SUMMARY, gone=(REGIONS, REPORT)) as stage:
        keeper = None if limits is None else PatchKeeper.of(begun.prepared, classifier.decision, limits)
        result = classifier.finish(begun, progress=report.progress, keeper=keeper)
        result.write_into(stage)
        if keeper is not None:
            write_report(stage, keeper, begun.prepared)
            begun.prepared.check_unchanged()  # the report shows the slide, too
    files = ResultFiles.of(folder)
    page = {"report": str(files.report)} if files.report else {}
    report.done(objects=str(files.objects), summary=str(files.summary), **page)
    print_table([*_result_rows(result), *(("written", str(path)) for path in files.all)])
    return files


def _result_rows(result: SlideResult) -> list[tuple[str, str]]:
    slide, mpp, card, rate = result.prepared.slide, result.prepared.mpp, result.card, result.rate
    told = f"{rate.candidates}, of which {rate.classified} classified{not_classified(rate)}"
    rows = [
        ("slide", f"{slide.path.name}: {_size(*slide.size)}, {mpp} um/px"),
        ("model", f"{card.name} {card.version}"),
        ("candidates", told),
    ]
    if result.prepared.upsampled:
        rows.append(("warning", f"patches were upsampled from {mpp} um/px"))
    return [*rows, *rate_rows(result.rated), *_extra_rows(rate, card)]


def _extra_rows(rate: SlideRate, card: ModelCard) -> list[tuple[str, str]]:
    """What the model says besides the type, where it does: expected numbers of figures."""
    from slidemitosis.outputs.summary import expected_hard, expected_subtypes  # noqa: PLC0415

    rows: list[tuple[str, str]] = []
    if not rate.mitoses:
        return rows
    subtypes, hard = expected_subtypes(rate, card) or {}, expected_hard(rate, card)
    for kind in (POSITIVE, NEGATIVE):
        of_kind = {k: v for k, v in subtypes.items() if k.startswith(kind)}
        if of_kind:
            told = ", ".join(f"{k.removeprefix(kind).strip()} {v:.0f}" for k, v in of_kind.items())
            rows.append((f"{kind}, about", told))
    if hard is not None:
        rows.append(("doubtful", f"experts would disagree on about {hard:.0f} of {rate.mitoses}"))
    return rows


def _size(width: int, height: int) -> str:
    return f"{width} x {height} px"


def _inspect(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.candidates import counts_text  # noqa: PLC0415
    from slidemitosis.models.shipped import find_model  # noqa: PLC0415
    from slidemitosis.outputs.sheet import sheet_of, write_sheets  # noqa: PLC0415
    from slidemitosis.reading.prepare import prepare  # noqa: PLC0415
    from slidemitosis.slides.open import open_slide  # noqa: PLC0415

    if args.sheet and not args.points:
        raise InvalidOption("--sheet shows patches of candidates: give --points too")
    options = options_given(args, ReadOptions)
    if args.sheet:
        with writing(args.sheet, remedy="; choose another --sheet"):
            args.sheet.exists()  # a name that is too long is told before anything is read
    card = find_model(args.model)
    with open_slide(args.slide, reader=args.reader) as slide:
        print_table(_slide_rows(slide.info))
    if not args.points:
        return
    prepared = prepare(args.slide, args.points, options, card.patch)
    n = Counter(p.left_out.status if p.left_out else "to read" for p in prepared.placed)
    plan = prepared.plan
    resampled = "as they are" if plan.exact else plan.resampling
    print_table(
        [
            (
                "objects",
                f"{counts_text(prepared.candidates.class_counts())}, read as {prepared.candidates.format}",
            ),
            ("candidates", f"{counts_text(prepared.selection.taken)}, in {prepared.candidates.unit}"),
            ("to classify", f"{n['to read']}; outside {n['outside']}, duplicate {n['duplicate']}"),
            *_frame_rows(prepared.frames),
            ("um/px used", str(prepared.mpp)),
            (
                "patches",
                f"{plan.patch} px at {card.patch.mpp:g} um/px from level {plan.level}: {resampled}",
            ),
        ]
    )
    if args.sheet:
        pages = write_sheets(list(sheet_of(prepared)), prepared.open_slide, args.sheet, side=plan.patch)
        print_table([("sheet", str(page)) for page in pages])


def _frame_rows(frames: Frames) -> list[tuple[str, str]]:
    """Where the candidates count from, and the objects where these count from elsewhere."""
    rows = [("origin", f"level 0 = file + {frames.points} px: {frames.points_by}")]
    if frames.shift != (0, 0):
        rows.append(("to write", f"level 0 = objects.geojson + {frames.objects} px: {frames.objects_by}"))
    return rows


def _slide_rows(info: SlideInfo) -> list[tuple[str, str]]:
    levels = ", ".join(
        f"{_size(level.width, level.height)} (1:{level.downsample:g})" for level in info.levels
    )
    b = info.bounds
    return [
        ("slide", str(info.path)),
        ("reader", f"{info.reader} {info.reader_version}, vendor {info.vendor or 'unknown'}; {_tiles(info)}"),
        ("levels", levels),
        ("um/px", f"{info.mpp} in the metadata" if info.mpp else "not in the metadata: pass --mpp"),
        ("bounds", f"{_size(b.width, b.height)} at x {b.x}, y {b.y}" if b else "none"),
    ]


def _tiles(info: SlideInfo) -> str:
    """Of which levels tiles are decoded directly, and why not of all."""
    if set(info.not_direct) == {None}:
        return "tiles decoded directly"
    if len(set(info.not_direct)) == 1:
        return f"tiles not decoded directly: {info.not_direct[0]}"
    reasons = [f"not of level {i}: {reason}" for i, reason in enumerate(info.not_direct) if reason]
    return "; ".join(["tiles decoded directly", *reasons])


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("slidemitosis-demo"), help="folder (default: %(default)s)"
    )
    parser.set_defaults(run=demo, progress="bar")


def demo(args: argparse.Namespace, report: Report) -> None:
    """`slidemitosis demo`."""
    from slidemitosis.classify.classifier import SlideClassifier  # noqa: PLC0415
    from slidemitosis.demo.files import write_demo  # noqa: PLC0415
    from slidemitosis.outputs.folder import result_folder  # noqa: PLC0415
    from slidemitosis.report.choice import SOME  # noqa: PLC0415

    print("The tissue of this demo is drawn by a program: its rate says nothing about any patient.")
    slide, points = write_demo(args.out)
    folder = result_folder(None, slide, points)
    with SlideClassifier() as classifier:
        files = _finish(classifier, classifier.begin(slide, points), folder, report, limits=SOME)
    print(f"\nOpen {slide} in QuPath and drop {files.objects} onto it, or run")
    print(f"  slidemitosis classify {slide} --points {points}")
