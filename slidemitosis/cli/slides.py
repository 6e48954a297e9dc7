"""The commands for one slide: classify, inspect, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.cli.options import (
    add_computing,
    add_rating,
    add_reading,
    add_workers,
    computing,
    rate_options,
    read_options,
)
from slidemitosis.cli.rates import not_classified, rate_rows
from slidemitosis.cli.report import Report, print_table
from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import PixelSize
from slidemitosis.labels import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from slidemitosis.classify.classifier import SlideResult
    from slidemitosis.reading.frames import Frames
    from slidemitosis.slides.slide import SlideInfo


def add_classify(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis classify`."""
    add_reading(parser, points_required=True)
    parser.add_argument(
        "--out", type=Path, help="folder for results (default: <slide name>.slidemitosis beside the points)"
    )
    add_rating(parser)
    add_computing(parser)
    add_workers(parser)
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="on standard error; json: one object a line, for programs",
    )
    parser.set_defaults(run=_classify)


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis inspect`."""
    add_reading(parser, points_required=False)
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write a contact sheet of some patches")
    parser.set_defaults(run=_inspect)


def _classify(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.classify.classifier import SlideClassifier  # noqa: PLC0415
    from slidemitosis.outputs.folder import result_folder  # noqa: PLC0415

    read, rates = read_options(args), rate_options(args)
    with SlideClassifier(workers=args.workers, **computing(args)) as classifier:
        result = classifier.classify_into(
            result_folder(args.out, args.slide, args.points),
            args.slide,
            args.points,
            read=read,
            rates=rates,
            progress=report.progress,
        )
    report.done(objects=str(result.objects_path), summary=str(result.summary_path))
    _print_result(result)


def _print_result(result: SlideResult) -> None:
    s = result.summary
    slide = s["slide"]
    mpp = PixelSize(slide["mpp_x"], slide["mpp_y"])
    rows = [
        (
            "slide",
            f"{slide['name']}: {_size(slide['width_px'], slide['height_px'])}, {mpp} um/px",
        ),
        (
            "model",
            f"{s['model']['name']} {s['model']['version']}, atypical from P {s['model']['threshold']:g}",
        ),
        (
            "candidates",
            f"{s['counts']['candidates']}, of which {s['counts']['classified']} classified"
            + not_classified(result.rate),
        ),
    ]
    if s["reading"]["upsampled"]:
        rows.append(("warning", f"patches were upsampled from {mpp} um/px"))
    rows += rate_rows(result.rated)
    rows += _extra_rows(s)
    rows += [("written", str(p)) for p in (result.objects_path, result.candidates_path, result.summary_path)]
    print_table(rows)


def _extra_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the model says besides the type, where it does: expected numbers of figures."""
    rows = []
    n = summary["counts"]["classified"] + summary["counts"]["uncertain"]
    for kind in (POSITIVE, NEGATIVE):
        of_kind = {k: v for k, v in (summary["expected_subtypes"] or {}).items() if k.startswith(kind)}
        if of_kind and n:
            told = ", ".join(f"{k.removeprefix(kind).strip()} {v:.0f}" for k, v in of_kind.items())
            rows.append((f"{kind}, about", told))
    if summary["expected_hard"] is not None and n:
        rows.append(("doubtful", f"experts would disagree on about {summary['expected_hard']:.0f} of {n}"))
    return rows


def _size(width: int, height: int) -> str:
    return f"{width} x {height} px"


def _inspect(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.candidates import counts_text  # noqa: PLC0415
    from slidemitosis.models.shipped import find_model  # noqa: PLC0415
    from slidemitosis.outputs.sheet import write_sheet  # noqa: PLC0415
    from slidemitosis.reading.prepare import prepare  # noqa: PLC0415
    from slidemitosis.slides.open import open_slide  # noqa: PLC0415

    if args.sheet and not args.points:
        raise InvalidOption("--sheet shows patches of candidates: give --points too")
    options = read_options(args)
    card = find_model(args.model)
    with open_slide(args.slide, reader=args.reader) as slide:
        print_table(_slide_rows(slide.info))
    if not args.points:
        return
    prepared = prepare(args.slide, args.points, options, card.patch)
    n = {s: sum(p.status == s for p in prepared.predictions) for s in ("pending", "outside", "duplicate")}
    plan = prepared.plan
    resampled = "as they are" if plan.exact else plan.resampling
    print_table(
        [
            (
                "objects",
                f"{counts_text(prepared.candidates.class_counts())}, read as {prepared.candidates.format}",
            ),
            ("candidates", f"{counts_text(prepared.selection.taken)}, in {prepared.candidates.unit}"),
            ("to classify", f"{n['pending']}; outside {n['outside']}, duplicate {n['duplicate']}"),
            *_frame_rows(prepared.frames),
            ("um/px used", str(prepared.mpp)),
            (
                "patches",
                f"{plan.patch} px at {card.patch.mpp:g} um/px from level {plan.level}: {resampled}",
            ),
        ]
    )
    if args.sheet:
        shown = write_sheet(prepared, args.sheet)
        print(f"{'sheet':<11} {args.sheet} ({shown} patches)")


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
    from slidemitosis.classify.classifier import classify_slide  # noqa: PLC0415
    from slidemitosis.demo.files import write_demo  # noqa: PLC0415

    print("The tissue of this demo is drawn by a program: its rate says nothing about any patient.")
    slide, points = write_demo(args.out)
    result = classify_slide(slide, points, progress=report.progress)
    report.done(objects=str(result.objects_path), summary=str(result.summary_path))
    _print_result(result)
    print(f"\nOpen {slide} in QuPath and drop {result.objects_path} onto it, or run")
    print(f"  slidemitosis classify {slide} --points {points}")
