"""Figures that a model saw: they are recognised by pixels and by slides, and no others are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.models.shipped import find_model, list_models
from slidemitosis.train.data.read import read_data
from slidemitosis.train.data.seen import Seen, check_seen, read_seen, seen_of, write_seen, write_short
from slidemitosis.train.paths import seen_path
from tests.conftest import needs_shared
from tests.train.drawn import drawn_figures, read_rows
from tests.train.small_runs import of_other_slides

if TYPE_CHECKING:
    from pathlib import Path

SEEN_FIGURES = drawn_figures(12, side=16)
OTHERS = of_other_slides(drawn_figures(9, seed=1, side=16))


def without_slides(n: int) -> tuple[str, ...]:
    return ("",) * n


def test_the_list_of_a_run_and_that_of_a_model_are_read_alike(tmp_path: Path) -> None:
    figures = replace(SEEN_FIGURES, slides=('a, "b".svs', "ä\n.svs", *SEEN_FIGURES.slides[2:-1], ""))
    write_seen(figures, tmp_path / "run.csv")
    write_short(seen_of(figures), tmp_path / "model.csv")
    assert read_seen(tmp_path / "run.csv") == read_seen(tmp_path / "model.csv") == seen_of(figures)
    rows = read_rows(tmp_path / "run.csv")
    assert [r["figure"] for r in rows] == list(figures.names)
    assert {len(r["sha256"]) for r in rows} == {64}
    assert {tuple(r) for r in read_rows(tmp_path / "model.csv")} == {("slide", "sha256")}


@pytest.mark.parametrize("kind", ["run", "model"])
def test_the_same_pixels_are_recognised_under_another_name_and_without_a_slide(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "list.csv"
    write_seen(SEEN_FIGURES, path) if kind == "run" else write_short(seen_of(SEEN_FIGURES), path)
    hidden = replace(
        SEEN_FIGURES, names=tuple(f"new-{i}.png" for i in range(12)), slides=without_slides(12)
    ).take([3, 5])
    pixels = np.concatenate([OTHERS.pixels[:1], hidden.pixels])
    mixed = replace(OTHERS.take([0, 1, 2]), pixels=pixels, slides=without_slides(3))
    (note,) = check_seen([("mine", read_seen(path))], {"a set": mixed}, allow=True)
    assert "mine saw 2 of the 3 figures of a set in training" in note
    assert "(2 have the same pixels)" in note


def test_a_figure_that_was_encoded_again_is_recognised_by_its_slide() -> None:
    changed = SEEN_FIGURES.pixels ^ np.uint8(1)
    (note,) = check_seen(
        [("mine", seen_of(SEEN_FIGURES))], {"a": replace(SEEN_FIGURES, pixels=changed)}, allow=True
    )
    assert "mine saw 12 of the 12 figures of a" in note
    assert "(0 have the same pixels)" in note


def test_unseen_figures_pass_also_where_no_slide_is_known() -> None:
    seen = seen_of(replace(SEEN_FIGURES, slides=without_slides(12)))
    for figures in (OTHERS, replace(OTHERS, slides=without_slides(9))):
        assert check_seen([("mine", seen)], {"a": figures}, allow=False) == []


def test_a_refusal_names_models_sets_and_numbers_in_one_line() -> None:
    both, one = seen_of(SEEN_FIGURES), seen_of(SEEN_FIGURES.take([0]))
    sets = {"a": SEEN_FIGURES.take([1, 2, 3]), "b": OTHERS, "c": SEEN_FIGURES.take([0])}
    with pytest.raises(InvalidOption) as caught:
        check_seen([("x", both), ("y", both), ("z", one)], sets, allow=False)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith("Leave them out; --allow-leaks scores them all the same")
    assert re.findall(r"(\S+(?:, \S+)*) saw (\d+) of the (\d+) figures of (\S+)", said) == [
        ("x, y", "3", "3", "a"),
        ("x, y", "1", "1", "c"),
        ("z", "1", "1", "c"),
    ]


DAMAGE = {
    "another table": (b"figure,logit\na,1\n", "no column 'slide'"),
    "no header": (b"", "it names no figure"),
    "no row": (b"slide,sha256\n", "it names no figure"),
    "a cut row": (b"slide,sha256\na.svs,0123456789abcdef\nb.svs,0123456\n", "row 3 has '0123456'"),
    "a row without a hash": (b"slide,sha256\na.svs\n", "row 2 has ''"),
    "a hash of other letters": (b"slide,sha256\na.svs,0123456789ABCDEF\n", "row 2 has"),
    "bytes": (b"\x89PNG\r\n\x1a\n\x00\xff", "decode"),
    "an open quote": (b'slide,sha256\n"a.svs,0123456789abcdef\n', "unexpected end of data"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_list_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    data, said = DAMAGE[damage]
    path = tmp_path / "training-figures.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidOption, match=re.escape(said)) as caught:
        read_seen(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: cannot be read as a list of training figures")
    assert "\n" not in text


def test_a_models_own_list_comes_before_its_runs(tmp_path: Path) -> None:
    model, run = tmp_path / "run" / "fold-0", tmp_path / "run"
    model.mkdir(parents=True)
    assert seen_path(model) is None
    write_seen(OTHERS, run / "training-figures.csv")
    assert seen_path(model) == run / "training-figures.csv"
    write_short(seen_of(SEEN_FIGURES), model / "training-figures.csv")
    assert seen_path(model) == model / "training-figures.csv"


def shipped(name: str) -> Seen:
    path = seen_path(find_model(name).folder)
    assert path is not None
    assert path.parent.name == name
    return read_seen(path)


SHIPPED = [card.name for card in list_models()]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_its_own_short_list(name: str) -> None:
    folder = find_model(name).folder
    assert len(shipped(name).rows) > 0
    assert (folder / "training-figures.csv").stat().st_size < 120_000


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_refused_on_what_it_was_trained_on_and_not_on_test_figures(name: str) -> None:
    data = read_data("ami-br", needs_shared("data", "ami-br"))
    seen = [(name, shipped(name))]
    with pytest.raises(
        InvalidOption, match=rf"^{name} saw 2894 of the 2894 figures of AMi-Br .*--allow-leaks"
    ):
        check_seen(seen, {"AMi-Br": data.training}, allow=False)
    # Of the patches alone, as in folders, slides are not known.
    bare = replace(data.training, slides=without_slides(len(data.training)))
    with pytest.raises(InvalidOption, match=r"saw 2894 of the 2894 .*2894 have the same pixels"):
        check_seen(seen, {"AMi-Br": bare}, allow=False)
    assert data.test is not None
    assert check_seen(seen, {"AMi-Br test": data.test}, allow=False) == []
    others = read_data("atnorm-md", needs_shared("data", "atnorm-md-dev"))
    assert check_seen(seen, {"AtNorM-MD": others.training}, allow=False) == []
