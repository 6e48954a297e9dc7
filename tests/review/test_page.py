"""The page of a review in a real browser."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.browser import serious_findings
from tests.conftest import position_colours
from tests.review.review_server import (
    CENTRES,
    SIDE,
    Review,
    copied,
    figure_at,
    make_results,
    reviewing,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Page

KEY = {"AMF": "a", "NMF": "n", "none": "x", "unsure": "u"}
SHOWN = "#figure:not(.waiting, [hidden])[data-figure]"
"""A figure whose pictures can be seen."""
TROUBLE = "#trouble:not([hidden])"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert not complaints


def opened(page: Page, review: Review) -> None:
    page.goto(review.url)
    page.wait_for_selector(SHOWN)


def press(page: Page, key: str) -> None:
    """Press a key that leads to another figure, and wait until that is shown, or the end."""
    before = page.text_content("#title")
    page.keyboard.press(key)
    page.wait_for_function("before => document.getElementById('title').textContent !== before", arg=before)
    page.wait_for_selector(f"{SHOWN}, #end:not([hidden])")


def pixels(page: Page, view: str) -> NDArray[np.uint8]:
    """The pixels of the picture that is shown, RGB."""
    code = """view => {
        const image = document.querySelector(`#${view} img`);
        const canvas = document.createElement('canvas');
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        let text = ''; for (const value of data) text += String.fromCharCode(value);
        return [canvas.height, canvas.width, btoa(text)];
    }"""
    import base64

    height, width, text = page.evaluate(code, view)
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    return data.reshape(height, width, 4)[..., :3]


def place_shown(page: Page) -> tuple[int, int]:
    """Where the centre of the close picture lies, level-0 px, by its colour."""
    red, green, blue = map(int, pixels(page, "close")[80, 80])
    return (blue >> 4) << 8 | red, (blue & 15) << 8 | green


def due(x: float, y: float) -> str:
    """The answer that is due to the figure at a place, so that one to another figure is seen."""
    return ("AMF", "NMF", "NMF", "none", "unsure")[(int(x) * 7 + int(y)) % 5]


def words_by_place(results: Path) -> dict[tuple[float, float], str]:
    """The latest answer in `review.csv` for each figure's place."""
    places = figure_at(results)
    return {places[row["figure"]]: row["answer"] for row in rows(results)}


@pytest.mark.slow
def test_keys_alone_end_in_the_right_table_and_each_picture_is_the_right_one(
    page: Page, results: Path
) -> None:
    slide = position_colours(SIDE, SIDE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with reviewing(results, "--reader", "anna") as review:
        opened(page, review)
        for done in range(30):
            x, y = place_shown(page)
            assert (x, y) in {(int(cx), int(cy)) for cx, cy in CENTRES}
            for view, half in (("close", 80), ("wide", 400)):
                left, top = max(x - half, 0), max(y - half, 0)
                expected = slide[top : y + half, left : x + half]
                shown = pixels(page, view)[top - y + half :, left - x + half :]
                np.testing.assert_array_equal(shown[: expected.shape[0], : expected.shape[1]], expected)
            assert len(rows(results)) == done
            press(page, KEY[due(x, y)])
            assert len(rows(results)) == done + 1
        assert page.is_visible("#end")
        assert page.evaluate("document.activeElement.id") == "end-title"
        while page.evaluate("document.activeElement.id") != "finish":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#over:not([hidden])")
        assert review.process.wait(timeout=60) == 0
        said = review.process.stdout.read() if review.process.stdout else ""
    assert words_by_place(results) == {(x, y): due(x, y) for x, y in figure_at(results).values()}
    assert {(row["reader"], row["reason"]) for row in rows(results)} == {("anna", "doubt")}
    assert "reviewed 30 of 30" in said
    assert all(url.startswith(review.url) for url in asked)


def test_undo_next_and_previous_work_and_a_later_answer_replaces_an_earlier_one(
    page: Page, results: Path
) -> None:
    with reviewing(results, "--order", "all") as review:
        opened(page, review)
        first = place_shown(page)
        press(page, "a")
        second = place_shown(page)
        press(page, "n")
        press(page, "z")
        assert place_shown(page) == second
        assert words_by_place(results)[second] == ""
        press(page, "ArrowLeft")
        assert place_shown(page) == first
        assert page.get_attribute("[data-answer=AMF]", "aria-pressed") == "true"
        press(page, "x")
        assert place_shown(page) == second
        press(page, "Backspace")
        assert place_shown(page) == first
        assert words_by_place(results) == {first: "AMF", second: ""}
        press(page, "ArrowRight")
        press(page, "ArrowRight")
        assert page.text_content("#title") == "Figure 3 of 30"
        press(page, "u")
        assert page.text_content("#title") == "Figure 4 of 30"
        assert "reviewed 2 of 30: 1 atypical, 1 unsure" in (page.text_content("#line") or "")


def test_what_was_passed_over_comes_again_before_the_end(page: Page, results: Path) -> None:
    with reviewing(results, "--order", "random", "--sample", "3", "--seed", "5") as review:
        opened(page, review)
        press(page, "ArrowRight")
        press(page, "a")
        press(page, "a")
        assert page.text_content("#title") == "Figure 1 of 3"
        press(page, "n")
        assert page.is_visible("#end")
    assert {row["reason"] for row in rows(results)} == {"random"}


@pytest.mark.slow
def test_killing_the_process_loses_nothing_and_the_review_goes_on_there(page: Page, results: Path) -> None:
    with reviewing(results, "--reader", "anna") as review:
        opened(page, review)
        for _ in range(11):
            press(page, KEY[due(*place_shown(page))])
        next_one = place_shown(page)
        os.kill(review.process.pid, signal.SIGKILL)
        review.process.wait()
        page.keyboard.press("a")
        page.wait_for_selector(TROUBLE)
        assert page.text_content("#title") == "Figure 12 of 30"
    assert len(rows(results)) == 11
    with reviewing(results, "--reader", "anna") as review:
        opened(page, review)
        assert place_shown(page) == next_one
        while page.is_hidden("#end"):
            press(page, KEY[due(*place_shown(page))])
    assert words_by_place(results) == {(x, y): due(x, y) for x, y in figure_at(results).values()}


def test_a_kill_amid_fast_answers_leaves_what_was_shown_as_answered(page: Page, results: Path) -> None:
    with reviewing(results) as review:
        opened(page, review)
        page.evaluate(
            "setInterval(() => document.dispatchEvent(new KeyboardEvent('keydown', {key: 'a'})), 1)"
        )
        page.wait_for_function("() => document.getElementById('progress').value >= 8")
        os.kill(review.process.pid, signal.SIGKILL)
        review.process.wait()
        page.wait_for_selector(TROUBLE)
        told = page.evaluate("document.getElementById('progress').value")
    # One more may be on the disk: the process was killed before it could say so.
    assert len(rows(results)) - told in (0, 1)


def test_closing_the_page_loses_nothing(browser: Browser, results: Path) -> None:
    with reviewing(results) as review:
        page = browser.new_page()
        opened(page, review)
        for _ in range(3):
            press(page, "n")
        page.close()
        page = browser.new_page()
        opened(page, review)
        assert page.text_content("#title") == "Figure 4 of 30"
        page.close()
    assert [row["answer"] for row in rows(results)] == ["NMF"] * 3


def test_no_figure_is_answered_before_it_can_be_seen(page: Page, results: Path) -> None:
    with reviewing(results) as review:
        held: list[Any] = []
        page.route("**/wide", lambda route: held.append(route))  # noqa: PLW0108 - a method takes no marks
        page.goto(review.url)
        page.wait_for_function("() => document.getElementById('title').textContent === 'Figure 1 of 30'")
        page.keyboard.press("a")
        page.wait_for_timeout(300)
        assert rows(results) == []
        for route in held:
            route.continue_()
        page.unroute("**/wide")
        page.wait_for_selector(SHOWN)
        press(page, "a")
    assert len(rows(results)) == 1


def test_a_key_that_is_held_down_answers_once(page: Page, results: Path) -> None:
    with reviewing(results) as review:
        opened(page, review)
        page.keyboard.down("n")
        page.wait_for_function("() => document.getElementById('title').textContent === 'Figure 2 of 30'")
        page.wait_for_selector(SHOWN)
        for _ in range(5):
            page.keyboard.down("n")
        page.wait_for_timeout(300)
        page.keyboard.up("n")
    assert len(rows(results)) == 1


def test_html_in_names_is_shown_and_not_run(page: Page, tmp_path: Path) -> None:
    results = make_results(tmp_path, "<img src=x onerror=alert(1)>&.svs")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    with reviewing(results, "--reader", "<script>alert(2)</script>") as review:
        opened(page, review)
        told = page.text_content("#slide") or ""
        assert "<img src=x onerror=alert(1)>&.svs" in told
        assert "<script>alert(2)</script>" in told
        assert page.locator("#slide *").count() == 0
    assert dialogs == []


def test_two_blind_readers_see_their_agreement_only_at_the_end(
    page: Page, classified: Path, tmp_path: Path
) -> None:
    results = copied(classified, tmp_path)
    with reviewing(results, "--reader", "anna", "--blind") as review:
        for number in range(30):
            review.post("answer", {"figure": number, "answer": "AMF" if number % 3 else "NMF"})
    with reviewing(results, "--reader", "ben", "--blind") as review:
        opened(page, review)
        assert "hidden" in (page.text_content("#model") or "")
        for number in range(30):
            assert page.is_hidden("#readers")
            press(page, "a" if number % 2 else "n")
        page.wait_for_selector("#readers:not([hidden])")
        # 5 both NMF, 10 both AMF: (.5 - .5) / (1 - .5).
        assert page.text_content("#agreement") == "'anna' and 'ben': the same answer to 15 of 30, kappa 0.00"
        assert page.locator("#apart li").count() == 15
        assert serious_findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, results: Path, scheme: Any) -> None:
    with reviewing(results, "--order", "random", "--sample", "2") as review:
        page = browser.new_page(color_scheme=scheme)
        opened(page, review)
        press(page, "u")
        assert serious_findings(page) == []
        page.keyboard.press("?")
        page.wait_for_selector("#keys[open]")
        assert serious_findings(page) == []
        page.keyboard.press("Escape")
        press(page, "a")
        assert serious_findings(page) == []
        page.click("#finish")
        page.wait_for_selector("#over:not([hidden])")
        assert serious_findings(page) == []
        page.close()


def test_each_control_shows_that_it_has_the_focus(page: Page, results: Path) -> None:
    with reviewing(results, "--order", "all") as review:
        opened(page, review)
        press(page, "a")
        seen = set()
        for _ in range(12):
            page.keyboard.press("Tab")
            told = page.evaluate(
                "() => { const e = document.activeElement, s = getComputedStyle(e);"
                " const name = e.id || e.dataset.answer || e.tagName;"
                " return [name, s.outlineStyle, parseFloat(s.outlineWidth)]; }"
            )
            if told[0] != "BODY":
                assert told[1:] == ["solid", 3], told
            seen.add(told[0])
    assert {"help", "AMF", "NMF", "none", "unsure", "undo", "previous", "next"} <= seen


def test_a_figure_that_cannot_be_read_is_said_and_the_others_go_on(page: Page, results: Path) -> None:
    with reviewing(results, "--order", "all") as review:
        page.route("**/1/*", lambda route: route.fulfill(status=500, body="tile (3, 4) is damaged"))
        opened(page, review)
        page.keyboard.press("a")
        page.wait_for_selector(TROUBLE)
        assert "tile (3, 4) is damaged" in (page.text_content("#trouble") or "")
        page.keyboard.press("a")
        press(page, "ArrowRight")
        assert page.is_hidden("#trouble")
        press(page, "n")
    assert [row["answer"] for row in rows(results)] == ["AMF", "NMF"]
