"""Scored figures, made up for the tests of metrics, intervals, plots and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.labels import HARDNESS, SUBTYPES
from slidemitosis.train.evaluate.metrics import Scored

if TYPE_CHECKING:
    from collections.abc import Sequence


def scored(logit: Sequence[float], atypical: Sequence[int], **given: Any) -> Scored:
    """Figures with these logits, a slide each; the probability is the sigmoid, the threshold 0.5."""
    n, z = len(logit), np.asarray(logit, dtype=np.float64)
    told: dict[str, Any] = {
        "model": "m",
        "data": "d",
        "names": tuple(f"{i}.png" for i in range(n)),
        "slides": tuple(f"s{i}" for i in range(n)),
        "domains": ("",) * n,
        "atypical": np.asarray(atypical, dtype=np.int64),
        "logit": z,
        "probability": 1 / (1 + np.exp(-z)),
        "threshold": 0.5,
        "extra": {},
        "subtypes": ("",) * n,
        "hardness": ("",) * n,
    }
    return Scored(**told | given)


def random_scored(n: int = 200, *, slides: int = 20, seed: int = 0, **given: Any) -> Scored:
    """Two classes that overlap, a quarter AMF, with subtypes and two domains."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 4 == 0).astype(np.int64)
    truth = np.where(y == 1, 4, 0) + rng.integers(4, size=n)
    weights = np.exp(rng.normal(0, 1, (n, 8)) + 2 * np.eye(8)[truth])
    p = weights / weights.sum(axis=1, keepdims=True)
    told: dict[str, Any] = {
        "slides": tuple(f"s{i}" for i in rng.integers(slides, size=n)),
        "domains": tuple("lung" if i % 3 else "breast" for i in range(n)),
        "extra": {name: p[:, i] for i, name in enumerate(SUBTYPES)},
        "subtypes": tuple(SUBTYPES[t] for t in truth),
        "hardness": tuple(HARDNESS[i] for i in rng.integers(2, size=n)),
    }
    return scored(rng.normal(y * 2 - 1, 1.2).tolist(), y.tolist(), **told | given)
