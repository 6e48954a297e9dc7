"""The command `models`: which there are, and what others can run of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption
from slidemitosis.options.compute import DEFAULT_MODEL

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report
    from slidemitosis.models.card import ModelCard


def add_models(parser: argparse.ArgumentParser) -> None:
    """`slidemitosis models`, and what can be done with one."""
    parser.set_defaults(run=_models)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    export = actions.add_parser("export", help="write a model as an ONNX graph, or for WSInfer and QuPath")
    export.add_argument("model", help="a model folder, or the name of a model")
    export.add_argument(
        "--format",
        choices=("onnx", "wsinfer"),
        default="onnx",
        help="onnx: the graph that runs on the CPU without torch (default); "
        "wsinfer: a folder with TorchScript, for WSInfer and its QuPath extension",
    )
    export.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="for onnx, a copy of the model that gets the graph (default: its own folder; a model that comes "
        "with this package is not changed); for wsinfer, what is written (default: <name>-wsinfer, here)",
    )
    export.set_defaults(run=_export)


def _export(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.models.shipped import find_model  # noqa: PLC0415

    card = find_model(args.model)
    if args.format == "wsinfer":
        _export_wsinfer(card, args.out or Path(Path(f"{card.name}-wsinfer").name))
    else:
        _export_graph(card, args.out)


def _export_graph(card: ModelCard, out: Path | None) -> None:
    try:
        from slidemitosis.export.onnx import export_copy, export_graph  # noqa: PLC0415
    except ImportError as e:
        raise InvalidOption(f"exporting needs {e.name}: pip install 'slidemitosis[train]'") from e
    new, difference = export_graph(card) if out is None else export_copy(card, out)
    assert new.graph is not None
    print(f"{'graph':<11} {new.folder / new.graph.file}")
    print(f"{'checked':<11} probabilities differ from torch's by {difference:.1e} at most")


def _export_wsinfer(card: ModelCard, out: Path) -> None:
    from slidemitosis.export.wsinfer import MODEL, README, export_wsinfer  # noqa: PLC0415

    written = export_wsinfer(card, out)
    print(f"{'folder':<11} {written.folder}")
    print(f"{'sha256':<11} {written.sha256} {MODEL}")
    print(f"{'checked':<11} probabilities differ from torch's by {written.difference:.1e} at most")
    call = f"atypical from P {card.decision.threshold:g}"
    print(f"{'note':<11} WSInfer calls the likelier class, slidemitosis {call}: see {README} there")


def _models(_args: argparse.Namespace, _report: Report) -> None:
    """`slidemitosis models`."""
    from slidemitosis.models.shipped import list_models  # noqa: PLC0415

    for card in list_models():
        default = " (default)" if card.name == DEFAULT_MODEL else ""
        print(f"{card.name} {card.version}{default}: {card.description}")
        networks = "one network" if len(card.networks) == 1 else f"{len(card.networks)} networks"
        size = f"{networks}, {card.parameters / 1e6:.1f} M parameters"
        print(f"  {size}, {card.licence}. {card.intended_use}")
        for s in card.scores:
            views = "1 view" if s.views == 1 else f"{s.views} views"
            print(
                f"  {s.data}, {views}: BA {s.balanced_accuracy:.3f}, AUROC {s.auroc:.3f} "
                f"({s.figures} figures, {s.atypical} atypical)"
            )
