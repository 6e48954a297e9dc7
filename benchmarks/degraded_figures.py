"""How much a model loses on figures that are seen badly: AMi-Br's test rows, degraded as slides are.

python benchmarks/degraded_figures.py AMI_BR [MODEL]

Prints a Markdown table: balanced accuracy and share called atypical at the model's threshold, and AUROC.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from slidemitosis.engines.choose import load_engine
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.train.data.read import read_data

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Image.Image], Image.Image]


def coarser(mpp: float) -> Change:
    """As from a slide of this um/px, enlarged again as the reader does."""
    side = round(128 * 0.25 / mpp)
    box, bicubic = Image.Resampling.BOX, Image.Resampling.BICUBIC
    return lambda image: image.resize((side, side), box).resize((128, 128), bicubic)


def blurred(sigma: float) -> Change:
    return lambda image: image.filter(ImageFilter.GaussianBlur(sigma))


def jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        data = io.BytesIO()
        image.save(data, format="JPEG", quality=quality)
        return Image.open(data).convert("RGB")

    return change


def off_centre(px: int) -> Change:
    """The centre of the candidate lies beside the figure; what enters the patch is white."""
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, (1, 0, px, 0, 1, 0), fillcolor=(255, 255, 255)
    )


def padded(px: int) -> Change:
    """Black from `px` right of the centre on, as beyond the edge of some slides."""

    def change(image: Image.Image) -> Image.Image:
        black = Image.new("RGB", (image.width // 2 - px, image.height))
        changed = image.copy()
        changed.paste(black, (image.width // 2 + px, 0))
        return changed

    return change


CHANGES: dict[str, Change] = {
    "as published": lambda image: image,
    "from 0.35 um/px": coarser(0.35),
    "from 0.5 um/px (20x)": coarser(0.5),
    "from 1 um/px (10x)": coarser(1.0),
    "blur, SD 0.25 um (1 px)": blurred(1),
    "blur, SD 0.5 um (2 px)": blurred(2),
    "JPEG quality 30": jpeg(30),
    "2 um off centre": off_centre(8),
    "4 um off centre": off_centre(16),
    "8 um off centre": off_centre(32),
    "black from 6 um beside the centre": padded(24),
    "black from 3 um beside the centre": padded(12),
}


def main() -> None:
    test = read_data("ami-br", Path(sys.argv[1])).test
    assert test is not None
    card = find_model(sys.argv[2] if len(sys.argv) > 2 else DEFAULT_MODEL)
    decision = card.decision
    engine = load_engine(card, ComputeOptions(device="cpu"))
    print("| Figures | BA | AUROC | called atypical |\n|---|---|---|---|")
    originals = test.pixels.copy()
    for name, change in CHANGES.items():
        for row, pixels in zip(test.pixels, originals, strict=True):
            row[...] = np.asarray(change(Image.fromarray(pixels)))
        logits = engine.submit(test.pixels)().logit
        called = decision.probability(logits) >= decision.threshold
        accuracy = balanced_accuracy_score(test.atypical, called)
        auroc = roc_auc_score(test.atypical, logits)
        print(f"| {name} | {accuracy:.3f} | {auroc:.3f} | {100 * called.mean():.0f} % |", flush=True)


if __name__ == "__main__":
    main()
