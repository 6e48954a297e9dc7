"""From a finished run of `slidemitosis train` to the shipped models; their READMEs are written by hand.

python examples/03_ship_models.py RUN MODELS NAME=PATH ...

NAME=PATH are the labelled figures to score on, as `slidemitosis evaluate --data` takes them. Below MODELS,
`lite0-ensemble` is made of RUN/ensemble and `lite0` of RUN/fold-0: weights, a card with the scores of one
view and of eight, and the history of each training.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

from slidemitosis.cards import CARD_NAME, ModelCard, Score, read_card, write_card
from slidemitosis.train.data import read_data
from slidemitosis.train.evaluate import Member, evaluate_models, score_of

SHIPPED = (
    ("ensemble", "lite0-ensemble", "1", "five networks, one of each fold"),
    ("fold-0", "lite0", "2", "one network, the quickest"),
)


def copy(run: Path, models: Path, source: str, name: str, version: str, which: str) -> ModelCard:
    """Weights and card under their new name; what an earlier version had is removed."""
    folder = models / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.safetensors"), *folder.glob("*-history.csv")):
        old.unlink()
    card = read_card(run / source)
    for network in card.networks:
        shutil.copyfile(run / source / network.weights, folder / network.weights)
    folds = range(len(card.networks)) if source == "ensemble" else [int(source.rpartition("-")[2])]
    for k in folds:
        for history in (run / f"fold-{k}").glob("*-history.csv"):
            shutil.copyfile(history, folder / f"fold-{k}-history.csv")
    return dataclasses.replace(
        card,
        name=name,
        version=version,
        description=f"{card.description}; {which}",
        licence="Apache-2.0",
        scores=(),
        folder=folder,
    )


def scores(card: ModelCard, data: list[str]) -> tuple[Score, ...]:
    """One view and eight, of each data set."""
    sets = dict(read_data(*_pair(word)).scored for word in data)
    found = []
    for views in (1, 8):
        with tempfile.TemporaryDirectory() as out:
            report = evaluate_models([Member(card)], sets, out=Path(out), views=views)
        found += [s for s in map(score_of, report.entries) if s]
    return tuple(sorted(found, key=lambda s: s.data))


def _pair(word: str) -> tuple[str, Path]:
    name, _, path = word.partition("=")
    return name, Path(path)


def main() -> None:
    run, models, data = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    for source, name, version, which in SHIPPED:
        card = copy(run, models, source, name, version, which)
        write_card(card)
        write_card(dataclasses.replace(card, scores=scores(card, data)))
        print(f"{card.folder / CARD_NAME}")


if __name__ == "__main__":
    main()
