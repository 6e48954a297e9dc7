"""What a rate is called in `summary.json` and in tables, pure; docs/outputs.md explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slidemitosis.geometry import PixelSize
    from slidemitosis.options import ErrorCounts
    from slidemitosis.rates.correction import Corrected
    from slidemitosis.rates.counts import SlideRate
    from slidemitosis.rates.expected import Expected
    from slidemitosis.rates.reviewed import ReviewRate
    from slidemitosis.rates.slide import AreaRate, HotSpotRate

METHOD = "Rogan and Gladen 1978, interval of Lang and Reiczigel 2014"


def count_fields(rate: SlideRate) -> dict[str, Any]:
    """Counts of figures by what became of them."""
    return {
        "candidates": rate.candidates,
        "classified": rate.classified,
        "atypical": rate.atypical,
        "normal": rate.normal,
        "uncertain": rate.uncertain,
        "unreadable": rate.unreadable,
        "outside": rate.outside,
        "blank": rate.blank,
        "duplicates": rate.duplicates,
    }


def fraction_fields(rate: SlideRate, expected: Expected) -> dict[str, Any]:
    """The expected fraction, the fraction and ratio as called, and whether there are too few figures."""
    return {
        "expected_fraction_amf_of_all": expected.fraction,
        "expected_fraction_amf_of_all_figures_95": expected.figures,
        "expected_fraction_amf_of_all_tumour_95": expected.tumour,
        "expected_atypical": rate.expected_atypical,
        "probability_above_cutoff": expected.above,
        "no_interval_because": expected.reason,
        "fraction_amf_of_all": rate.fraction,
        "fraction_amf_of_all_wilson_95": rate.fraction_interval,
        "fraction_amf_of_all_jeffreys_95": rate.fraction_interval_jeffreys,
        "ratio_amf_to_nmf": rate.ratio,
        "mean_p_atypical": rate.mean_probability,
        "few_figures": rate.few_figures,
    }


def review_fields(found: ReviewRate | None) -> dict[str, Any] | None:
    """The counts of persons' answers, and the fractions that they give, each under its name."""
    if found is None:
        return None
    return {
        "figures": found.figures,
        "answered": found.answered,
        "amf": found.answers["AMF"],
        "nmf": found.answers["NMF"],
        "no_mitosis": found.answers["none"],
        "unsure": found.answers["unsure"],
        "reasons": dict(found.reasons),
        "chosen": found.chosen,
        "because": found.because,
        "unbiased": found.unbiased,
        "counted": found.counted,
        "reviewed_fraction_amf_of_all": found.reviewed.value,
        "reviewed_fraction_amf_of_all_figures_95": found.reviewed.figures,
        "reviewed_fraction_amf_of_all_tumour_95": found.reviewed.tumour,
        "combined_fraction_amf_of_all": found.combined.value,
        "combined_fraction_amf_of_all_figures_95": found.combined.figures,
        "combined_fraction_amf_of_all_tumour_95": found.combined.tumour,
        "share_no_mitosis": found.no_mitosis.value,
        "share_no_mitosis_95": found.no_mitosis.figures,
    }


def corrected_fields(corrected: Corrected, errors: ErrorCounts, *, protocol: str | None) -> dict[str, Any]:
    """The corrected fraction and what corrected it; `protocol` is None where the user gave the counts."""
    return {
        "corrected_fraction_amf_of_all": corrected.fraction,
        "corrected_fraction_amf_of_all_95": corrected.interval,
        "correction": {
            "method": METHOD,
            "counts_from": "given" if protocol is None else "model card",
            "protocol": protocol,
            "tp": errors.tp,
            "fn": errors.fn,
            "tn": errors.tn,
            "fp": errors.fp,
            "sensitivity": errors.sensitivity,
            "specificity": errors.specificity,
            "sensitivity_sd_between_slides": errors.sensitivity_sd,
            "specificity_sd_between_slides": errors.specificity_sd,
            "sensitivity_standard_error": errors.sensitivity_se or None,
            "specificity_standard_error": errors.specificity_se or None,
            "missing_because": corrected.reason,
        },
    }


def area_fields(found: AreaRate | None) -> dict[str, Any] | None:
    """The figures of the analysed area, and how many there are per mm2."""
    if found is None:
        return None
    area, tissue = found.area, found.area.tissue
    return {
        "source": area.source,
        "mm2": area.mm2,
        "classes": list(area.classes),
        "annotations": area.annotations,
        "tissue_level": tissue.level if tissue else None,
        "tissue_um_per_px": list(tissue.pixel_um) if tissue else None,
        "tissue_threshold": tissue.threshold if tissue else None,
        **density_fields(found.rate, area.mm2),
    }


def hot_spot_fields(found: HotSpotRate | None, *, mpp: PixelSize, among: str) -> dict[str, Any] | None:
    """The figures of the hot spot, its place, and the part of it that was really looked at."""
    if found is None:
        return None
    spot, half = found.found.spot, found.found.spot.half_um
    return {
        "shape": spot.shape,
        "mm2": spot.mm2,
        "width_um": 2 * half[0],
        "height_um": 2 * half[1],
        "chosen_by": "most mitoses, whatever their class",
        "among": among,
        "centre_level0_px": [found.found.x_um / mpp.x, found.found.y_um / mpp.y],
        "no_spot_has_more_than": found.found.at_most,
        "mm2_on_slide": found.mm2_on_slide,
        "mm2_analysed": found.mm2_analysed,
        "slide_smaller_than_spot": found.slide_smaller,
        "area_smaller_than_spot": found.area_smaller,
        **density_fields(found.rate, found.mm2_used),
        **fraction_fields(found.rate, found.expected),
        "object_id": found.object_id,
    }


def density_fields(rate: SlideRate, mm2: float) -> dict[str, Any]:
    """Figures by class, and how many there are per mm2.

    None where the area is none: a spot beside the tissue that was found, a region beside the slide.
    """
    return {
        "mitoses": rate.mitoses,
        "atypical": rate.atypical,
        "normal": rate.normal,
        "uncertain": rate.uncertain,
        "mitoses_per_mm2": rate.mitoses / mm2 if mm2 else None,
        "atypical_per_mm2": rate.atypical / mm2 if mm2 else None,
    }
