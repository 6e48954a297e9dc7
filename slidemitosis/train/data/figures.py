"""Figures: labelled patches in memory, with everything their authors tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import AMF_SUBTYPES, HARDNESS, NMF_SUBTYPES, SUBTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["AMF_SUBTYPES", "NMF_SUBTYPES", "SUBTYPES", "Figures", "LabelledData", "join"]

_T = TypeVar("_T")
_COLUMNS = ("pixels", "atypical", "votes", "subtypes", "slides", "patients", "domains", "centres", "data")


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
    """The slide's name where the data set does not say otherwise."""
    domains: tuple[str, ...]
    """Tumour type, scanner or source, whatever the data set calls a domain; "" unknown."""
    centres: NDArray[np.float64]
    """x, y in level-0 px, NaN unknown, (N, 2)."""
    data: tuple[str, ...]
    """Name of the data set that each figure is from."""

    def __post_init__(self) -> None:
        n = len(self.names)
        wrong = [k for k in _COLUMNS if len(getattr(self, k)) != n]
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
        """The figures of these rows, in this order."""
        index = np.asarray(rows, dtype=np.intp)

        def of(values: tuple[_T, ...]) -> tuple[_T, ...]:
            return tuple(values[i] for i in index)

        return Figures(
            of(self.names),
            self.pixels[index],
            self.atypical[index],
            self.votes[index],
            of(self.subtypes),
            of(self.slides),
            of(self.patients),
            of(self.domains),
            self.centres[index],
            of(self.data),
        )

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Whether the experts that were asked disagree, (N,); False where fewer than two were."""
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
    """One data set, as its reader gives it."""

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
        """Name and figures to score models on: the official test figures, or all where there are none."""
        return (self.name, self.training) if self.test is None else (f"{self.name} test", self.test)


def join(parts: Sequence[Figures]) -> Figures:
    """The figures of all parts, one behind the other; votes are padded with NaN to the most experts.

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
    votes = [
        np.pad(p.votes, ((0, 0), (0, experts - p.votes.shape[1])), constant_values=np.nan) for p in parts
    ]
    return Figures(
        _chain([p.names for p in parts]),
        np.concatenate([p.pixels for p in parts]),
        np.concatenate([p.atypical for p in parts]),
        np.concatenate(votes),
        _chain([p.subtypes for p in parts]),
        _chain([p.slides for p in parts]),
        _chain([p.patients for p in parts]),
        _chain([p.domains for p in parts]),
        np.concatenate([p.centres for p in parts]),
        _chain([p.data for p in parts]),
    )


def _chain(columns: Sequence[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(chain.from_iterable(columns))
