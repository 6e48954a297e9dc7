"""The options of the command line are those of the three classes, with the same defaults."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from slidemitosis.cli.options import add_options, options_given
from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.options import ComputeOptions, ErrorCounts, RateOptions, ReadOptions, Spot

KINDS = (ReadOptions, ComputeOptions, RateOptions)


def given(kind: type[Any], *words: str) -> Any:
    parser = argparse.ArgumentParser()
    add_options(parser, kind)
    return options_given(parser.parse_args(words), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_word_every_option_has_the_default_of_its_class(kind: type[Any]) -> None:
    assert given(kind) == kind()


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        (ReadOptions, "--mpp 0.25,0.26", ReadOptions(mpp=PixelSize(0.25, 0.26))),
        (ReadOptions, "--candidate-class A --candidate-class B", ReadOptions(candidate_classes=("A", "B"))),
        (
            ReadOptions,
            "--viewer-size 30x20 --viewer-server OpenSlide",
            ReadOptions(viewer=Viewer(30, 20, "OpenSlide")),
        ),
        (ReadOptions, "--keep-duplicates --unit um", ReadOptions(keep_duplicates=True, unit="um")),
        (
            ComputeOptions,
            "--batch-size 8 --compile --views 8",
            ComputeOptions(batch_size=8, compiled=True, views=8),
        ),
        (RateOptions, "--abstain 0.1 0.3 --area 2", RateOptions(abstain=(0.1, 0.3), area_mm2=2)),
        (RateOptions, "--hot-spot 1 --hot-spot-shape square", RateOptions(spot=Spot(mm2=1, shape="square"))),
        (
            RateOptions,
            "--sensitivity 9 1 --specificity 8 2",
            RateOptions(errors=ErrorCounts(tp=9, fn=1, tn=8, fp=2)),
        ),
    ],
)
def test_words_become_the_values_of_the_fields(kind: type[Any], words: str, expected: Any) -> None:
    assert given(kind, *words.split()) == expected


@pytest.mark.parametrize(
    ("kind", "words"), [(ReadOptions, "--viewer-server OpenSlide"), (RateOptions, "--sensitivity 9 1")]
)
def test_half_of_what_belongs_together_is_refused(kind: type[Any], words: str) -> None:
    with pytest.raises(InvalidOption):
        given(kind, *words.split())


@pytest.mark.parametrize(
    "words", ["--sensitivity 0 0 --specificity 0 0", "--sensitivity 9 1 --specificity 0 0"]
)
def test_counts_of_no_labelled_figure_are_refused(words: str) -> None:
    with pytest.raises(InvalidOption, match="at least one labelled figure of each class"):
        given(RateOptions, *words.split())
