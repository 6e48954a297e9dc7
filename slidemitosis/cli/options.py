"""Options that several commands share: what is read, and how it is computed."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.models.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from slidemitosis.engines.choose import ComputeOptions
    from slidemitosis.rates.slide import RateOptions
    from slidemitosis.reading.prepare import ReadOptions


def add_reading(parser: argparse.ArgumentParser, *, points_required: bool) -> None:
    """What is read, of which slide, for which model."""
    parser.add_argument("slide", type=Path, help="whole-slide image")
    parser.add_argument(
        "--points",
        type=Path,
        required=points_required,
        metavar="FILE",
        help="candidates: GeoJSON of QuPath, a CSV with x and y, or a file of a detector",
    )
    parser.add_argument(
        "--viewer-size",
        type=_viewer_size,
        metavar="WxH",
        help="width and height of the image as QuPath states them, such as 46000x32914: tells whether it "
        "shows the slide or its bounds, and so what objects and candidates count from",
    )
    parser.add_argument(
        "--viewer-server", metavar="NAME", help="how QuPath reads the slide (its Image tab: Server type)"
    )
    add_settling(parser)


def add_settling(parser: argparse.ArgumentParser) -> None:
    """The model, and how slides and candidates are to be understood."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="name of a model or a model folder (default: %(default)s)"
    )
    parser.add_argument(
        "--candidate-class",
        action="append",
        default=[],
        metavar="NAME",
        help='class of the objects that are candidates; repeat for several; "Unclassified" for none '
        "(default: those that read as mitosis)",
    )
    parser.add_argument(
        "--area-class",
        action="append",
        default=[],
        metavar="NAME",
        help="class of the annotations in the points file that bound the area in which figures were looked "
        "for; repeat for several",
    )
    parser.add_argument(
        "--reader",
        choices=("auto", "openslide", "tiffslide"),
        default="auto",
        help="library that reads the slide (default: OpenSlide, or tiffslide for what it does not know, and "
        "JPEG tiles decoded without either where that gives the same pixels)",
    )
    parser.add_argument(
        "--mpp",
        type=mpp_pair,
        metavar="UM",
        help="um/px of level 0, where the slide's metadata lack it or are wrong; X,Y if they differ",
    )
    parser.add_argument(
        "--origin",
        choices=("auto", "level0", "bounds"),
        default="auto",
        help="what the candidates count from, on a slide that has bounds (default: as --viewer-size or the "
        "candidates' format tell)",
    )
    add_format(parser)
    parser.add_argument(
        "--keep-duplicates", action="store_true", help="count candidates of one id, or within 2 um, each"
    )
    parser.add_argument(
        "--allow-upsampling", action="store_true", help="accept a slide coarser than 0.6 um/px"
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """What a file of candidates is, where it does not say so itself."""
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="format of the candidates, if their content does not tell: geojson, csv, qupath-table, midog, "
        "coco, sliderunner, ami-br, midog25, grand-challenge, hover-next, tiatoolbox, asap, imagescope",
    )
    parser.add_argument(
        "--unit",
        choices=("px", "um"),
        help="unit of a CSV whose header does not say it, or px of Grand Challenge's points, else in mm",
    )


def mpp_pair(text: str) -> tuple[float, float]:
    """The um/px of --mpp: one number, or X,Y."""
    try:
        x, _, y = text.partition(",")
        return float(x), float(y or x)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of um/px") from None


def _viewer_size(text: str) -> Viewer:
    try:
        return Viewer.of(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _batch_size(text: str) -> int | None:
    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from None


def _viewer_option(args: argparse.Namespace) -> Viewer | None:
    """What `--viewer-size` and `--viewer-server` say. Raises InvalidOption."""
    size: Viewer | None = args.viewer_size
    if args.viewer_server and size is None:
        raise InvalidOption("--viewer-server says how the image of --viewer-size is read: give that too")
    return dataclasses.replace(size, server=args.viewer_server) if size else None


def read_options(args: argparse.Namespace) -> ReadOptions:
    """The options of `add_reading`, as `prepare` takes them."""
    from slidemitosis.reading.prepare import ReadOptions  # noqa: PLC0415

    return ReadOptions(
        reader=args.reader,
        mpp=PixelSize(*args.mpp) if args.mpp else None,
        origin=args.origin,
        viewer=_viewer_option(args),
        candidate_classes=tuple(args.candidate_class),
        area_classes=tuple(args.area_class),
        unit=args.unit,
        format=args.format,
        keep_duplicates=args.keep_duplicates,
        allow_upsampling=args.allow_upsampling,
    )


def add_rating(parser: argparse.ArgumentParser) -> None:
    """What is said of the rate."""
    parser.add_argument(
        "--abstain",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="count figures with LOW <= P(atypical) < HIGH apart, as uncertain, and not in the rate",
    )
    parser.add_argument(
        "--sensitivity",
        nargs=2,
        type=int,
        metavar=("TP", "FN"),
        help="labelled atypical figures that were called atypical and normal, to correct the rate by "
        "(default: the model card's)",
    )
    parser.add_argument(
        "--specificity",
        nargs=2,
        type=int,
        metavar=("TN", "FP"),
        help="labelled normal figures that were called normal and atypical",
    )
    parser.add_argument("--area", type=float, metavar="MM2", help="area in which figures were looked for")
    parser.add_argument(
        "--tissue", action="store_true", help="take the tissue, as a low level shows it, for that area"
    )
    parser.add_argument(
        "--hot-spot",
        type=float,
        default=2.37,
        metavar="MM2",
        help="size of the hot spot (default: %(default)s)",
    )
    parser.add_argument(
        "--hot-spot-shape",
        choices=("circle", "square", "4:3"),
        default="circle",
        help="shape of the hot spot; 4:3 is wider than high (default: %(default)s)",
    )


def rate_options(args: argparse.Namespace) -> RateOptions:
    """The options of `add_rating`, as `SlideClassifier.classify` takes them."""
    from slidemitosis.rates.correction import ErrorCounts  # noqa: PLC0415
    from slidemitosis.rates.hotspot import Spot  # noqa: PLC0415
    from slidemitosis.rates.slide import RateOptions  # noqa: PLC0415

    errors = None
    if args.sensitivity or args.specificity:
        if not (args.sensitivity and args.specificity):
            raise InvalidOption("--sensitivity and --specificity correct the rate together: give both")
        (tp, fn), (tn, fp) = args.sensitivity, args.specificity
        errors = ErrorCounts(tp=tp, fn=fn, tn=tn, fp=fp)
    return RateOptions(
        abstain=tuple(args.abstain) if args.abstain else None,
        errors=errors,
        area_mm2=args.area,
        tissue=args.tissue,
        spot=Spot(shape=args.hot_spot_shape, mm2=args.hot_spot),
    )


def add_computing(parser: argparse.ArgumentParser) -> None:
    """How it is computed."""
    parser.add_argument(
        "--engine",
        choices=("auto", "onnx", "torch"),
        default="auto",
        help="what computes: onnx on the CPU, torch on a GPU (default: as the device and the model allow)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "fp16", "bf16"),
        default="auto",
        help="arithmetic (default: fp16 on CUDA, else fp32)",
    )
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default="auto",
        metavar="N",
        help="patches computed at once, halved where the device's memory is too small (default: auto)",
    )
    parser.add_argument(
        "--views", type=int, choices=(1, 8), default=1, help="8: mean of rotations and mirrors"
    )
    parser.add_argument(
        "--compile", action="store_true", help="let torch.compile the network, for very many figures"
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """How many processes read the slide."""
    parser.add_argument("--workers", type=int, metavar="N", help="reader processes; 0 reads in this process")


def compute_options(args: argparse.Namespace) -> ComputeOptions:
    """The options of `add_computing` and `add_workers` as one value."""
    from slidemitosis.engines.choose import ComputeOptions  # noqa: PLC0415

    how = {k: v for k, v in computing(args).items() if k != "model"}
    return ComputeOptions(**how, workers=args.workers)


def computing(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_computing`, and the model, as `SlideClassifier` takes them."""
    names = ("model", "engine", "device", "precision", "batch_size", "views")
    return {name: getattr(args, name) for name in names} | {"compiled": args.compile}
