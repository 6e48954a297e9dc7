"""Gather the figures to train on, and those to be scored, from several data sets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.figures import join
from slidemitosis.train.data.leakage import check_leakage, drop_leaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.train.data.figures import Figures, LabelledData

log = logging.getLogger(__name__)

Leaks = Literal["refuse", "drop", "allow"]
"""What to do with training figures of slides that are in a test set."""


def gather_figures(
    data: Sequence[LabelledData], held_out: Sequence[LabelledData], *, leaks: Leaks
) -> tuple[Figures, dict[str, Figures]]:
    """Return (training figures of all of `data`, test figures by the name of their data set).

    Test figures are the official ones of `data`, and those of `held_out`, or all figures of a held-out set
    that has no official ones. Raises InvalidOption where two sets have one name, or where figures or slides
    are in both and `leaks` is "refuse"; "drop" takes them out of training.
    """
    training = join([d.training for d in data])
    named = [d.scored for d in data if d.test is not None] + [d.scored for d in held_out]
    for names in ([d.name for d in data], [name for name, _ in named]):
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidOption(f"two data sets are called {twice[0]!r}: give each once, or rename one")
    tests = dict(named)
    if leaks == "drop":
        before = len(training)
        training = drop_leaks(training, list(tests.values()))
        if dropped := before - len(training):
            log.warning("%d figures of slides that are in a test set are not trained on", dropped)
        if not len(training):
            raise InvalidOption("every training figure is of a slide that is in a test set: give other data")
    check_leakage(training, list(tests.values()), allow=leaks == "allow")
    return training, tests
