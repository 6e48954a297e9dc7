"""From the predictions of one slide to all that is said of its rate, pure but for looking for tissue."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from slidemitosis.candidates import area_classes_named
from slidemitosis.candidates.ids import hot_spot_id
from slidemitosis.errors import InvalidOption
from slidemitosis.models.looks import LEAST, LIMIT
from slidemitosis.options import ErrorCounts
from slidemitosis.prediction import left_out_warnings
from slidemitosis.rates.area import AnalysedArea, annotated_area, given_area, slide_outline, spot_outline
from slidemitosis.rates.correction import Corrected, corrected_fraction
from slidemitosis.rates.counts import SlideRate, slide_rate, too_few
from slidemitosis.rates.expected import Expected, expected_fraction
from slidemitosis.rates.hotspot import find_hot_spot
from slidemitosis.rates.regions import RegionRate, SlideFrame, rate_regions
from slidemitosis.rates.reviewed import ReviewRate, review_rate, reviewed_figures
from slidemitosis.rates.tissue import find_tissue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard
    from slidemitosis.models.decision import Decision, ValidationPart
    from slidemitosis.models.looks import SlideLooks
    from slidemitosis.options import RateOptions
    from slidemitosis.prediction import CandidateResult
    from slidemitosis.rates.hotspot import HotSpot
    from slidemitosis.reading.prepare import Prepared

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRate:
    """The figures of the analysed area."""

    area: AnalysedArea
    rate: SlideRate
    """Of the figures within it, duplicates and what could not be seen left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotSpotRate:
    """The figures of the hot spot."""

    found: HotSpot
    """Centre in um from the corner of level 0."""
    rate: SlideRate
    expected: Expected
    mm2_on_slide: float
    """Of the spot, what lies on the slide, or within its bounds."""
    mm2_analysed: float | None
    """Of the spot, what lies on the slide and within annotations or tissue; None where neither is known."""
    slide_smaller: bool
    """The slide is smaller than the spot."""
    area_smaller: bool
    """The analysed area is smaller than the spot."""
    object_id: str | None
    """Of its annotation; None where the slide is smaller, and it is not drawn."""

    @property
    def mm2_used(self) -> float:
        """Area of the spot in which figures were looked for."""
        return self.mm2_on_slide if self.mm2_analysed is None else self.mm2_analysed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """All that is said of the rate of one slide."""

    options: RateOptions
    decision: Decision
    """How probabilities and calls were made."""
    rate: SlideRate
    expected: Expected
    """The fraction that the probabilities expect: the rate of the slide."""
    corrected: Corrected
    errors: ErrorCounts
    area: AreaRate | None
    hot_spot: HotSpotRate | None
    """None where there is no figure."""
    unlike: float | None
    """`LooksPart.distance` of the figures from those of training; None where it cannot be told."""
    review: ReviewRate | None
    """What persons' answers come to; None where there are none."""
    regions: tuple[RegionRate, ...] | None
    """One for each region that was named; None where none was."""
    warnings: tuple[str, ...]
    """Why the rate may not be what it seems, a sentence each."""


def check_band(options: RateOptions, decision: Decision, *, model: str) -> None:
    """Raises InvalidOption if figures on both sides of the threshold would not be called what they are."""
    if options.abstain is None:
        return
    low, high = options.abstain
    if not low <= decision.threshold <= high:
        raise InvalidOption(
            f"abstain from {low:g} to {high:g} does not hold {decision.threshold:g}, from which "
            f"{model} calls a figure atypical; choose a band around it"
        )


def analysed_area(
    prepared: Prepared, options: RateOptions, area_classes: Sequence[str]
) -> AnalysedArea | None:
    """The area that figures were looked for in; None where nothing says it, or no tissue was found.

    Raises InvalidOption if it is said in two ways or cannot be had, UnsettledClasses.
    """
    where, mpp = prepared.slide.area, prepared.mpp
    if area_classes and (options.area_mm2 is not None or options.tissue):
        raise InvalidOption("the area is that of a class, or a number, or the tissue: give one of the three")
    if area_classes:
        names = area_classes_named(prepared.candidates, area_classes)
        if None in names:
            raise InvalidOption("the area class must have a name; unclassified objects are no area")
        return annotated_area(
            prepared.candidates,
            sorted(name for name in names if name),
            mpp=mpp,
            offset=prepared.frames.points,
            slide=where,
        )
    if options.area_mm2 is not None:
        return given_area(options.area_mm2, where.width * mpp.x * where.height * mpp.y / 1e6)
    if not options.tissue:
        return None
    with prepared.open_slide() as slide:
        tissue = find_tissue(slide, mpp)
    if tissue is None:
        log.warning("%s: no tissue is to be seen, and so there is no density", prepared.slide.path)
        return None
    return AnalysedArea(source="tissue", mm2=tissue.mm2, tissue=tissue)


def rate_slide(
    results: Sequence[CandidateResult],
    *,
    prepared: Prepared,
    card: ModelCard,
    decision: Decision,
    options: RateOptions,
    area: AnalysedArea | None,
    looks: SlideLooks,
) -> Rated:
    """Count, correct, and find the hot spot, among the figures of the annotated area where there is one."""
    rate = slide_rate(results)
    errors = options.errors or validated_errors(decision.validation)
    mitoses = [r for r in results if r.prediction is not None]
    places = [(r.placed.x * prepared.mpp.x, r.placed.y * prepared.mpp.y) for r in mitoses]
    xy_um = np.array(places).reshape(-1, 2)
    within = area.holds(xy_um) if area else np.ones(len(mitoses), np.bool_)
    inside = [r for r, held in zip(mitoses, within, strict=True) if held]
    taken = {r.placed.object_id.lower() for r in results}
    regions = rate_regions(
        prepared.regions,
        mitoses,
        xy_um,
        frame=SlideFrame(
            name=prepared.slide.path.name,
            area=prepared.slide.area,
            mpp=prepared.mpp,
            offset=prepared.frames.points,
        ),
        cores=prepared.candidates.cores,
        taken=taken,
        spread=decision.spread,
        cutoff=options.cutoff,
    )
    expected = expected_fraction(rate.probabilities, decision.spread, cutoff=options.cutoff)
    unlike = card.looks.distance(looks) if card.looks and looks.figures >= LEAST else None
    return Rated(
        options=options,
        decision=decision,
        rate=rate,
        expected=expected,
        corrected=_corrected(rate, errors, options),
        errors=errors,
        area=AreaRate(area=area, rate=slide_rate(inside)) if area else None,
        hot_spot=_hot_spot(
            inside,
            xy_um[within],
            prepared=prepared,
            options=options,
            decision=decision,
            area=area,
            taken=taken | {r.object_id.lower() for r in regions},
        ),
        unlike=unlike,
        review=review_rate(reviewed_figures(results)),
        regions=regions or None,
        warnings=(*unclassified_warnings(rate), *_warnings(expected, card, options.tumour, unlike=unlike)),
    )


def unclassified_warnings(rate: SlideRate) -> tuple[str, ...]:
    """Say, a sentence each, how many candidates have no call because of the slide or of their places."""
    total = rate.candidates - rate.duplicates
    return left_out_warnings(total, unreadable=rate.unreadable, blank=rate.blank, outside=rate.outside)


def _warnings(
    expected: Expected, card: ModelCard, tumour: str | None, *, unlike: float | None
) -> tuple[str, ...]:
    found = []
    if expected.fraction is not None and expected.figures is None:
        found.append(f"the fraction has no interval: {expected.reason}")
    if tumour is not None and not card.is_validated_on(tumour):
        found.append(
            f"{card.name} was validated on {', '.join(card.validated_on)}, not on {tumour}: "
            "fraction and intervals may be wrong for it"
        )
    if unlike is not None and unlike > LIMIT:
        found.append(
            f"the figures look unlike those that {card.name} was trained on, in stain or sharpness (distance "
            f"{unlike:.0f}, of such slides at most {LIMIT:.0f}): fraction and intervals may be wrong"
        )
    return tuple(found)


def validated_errors(v: ValidationPart) -> ErrorCounts:
    """The validation counts of a model's card, for `corrected_fraction`."""
    slides = v.between_slides
    counts = ErrorCounts(tp=v.tp, fn=v.fn, tn=v.tn, fp=v.fp)
    if slides is None:
        return counts
    return dataclasses.replace(
        counts,
        sensitivity_sd=slides.sensitivity_sd,
        specificity_sd=slides.specificity_sd,
        sensitivity_se=slides.sensitivity_se,
        specificity_se=slides.specificity_se,
    )


def _corrected(rate: SlideRate, errors: ErrorCounts, options: RateOptions) -> Corrected:
    if options.abstain and options.errors is None:
        reason = (
            "the card's sensitivity and specificity are of all figures, and some are set apart as uncertain; "
            "give those of the others"
        )
        return Corrected(None, None, reason)
    if rate.classified > 0 and rate.few_figures:
        return Corrected(None, None, too_few(rate.classified))
    return corrected_fraction(rate.atypical, rate.classified, errors)


def _hot_spot(
    mitoses: Sequence[CandidateResult],
    xy_um: NDArray[np.float64],
    *,
    prepared: Prepared,
    options: RateOptions,
    decision: Decision,
    area: AnalysedArea | None,
    taken: Collection[str],
) -> HotSpotRate | None:
    spot = options.spot
    found = find_hot_spot(xy_um, spot)
    if found is None:
        return None
    rate = slide_rate(r for r, held in zip(mitoses, found.inside, strict=True) if held)
    slide = slide_outline(prepared.slide.area, prepared.mpp)
    on_slide = shapely.intersection(slide, spot_outline(spot, found.x_um, found.y_um))
    slide_smaller = float(shapely.area(slide)) / 1e6 < spot.mm2
    return HotSpotRate(
        found=found,
        rate=rate,
        expected=expected_fraction(rate.probabilities, decision.spread, cutoff=options.cutoff),
        mm2_on_slide=float(shapely.area(on_slide)) / 1e6,
        mm2_analysed=area.mm2_within(on_slide) if area else None,
        slide_smaller=slide_smaller,
        area_smaller=area is not None and area.mm2 < spot.mm2,
        object_id=None if slide_smaller else hot_spot_id(prepared.slide.path.name, taken),
    )
