"""From a model that `slidemitosis train` made to one with a name, a version, a licence and all its scores.

python examples/03_ship_a_model.py RUN/ensemble models/lite0-ensemble --version 1 --licence Apache-2.0 \
    --data ami-br=AMI_BR --data atnorm-md=ATNORM_MD

The folder's name becomes the model's. It gets the weights, a card with the scores of one view and of
eight, and the history of each training; its README is yours to write. Data that the model was trained on
are refused. What the folder had of an earlier version is replaced at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

from slidemitosis.cards import ModelCard, Score, read_card, write_card
from slidemitosis.errors import SlideMitosisError
from slidemitosis.train.data import read_data
from slidemitosis.train.evaluate import Member, evaluate_models, score_of


def scores(card: ModelCard, data: list[str]) -> tuple[Score, ...]:
    """One view and eight, of each data set; the card is still in its run, which knows what it has seen."""
    sets = dict(read_data(name, Path(path)).scored for name, _, path in (d.partition("=") for d in data))
    found: list[Score] = []
    for views in (1, 8):
        with tempfile.TemporaryDirectory() as out:
            report = evaluate_models([Member(card)], sets, out=Path(out), views=views)
        found += [s for s in map(score_of, report.entries) if s]
    return tuple(sorted(found, key=lambda s: s.data))


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
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PATH")
    args = parser.parse_args()
    card = read_card(args.model)
    found = scores(card, args.data)
    args.target.mkdir(parents=True, exist_ok=True)
    for old in (*args.target.glob("*.safetensors"), *args.target.glob("*-history.csv")):
        old.unlink()
    for network in card.networks:
        shutil.copyfile(args.model / network.weights, args.target / network.weights)
    for name, history in histories(args.model).items():
        shutil.copyfile(history, args.target / name)
    write_card(
        dataclasses.replace(
            card,
            name=args.target.name,
            version=args.version,
            licence=args.licence,
            scores=found,
            folder=args.target,
        )
    )


if __name__ == "__main__":
    try:
        main()
    except SlideMitosisError as e:
        sys.exit(f"error: {e}")
