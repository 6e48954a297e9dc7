"""The command `models`: which there are, and their ONNX graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.cards import DEFAULT_MODEL
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report


def add_models(parser: argparse.ArgumentParser) -> None:
    """`slidemitosis models`, and what can be done with one."""
    parser.set_defaults(run=_models)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    export = actions.add_parser(
        "export", help="write a model's ONNX graph, which runs on the CPU without torch"
    )
    export.add_argument("model", help="a model folder, or the name of a model")
    export.set_defaults(run=_export)


def _export(args: argparse.Namespace, _report: Report) -> None:
    from slidemitosis.cards import find_model  # noqa: PLC0415

    card = find_model(args.model)
    try:
        from slidemitosis.graph_export import export_graph  # noqa: PLC0415
    except ImportError as e:
        raise InvalidOption(f"exporting needs {e.name}: pip install 'slidemitosis[train]'") from e
    new, difference = export_graph(card)
    assert new.graph is not None
    print(f"{'graph':<11} {new.folder / new.graph.file}")
    print(f"{'checked':<11} probabilities differ from torch's by {difference:.1e} at most")


def _models(_args: argparse.Namespace, _report: Report) -> None:
    """`slidemitosis models`."""
    from slidemitosis.cards import list_models  # noqa: PLC0415

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
