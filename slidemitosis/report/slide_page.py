"""From the summary, the rows and the pictures of one slide to its page; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.labels import NEGATIVE, POSITIVE, SUBTYPES
from slidemitosis.report.charts import BINS, axis_end, estimates, histogram, slide_map
from slidemitosis.report.choice import SOME, Choice, Limits
from slidemitosis.report.environment import rendered
from slidemitosis.report.words import ANSWERS, CALLS, facts, methods, rate_sentence, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from slidemitosis.outputs.read import Row
    from slidemitosis.report.thumbnail import Thumbnail

_MOST_NAMED = 50
"""Candidates without a patch that are named; all are in candidates.csv."""
_SCALE_BAR_UM = 10
_LEAST_NEAR = 8
"""Figures around the threshold, of a slide that has few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Some patches under a heading."""

    name: str
    heading: str
    note: str
    rows: Sequence[Row]


def chosen(rows: Iterable[Row], threshold: float, *, limits: Limits = SOME) -> Choice:
    """Choose the rows whose patches the page shows; their numbers count from 0."""
    choice = Choice(threshold, limits)
    for row in rows:
        if row.probability is not None or row.status == "blank":
            choice.offer(row.number - 1, row.object_id, row.probability)
    return choice


def slide_html(
    summary: Mapping[str, Any],
    rows: Sequence[Row],
    patches: Mapping[int, bytes],
    thumbnail: Thumbnail,
    *,
    limits: Limits = SOME,
) -> str:
    """Make the page of one slide; the same values give the same page.

    summary: what `summary.json` holds; its seconds are not shown. patches: JPEG by place in `rows`, at least
    of those that `chosen` names; a figure whose patch is not there is shown without.
    """
    threshold = summary["model"]["threshold"]
    cutoff = summary["options"]["cutoff"]
    found = estimates(summary)
    left_out = [r for r in rows if r.status not in ("classified", "uncertain", "blank")]
    return rendered(
        "slide.html",
        title=summary["slide"]["name"],
        facts=facts(summary),
        sentence=rate_sentence(summary),
        estimates=found,
        axis_end=axis_end(found, cutoff),
        cutoff=cutoff,
        warnings=warnings(summary),
        map=slide_map(summary, rows, thumbnail.area),
        thumbnail=thumbnail.jpeg,
        counts=summary["counts"],
        galleries=list(_galleries(rows, threshold, limits)),
        patches=patches,
        patch_px=summary["reading"]["patch_px"],
        bar_um=_SCALE_BAR_UM,
        bar_share=_SCALE_BAR_UM / (summary["reading"]["patch_px"] * summary["reading"]["model_mpp"]),
        tags=_tags(rows),
        answers=ANSWERS,
        left_out=left_out[:_MOST_NAMED],
        more_left_out=max(0, len(left_out) - _MOST_NAMED),
        bins=histogram(rows, threshold),
        bin_width=1 / BINS,
        threshold=threshold,
        point=summary["model"]["operating_point"],
        subtypes=_subtypes(summary),
        doubtful=summary["expected_hard"],
        methods=methods(summary),
        # With other processes the results are the same, and so is the page.
        options=_flat({k: v for k, v in summary["options"].items() if k != "workers"}),
        versions=summary["versions"],
        model=summary["model"],
        quickhash=summary["slide"]["quickhash"],
        correction=summary["correction"],
    )


def _tags(rows: Sequence[Row]) -> Mapping[int, str]:
    """What became of each figure, in a word, by number."""
    return {r.number: CALLS.get(r.call, r.status) for r in rows}


def _galleries(rows: Sequence[Row], threshold: float, limits: Limits) -> Iterator[Gallery]:
    choice = chosen(rows, threshold, limits=limits).galleries
    above = sum(r.probability is not None and r.probability >= threshold for r in rows)
    below = sum(r.probability is not None and r.probability < threshold for r in rows)
    # A strip of a small slide would show every figure a second time.
    choice = {**choice, "near": choice["near"][: max(_LEAST_NEAR, (above + below) // 5)]}
    by_p = {name: sorted((rows[i] for i in of_it), key=_by_p) for name, of_it in choice.items()}
    blank = sum(r.status == "blank" for r in rows)
    yield Gallery(
        name="atypical",
        heading="Called atypical, by P",
        note=_of(len(by_p["atypical"]), above, "those with the highest P"),
        rows=by_p["atypical"],
    )
    yield Gallery(
        name="near",
        heading="Around the threshold",
        note=f"the {len(by_p['near'])} whose P is nearest to {threshold:.4g}, where a call is a toss-up",
        rows=by_p["near"],
    )
    yield Gallery(
        name="normal",
        heading="Called normal",
        note=_of(len(by_p["normal"]), below, "a random sample, the same at every run"),
        rows=by_p["normal"],
    )
    if blank:
        yield Gallery(
            name="blank",
            heading="Not classified: nothing to be seen",
            note=_of(len(by_p["blank"]), blank, "the first"),
            rows=by_p["blank"],
        )


def _by_p(row: Row) -> tuple[float, int]:
    return (-(row.probability or 0.0), row.number)


def _of(shown: int, of: int, which: str) -> str:
    return f"all {of:,}" if shown == of else f"{shown:,} of {of:,}, {which}"


def _subtypes(summary: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    """Kind, name, expected number and share of the largest, in per cent, of each subtype."""
    expected = summary["expected_subtypes"] or {}
    most = max([1e-9, *expected.values()])
    return [
        (kind, name.removeprefix(kind).strip(), expected[name], 100 * expected[name] / most)
        for kind in (POSITIVE, NEGATIVE)
        for name in SUBTYPES
        if name.startswith(kind) and name in expected
    ]


def _flat(options: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Name and value of each option, those of a table inside it one by one."""
    told = []
    for name, value in options.items():
        if isinstance(value, dict):
            told += _flat(value, f"{prefix}{name}.")
        else:
            told.append((f"{prefix}{name}", _value(value)))
    return told


def _value(value: object) -> str:
    if value is None or value in ((), []):
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
