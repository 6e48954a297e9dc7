"""Patches that are cut already: from a stack of them to what the model says of each, without a slide."""

from __future__ import annotations

import csv
import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.engines.choose import ComputeOptions, load_forward
from slidemitosis.labels import NEGATIVE, POSITIVE
from slidemitosis.models.shipped import DEFAULT_MODEL, find_model
from slidemitosis.prediction import likeliest_subtype, stated
from slidemitosis.reading.stacks import PatchStack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slidemitosis.prediction import Stated

log = logging.getLogger(__name__)

BATCH = 64
"""Patches that are read at once; so many of 128 px are 3 MB."""
COLUMNS = ("page", "status", "p_atypical", "call", "subtype", "p_subtype", "p_hard")


def classify_patches(
    stack: str | Path,
    *,
    model: str | Path = DEFAULT_MODEL,
    compute: ComputeOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Stated]:
    """What a model says of each patch of a stack, in the order of its pages; not one is left out.

    stack: a TIFF each page of which is a patch of the model's size, RGB with 8 bit. Its um/px must be the
    model's: no file says it. model: a name, or a model folder. compute: how to classify; `workers` means
    nothing here. progress: called with (patches done, patches in all).

    Raises UnreadableStack, UnknownModel, InvalidCard, WeightsMismatch, InvalidOption.
    """
    card = find_model(model)
    path = Path(stack)
    found: list[Stated] = []
    with PatchStack(path, side=card.patch.side) as patches:
        forward = load_forward(card, compute or ComputeOptions())
        try:
            for batch in patches.batches(max(BATCH, forward.piece)):
                found += stated(batch, forward.submit(batch)(), card)
                if progress:
                    progress(len(found), len(patches))
        finally:
            forward.close()
    blank = [i for i, said in enumerate(found, start=1) if said.blank]
    if blank:
        pages = ", ".join(map(str, blank[:10])) + (", ..." if len(blank) > 10 else "")
        log.warning("%s: %d of %d pages show nothing: %s", path.name, len(blank), len(found), pages)
    return found


def csv_text(found: Sequence[Stated]) -> str:
    """One row a page, from 1; the columns mean what they mean in `candidates.csv`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for page, said in enumerate(found, start=1):
        if said.blank:
            writer.writerow((page, "blank", "", "", "", "", ""))
            continue
        subtype = likeliest_subtype(said.subtypes, atypical=said.atypical)
        writer.writerow(
            (
                page,
                "classified",
                f"{said.probability:.6f}",
                POSITIVE if said.atypical else NEGATIVE,
                subtype or "",
                f"{said.subtypes[subtype]:.6f}" if subtype else "",
                "" if said.p_hard is None else f"{said.p_hard:.6f}",
            )
        )
    return text.getvalue()


def midog25_text(found: Sequence[Stated]) -> str:
    """`multiple-mitotic-figure-classification.json` of the MIDOG 2025 challenge, track 2.

    One object a page: "class", "normal" or "atypical", and "confidence", P(atypical) whichever the class, as
    the organisers' reference container writes and explains it. The format has no word for a blank page: what
    the model says of it is written all the same.
    """
    return (
        json.dumps(
            [
                {"class": "atypical" if said.atypical else "normal", "confidence": said.probability}
                for said in found
            ],
            indent=4,
        )
        + "\n"
    )
