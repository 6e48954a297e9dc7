"""Which figures a review shows, where it reads them, what it says at the end."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.geometry import Level, PixelSize
from slidemitosis.rates.reviewed import ReviewedFigure, review_rate
from slidemitosis.review.agreement import agreements, cohens_kappa
from slidemitosis.review.order import doubt, shown_figures
from slidemitosis.review.pictures import VIEWS, Pictures, View, place_square
from slidemitosis.review.session import progress_line
from slidemitosis.review.slides import read_results
from tests.command import refused, run
from tests.conftest import position_colours, write_aperio
from tests.review.review_server import MPP, SIDE, copied, reviewing, rows

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.labels import Reason, Word

WORDS = ("AMF", "NMF", "none")


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    ours = cohens_kappa(pairs)
    if ours is None:
        assert len({word for pair in pairs for word in pair}) == 1
        return
    theirs = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs])
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_unsure_answers_do_not_enter_the_agreement_and_are_counted() -> None:
    (pair,) = agreements(
        {
            "ben": {"1": "AMF", "2": "NMF", "3": "unsure", "5": "AMF"},
            "anna": {"1": "AMF", "2": "AMF", "3": "NMF", "4": "AMF"},
        }
    )
    assert (pair.readers, pair.figures, pair.same, pair.unsure) == (("anna", "ben"), 2, 1, 1)
    assert pair.apart == ("2",)
    assert pair.kappa == 0


def test_two_readers_see_scikit_learns_kappa_when_the_review_ends(classified: Path, tmp_path: Path) -> None:
    from sklearn.metrics import cohen_kappa_score

    results = copied(classified, tmp_path)
    draw = random.Random(3)
    said: dict[str, list[Word]] = {"anna": [], "ben": []}
    for reader, words in said.items():
        with reviewing(results, "--reader", reader, "--blind") as review:
            for number in range(30):
                same = reader == "ben" and draw.random() < 0.7
                words.append(said["anna"][number] if same else draw.choice(("AMF", "NMF", "none")))
                review.post("answer", {"figure": number, "answer": words[-1]})
            out = review.finish()
    assert f"kappa {cohen_kappa_score(said['anna'], said['ben']):.2f}" in out
    assert Counter(row["reader"] for row in rows(results)) == {"anna": 30, "ben": 30}


def test_the_doubtful_come_first(results: Path) -> None:
    (slide,) = read_results(results)
    shown = [
        doubt(figure, slide.threshold) for _, figure in shown_figures([slide], "doubt", sample=1, seed=0)
    ]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 30


def test_a_sample_is_random_the_same_for_a_seed_and_begins_with_the_smaller_one(results: Path) -> None:
    slides = read_results(results)
    small, large = (shown_figures(slides, "random", sample=n, seed=1) for n in (5, 12))
    assert large[:5] == small
    assert len({figure.id for _, figure in large}) == 12
    assert shown_figures(slides, "random", sample=5, seed=2) != small
    drawn = Counter(
        figure.id for seed in range(600) for _, figure in shown_figures(slides, "random", sample=6, seed=seed)
    )
    # 600 times 6 of 30: each figure 120 times, with a standard deviation below 10.
    assert len(drawn) == 30
    assert max(abs(n - 120) for n in drawn.values()) < 45


def test_figures_that_were_looked_for_are_asked_again_in_a_random_sample(results: Path) -> None:
    with reviewing(results, "--order", "doubt") as review:
        for number in range(30):
            review.post("answer", {"figure": number, "answer": "AMF"})
    with reviewing(results, "--order", "random", "--sample", "4") as review:
        assert review.get("session")["answers"] == [None] * 4
        review.post("answer", {"figure": 0, "answer": "NMF"})
    with reviewing(results, "--order", "random", "--sample", "4") as review:
        assert review.get("session")["answers"] == ["NMF", None, None, None]
    with reviewing(results, "--order", "all") as review:
        assert None not in review.get("session")["answers"]


def test_each_reader_sees_the_answers_of_no_other(results: Path) -> None:
    with reviewing(results, "--reader", "anna") as review:
        review.post("answer", {"figure": 3, "answer": "AMF"})
    with reviewing(results, "--reader", "ben") as review:
        assert review.get("session")["answers"] == [None] * 30


@pytest.mark.parametrize(
    ("answers", "reason", "line"),
    [
        ([None] * 5, "all", "reviewed 0 of 5: 0 atypical"),
        (["none", None], "all", "reviewed 1 of 2: 0 atypical, 1 no mitosis"),
        (
            ["AMF", "NMF", None],
            "doubt",
            "reviewed 2 of 3: 1 atypical, 1 normal; no rate yet: neither all nor a random sample",
        ),
        (
            ["AMF", "NMF", None],
            "random",
            "reviewed 2 of 3: 1 atypical, 1 normal; 50 % of the mitoses (no interval from fewer than 10)",
        ),
        (["AMF", "NMF", "NMF"], "doubt", "reviewed 3 of 3: 1 atypical, 2 normal; 33 % of the mitoses"),
    ],
)
def test_the_line_says_how_far_it_is_and_what_was_found(
    answers: list[Word | None], reason: Reason, line: str
) -> None:
    figures = [ReviewedFigure(0.2, word, reason if word else None) for word in answers]
    assert progress_line(answers, review_rate(figures)) == line


def test_the_line_has_the_interval_that_is_counted_later(results: Path) -> None:
    words = ["AMF"] * 5 + ["NMF"] * 12 + ["none", "unsure"]
    with reviewing(results, "--order", "random", "--sample", "25") as review:
        for number, word in enumerate(words):
            line = review.post("answer", {"figure": number, "answer": word})["line"]
    start, interval = line.split("; ")
    assert start == "reviewed 19 of 25: 5 atypical, 12 normal, 1 no mitosis, 1 unsure"
    assert interval.startswith("29 % of the mitoses (95 % interval ")
    counted = run("count", results).stdout
    assert f"fraction {interval.replace(' of the mitoses', '')} by the answers alone" in counted


LEVELS = (Level(40_000, 30_000, 1.0), Level(10_000, 7_500, 4.0), Level(2_500, 1_875, 16.0))


def test_a_picture_is_read_from_the_coarsest_level_that_is_fine_enough() -> None:
    wide = place_square(10_000, 8_000, View("wide", 1000.0), LEVELS, PixelSize(0.25, 0.25))
    assert (wide.level, wide.x, wide.y, wide.width, wide.height) == (1, 2000, 1500, 1000, 1000)
    close = place_square(10_000, 8_000, View("close", 50.0), LEVELS, PixelSize(0.25, 0.25))
    assert (close.level, close.x, close.y, close.width, close.height) == (0, 9900, 7900, 200, 200)


@given(
    st.floats(0, 40_000),
    st.floats(0, 30_000),
    st.sampled_from(VIEWS),
    st.floats(0.1, 1.1),
    st.floats(0.1, 1.1),
)
def test_a_picture_is_centred_on_its_figure_within_a_pixel(
    x: float, y: float, view: View, mpp_x: float, mpp_y: float
) -> None:
    square = place_square(x, y, view, LEVELS, PixelSize(mpp_x, mpp_y))
    scale = LEVELS[square.level].downsample
    assert abs((square.x + square.width / 2) * scale - x) <= scale
    assert abs((square.y + square.height / 2) * scale - y) <= scale
    assert square.width * scale * mpp_x == pytest.approx(view.side, abs=scale * mpp_x)


def test_a_large_picture_is_sent_smaller_and_shows_the_same(tmp_path: Path, results: Path) -> None:
    import io

    from PIL import Image

    (slide,) = read_results(results)
    figure = slide.figures[0]
    with Pictures() as pictures:
        png = pictures.png(slide, figure, View("huge", 2000 * MPP))
    shown = np.asarray(Image.open(io.BytesIO(png)))
    assert shown.shape == (800, 800, 3)
    left, top = round(figure.x) - 1000, round(figure.y) - 1000
    inside = position_colours(SIDE, SIDE)[max(0, top) : top + 2000, max(0, left) : left + 2000]
    expected = Image.new("RGB", (2000, 2000), (255, 255, 255))
    expected.paste(Image.fromarray(inside), (max(0, -left), max(0, -top)))
    small = np.asarray(expected.resize((800, 800), Image.Resampling.LANCZOS))
    assert np.abs(shown.astype(int) - small).mean() < 1


def test_a_slide_that_has_moved_is_found_and_another_is_refused(classified: Path, tmp_path: Path) -> None:
    results = copied(classified, tmp_path)
    summary = json.loads((results / "summary.json").read_text())
    before = summary["slide"]["path"]
    summary["slide"]["path"] = str(tmp_path / "gone" / "colours.svs")
    (results / "summary.json").write_text(json.dumps(summary))
    assert "say where it is by --slide FILE" in refused("review", results, "--no-browser")
    with reviewing(results, "--slide", before) as review:
        assert review.request("GET", f"/{review.token}/0/close")[0] == 200
    (tmp_path / "new").mkdir()
    shutil.copy(before, tmp_path / "new")
    with reviewing(results, "--search", str(tmp_path / "new")) as review:
        assert review.request("GET", f"/{review.token}/0/close")[0] == 200
    other = write_aperio(tmp_path / "other.svs", [position_colours(640, 512)])
    told = refused("review", results, "--no-browser", "--slide", other)
    assert "is another slide, of 640 x 512 px; that of the results has 2048 x 2048 px" in told


def test_a_cohort_is_reviewed_slide_by_slide_into_each_slides_folder(
    classified: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(classified, tmp_path / "cohort" / "slides" / name)
    with reviewing(tmp_path / "cohort", "--order", "all") as review:
        assert len(review.get("session")["figures"]) == 60
        review.post("answer", {"figure": 29, "answer": "AMF"})
        review.post("answer", {"figure": 30, "answer": "NMF"})
        assert "reviewed 2 of 60" in review.finish()
    with reviewing(tmp_path / "cohort", "--order", "random", "--sample", "7") as review:
        told = review.get("session")["figures"]
    assert [figure["slide"] for figure in told] == [0] * 7 + [1] * 7
    assert [row["answer"] for row in rows(tmp_path / "cohort/slides/a")] == ["AMF"]
    assert [row["answer"] for row in rows(tmp_path / "cohort/slides/b")] == ["NMF"]


def test_ctrl_c_ends_a_review_well_and_says_what_is_written(results: Path) -> None:
    with reviewing(results) as review:
        review.post("answer", {"figure": 0, "answer": "AMF"})
        review.process.send_signal(signal.SIGINT)
        out, err = review.process.communicate(timeout=60)
        assert review.process.returncode == 0, err
    assert "reviewed 1 of 30" in out
    assert str(results / "review.csv") in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--order", "random", "--sample", "0"), "--sample must be at least 1"),
        (("--sample", "20"), "--sample is for a random sample; add --order random"),
        (("--reader", "a\nb"), "--reader"),
        (("--port", "99999"), "--port 99999: cannot be used"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(results: Path, words: tuple[str, ...], told: str) -> None:
    assert told in refused("review", results, "--no-browser", *words)


def test_a_folder_without_results_and_damaged_results_are_one_line(results: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no summary.json in it" in refused("review", tmp_path / "empty", "--no-browser")
    (results / "candidates.csv").write_text("id,x\n1,2\n")
    assert "has no column 'object_id'" in refused("review", results, "--no-browser")
