"""From the rows of a cohort to its page; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from slidemitosis.outputs.folder import REPORT
from slidemitosis.outputs.rate_fields import per_cent
from slidemitosis.report.charts import Estimate, axis_end
from slidemitosis.report.environment import rendered
from slidemitosis.report.words import figures, span

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Values = Mapping[str, Any]

_FIRST = ("failed", "pending", "skipped", "done")
"""The order in which slides stand by how they ended: what needs attention first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One slide, or one patient."""

    name: str
    address: str | None
    """Of its report; None where there is none."""
    patient: str
    status: str
    figures: int | None
    estimate: Estimate | None
    combined: str
    """The rate of answers and model together, where there are any."""
    few: bool
    step: str
    cause: str
    notes: str
    """Warnings of its rate."""


def cohort_html(title: str, whole: Values, patients: Sequence[Values], *, reports: Collection[str]) -> str:
    """Make the page of a cohort; the same values give the same page.

    whole: what `cohort.json` holds. patients: the rows of `patients.csv`, as values or as text. reports: the
    names of the slides that have a report.
    """
    slides = [_slide(row, reports) for row in whole["slides"]]
    slides.sort(key=lambda line: _FIRST.index(line.status))
    people = [_patient(row) for row in patients]
    found = [line.estimate for line in (*slides, *people) if line.estimate]
    counts = Counter(line.status for line in slides)
    return rendered(
        "cohort.html",
        title=title,
        sentence=_sentence(whole["together"]),
        counts=[(status, counts[status]) for status in _FIRST if counts[status]],
        models=whole["models"],
        slides=slides,
        failed=sum(line.status in ("failed", "skipped") for line in slides),
        with_review=any(line.combined for line in slides),
        with_patients=any(line.patient for line in slides),
        patients=people,
        few=sum(line.few for line in slides),
        noted=sum(bool(line.notes) for line in slides),
        axis_end=axis_end(found, None),
    )


def _slide(row: Values, reports: Collection[str]) -> Line:
    name = str(row["name"])
    return Line(
        name=name,
        address=f"slides/{quote(name, errors='surrogatepass')}/{REPORT}" if name in reports else None,
        patient=str(row["patient"] or ""),
        status=row["status"],
        figures=_figures(row),
        estimate=_estimate(row),
        combined=_combined(row),
        few=_is_few(row),
        step=str(row["step"] or ""),
        cause=str(row["cause"] or ""),
        notes=str(row.get("warnings") or ""),
    )


def _patient(row: Values) -> Line:
    done, slides = int(row["slides_done"]), int(row["slides"])
    return Line(
        name=str(row["patient"]),
        address=None,
        patient="",
        status=f"{done} of {slides} slides done",
        figures=_figures(row),
        estimate=_estimate(row),
        combined=_combined(row),
        few=_is_few(row),
        step="",
        cause="",
        notes="",
    )


def _figures(row: Values) -> int | None:
    counts = [_number(row.get(kind)) for kind in ("classified", "uncertain")]
    return None if None in counts else int(sum(n for n in counts if n is not None))


def _estimate(row: Values) -> Estimate | None:
    fraction = _number(row.get("expected_fraction_amf_of_all"))
    if fraction is None:
        return None
    low, high = (_number(row.get(f"expected_tumour_95_{end}")) for end in ("low", "high"))
    return Estimate(
        name="",
        note="",
        kind="few" if _is_few(row) else "rate",
        fraction=fraction,
        interval=None if low is None or high is None else (low, high),
    )


def _combined(row: Values) -> str:
    fraction = _number(row.get("combined_fraction_amf_of_all"))
    if fraction is None:
        return ""
    low, high = (_number(row.get(f"combined_figures_95_{end}")) for end in ("low", "high"))
    told = f"{per_cent(fraction)} %"
    return told if low is None or high is None else f"{told} ({span((low, high))})"


def _is_few(row: Values) -> bool:
    return str(row.get("few_figures")).lower() == "true" and bool(_figures(row))


def _number(value: object) -> float | None:
    return None if value is None or value == "" else float(str(value))


def _sentence(together: Values) -> str:
    fraction = together["expected_fraction_amf_of_all"]
    if fraction is None:
        return "There is no rate yet, since no figure is classified."
    done = together["slides_done"]
    told = (
        f"Of {figures(_figures(together) or 0)} on {done:,} slide{'' if done == 1 else 's'}, "
        f"{per_cent(fraction)} % are expected to be atypical"
    )
    low, high = (together[f"bootstrap_expected_95_{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return f"{told}."
    return f"{told} (95 % interval {span((low, high))}, by drawing slides)."
