"""Slides of a patient, and slides of the cohort, taken together; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slidemitosis.cohort.tables.columns import interval_ends, own_column, rate_values, review_values
from slidemitosis.models.decision import SpreadPart
from slidemitosis.options import ErrorCounts
from slidemitosis.outputs.rate_fields import count_fields
from slidemitosis.rates.borrowing import borrowed_fractions
from slidemitosis.rates.counts import SlideRate, total
from slidemitosis.rates.pooling import pooled
from slidemitosis.rates.reviewed import ReviewedFigure, ReviewRate, pooled_review

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slidemitosis.cohort.tables.columns import Row, Value


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is kept in memory of a slide that is done."""

    rate: SlideRate
    errors: ErrorCounts | None
    """With which its fraction was corrected; None where it was not."""
    spread: SpreadPart | None
    """How far its probabilities may be off together; None where that is not known."""
    cutoff: float | None
    """The fraction that the tumour's is compared with; None where it is with none."""
    reviewed: tuple[ReviewedFigure, ...] | None = None
    """Every figure with what persons say of it; None where nobody has answered."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Recorded:
        """From `row.json`. Raises TypeError or ValueError if it is none of this version."""
        errors, spread = row["errors"], row["spread"]
        rate = row["rate"] | {"probabilities": tuple(map(tuple, row["rate"]["probabilities"]))}
        return cls(
            SlideRate(**rate),
            None if errors is None else ErrorCounts(**errors),
            None if spread is None else SpreadPart(**spread),
            row["cutoff"],
            tuple(ReviewedFigure(*f) for f in answered) if (answered := row.get("reviewed")) else None,
        )

    @property
    def figures(self) -> tuple[ReviewedFigure, ...]:
        """Every figure, with an answer or without."""
        if self.reviewed is not None:
            return self.reviewed
        return tuple(ReviewedFigure(p, None) for s in self.rate.probabilities for p in s)


def patient_rows(
    slides: Sequence[Mapping[str, Value]], recorded: Mapping[str, Recorded], columns: Sequence[str] = ()
) -> list[Row]:
    """One row for each patient, in the order of the list: the figures of all of its slides that are done.

    slides: rows of the cohort's table. recorded: by name, of the slides that are done. columns: those of the
    list that are the same for all slides of a patient; they come last.
    """
    patients = _by_patient(slides)
    borrowed = borrowed_values(list(patients.values()), recorded)
    rows = [
        {"patient": patient, **pooled_values(theirs, recorded, tumours=1), **more, **_densities(theirs)}
        for (patient, theirs), more in zip(patients.items(), borrowed, strict=True)
    ]
    for row, theirs in zip(rows, patients.values(), strict=True):
        for name in map(own_column, columns):
            row[f"list.{name}" if name in row else name] = theirs[0][name]
    return rows


def borrowed_values(
    tumours: Sequence[Sequence[Mapping[str, Value]]], recorded: Mapping[str, Recorded]
) -> list[Row]:
    """Make the columns of what each tumour's fraction is if it borrows from the cohort; see
    `rates.borrowing`.

    tumours: the rows of the slides of each.
    """
    done = [[recorded[str(s["name"])] for s in slides if s["status"] == "done"] for slides in tumours]
    spread = _common_spread([r for theirs in done for r in theirs])
    found = borrowed_fractions(
        [[figures for r in theirs for figures in r.rate.probabilities] for theirs in done], spread
    )
    return [
        {
            "borrowed_fraction_amf_of_all": b.fraction if b else None,
            **interval_ends("borrowed_tumour_95", b.tumour if b else None),
        }
        for b in found
    ]


def _by_patient(slides: Iterable[Mapping[str, Value]]) -> dict[str, list[Mapping[str, Value]]]:
    found: dict[str, list[Mapping[str, Value]]] = {}
    for slide in slides:
        if slide["patient"] is not None:
            found.setdefault(str(slide["patient"]), []).append(slide)
    return found


def pooled_values(
    slides: Sequence[Mapping[str, Value]], recorded: Mapping[str, Recorded], *, tumours: int
) -> Row:
    """Counts, fractions and their intervals, of slides taken together.

    Of several `tumours` together there is no fraction of the tumour.

    The bootstrap intervals draw slides, not figures: see `slidemitosis.rates.pooling`. Where none of the
    slides is done nothing is known, not even that there are no figures.
    """
    done = [recorded[str(s["name"])] for s in slides if s["status"] == "done"]
    found = pooled(
        [d.rate for d in done],
        errors=_common_errors(done),
        spread=_common_spread(done),
        cutoff=_common_cutoff(done),
    )
    expected = found.expected if tumours == 1 else replace(found.expected, tumour=None, above=None)
    values: Row = {
        **count_fields(found.rate),
        **rate_values(found.rate, expected, found.corrected),
        **review_values(_review(done, tumours=tumours)),
        **interval_ends("bootstrap_expected_95", found.expected_interval),
        **interval_ends("bootstrap_95", found.fraction_interval),
        **interval_ends("bootstrap_corrected_95", found.corrected_interval),
        "bootstrap_of": found.units,
    }
    known = values if done else dict.fromkeys(values)
    return {"slides": len(slides), "slides_done": len(done), **known}


def _review(done: Sequence[Recorded], *, tumours: int) -> ReviewRate | None:
    """Return what persons' answers about all figures come to; of several tumours no tumour's interval."""
    found = pooled_review([d.figures for d in done])
    return found if found is None or tumours == 1 else found.without_tumour()


def patients_together(slides: Sequence[Mapping[str, Value]], recorded: Mapping[str, Recorded]) -> Row | None:
    """The cohort with patients drawn in place of slides; None where the list names no patient."""
    done = _by_patient(s for s in slides if s["status"] == "done").values()
    if not done:
        return None
    by_patient = [[recorded[str(s["name"])] for s in theirs] for theirs in done]
    every = [r for theirs in by_patient for r in theirs]
    found = pooled(
        [total([r.rate for r in theirs]) for theirs in by_patient],
        errors=_common_errors(every),
        spread=_common_spread(every),
    )
    return {
        "patients": len(by_patient),
        "expected_fraction_amf_of_all": found.expected.fraction,
        **interval_ends("bootstrap_expected_95", found.expected_interval),
        "fraction_amf_of_all": found.rate.fraction,
        **interval_ends("bootstrap_95", found.fraction_interval),
        "bootstrap_of": found.units,
    }


def _common_errors(done: Sequence[Recorded]) -> ErrorCounts | None:
    """With what all of them were corrected; slides of different models cannot be corrected together."""
    kinds = {d.errors for d in done}
    return kinds.pop() if len(kinds) == 1 else None


def _common_spread(done: Sequence[Recorded]) -> SpreadPart | None:
    """That of all of them; None where they are of different models, or one is not calibrated."""
    kinds = {d.spread for d in done}
    return kinds.pop() if len(kinds) == 1 else None


def _common_cutoff(done: Sequence[Recorded]) -> float | None:
    """That of all of them; None where slides of a shared folder were compared with others."""
    kinds = {d.cutoff for d in done}
    return kinds.pop() if len(kinds) == 1 else None


def _densities(slides: Sequence[Mapping[str, Value]]) -> Row:
    """Of a patient whose slides that are done all have an area."""
    done = [s for s in slides if s["status"] == "done"]
    areas = [s.get("area_mm2") for s in done]
    known = [a for a in areas if isinstance(a, int | float)]
    mm2 = sum(known) if done and len(known) == len(done) else None
    row: Row = {"area_mm2": mm2}
    for kind in ("mitoses", "atypical"):
        figures = [n for s in done if isinstance(n := s.get(f"{kind}_in_area"), int)]
        row[f"{kind}_per_mm2"] = sum(figures) / mm2 if mm2 else None
    return row
