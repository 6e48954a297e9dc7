"""Train one model and write its folder: `python -m slidemitosis.train --help`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from sklearn.model_selection import StratifiedGroupKFold

from slidemitosis.cards import (
    CARD_NAME,
    TASK,
    DecisionPart,
    InputPart,
    ModelCard,
    NetworkPart,
    ValidationPart,
    file_sha256,
    write_card,
)
from slidemitosis.errors import InvalidOption, OutputError, SlideMitosisError
from slidemitosis.models import build_model
from slidemitosis.train.data import AMI_BR_CITATION, Figures, read_ami_br, read_folders
from slidemitosis.train.evaluation import count_validation, fit_decision, logits_of, score
from slidemitosis.train.loop import train_network
from slidemitosis.train.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

ATNORM_MD_FIGURES = 2107


def fold_rows(figures: Figures, recipe: Recipe, fold: int) -> tuple[list[int], list[int]]:
    """(training rows, validation rows) of one of the recipe's folds, no slide in both."""
    if not 0 <= fold < recipe.folds:
        raise InvalidOption(f"fold must lie in 0 to {recipe.folds - 1}, not {fold}")
    splitter = StratifiedGroupKFold(recipe.folds, shuffle=True, random_state=recipe.fold_seed)
    splits = list(splitter.split(figures.pixels[:, 0, 0, 0], figures.atypical, figures.slides))
    train, validation = splits[fold]
    return train.tolist(), validation.tolist()


def write_weights(network: nn.Module, recipe: Recipe, folder: Path, *, data: str) -> ModelCard:
    """Write the weights; the card that belongs to them, which is not written before it is calibrated."""
    weights = folder / "weights.safetensors"
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    safetensors.torch.save_file(state, weights)
    return ModelCard(
        format=1,
        name=folder.name,
        version="1",
        task=TASK,
        description=recipe.description,
        intended_use=(
            "Research use only, not for diagnosis. For candidate mitotic figures on H&E slides scanned at "
            "about 0.25 um/px."
        ),
        data=(data,),
        licence="Apache-2.0",
        citation=AMI_BR_CITATION,
        network=NetworkPart(
            architecture=recipe.architecture,
            classes=("NMF", "AMF"),
            logit_of="AMF",
            weights=weights.name,
            sha256=file_sha256(weights),
            parameters=sum(p.numel() for p in network.parameters()),
        ),
        input=InputPart(
            mpp=recipe.mpp,
            patch=recipe.patch,
            crop=recipe.crop,
            resize=recipe.resize,
            interpolation="bilinear",
            mean=(recipe.mean[0], recipe.mean[1], recipe.mean[2]),
            std=(recipe.std[0], recipe.std[1], recipe.std[2]),
        ),
        # The sampler shows both classes equally often.
        decision=DecisionPart(training_prior=0.5, target_prior=0.5, temperature=1.0, threshold=0.5),
        validation=ValidationPart(protocol="none", tp=0, fn=0, tn=0, fp=0),
        folder=folder,
    )


def calibrate(card: ModelCard, validation: Figures, *, target_prior: float, protocol: str) -> ModelCard:
    """The card with temperature, threshold and counts from validation figures."""
    logits = logits_of(build_model(card), validation, views=1)
    decision = fit_decision(
        logits,
        validation.atypical,
        training_prior=card.decision.training_prior,
        target_prior=target_prior,
    )
    counts = count_validation(decision.probability(logits), validation.atypical, decision.threshold, protocol)
    return dataclasses.replace(card, decision=decision, validation=counts)


def run(args: argparse.Namespace) -> None:
    """Train, calibrate, score, write."""
    recipe = load_recipe(args.recipe)
    if (args.out / CARD_NAME).exists():
        raise OutputError(f"{args.out}: holds a model already, which is not replaced; choose another --out")
    try:  # now, rather than after the training
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"{args.out}: cannot be written: {e.strerror}; choose another --out") from e
    train, test = read_ami_br(args.ami_br)
    training_rows, validation_rows = fold_rows(train, recipe, args.fold)
    seen, validation = train.take(training_rows), train.take(validation_rows)
    network = train_network(seen, recipe, seed=args.seed)
    data = (
        f"AMi-Br, human breast cancer: the training rows of its benchmark without fold {args.fold}, "
        f"{len(seen):,} figures of {len(set(seen.slides))} slides"
    )
    card = write_weights(network, recipe, args.out, data=data)
    protocol = (
        f"fold {args.fold} of {recipe.folds} by slide of AMi-Br's training rows, kept out of training: "
        f"{len(validation)} figures of {len(set(validation.slides))} slides; temperature and threshold "
        "were fitted on the same figures; one view"
    )
    target_prior = round(float(train.atypical.mean()), 4)
    card = calibrate(card, validation, target_prior=target_prior, protocol=protocol)
    model = build_model(card)
    sets = {"AMi-Br test": test}
    if args.atnorm_md:
        figures = read_folders(args.atnorm_md)
        sets[f"AtNorM-MD, {len(figures):,} of {ATNORM_MD_FIGURES:,}"] = figures
    scores = [score(name, model, figures, views=v) for name, figures in sets.items() for v in (1, 8)]
    card = dataclasses.replace(card, scores=tuple(scores))
    write_card(card)
    for s in scores:
        log.info("%s", s)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m slidemitosis.train", description=__doc__)
    parser.add_argument("recipe", help="name of a recipe of this package, or a TOML file")
    parser.add_argument("--ami-br", type=Path, required=True, help="folder of AMi-Br as published")
    parser.add_argument("--atnorm-md", type=Path, help="folder of AtNorM-MD, for scores only")
    parser.add_argument("--fold", type=int, default=0, help="the fold kept for validation (default 0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        run(parser.parse_args())
    except SlideMitosisError as e:
        print(f"slidemitosis: error: {e}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
