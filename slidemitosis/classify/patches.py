"""Patches that are cut already: from a stack or a folder to what the model says of each, without a slide."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.engines.choose import load_engine
from slidemitosis.files import csv_lines
from slidemitosis.models.local import chosen_card
from slidemitosis.options import ComputeOptions
from slidemitosis.options.compute import DEFAULT_MODEL
from slidemitosis.outputs.table import SAID
from slidemitosis.prediction import predict
from slidemitosis.reading.batches import one_ahead
from slidemitosis.reading.patch_folder import PatchFolder, patch_files
from slidemitosis.reading.stacks import PatchStack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slidemitosis.prediction import Prediction

log = logging.getLogger(__name__)

BATCH = 64
"""Patches that are read at once; so many of 128 px are 3 MB."""


def classify_patches(
    stack: str | Path,
    *,
    model: str | Path = DEFAULT_MODEL,
    compute: ComputeOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prediction]:
    """What a model says of each patch of a stack, in the order of its pages; not one is left out.

    stack: a TIFF each page of which is a patch of the model's size, RGB with 8 bit; or a folder of such PNGs,
    which are taken in the order of their names. Its um/px must be the
    model's: no file says it. model: a name, or a model folder. compute: how to classify; `workers` means
    nothing here. progress: called with (patches done, patches in all).

    Raises UnreadableStack, UnknownModel, InvalidCard, WeightsMismatch, InvalidOption.
    """
    compute = compute or ComputeOptions()
    card = chosen_card(model, compute)
    path = Path(stack)
    found: list[Prediction] = []
    decision = card.decision_for(views=compute.views, point=compute.operating_point)
    with (
        _opened(path, side=card.patch.side) as patches,
        closing(load_engine(card, compute)) as engine,
    ):
        for batch, outputs in one_ahead(patches.batches(max(BATCH, engine.piece)), engine.submit):
            found += predict(batch, outputs, card, decision)
            if progress:
                progress(len(found), len(patches))
    blank = [i for i, said in enumerate(found, start=1) if said.blank]
    if blank:
        pages = ", ".join(map(str, blank[:10])) + (", ..." if len(blank) > 10 else "")
        log.warning("%s: %d of %d pages show nothing: %s", path.name, len(blank), len(found), pages)
    return found


def _opened(path: Path, *, side: int) -> PatchStack | PatchFolder:
    return PatchFolder(path, side=side) if path.is_dir() else PatchStack(path, side=side)


def patch_names(stack: str | Path) -> tuple[str, ...]:
    """Name the files of a folder of patches in their order; a stack has pages, and no names."""
    path = Path(stack)
    return tuple(file.name for file in patch_files(path)) if path.is_dir() else ()


def csv_text(found: Sequence[Prediction], *, names: Sequence[str] = ()) -> str:
    """Make one row a page, from 1; the columns mean what they mean in `candidates.csv`.

    names: those of the patches' files, for the column `file` in place of `page`.
    """
    places = names or range(1, len(found) + 1)
    rows = [
        [place, "blank" if said.blank else "classified"]
        + ["" if said.blank else cell(said) for cell in SAID.values()]
        for place, said in zip(places, found, strict=True)
    ]
    return "".join(csv_lines([["file" if names else "page", "status", *SAID], *rows]))


def midog25_text(found: Sequence[Prediction]) -> str:
    """`multiple-mitotic-figure-classification.json` of the MIDOG 2025 challenge, track 2.

    One object a page: "class", "normal" or "atypical", and "confidence", P(atypical) whichever the class, as
    the organisers' reference container writes and explains it. The format has no word for a blank page: what
    the model says of it is written all the same.
    """
    told = [
        {"class": "atypical" if said.atypical else "normal", "confidence": said.probability} for said in found
    ]
    return json.dumps(told, indent=4) + "\n"
