"""Make a slide's row of the cohort's table; docs/cohorts.md explains each column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slidemitosis.labels import SUBTYPES
from slidemitosis.outputs.rate_fields import area_fields, count_fields
from slidemitosis.outputs.summary import expected_hard, expected_subtypes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.geometry import PixelSize
    from slidemitosis.outputs.result import SlideResult
    from slidemitosis.rates.correction import Corrected
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.expected import Expected
    from slidemitosis.rates.reviewed import ReviewRate
    from slidemitosis.rates.slide import HotSpotRate

Value = str | int | float | bool | None
Row = dict[str, Value]

_OF_REVIEW: Mapping[str, type[str] | type[int] | type[float] | type[bool]] = {
    "review_chosen": str,
    "review_unbiased": bool,
    **dict.fromkeys(
        ("review_answered", "review_amf", "review_nmf", "review_no_mitosis", "review_unsure"), int
    ),
    **dict.fromkeys(("reviewed_fraction_amf_of_all", "reviewed_figures_95_low"), float),
    **dict.fromkeys(("reviewed_figures_95_high", "reviewed_tumour_95_low", "reviewed_tumour_95_high"), float),
    **dict.fromkeys(("combined_fraction_amf_of_all", "combined_figures_95_low"), float),
    **dict.fromkeys(("combined_figures_95_high", "combined_tumour_95_low", "combined_tumour_95_high"), float),
    **dict.fromkeys(("share_no_mitosis", "share_no_mitosis_95_low", "share_no_mitosis_95_high"), float),
}
_OF_SUBTYPES = {name: f"expected_{re.sub('[ -]', '_', name)}" for name in SUBTYPES}
"""Subtype -> the column of its expected number; empty where the model does not tell it."""
COLUMN_TYPES: Mapping[str, type[str] | type[int] | type[float] | type[bool]] = {
    **dict.fromkeys(("status", "step", "cause"), str),
    **dict.fromkeys(("candidates", "classified", "atypical", "normal", "uncertain", "unreadable"), int),
    **dict.fromkeys(("outside", "blank", "duplicates"), int),
    **dict.fromkeys(("expected_fraction_amf_of_all", "expected_figures_95_low"), float),
    **dict.fromkeys(("expected_figures_95_high", "expected_tumour_95_low", "expected_tumour_95_high"), float),
    **dict.fromkeys(("expected_atypical", "probability_above_cutoff"), float),
    **dict.fromkeys(("borrowed_fraction_amf_of_all", "borrowed_tumour_95_low"), float),
    **dict.fromkeys(("borrowed_tumour_95_high", "fraction_amf_of_all", "wilson_95_low"), float),
    **dict.fromkeys(("wilson_95_high", "jeffreys_95_low", "jeffreys_95_high"), float),
    "few_figures": bool,
    **dict.fromkeys(("ratio_amf_to_nmf", "mean_p_atypical", "corrected_fraction_amf_of_all"), float),
    **dict.fromkeys(("corrected_95_low", "corrected_95_high"), float),
    **_OF_REVIEW,
    "area_source": str,
    "area_mm2": float,
    **dict.fromkeys(("mitoses_in_area", "atypical_in_area"), int),
    **dict.fromkeys(("mitoses_per_mm2", "atypical_per_mm2"), float),
    **dict.fromkeys(("hot_spot_mitoses", "hot_spot_atypical"), int),
    **dict.fromkeys(("hot_spot_expected_fraction_amf_of_all", "hot_spot_expected_figures_95_low"), float),
    **dict.fromkeys(("hot_spot_expected_figures_95_high", "hot_spot_expected_tumour_95_low"), float),
    **dict.fromkeys(("hot_spot_expected_tumour_95_high", "hot_spot_fraction_amf_of_all"), float),
    **dict.fromkeys(("hot_spot_mm2", "hot_spot_level0_x", "hot_spot_level0_y"), float),
    "hot_spot_at_most": int,
    "expected_hard": float,
    **dict.fromkeys(_OF_SUBTYPES.values(), float),
    **dict.fromkeys(("width_px", "height_px"), int),
    **dict.fromkeys(("mpp_x", "mpp_y"), float),
    "upsampled": bool,
    **dict.fromkeys(("model", "tumour", "warnings", "operating_point"), str),
    "threshold": float,
    "model_sha256": str,
    "seconds": float,
}
"""What the columns of every slide hold, in their order; those of one that is not done are empty."""


FIRST_COLUMNS = ("name", "slide", "points", "patient")


def is_ours(name: str) -> bool:
    """Whether a slide that is done may have a column of this name."""
    return name in COLUMN_TYPES


def own_column(name: str) -> str:
    """Name a column of the list, which may be named like one of ours that other slides may have."""
    return f"list.{name}" if is_ours(name) or name in FIRST_COLUMNS else name


def column_type(name: str) -> type | None:
    """What a column of ours holds; None where it is of the user's own table, in which all is text."""
    return COLUMN_TYPES.get(name)


def row_values(result: SlideResult, *, seconds: float) -> Row:
    """Make the columns that come from one slide's results, in their order; all of them plain values.

    seconds: what the slide took in all, the one value in which two runs differ.
    """
    rate, card, prepared = result.rate, result.card, result.prepared
    subtypes, area = expected_subtypes(rate, card) or {}, area_fields(result.rated.area) or {}
    return {
        **count_fields(rate),
        **rate_values(rate, result.rated.expected, result.rated.corrected),
        **review_values(result.rated.review),
        "area_source": area.get("source"),
        "area_mm2": area.get("mm2"),
        "mitoses_in_area": area.get("mitoses"),
        "atypical_in_area": area.get("atypical"),
        "mitoses_per_mm2": area.get("mitoses_per_mm2"),
        "atypical_per_mm2": area.get("atypical_per_mm2"),
        **_hot_spot_values(result.rated.hot_spot, prepared.mpp),
        "expected_hard": expected_hard(rate, card),
        **{column: subtypes.get(name) for name, column in _OF_SUBTYPES.items()},
        "width_px": prepared.slide.size[0],
        "height_px": prepared.slide.size[1],
        "mpp_x": prepared.mpp.x,
        "mpp_y": prepared.mpp.y,
        "upsampled": prepared.upsampled,
        "model": f"{card.name} {card.version}",
        "tumour": result.rated.options.tumour,
        "warnings": "; ".join(result.rated.warnings) or None,
        "operating_point": result.rated.decision.point,
        "threshold": result.rated.decision.threshold,
        "model_sha256": card.weights_sha256,
        "seconds": seconds,
    }


def rate_values(rate: SlideRate, expected: Expected, corrected: Corrected | None) -> Row:
    """Make the columns of fractions and their intervals, of one slide or of several."""
    return {
        "expected_fraction_amf_of_all": expected.fraction,
        **interval_ends("expected_figures_95", expected.figures),
        **interval_ends("expected_tumour_95", expected.tumour),
        "expected_atypical": rate.expected_atypical if rate.mitoses else None,
        "probability_above_cutoff": expected.above,
        "fraction_amf_of_all": rate.fraction,
        **interval_ends("wilson_95", rate.fraction_interval),
        **interval_ends("jeffreys_95", rate.fraction_interval_jeffreys),
        "few_figures": rate.few_figures,
        "ratio_amf_to_nmf": rate.ratio,
        "mean_p_atypical": rate.mean_probability,
        "corrected_fraction_amf_of_all": corrected.fraction if corrected else None,
        **interval_ends("corrected_95", corrected.interval if corrected else None),
    }


def review_values(review: ReviewRate | None) -> Row:
    """Make the columns of persons' answers and of the fractions that they give."""
    told: Row = dict.fromkeys(_OF_REVIEW)
    if review is None:
        return told
    named = {"reviewed": review.reviewed, "combined": review.combined}
    return told | {
        "review_chosen": review.chosen,
        "review_unbiased": review.unbiased,
        "review_answered": review.answered,
        "review_amf": review.answers["AMF"],
        "review_nmf": review.answers["NMF"],
        "review_no_mitosis": review.answers["none"],
        "review_unsure": review.answers["unsure"],
        **{f"{name}_fraction_amf_of_all": fraction.value for name, fraction in named.items()},
        **interval_ends("reviewed_figures_95", review.reviewed.figures),
        **interval_ends("reviewed_tumour_95", review.reviewed.tumour),
        **interval_ends("combined_figures_95", review.combined.figures),
        **interval_ends("combined_tumour_95", review.combined.tumour),
        "share_no_mitosis": review.no_mitosis.value,
        **interval_ends("share_no_mitosis_95", review.no_mitosis.figures),
    }


def interval_ends(name: str, interval: tuple[float, float] | None) -> Row:
    """Make the columns of an interval's ends."""
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _hot_spot_values(hot: HotSpotRate | None, mpp: PixelSize) -> Row:
    return {
        "hot_spot_mitoses": hot.rate.mitoses if hot else None,
        "hot_spot_atypical": hot.rate.atypical if hot else None,
        "hot_spot_expected_fraction_amf_of_all": hot.expected.fraction if hot else None,
        **interval_ends("hot_spot_expected_figures_95", hot.expected.figures if hot else None),
        **interval_ends("hot_spot_expected_tumour_95", hot.expected.tumour if hot else None),
        "hot_spot_fraction_amf_of_all": hot.rate.fraction if hot else None,
        "hot_spot_mm2": hot.mm2_used if hot else None,
        "hot_spot_level0_x": hot.found.x_um / mpp.x if hot else None,
        "hot_spot_level0_y": hot.found.y_um / mpp.y if hot else None,
        "hot_spot_at_most": hot.found.at_most if hot else None,
    }
