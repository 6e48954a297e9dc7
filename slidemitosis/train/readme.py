"""Write the README of a model folder from its card and its evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.labels import SUBTYPES
from slidemitosis.train.markdown import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.models.card import ModelCard
    from slidemitosis.train.evaluate.metrics import Metrics
    from slidemitosis.train.recipe.recipe import Recipe


_SCORES = ("Data", "Figures (AMF)", "BA at threshold", "BA at 0.5", "Sensitivity", "Specificity", "AUROC")


def model_readme(
    card: ModelCard, recipe: Recipe, scores: Sequence[tuple[str, Metrics]], *, notes: Sequence[str]
) -> str:
    """Say in Markdown what the model is, its scores by data set, its data, how it was made, its limits."""
    v, d = card.validation, card.decision
    networks = f"{len(card.networks)} networks" if len(card.networks) > 1 else "one network"
    backbones = ", ".join(dict.fromkeys(n.architecture for n in card.networks))
    lines = [
        f"# {card.name}",
        "",
        (
            f"{card.description}. {networks.capitalize()} ({backbones}), "
            f"{card.parameters / 1e6:.1f} million parameters in all."
        ),
        "",
        f"**Intended use:** {card.intended_use}",
        "",
        "    slidemitosis classify slide.svs --points detections.geojson --model FOLDER",
        "",
        "## Scores",
        "",
        "On figures that were not trained on, one view.",
        "",
        table(_SCORES, [_score_row(name, m) for name, m in scores], rule="---"),
        "",
        *(f"- {note}" for note in notes),
        *([""] if notes else []),
        "## Data and calibration",
        "",
        f"Trained on {'; '.join(card.data)}.",
        f"Validation: {v.protocol}: TP {v.tp}, FN {v.fn}, TN {v.tn}, FP {v.fp}.",
        "",
        (
            f"A figure is called atypical from P(atypical) = {d.threshold:g}. P(atypical) is stated for a "
            f"share of {100 * d.target_prior:.1f} % atypical figures (in training "
            f"{100 * d.training_prior:.1f} %), with temperature {d.temperature:g}. Where the true share is "
            "another, the probabilities are off accordingly."
        ),
        "",
        *_further(card),
        "## How it was made",
        "",
        (
            f"Recipe after: {recipe.source}. `recipe.toml` beside this folder is the recipe as it was run, "
            "`run.json` names data, seed, versions and device; `*-history.csv`, where there are any, have a "
            "line for each epoch. `training-figures.csv` has slide and hash of every figure that it saw."
        ),
        "",
        "## Limits",
        "",
        "- Candidates that are no mitotic figures are called normal or atypical all the same.",
        "- Tumours, scanners and stains other than those trained on are not covered by these scores.",
        *(["- Cite:"] if card.citation else []),
        *(f"  - {c}" for c in card.citation),
    ]
    return "\n".join(lines) + "\n"


def _further(card: ModelCard) -> list[str]:
    """Say what the model tells besides the type."""
    if not card.extra_outputs:
        return []
    doubt = "whether experts would disagree (calibrated on the same figures)" if card.hardness else ""
    subtypes = "the subtype" if any(name in SUBTYPES for name in card.extra_outputs) else ""
    told = " and ".join(t for t in (subtypes, doubt) if t)
    return [f"It also tells {told}; see the report of `slidemitosis evaluate`.", ""] if told else []


def _score_row(name: str, m: Metrics) -> list[str]:
    values = (m.balanced_accuracy, m.balanced_accuracy_at_half, m.sensitivity, m.specificity, m.auroc)
    return [name, f"{m.figures:,} ({m.atypical:,})", *("none" if x is None else f"{x:.4f}" for x in values)]
