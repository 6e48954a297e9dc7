"""What the command line prints of a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.outputs.rate_fields import per_cent

if TYPE_CHECKING:
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.expected import Expected
    from slidemitosis.rates.reviewed import Fraction, ReviewRate
    from slidemitosis.rates.slide import AreaRate, HotSpotRate, Rated

_SOURCES = {"given": "as given", "annotations": "within the annotations", "tissue": "of tissue"}


def rate_rows(rated: Rated) -> list[tuple[str, str]]:
    """Rows of the report: the rate, the calls, ratio, density and hot spot."""
    rate, expected = rated.rate, rated.expected
    if expected.fraction is None:
        rows = [("atypical", "no rate: nothing was classified")]
    else:
        few = ", too few figures for a rate" if rate.few_figures else ""
        rows = [
            ("atypical", f"fraction {_expected(expected)} of {rate.mitoses} figures{few}"),
            *_tumour(expected, rated.options.cutoff),
            ("called", _called(rated)),
            ("corrected", _corrected(rated)),
            ("AMF / NMF", "no normal figure" if rate.ratio is None else f"{rate.ratio:.3f} as called"),
        ]
    rows += review_rows(rated.review)
    if rated.area:
        rows.append(("density", _density(rated.area)))
    if rated.hot_spot:
        rows.append(("hot spot", _hot_spot(rated.hot_spot)))
    return [*rows, *(("warning", told) for told in rated.warnings)]


def review_rows(review: ReviewRate | None) -> list[tuple[str, str]]:
    """Rows of the rates that persons' answers give, and of why their figures were reviewed."""
    if review is None:
        return []
    said = ", ".join(f"{n} {word}" for word, n in review.answers.items() if n)
    rows = [
        ("review", f"{review.because}: {said}"),
        ("reviewed", f"fraction {_of_review(review.reviewed)} by the answers alone"),
        ("combined", f"fraction {_of_review(review.combined)} by answers and model together"),
    ]
    if review.no_mitosis.value:
        rows.append(("no mitosis", f"{_of_review(review.no_mitosis)} of the candidates reviewed"))
    return rows


def _of_review(found: Fraction) -> str:
    return "not known" if found.value is None else short_interval(found.value, found.figures)


def not_classified(rate: SlideRate) -> str:
    """What became of the other candidates: ", 2 outside"."""
    counts = {kind: getattr(rate, kind) for kind in ("uncertain", "unreadable", "outside", "blank")}
    counts["duplicate"] = rate.duplicates
    return "".join(f", {n} {kind}" for kind, n in counts.items() if n)


def _expected(expected: Expected) -> str:
    """The fraction that is expected: "21 % (95 % interval 13 to 30 %)"."""
    assert expected.fraction is not None
    return short_interval(expected.fraction, expected.figures)


def short_interval(fraction: float, interval: tuple[float, float] | None) -> str:
    """A fraction and its interval in per cent, to two digits: "21 % (95 % interval 13 to 30 %)"."""
    told = f"{per_cent(fraction)} %"
    if interval is None or interval[0] == interval[1]:
        return told
    return f"{told} (95 % interval {per_cent(interval[0])} to {per_cent(interval[1])} %)"


def _tumour(expected: Expected, cutoff: float | None) -> list[tuple[str, str]]:
    if expected.tumour is None:
        return []
    low, high = expected.tumour
    told = f"95 % interval of the whole tumour's fraction {per_cent(low)} to {per_cent(high)} %"
    if expected.above is not None and cutoff is not None:
        told += f"; above {per_cent(cutoff)} % with probability {expected.above:.2f}"
    return [("tumour", told)]


def _called(rated: Rated) -> str:
    """The calls, by that name, and how many are expected: the two numbers need not be alike."""
    rate, decision = rated.rate, rated.decision
    return (
        f"{rate.atypical} of {rate.classified} atypical, from P {decision.threshold:g} "
        f"({decision.point}); {rate.expected_atypical:.0f} are expected"
    )


def _percent(fraction: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return f"{100 * fraction:.1f} %"
    return f"{100 * fraction:.1f} % (95 % interval {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %)"


def _corrected(rated: Rated) -> str:
    found, errors = rated.corrected, rated.errors
    if found.fraction is None:
        return f"not to be had: {found.reason}"
    if found.interval is None:
        return f"{_percent(found.fraction, None)}, without an interval: {found.reason}"
    return (
        f"{_percent(found.fraction, found.interval)}, "
        f"for sensitivity {errors.sensitivity:.2f} and specificity {errors.specificity:.2f}"
    )


def _density(found: AreaRate) -> str:
    mm2, rate = found.area.mm2, found.rate
    return (
        f"{rate.mitoses / mm2:.2f} mitoses and {rate.atypical / mm2:.2f} atypical figures per mm2, "
        f"{rate.mitoses} in {mm2:.2f} mm2 {_SOURCES[found.area.source]}"
    )


def _hot_spot(hot: HotSpotRate) -> str:
    rate, spot = hot.rate, hot.found.spot
    text = f"{rate.mitoses} mitoses in {spot.mm2:g} mm2 ({spot.shape}), {_expected(hot.expected)} atypical"
    if hot.found.at_most > hot.found.figures:
        text += f"; there may be a spot with up to {hot.found.at_most}"
    if hot.slide_smaller:
        return f"{text}; the slide is smaller than the spot, which is not drawn"
    if hot.mm2_used < 0.995 * spot.mm2:
        where = "on the slide" if hot.mm2_analysed is None else "within the area"
        text += f"; {hot.mm2_used:.2f} mm2 of it lie {where}"
    return text
