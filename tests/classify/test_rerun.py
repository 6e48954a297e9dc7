"""A run is repeated from its summary alone, and what differs is named."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from slidemitosis import ComputeOptions, classify_slide
from slidemitosis.classify.rerun import rerun
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import InvalidOption
from slidemitosis.models.shipped import shipped_models
from slidemitosis.options import RateOptions, ReadOptions
from slidemitosis.review.answers import Answer, Shown, append_answer
from tests.command import refused, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run with many options, and beside them its slide and candidates."""
    place = tmp_path_factory.mktemp("rerun")
    phantom = draw_phantom(width=1000, height=800, figures=14, seed=5)
    write_slide(phantom, place / "drawn.svs")
    write_candidates(phantom, place / "drawn.geojson")
    result = classify_slide(
        place / "drawn.svs",
        place / "drawn.geojson",
        model="lite0",
        read=ReadOptions(reader="openslide", keep_duplicates=True),
        rates=RateOptions(abstain=(0.1, 0.6), cutoff=0.2, tissue=True, tumour="human breast cancer"),
        compute=ComputeOptions(workers=0, views=8, operating_point="balanced"),
    )
    result.write(place / "results")
    return place / "results"


@pytest.fixture
def results(first: Path, tmp_path: Path) -> Path:
    return shutil.copytree(first, tmp_path / "results")


def test_the_same_options_give_the_same_again(results: Path) -> None:
    done = run("rerun", results / "summary.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("same        P, call and status of all 14 figures")
    assert len(done.stdout.splitlines()) == 1


def test_answers_given_since_are_told_and_change_no_call(results: Path) -> None:
    rows = (results / "candidates.csv").read_text().splitlines()
    figure = rows[1].split(",")[1]
    append_answer(results, Answer(figure, "anna", "none", "", "doubt"), Shown("drawn.svs", 0, 0, None))
    found = rerun(results)
    assert (found.probabilities, found.calls) == (0, 0)
    assert [key for key, _, _ in found.keys] == ["review"]


def test_what_differs_is_named_with_code_3(results: Path) -> None:
    table = results / "candidates.csv"
    header, row, *rest = table.read_text().splitlines(keepends=True)
    cells = row.split(",")
    place = header.split(",").index("p_atypical")
    cells[place] = f"{float(cells[place]) + 0.01:.6f}"
    table.write_text("".join([header, ",".join(cells), *rest]))
    path = results / "summary.json"
    summary = json.loads(path.read_text())
    summary["counts"]["atypical"] += 1
    summary["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(summary))
    done = run("rerun", results)
    assert done.returncode == 3
    told = done.stdout.splitlines()
    assert told[0] == "differs     P of 1 of 14 figures, by 0.010000 at most"
    assert told[1].startswith("differs     counts: ")
    assert told[2].startswith("version     numpy 1.0 -> ")


def test_a_figure_that_is_gone_or_new_differs(results: Path) -> None:
    table = results / "candidates.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    found = rerun(results)
    assert (found.figures, found.probabilities, found.calls, found.largest) == (13, 1, 1, 1.0)


def test_a_slide_that_has_moved_is_named_and_another_one_refused(results: Path, first: Path) -> None:
    moved = results / "elsewhere.svs"
    shutil.copyfile(first.parent / "drawn.svs", moved)
    assert rerun(results, slide=moved).same
    write_slide(draw_phantom(width=1000, height=800, figures=14, seed=6), moved)
    with pytest.raises(InvalidOption, match=r"elsewhere.svs: another slide than that of the run"):
        rerun(results, slide=moved)


def test_other_weights_are_refused_and_a_models_folder_may_be_named(results: Path) -> None:
    with pytest.raises(InvalidOption, match="not the weights of the run, which had lite0"):
        rerun(results, model="lite0-ensemble")
    folder = shutil.copytree(shipped_models() / "lite0", results / "mine")
    assert rerun(results, model=folder).same


def test_a_run_of_any_card_is_run_again_on_this_machines(results: Path) -> None:
    """Of several cards a cohort gives a slide any, which is no property of its result."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    path = results / "summary.json"
    summary = json.loads(path.read_text())
    summary["options"] |= {"device": "cuda:7", "engine": "torch"}
    path.write_text(json.dumps(summary))
    with pytest.raises(InvalidOption, match="device 'cuda': 0 CUDA devices were found"):
        rerun(results)


def test_a_folder_without_results_and_options_of_another_version_are_one_line(
    results: Path, tmp_path: Path
) -> None:
    assert "summary.json: cannot be read" in refused("rerun", tmp_path)
    path = results / "summary.json"
    summary = json.loads(path.read_text())
    summary["options"]["views"] = "eight"
    path.write_text(json.dumps(summary))
    assert "its options are not those of this version: 'views'" in refused("rerun", results)
