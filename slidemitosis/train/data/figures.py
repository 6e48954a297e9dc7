"""Figures: labelled patches in memory, with everything that their authors publish about them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import HARDNESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Figures:
    """Labelled patches of one or more data sets, N of them, seen by up to E experts."""

    names: tuple[str, ...]
    """File name of each patch, or its id."""
    pixels: NDArray[np.uint8]
    """RGB, (N, S, S, 3); S is 128 for the published sets."""
    atypical: NDArray[np.int64]
    """Majority label, 1 for AMF, 0 for NMF, (N,)."""
    votes: NDArray[np.float32]
    """Each expert's label, 1 or 0, NaN where that expert was not asked, (N, E); E may be 0."""
    subtypes: tuple[tuple[str, ...], ...]
    """Names of SUBTYPES, one by each expert who gave one, the first expert's first."""
    slides: tuple[str, ...]
    """File name of the slide, as published; "" where the data set does not say."""
    patients: tuple[str, ...]
    """Name of the patient; the slide's where the data set does not say."""
    domains: tuple[str, ...]
    """Tumour type, scanner or source, whatever the data set calls a domain; "" unknown."""
    centres: NDArray[np.float64]
    """x, y in level-0 px, NaN unknown, (N, 2)."""
    data: tuple[str, ...]
    """Name of the data set that each figure is from, (N,)."""

    def __post_init__(self) -> None:
        n = len(self.names)
        wrong = [f.name for f in fields(self) if len(getattr(self, f.name)) != n]
        if wrong:
            raise InvalidOption(f"figures: {n} names, but not as many {', '.join(wrong)}")
        side = self.pixels.shape[1:2]
        if self.pixels.shape != (n, *side, *side, 3) or self.pixels.dtype != np.uint8:
            raise InvalidOption(
                f"figures: pixels are {self.pixels.dtype} {self.pixels.shape}, not uint8 (N, S, S, 3)"
            )
        if self.votes.ndim != 2 or self.centres.shape != (n, 2):
            raise InvalidOption("figures: votes must be (N, E) and centres (N, 2)")

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Figures:
        """Return the figures of these rows, in this order."""
        index = np.asarray(rows, dtype=np.intp)
        whole = (getattr(self, f.name) for f in fields(self))
        taken: list[Any] = [
            c[index] if isinstance(c, np.ndarray) else tuple(c[i] for i in index) for c in whole
        ]
        return Figures(*taken)

    @property
    def sets(self) -> str:
        """Names of the data sets that the figures are from, or "no figures"."""
        return ", ".join(dict.fromkeys(self.data)) or "no figures"

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Whether the experts who were asked disagree, (N,); False where fewer than two were."""
        normal, atypical = (self.votes == 0).any(axis=1), (self.votes == 1).any(axis=1)
        disagree: NDArray[np.bool_] = np.logical_and(normal, atypical)
        return disagree

    @property
    def hardness(self) -> tuple[str, ...]:
        """ "hard" or "easy", N of them; "" where fewer than two experts were asked."""
        asked = np.isfinite(self.votes).sum(axis=1)
        return tuple(HARDNESS[int(h)] if n > 1 else "" for h, n in zip(self.hard, asked, strict=True))


@dataclass(frozen=True, slots=True)
class LabelledData:
    """One data set, as `read.read_data` returns it."""

    name: str
    training: Figures
    """Every figure, where the data set has no official test figures."""
    test: Figures | None
    """The official test figures."""
    hashes: dict[str, str]
    """SHA-256 of each CSV by its file name, and of all pixels as "pixels", training before test."""
    citation: tuple[str, ...]
    """What its authors ask to cite."""

    @property
    def scored(self) -> tuple[str, Figures]:
        """Name and figures to score models on: the official test figures, or all if there are none."""
        return (self.name, self.training) if self.test is None else (f"{self.name} test", self.test)


def join(parts: Sequence[Figures]) -> Figures:
    """Return the figures of all parts in turn; votes are padded with NaN to the largest number of experts.

    Raises InvalidOption if there is no part, or if patches differ in size.
    """
    if not parts:
        raise InvalidOption("no figures to join: give at least one --data NAME=PATH")
    sides = {p.pixels.shape[1]: p.data[0] for p in parts if len(p)}
    if len(sides) > 1:
        text = ", ".join(f"{name} {side} px" for side, name in sides.items())
        raise InvalidOption(f"patches of different sizes cannot be joined: {text}; cut them to one size")
    parts = [p for p in parts if len(p)] or parts[:1]
    experts = max(p.votes.shape[1] for p in parts)
    padded = [
        replace(p, votes=np.pad(p.votes, ((0, 0), (0, experts - p.votes.shape[1])), constant_values=np.nan))
        for p in parts
    ]
    columns = ([getattr(p, f.name) for p in padded] for f in fields(Figures))
    joined: list[Any] = [
        np.concatenate(c) if isinstance(c[0], np.ndarray) else tuple(chain(*c)) for c in columns
    ]
    return Figures(*joined)
