"""Outputs of a model's ONNX graph, compared with torch's."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.engines.onnx_engine import OnnxEngine
from slidemitosis.engines.torch_engine import TorchEngine
from slidemitosis.models.classifier import build_model
from tests.models.tiny import drawn_patches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.card import ModelCard


@cache
def varied_patches() -> NDArray[np.uint8]:
    """Figures, noise, white and black, uint8 (11, 128, 128, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    white, black = np.full((2, 1, 128, 128, 3), [[[[[255]]]], [[[[0]]]]], np.uint8)
    return np.concatenate([drawn_patches(6), noise, white, black])


def graph_outputs(card: ModelCard, patches: NDArray[np.uint8], **how: Any) -> Outputs:
    with contextlib.closing(OnnxEngine(card, **({"piece": 4, "views": 1, "threads": 2} | how))) as engine:
        return engine(patches)


def assert_graph_gives_torchs_probabilities(
    card: ModelCard, patches: NDArray[np.uint8], *, views: int = 1
) -> Outputs:
    want = TorchEngine(build_model(card), piece=8, views=views, precision="fp32")(patches)
    found = graph_outputs(card, patches, views=views)
    ours, torchs = (np.column_stack([card.decision.probability(o.logit), o.extra]) for o in (found, want))
    np.testing.assert_allclose(ours, torchs, rtol=0, atol=1e-4)
    return found
