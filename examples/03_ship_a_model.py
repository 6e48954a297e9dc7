"""From a model that `slidemitosis train` made to one with a name, a version, a licence and its scores.

python examples/03_ship_a_model.py RUN/ensemble models/lite0-ensemble --version 1 --licence Apache-2.0 \
    --report RUN/evaluation --report REPORT_OF_EIGHT_VIEWS

The folder's name becomes the model's. It gets the weights, a card with the scores that reports of
`slidemitosis evaluate` (or of `train`) give this model, the list of the figures that it saw, and the history
of each training; its README is yours to write. What the folder had of an earlier version is replaced, once
all else has been read.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path

from slidemitosis.errors import InvalidOption, SlideMitosisError
from slidemitosis.models.card import ModelCard, Score, read_card, write_card
from slidemitosis.train.data.seen import Seen, read_seen, write_short
from slidemitosis.train.evaluate.report_files import REPORT_JSON, read_report
from slidemitosis.train.evaluate.run import score_of
from slidemitosis.train.paths import SEEN, seen_path


def scores(card: ModelCard, reports: list[Path]) -> tuple[Score, ...]:
    """Those of this model, by data set and number of views. Raises InvalidOption where a report has none."""
    found: list[Score] = []
    for report in reports:
        entries = [e for e in read_report(report / REPORT_JSON).entries if e.model == card.name]
        if not entries:
            raise InvalidOption(f"{report}: does not score {card.name}; give a report that does")
        found += [s for s in map(score_of, entries) if s]
    return tuple(sorted(found, key=lambda s: (s.data, s.views)))


def seen_by(model: Path) -> Seen:
    """The figures that the model saw in training. Raises InvalidOption where nothing tells them."""
    path = seen_path(model)
    if path is None:
        raise InvalidOption(f"{model}: neither it nor its run has {SEEN}; train it again")
    return read_seen(path)


def histories(model: Path) -> dict[str, Path]:
    """Of each training that the model's networks come from, by the name it gets."""
    run = model.parent
    if model.name.startswith("fold-"):
        folders = [model]
    else:
        folders = sorted({run / "-".join(p.name.split("-")[:2]) for p in model.glob("fold-*.safetensors")})
    return {f"{f.name}-{h.name}": h for f in folders for h in f.glob("*-history.csv")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--licence", required=True)
    parser.add_argument("--validated-on", action="append", default=[], metavar="TUMOUR")
    parser.add_argument("--report", action="append", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args(sys.argv[1:] or ["--help"])
    card = read_card(args.model)
    found, seen = scores(card, args.report), seen_by(args.model)
    args.target.mkdir(parents=True, exist_ok=True)
    for kind in ("*.safetensors", "*.onnx", "*-history.csv"):
        for old in list(args.target.glob(kind)):
            old.unlink()
    for network in card.networks:
        shutil.copyfile(args.model / network.weights, args.target / network.weights)
    for name, history in histories(args.model).items():
        shutil.copyfile(history, args.target / name)
    write_short(seen, args.target / SEEN)
    write_card(
        dataclasses.replace(
            card,
            name=args.target.name,
            version=args.version,
            licence=args.licence,
            validated_on=tuple(args.validated_on),
            scores=found,
            graph=None,  # `slidemitosis models export` makes it of the new folder
            folder=args.target,
        )
    )


if __name__ == "__main__":
    try:
        main()
    except SlideMitosisError as e:
        sys.exit(f"error: {e}")
