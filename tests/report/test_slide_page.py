"""The page of one slide, as files, as text and in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis.geometry import Bounds
from slidemitosis.outputs.read import Row, read_rows
from slidemitosis.report.charts import axis_end, estimates
from slidemitosis.report.choice import ALL, SOME
from slidemitosis.report.keeper import encoded
from slidemitosis.report.slide_page import chosen, slide_html
from slidemitosis.report.thumbnail import Thumbnail
from tests.browser import serious_findings
from tests.command import refused, run
from tests.report.conftest import NAME, Classified, classify, summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from slidemitosis.report.choice import Limits

NOTHING = Thumbnail(Bounds(0, 0, 4000, 3000), None)
VIEWS = [(w, h, scheme) for w, h in ((1280, 900), (390, 844)) for scheme in ("light", "dark")]


def opened(browser: Browser, path: Path, **context: Any) -> tuple[Page, list[str]]:
    """Open a file; return the page, and what it asked for or complained of."""
    page = browser.new_context(bypass_csp=True, **context).new_page()  # for axe-core, which is put into it
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(path.as_uri())
    asked = [t for t in told if not t.startswith("data:") and t != path.as_uri()]
    return page, asked


def test_a_second_run_and_report_write_the_same_bytes(classified: Classified, tmp_path: Path) -> None:
    again = classify(tmp_path)
    assert again.page.read_bytes() == classified.page.read_bytes()
    done = run("report", again.folder)
    assert done.returncode == 0, done.stderr
    assert again.page.read_bytes() == classified.page.read_bytes()


def test_report_says_where_the_slide_is_not_and_takes_another_place(
    classified: Classified, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(classified.folder, folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["slide"]["path"] = str(tmp_path / "gone.svs")
    (folder / "summary.json").write_text(json.dumps(summary))
    assert re.search(r"gone\.svs: no such file; .*--slide", refused("report", folder))
    (folder / "report.html").unlink()
    assert run("report", folder, "--slide", classified.slide).returncode == 0
    assert (folder / "report.html").read_bytes() == classified.page.read_bytes()
    assert "summary.json" in refused("report", tmp_path)


def test_without_a_report_none_is_left_of_an_earlier_run(tmp_path: Path) -> None:
    first = classify(tmp_path)
    assert first.page.exists()
    second = classify(tmp_path, "--no-report")
    assert not second.page.exists()
    assert (second.folder / "summary.json").exists()


@pytest.mark.parametrize(("width", "height", "scheme"), VIEWS)
def test_it_opens_without_a_request_or_complaint_and_fits(
    classified: Classified, browser: Browser, width: int, height: int, scheme: str
) -> None:
    view = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    page, told = opened(browser, classified.page, **view)
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious_findings(page) == []
    page.context.close()


def test_nothing_on_it_may_be_fetched_or_run(classified: Classified) -> None:
    text = classified.page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<script|<iframe|@import|url\(", text)


def test_markup_in_names_and_ids_is_shown_and_not_run(classified: Classified, browser: Browser) -> None:
    page, _ = opened(browser, classified.page)
    assert page.inner_text("h1") == NAME
    assert page.query_selector("#run") is None
    page.context.close()
    evil = "<img src=x onerror=document.title='run'>"
    row = row_of(1, 0.9, id=evil, subtype=f"AMF {evil}", source=evil, reason=evil)
    text = slide_html(summary_for([row], classified), [row], {}, NOTHING)
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_every_patch_is_the_right_one(classified: Classified, browser: Browser) -> None:
    page, _ = opened(browser, classified.page)
    found = page.evaluate(
        """() => [...document.querySelectorAll(".fig img")].map((image) => {
             const canvas = document.createElement("canvas");
             canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
             const context = canvas.getContext("2d");
             context.drawImage(image, 0, 0);
             const figure = image.closest(".fig");
             return [figure.dataset.id, figure.textContent, [...context.getImageData(64, 64, 1, 1).data]];
           })"""
    )
    page.context.close()
    rows = {row.object_id: row for row in read_rows(classified.folder)}
    classified_rows = [r for r in rows.values() if r.status == "classified"]
    assert {object_id for object_id, _, _ in found} >= {r.object_id for r in classified_rows}
    for object_id, text, (red, green, blue, _) in found:
        row = rows[object_id]
        assert f"{row.x:.0f}, {row.y:.0f}" in text
        if row.probability is None:
            assert (red, green, blue) == pytest.approx((240, 240, 240), abs=3)
            continue
        x, y = int(row.x), int(row.y)
        expected = (x & 255, y & 255, (x >> 8 & 15) << 4 | (y >> 8 & 15))
        assert (red, green, blue) == pytest.approx(expected, abs=12), row
        assert f"P {row.probability:.2f}"[:4] in text


def test_the_dots_lie_where_the_figures_are(classified: Classified) -> None:
    text = classified.page.read_text(encoding="utf-8")
    with (classified.folder / "candidates.csv").open() as file:
        rows = list(csv.DictReader(file))
    dots = re.search(r'<path id="dots" d="([^"]*)"', text)
    normal = [(float(r["level0_x"]), float(r["level0_y"])) for r in rows if r["call"] == "NMF"]
    drawn = re.findall(r"M([\d.]+) ([\d.]+)h0", dots.group(1)) if dots else []
    assert [(float(x) * 1.6, float(y) * 1.6) for x, y in drawn] == [pytest.approx(p, abs=0.1) for p in normal]


def test_it_says_what_is_not_in_the_rate_and_why(classified: Classified) -> None:
    text = classified.page.read_text(encoding="utf-8")
    assert "1 figure lies off the slide" in text
    assert "1 figure shows nothing" in text
    assert "1 figure is a duplicate of another one" in text
    assert "centre at x 5000" in text


def test_the_sentence_and_the_axis_hold_the_numbers_of_the_summary(
    classified: Classified, browser: Browser
) -> None:
    summary: Any = summary_of(classified.folder)
    page, _ = opened(browser, classified.page)
    fraction = 100 * summary["expected_fraction_amf_of_all"]
    low, high = (100 * v for v in summary["expected_fraction_amf_of_all_figures_95"])
    told = page.inner_text(".sentence")
    assert f"{fraction:.2g} %" in told or f"{fraction:.0f} %" in told
    for end in (low, high):
        assert f"{end:.0f}" in told or f"{end:.1f}" in told
    end = axis_end(estimates(summary), None)
    mark = page.evaluate("document.querySelector('.mark.rate').style.left")
    assert float(mark.rstrip("%")) == pytest.approx(fraction / end, abs=0.01)
    page.context.close()


def test_reviewed_figures_stand_on_the_same_axis_with_why_they_were_reviewed(classified: Classified) -> None:
    rows = [row_of(i, 0.1 * i, answer="NMF" if i == 9 else "") for i in range(1, 10)]
    summary = summary_for(rows, classified)
    assert "Reviewed" not in slide_html(summary, rows, {}, NOTHING)
    because = "not unbiased: 1 of 9 figures were reviewed"
    fields = {"because": because, "unbiased": False, "share_no_mitosis": 0.0}
    for kind, fraction in (("reviewed", 0.125), ("combined", 0.375)):
        fields |= {
            f"{kind}_fraction_amf_of_all": fraction,
            f"{kind}_fraction_amf_of_all_figures_95": [0.1, 0.6],
        }
        fields[f"{kind}_fraction_amf_of_all_tumour_95"] = None
    text = slide_html(summary | {"review": fields}, rows, {}, NOTHING)
    assert "12 % (10 to 60 %)" in text
    assert "38 % (10 to 60 %)" in text
    assert text.count(because) >= 2
    assert "reviewed: normal" in text


def test_a_long_id_is_cut_off_until_one_points_at_it(classified: Classified, browser: Browser) -> None:
    page, _ = opened(browser, classified.page)
    height = "(one) => one.getBoundingClientRect().height"
    before = page.eval_on_selector(".fig .ids", height)
    page.hover(".fig >> nth=0")
    assert page.eval_on_selector(".fig .ids", height) > 1.5 * before
    page.context.close()


def test_it_can_be_printed(classified: Classified, browser: Browser) -> None:
    page, _ = opened(browser, classified.page)
    pdf = page.pdf(prefer_css_page_size=True)
    page.context.close()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 2


def test_a_thousand_figures_fit_into_three_megabytes(classified: Classified) -> None:
    rows = [row_of(i, i / 1000) for i in range(1, 1001)]
    summary = summary_for(rows, classified)
    rng = np.random.default_rng(0)
    heavy = encoded(rng.integers(90, 160, (128, 128, 3), dtype=np.uint8))  # noise: no tissue packs worse
    assert len(heavy) > 6000
    text = slide_html(summary, rows, dict.fromkeys(range(1000), heavy[:6000]), NOTHING)
    assert 1_000_000 < len(text.encode()) < 3_000_000


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(("limits", "shown"), [(SOME, 200), (ALL, 5000)], ids=["some", "all"])
def test_a_report_of_five_thousand_figures_is_soon_scrolled_through(
    classified: Classified, browser: Browser, tmp_path: Path, limits: Limits, shown: int
) -> None:
    rows = [row_of(i, i / 5000) for i in range(1, 5001)]
    coarse = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    patches = dict.fromkeys(range(5000), encoded(coarse.repeat(4, 0).repeat(4, 1)))
    path = tmp_path / "report.html"
    path.write_text(slide_html(summary_for(rows, classified), rows, patches, NOTHING, limits=limits))
    page = browser.new_page()
    began = time.monotonic()
    page.goto(path.as_uri())
    page.evaluate("() => new Promise((done) => { scrollTo(0, 1e9); requestAnimationFrame(done) })")
    took = time.monotonic() - began
    found = page.evaluate("document.querySelectorAll('.fig').length")
    page.close()
    assert found > shown
    assert took < 30  # where the machine is quiet: a fraction of a second, or a second for all


def row_of(number: int, probability: float, **further: Any) -> Row:
    call = "AMF" if probability >= 0.5 else "NMF"
    values: dict[str, Any] = {
        "id": f"id-{number}",
        "object_id": f"object-{number}",
        "source": f"line {number}",
        "x": 100.0 + number % 60 * 60,
        "y": 100.0 + number // 60 * 30,
        "status": "classified",
        "reason": "",
        "call": call,
        "subtype": f"{call} metaphase",
        "p_subtype": 0.5,
        "p_hard": 0.25,
    }
    return Row(number=number, probability=probability, **(values | further))


def summary_for(rows: list[Row], like: Classified) -> dict[str, Any]:
    """A summary that fits the rows as far as a page looks at it."""
    summary: dict[str, Any] = summary_of(like.folder)
    summary["counts"] |= {"classified": len(rows), "candidates": len(rows), "uncertain": 0}
    summary["model"]["threshold"] = 0.5
    assert chosen(rows, 0.5).rows
    return summary
