"""The results of one slide in their files, but for the summary."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from slidemitosis.files import write_parts
from slidemitosis.outputs.folder import CANDIDATES, OBJECTS
from slidemitosis.outputs.hot_spot_object import hot_spot_features
from slidemitosis.outputs.objects import feature_collection, qupath_feature
from slidemitosis.outputs.table import candidates_csv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.prediction import Prediction
    from slidemitosis.rates.slide import Rated
    from slidemitosis.reading.prepare import Prepared


def write_objects_and_table(
    folder: Path, prepared: Prepared, predictions: Sequence[Prediction], *, rated: Rated, card: ModelCard
) -> None:
    """Write `objects.geojson`, the hot spot last, and `candidates.csv`. Raises OutputError."""
    per_um = (1 / prepared.mpp.x, 1 / prepared.mpp.y)
    model, upsampled = f"{card.name} {card.version}", prepared.upsampled
    shift = prepared.frames.shift
    features = (
        qupath_feature(
            p,
            model=model,
            upsampled=upsampled,
            pixels_per_um=per_um,
            taken=prepared.selection.taken,
            shift=shift,
        )
        for p in predictions
    )
    spots = hot_spot_features(rated.hot_spot, mpp=prepared.mpp, offset=prepared.frames.objects, model=model)
    last = (json.dumps(spot).encode() for spot in spots)
    write_parts(folder / OBJECTS, feature_collection(itertools.chain(features, last)))
    table = candidates_csv(predictions, upsampled=upsampled)
    write_parts(folder / CANDIDATES, table)
