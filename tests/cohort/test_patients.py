"""Slides of a patient, and of the cohort, taken together."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.tables.columns import COLUMN_TYPES, is_ours
from slidemitosis.cohort.tables.patients import Recorded, patient_rows, patients_together, pooled_values
from slidemitosis.models.decision import SpreadPart
from slidemitosis.options import ErrorCounts, ReadOptions
from slidemitosis.rates.counts import SlideRate
from slidemitosis.rates.expected import expected_fraction
from slidemitosis.rates.intervals import wilson_interval
from slidemitosis.rates.reviewed import ReviewedFigure
from tests.cohort.cohort_slides import paint_slides, rows
from tests.command import run

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = ErrorCounts(tp=80, fn=20, tn=180, fp=20)
SPREAD = SpreadPart(slide_sd=0.3, domain_sd=0.1, intercept_se=0.1, slope_se=0.05, correlation=0.5)


def row(name: str, patient: str | None, status: str = "done", **more: Any) -> dict[str, Any]:
    return {"name": name, "patient": patient, "status": status, **more}


def recorded(**counts: tuple[int, int]) -> dict[str, Recorded]:
    return {name: Recorded(SlideRate(k, n - k), ERRORS, None, None) for name, (k, n) in counts.items()}


def test_a_patients_figures_are_added_over_its_slides() -> None:
    rows = [row("a", "P"), row("b", "Q"), row("c", "P"), row("d", "P", "failed")]
    p, q = patient_rows(rows, recorded(a=(1, 10), b=(5, 5), c=(3, 30)))
    assert (p["patient"], p["slides"], p["slides_done"]) == ("P", 3, 2)
    assert (p["atypical"], p["classified"]) == (4, 40)
    assert p["fraction_amf_of_all"] == 0.1
    assert (p["wilson_95_low"], p["wilson_95_high"]) == wilson_interval(4, 40)
    assert (q["patient"], q["fraction_amf_of_all"], q["bootstrap_95_low"]) == ("Q", 1.0, None)


def test_a_density_is_given_only_where_every_slide_has_an_area() -> None:
    areas: dict[str, Any] = {"mitoses_in_area": 8, "atypical_in_area": 2}
    rows = [row("a", "P", area_mm2=2.0, **areas), row("b", "P", area_mm2=6.0, **areas), row("c", "Q")]
    p, q = patient_rows(rows, recorded(a=(2, 8), b=(2, 8), c=(2, 8)))
    assert (p["area_mm2"], p["mitoses_per_mm2"], p["atypical_per_mm2"]) == (8.0, 2.0, 0.5)
    assert (q["area_mm2"], q["mitoses_per_mm2"]) == (None, None)


def test_slides_without_a_patient_are_nobodys() -> None:
    rows = [row("a", None), row("b", "")]
    assert [r["patient"] for r in patient_rows(rows, recorded(a=(1, 2), b=(1, 2)))] == [""]


def test_of_a_patient_whose_slides_all_failed_nothing_is_known_and_nothing_is_zero() -> None:
    rows = [row("a", "P"), row("b", "Q", "failed"), row("c", "Q", "pending")]
    p, q = patient_rows(rows, recorded(a=(0, 10)))
    assert (p["atypical"], p["unreadable"], p["slides_done"]) == (0, 0, 1)
    known = {name: value for name, value in q.items() if value is not None}
    assert known == {"patient": "Q", "slides": 2, "slides_done": 0}


def test_drawing_patients_is_wider_than_drawing_their_alike_slides() -> None:
    rows = [row(f"s{i}", f"P{i // 5}") for i in range(20)]
    counts = {f"s{i}": ((8, 10) if i // 5 % 2 else (1, 10)) for i in range(20)}
    slides = pooled_values(rows, recorded(**counts), tumours=len(rows))
    patients = patients_together(rows, recorded(**counts))
    assert patients is not None
    assert patients["bootstrap_of"] == 4

    def width(values: dict[str, Any]) -> float:
        return float(values["bootstrap_95_high"] - values["bootstrap_95_low"])

    assert width(patients) > 1.3 * width(slides)


def test_slides_that_were_corrected_differently_are_not_corrected_together() -> None:
    kept = recorded(a=(5, 20), b=(5, 20))
    assert (
        pooled_values([row("a", None), row("b", None)], kept, tumours=2)["corrected_fraction_amf_of_all"]
        is not None
    )
    kept["b"] = dataclasses.replace(kept["b"], errors=None)
    assert (
        pooled_values([row("a", None), row("b", None)], kept, tumours=2)["corrected_fraction_amf_of_all"]
        is None
    )


def test_what_is_kept_of_a_slide_comes_back_from_its_file() -> None:
    rate = SlideRate(3, 7, subtype_sums={"NMF metaphase": 1.5}, probabilities=((0.25, 0.5), (0.125,)))
    kept = Recorded(rate, ERRORS, SPREAD, 0.2)
    parts: dict[str, Any] = {"rate": kept.rate, "errors": ERRORS, "spread": SPREAD}
    text = json.dumps({name: dataclasses.asdict(part) for name, part in parts.items()})
    assert Recorded.of(json.loads(text) | {"cutoff": 0.2}) == kept


def test_a_patients_tumour_is_compared_with_the_cut_off_of_its_slides() -> None:
    """By the figures of all of them; a cohort of several tumours has no tumour to compare."""
    figures = ((0.05, 0.1, 0.2) * 5,)
    kept = {n: Recorded(SlideRate(0, 15, probabilities=figures), ERRORS, SPREAD, 0.2) for n in "abc"}
    slides = [row("a", "P"), row("b", "P"), row("c", "Q")]
    p, q = (r["probability_above_cutoff"] for r in patient_rows(slides, kept))
    assert q == expected_fraction(figures, SPREAD, cutoff=0.2).above
    assert isinstance(p, float)
    assert isinstance(q, float)
    assert 0 < p < q < 0.5  # more figures, all of them below: surer
    assert pooled_values(slides, kept, tumours=2)["probability_above_cutoff"] is None
    kept["b"] = dataclasses.replace(kept["b"], cutoff=0.3)
    assert patient_rows(slides, kept)[0]["probability_above_cutoff"] is None


def test_a_cohort_of_patients_comes_out_whole(tmp_path: Path) -> None:
    paint_slides(tmp_path, ["a", "b", "c"])
    (tmp_path / "list.csv").write_text(
        "slide,points,patient,area_mm2\na.svs,a.geojson,P,0.005\nb.svs,b.geojson,P,0.005\nc.svs,c.geojson,Q,\n"
    )
    (tmp_path / "clinical.csv").write_text("patient,age\nP,61\nQ,47\nR,5\n")
    words = ("--join", tmp_path / "clinical.csv", "--model", "lite0")
    done = run("cohort", tmp_path / "list.csv", "--out", tmp_path / "r", *words)
    assert done.returncode == 0, done.stderr
    assert "clinical.csv: 1 row fits no slide of the cohort: line 4 (patient 'R')\n" in done.stderr
    assert [r["age"] for r in rows(tmp_path / "r", "patients.csv").values()] == ["61", "47"]
    p, q = rows(tmp_path / "r", "patients.csv").values()
    wanted = {"slides_done": "2", "candidates": "6", "area_mm2": "0.01", "mitoses_per_mm2": "600"}
    assert {name: p[name] for name in wanted} == wanted
    assert (q["patient"], q["area_mm2"]) == ("Q", "")
    assert [r["age"] for r in rows(tmp_path / "r").values()] == ["61", "61", "47"]
    whole = json.loads((tmp_path / "r/cohort.json").read_text())
    assert whole["counts"]["done"] == 3
    assert whole["together"]["candidates"] == 9
    assert (tmp_path / "r/cohort.png").exists()
    values = json.loads((tmp_path / "r/slides/a/row.json").read_text())["values"]
    assert values.keys() <= whole["slides"][0].keys()
    assert all(map(is_ours, values))
    of_subtypes = [name for name in values if name.startswith(("expected_NMF", "expected_AMF"))]
    assert len(of_subtypes) == 8
    ours = [*("status", "step", "cause"), *values]
    borrowed = [name for name in COLUMN_TYPES if name.startswith("borrowed_")]
    assert ours == [n for n in COLUMN_TYPES if n not in borrowed]
    assert all(isinstance(v, COLUMN_TYPES.get(n, float)) for n, v in values.items() if v is not None)
    assert isinstance(values["seconds"], float)
    assert 0 < values["seconds"] == float(rows(tmp_path / "r")["a"]["seconds"])


R_NAME = re.compile(r"(?:[A-Za-z]|\.(?!\d))[A-Za-z0-9._]*")
"""A name that R reads as a column without changing it (make.names)."""


def test_r_can_take_every_column_as_it_is_named(tmp_path: Path) -> None:
    paint_slides(tmp_path, ["a"])
    (tmp_path / "list.csv").write_text("slide,points,patient\na.svs,a.geojson,P\n")
    assert run("cohort", tmp_path / "list.csv", "--out", tmp_path / "r", "--model", "lite0").returncode == 0
    tables = sorted((tmp_path / "r").rglob("*.csv"))
    assert {t.name for t in tables} == {"cohort.csv", "patients.csv", "candidates.csv"}
    for table in tables:
        names = table.read_text().splitlines()[0].split(",")
        assert not [name for name in names if not R_NAME.fullmatch(name)], table


@pytest.mark.parametrize("unknown", ["NA", "", "nan", "None"])
def test_slides_of_unknown_patients_are_not_pooled(tmp_path: Path, unknown: str) -> None:
    """R writes NA for what is not known: two such slides are of no patient, and not of one."""
    paint_slides(tmp_path, ["a", "b", "c"])
    patients = {"a": unknown, "b": unknown, "c": "P"}
    lines = (f"{name}.svs,{name}.geojson,{patient},NA" for name, patient in patients.items())
    (tmp_path / "list.csv").write_text("\n".join(["slide,points,patient,area_mm2", *lines]) + "\n")
    cohort = read_cohort(tmp_path / "list.csv", read=ReadOptions())
    assert [(s.patient, s.area_mm2) for s in cohort.slides] == [(None, None), (None, None), ("P", None)]


def test_every_column_is_explained(tmp_path: Path) -> None:
    from tests.conftest import REPOSITORY

    paint_slides(tmp_path, ["a"])
    (tmp_path / "list.csv").write_text("slide,points,patient\na.svs,a.geojson,P\n")
    assert run("cohort", tmp_path / "list.csv", "--out", tmp_path / "r", "--model", "lite0").returncode == 0
    text = (REPOSITORY / "docs/cohorts.md").read_text(encoding="utf-8")
    for table in ("cohort.csv", "patients.csv"):
        names = (tmp_path / "r" / table).read_text().splitlines()[0].split(",")
        missing = [
            n for n in names if f"`{n}`" not in text and not n.startswith(("expected_NMF", "expected_AMF"))
        ]
        assert not missing, f"docs/cohorts.md does not explain {missing} of {table}"


@pytest.mark.parametrize("area", ["1.5", "0.0001"])
def test_an_area_that_cannot_be_is_found_by_a_dry_run(tmp_path: Path, area: str) -> None:
    paint_slides(tmp_path, ["a"])
    (tmp_path / "list.csv").write_text(f"slide,points,area_mm2\na.svs,a.geojson,{area}\n")
    done = run("cohort", tmp_path / "list.csv", "--out", tmp_path / "r", "--model", "lite0", "--dry-run")
    assert done.returncode == (3 if area == "1.5" else 0)


def test_a_patients_answers_are_counted_over_all_slides() -> None:
    """One slide is reviewed whole, of the other a sample of twelve."""
    p = (0.2, 0.3, 0.4)
    whole = tuple(ReviewedFigure(v, "AMF" if v > 0.35 else "NMF", "all") for v in p)
    sampled = (*[ReviewedFigure(0.1, "NMF", "random")] * 12, *[ReviewedFigure(0.1, None)] * 5)
    rates = [
        SlideRate(0, len(of), probabilities=(tuple(f.probability or 0 for f in of),))
        for of in (whole, sampled)
    ]
    kept = {
        name: Recorded(rate, ERRORS, None, None, of)
        for name, rate, of in zip("ab", rates, (whole, sampled), strict=True)
    }
    slides = [row(name, "P") for name in "ab"]
    (found,) = patient_rows(slides, kept)
    assert (found["review_chosen"], found["review_answered"]) == ("random", 15)
    # The sample says that the model is wrong by 0.1 on the second slide: none of 17 is atypical there.
    assert found["combined_fraction_amf_of_all"] == pytest.approx(1 / 20)

    none = {name: Recorded(rate, ERRORS, None, None) for name, rate in zip("ab", rates, strict=True)}
    assert patient_rows(slides, none)[0]["review_chosen"] is None
