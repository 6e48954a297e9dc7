"""Write the README of a folder for WSInfer: how to use it in QuPath, and what it does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slidemitosis.models.card import ModelCard

MADE_BY = "<!-- made by slidemitosis models export -->"
"""The first line, which marks a folder as written by this package."""

_TEXT = """{made_by}
# {card.name} {card.version}, for WSInfer

{description}. {card.intended_use}

| | |
|---|---|
| Takes | a patch of {side} x {side} px at {card.patch.mpp:g} um/px, with a candidate mitosis in its middle |
| Gives | P({normal}) and P({atypical}), calibrated for a share of {share:.1f} % atypical figures |
| Trained on | {data} |
| Licence | {licence} |
| Weights it was made of | SHA-256 {card.weights_sha256} |
| `torchscript_model.pt` | SHA-256 {sha256} |

`sha256sum -c SHA256SUMS` checks the files.

## In QuPath

1. Put this folder, whole, into a folder `local` inside the model directory that the WSInfer extension shows
   under its additional options (QuPath 0.5 and later). The folder's name is the model's name in the list.
2. Select the mitoses as **detections**. The extension cuts its patch around the centroid of each. Never run
   the model on selected annotations: they are filled with tiles, and a tile without a mitosis is called
   normal or atypical all the same.
3. Run. Each detection gets the measurements `{normal}` and `{atypical}`, and the likelier of the two as its
   class, in place of the class it had.

**The class is not slidemitosis's call.** WSInfer names the likelier class: `{atypical}` from
P({atypical}) = 0.5 on. slidemitosis calls a figure atypical from {threshold:g} on, this model's threshold.
The probabilities are the same, the calls are not. This script makes those of slidemitosis:

```groovy
def done = getDetectionObjects().findAll {{ it.getMeasurementList().containsKey('{atypical}') }}
done.each {{
    def atypical = it.getMeasurementList().get('{atypical}') >= {threshold:g}
    it.setPathClass(getPathClass(atypical ? 'Mitosis: Atypical' : 'Mitosis: Normal'))
}}
fireHierarchyUpdate()
println done.count {{ it.getPathClass().toString().endsWith('Atypical') }} + ' atypical of ' + done.size()
```

## What is not in it

Subtypes and doubt, the mean over eight views, the test for blank patches and for duplicates, the slide's rate
and its interval: `slidemitosis classify` gives them.
"""


def wsinfer_readme(card: ModelCard, *, classes: tuple[str, str], sha256: str) -> str:
    """Return Markdown. `classes`: names of normal and atypical; `sha256`: that of the TorchScript file."""
    normal, atypical = classes
    return _TEXT.format(
        made_by=MADE_BY,
        card=card,
        side=card.patch.side,
        description=card.description or "Normal and atypical mitotic figures",
        normal=normal,
        atypical=atypical,
        share=100 * card.decision.target_prior,
        data="; ".join(card.data) or "not stated",
        licence=card.licence or "not stated",
        sha256=sha256,
        threshold=card.decision.threshold,
    )
