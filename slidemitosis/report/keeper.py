"""Keep the patches that a report will show, encoded, while a slide is classified."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Self

from PIL import Image

from slidemitosis.report.choice import SOME, Choice, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from slidemitosis.models.decision import Decision
    from slidemitosis.prediction import PlacedCandidate, Prediction
    from slidemitosis.reading.prepare import Prepared

QUALITY = 85


def encoded(pixels: NDArray[np.uint8], *, quality: int = QUALITY) -> bytes:
    """Encode RGB pixels, uint8 (H, W, 3), as JPEG; the same pixels give the same bytes."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="JPEG", quality=quality)
    return data.getvalue()


class PatchKeeper:
    """Takes the batches of a slide as they are classified, and keeps what its report shows.

    At most a few hundred patches are held, however many figures there are, unless `limits` says all.
    """

    def __init__(self, placed: Sequence[PlacedCandidate], threshold: float, *, limits: Limits = SOME) -> None:
        self.limits = limits
        self._ids = [p.object_id for p in placed]
        self._choice = Choice(threshold, limits)
        self._patches: dict[int, bytes] = {}

    @classmethod
    def of(cls, prepared: Prepared, decision: Decision, limits: Limits) -> Self:
        """Make the keeper of a slide that is to be classified."""
        return cls(prepared.placed, decision.threshold, limits=limits)

    def add(self, rows: Sequence[int], pixels: NDArray[np.uint8], predictions: Sequence[Prediction]) -> None:
        """Take a batch.

        rows: positions of the figures among those of the slide, in the points file's order. pixels: uint8
        (B, S, S, 3). predictions: one for each.
        """
        for row, said in zip(rows, predictions, strict=True):
            self._choice.offer(row, self._ids[row], None if said.blank else said.probability)
        wanted = self._choice.rows
        self._patches = {row: data for row, data in self._patches.items() if row in wanted}
        for k, row in enumerate(rows):
            if row in wanted:
                self._patches[row] = encoded(pixels[k])

    @property
    def patches(self) -> Mapping[int, bytes]:
        """The patches of the chosen figures as JPEG, by row."""
        return self._patches
