"""An ensemble is calibrated on figures that no network like its own has seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.models.card import ModelCard, read_card
from slidemitosis.train.data.split import folds
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions
from slidemitosis.train.nested import calibrate_ensemble, domain_path, outer_path, train_nested
from slidemitosis.train.run import Run, train_folds
from tests.train.small_runs import LEARNING, drawn_data, small_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ModelCard]:
    data = [drawn_data(48, test=0)]
    run = replace(small_run(tmp_path_factory.mktemp("nested") / "run", *LEARNING, data=data), views=(1,))
    train_folds(run)
    card = train_nested(run)
    assert card is not None
    return run, card


def test_every_figure_is_scored_by_networks_that_saw_nothing_of_its_slide(
    nested: tuple[Run, ModelCard],
) -> None:
    run, _ = nested
    scored_names: list[str] = []
    for k, (_, outside) in enumerate(folds(run.training, run.recipe.split)):
        scored = read_predictions(outer_path(run.out, k, 1))
        assert scored.names == tuple(run.training.names[i] for i in outside)
        scored_names += scored.names
        folder = run.out / "nested" / f"fold-{k}"
        seen = (folder / "training-figures.csv").read_text().splitlines()[1:]
        assert not {line.split(",")[1] for line in seen} & set(scored.slides)
        members = [read_card(folder / f"fold-{i}") for i in range(run.recipe.split.folds)]
        assert [n.sha256 for n in read_card(folder / "ensemble").networks] == [
            n.sha256 for m in members for n in m.networks
        ]
    assert sorted(scored_names) == sorted(run.training.names)


def test_the_ensemble_says_by_what_it_is_calibrated(nested: tuple[Run, ModelCard]) -> None:
    run, card = nested
    assert read_card(run.out / "ensemble") == card
    (part,) = card.calibrations
    assert part.protocol.startswith("nested, 2 of 2 folds by slide: 48 figures")
    assert (part.views, part.figures) == (1, 48)
    joined = np.concatenate([read_predictions(outer_path(run.out, k, 1)).atypical for k in (0, 1)])
    assert part.counting.tp + part.counting.fn == joined.sum()


def test_what_is_done_is_not_done_again(
    nested: tuple[Run, ModelCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was trained")

    run, card = nested
    monkeypatch.setattr("slidemitosis.train.run.train_network", never)
    assert train_nested(run) == card


def test_a_training_without_nested_keeps_what_nested_training_has_shown(
    nested: tuple[Run, ModelCard],
) -> None:
    run, card = nested
    train_folds(run)
    assert read_card(run.out / "ensemble").calibrations == ()
    assert calibrate_ensemble(run) == card
    assert read_card(run.out / "ensemble") == card


def test_the_ensembles_thresholds_are_their_own_and_change_nothing(nested: tuple[Run, ModelCard]) -> None:
    run, card = nested
    path = outer_path(run.out, 0, 1)
    scored = read_predictions(path)
    for threshold in (0.2, scored.threshold):
        write_predictions(replace(scored, threshold=threshold), path)
        assert calibrate_ensemble(run) == card


def test_domains_that_are_left_out_tell_how_far_a_new_one_may_be_off(nested: tuple[Run, ModelCard]) -> None:
    run, card = nested
    names = sorted(set(run.training.domains))
    assert len(names) > 1
    for name in names:
        scored = read_predictions(domain_path(run.out, name))
        assert set(scored.domains) == {name}
    (part,) = card.calibrations
    assert part.spread is None or part.spread.domain_sd >= 0


def test_without_an_ensemble_the_folds_are_scored_and_nothing_is_calibrated(tmp_path: Path) -> None:
    run = replace(small_run(tmp_path / "run", *LEARNING, data=[drawn_data(48, test=0)]), views=(1,))
    assert train_nested(run, only=[0]) is None
    assert outer_path(run.out, 0, 1).exists()
    assert not outer_path(run.out, 1, 1).exists()
