"""The page of a cohort, as it is written and in a real browser."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import pytest

from slidemitosis.report.cohort_page import cohort_html
from tests.browser import serious_findings
from tests.cohort.cohort_slides import MODEL, paint_slides, rows
from tests.command import run
from tests.report.test_slide_page import opened

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

STRANGE = "c <b id=run>50%25#?&"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three slides that are done, one with a name like markup and an address, and one that is cut off."""
    folder = paint_slides(tmp_path_factory.mktemp("cohort") / "slides", ["a", "b", STRANGE, "d"], figures=12)
    data = (folder / "d.svs").read_bytes()
    (folder / "d.svs").write_bytes(data[:2000])
    lines = ["slide,points,patient", "a.svs,a.geojson,P1", "b.svs,b.geojson,P1"]
    lines += [f'"{STRANGE}.svs","{STRANGE}.geojson",<i>P2</i>', "d.svs,d.geojson,P3"]
    (folder / "list.csv").write_text("\n".join(lines))
    out = folder.parent / "results"
    done = run("cohort", folder / "list.csv", "--out", out, *MODEL, "--workers", "0")
    assert done.returncode == 3, done.stderr
    return out


def names(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#table tbody tr')].filter(r => !r.hidden).map(r => r.dataset.name)"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_without_a_request_or_complaint_and_fits(
    out: Path, browser: Browser, width: int, scheme: str
) -> None:
    view = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page, told = opened(browser, out / "cohort.html", **view)
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious_findings(page) == []
    page.context.close()


def test_its_own_script_runs_under_its_own_policy(out: Path, browser: Browser) -> None:
    page = browser.new_page()  # without the policy bypassed
    page.goto((out / "cohort.html").as_uri())
    page.fill("#find", "cut off")
    assert names(page) == ["d"]
    page.close()


def test_failures_stand_first_with_their_cause_and_markup_is_text(out: Path, browser: Browser) -> None:
    page, _ = opened(browser, out / "cohort.html")
    assert names(page) == ["d", "a", "b", "c_b_id=run_50_25"]  # a folder's name, made of the slide's
    assert "cut off" in page.inner_text("#table tbody tr:first-child")
    assert page.query_selector("#run, td i:not(.mark):not(.narrow):not(.wide)") is None
    assert "<i>P2</i>" in page.inner_text("#table")
    page.context.close()


def test_hostile_names_become_text_and_addresses_that_stay_in_the_folder() -> None:
    evil = '"><img src=x onerror=alert(1)>'
    row = {
        "name": evil,
        "patient": evil,
        "status": "failed",
        "step": "slide",
        "cause": evil,
        "warnings": evil,
    }
    together = {"expected_fraction_amf_of_all": None}
    whole = {"slides": [row], "together": together, "models": [evil]}
    text = cohort_html(evil, whole, [], reports={evil})
    assert "<img" not in text
    assert "&lt;img src=x" in text
    addresses = re.findall(r'href="([^"]*)"', text)
    assert addresses[1:] == ["slides/%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E/report.html"]


def test_a_heading_sorts_both_ways_by_keyboard_too(out: Path, browser: Browser) -> None:
    page, _ = opened(browser, out / "cohort.html")
    rates = {name: row["expected_fraction_amf_of_all"] for name, row in rows(out).items()}
    by_rate = sorted((n for n in rates if rates[n]), key=lambda n: float(rates[n]))
    page.click("button[data-sort=rate]")
    assert names(page) == [*by_rate, "d"]
    page.keyboard.press("Enter")
    assert names(page) == [*reversed(by_rate), "d"]
    assert page.get_attribute("th:has(button[data-sort=rate])", "aria-sort") == "descending"
    page.click("button[data-sort=name]")
    assert names(page) == sorted(rates)
    page.context.close()


def test_filters_show_what_fits(out: Path, browser: Browser) -> None:
    page, _ = opened(browser, out / "cohort.html")
    page.fill("#find", "p1")
    assert names(page) == ["a", "b"]
    assert page.inner_text("#shown") == "2 of 4"
    page.fill("#find", "")
    page.select_option("#show", "failed")
    assert names(page) == ["d"]
    page.context.close()


def test_links_lead_to_the_reports_whatever_the_names(out: Path, browser: Browser) -> None:
    page, _ = opened(browser, out / "cohort.html")
    links: list[str] = page.evaluate("[...document.querySelectorAll('td a')].map((a) => a.href)")
    assert len(links) == 3
    for link in links:
        page.goto(link)
        assert page.inner_text("h1").removesuffix(".svs") in {"a", "b", STRANGE}
        assert unquote(urlparse(page.url).path).endswith("/report.html")
    page.context.close()


def test_report_makes_all_pages_again_and_says_of_which_it_cannot(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(out, copy)
    before = {p: p.read_bytes() for p in copy.rglob("*.html")}
    assert len(before) == 4
    for page in before:
        page.unlink()
    done = run("report", copy)
    assert done.returncode == 0, done.stderr
    assert {p: p.read_bytes() for p in copy.rglob("*.html")} == before


def test_without_reports_there_are_none(out: Path, tmp_path: Path) -> None:
    done = run(
        "cohort",
        out.parent / "slides/list.csv",
        "--out",
        tmp_path / "r",
        *MODEL,
        "--workers",
        "0",
        "--no-report",
    )
    assert done.returncode == 3
    assert not list(tmp_path.rglob("*.html"))
