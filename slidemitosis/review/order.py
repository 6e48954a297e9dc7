"""Choose which figures a person is shown, and in which order; pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.review.slides import Figure, ResultFolder

Order = Literal["doubt", "all", "random"]


def shown_figures(
    slides: Sequence[ResultFolder], order: Order, *, sample: int, seed: int
) -> list[tuple[int, Figure]]:
    """Return the figures to show, each with the number of its slide.

    "doubt": all, the most doubtful first. "all": slide by slide, as the tables list them. "random": slide by
    slide, `sample` figures of each drawn without replacement, in the order in which they were drawn, so that
    whoever stops early has still seen a random sample. The same seed gives the same sample, and a larger
    sample begins with the smaller one.
    """
    if order == "random":
        return [(i, f) for i, slide in enumerate(slides) for f in _drawn(slide.figures, sample, seed)]
    figures = [(i, figure) for i, slide in enumerate(slides) for figure in slide.figures]
    if order == "doubt":
        return sorted(figures, key=lambda shown: -doubt(shown[1], slides[shown[0]].threshold))
    return figures


def _drawn(figures: Sequence[Figure], sample: int, seed: int) -> list[Figure]:
    # By id, so that a later run which lists the same figures in another order changes nothing.
    shuffled = sorted(figures, key=lambda figure: figure.id)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a sample, no secret
    return shuffled[:sample]


def doubt(figure: Figure, threshold: float) -> float:
    """Return how doubtful a figure is, 0 to 1.

    That is the probability that experts disagree; of models that do not tell it, how near P(atypical) is to
    the threshold.
    """
    if figure.p_hard is not None:
        return figure.p_hard
    farthest = max(threshold, 1 - threshold)
    return 1 - abs(figure.p_atypical - threshold) / farthest
