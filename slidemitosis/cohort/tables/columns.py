"""Pure: from a slide's summary to its row of the cohort table; docs/cohorts.md explains each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | int | float | bool | None


_NAMES = frozenset(
    (
        *("status", "step", "cause", "candidates", "classified", "atypical", "normal", "uncertain"),
        *("unreadable", "outside", "blank", "duplicates", "fraction_amf_of_all"),
        *("wilson_95_low", "wilson_95_high", "jeffreys_95_low", "jeffreys_95_high", "few_figures"),
        *("ratio_amf_to_nmf", "mean_p_atypical", "corrected_fraction_amf_of_all"),
        *("corrected_95_low", "corrected_95_high", "area_source", "area_mm2", "mitoses_in_area"),
        *("atypical_in_area", "mitoses_per_mm2", "atypical_per_mm2", "hot_spot_mitoses"),
        *("hot_spot_atypical", "hot_spot_fraction_amf_of_all", "hot_spot_mm2", "hot_spot_level0_x"),
        *("hot_spot_level0_y", "hot_spot_at_most", "expected_hard", "width_px", "height_px", "mpp_x"),
        *("mpp_y", "upsampled", "model", "model_sha256"),
    )
)


def is_ours(name: str) -> bool:
    """Whether a slide that is done may have a column of this name."""
    return name in _NAMES or name.startswith(("expected_NMF_", "expected_AMF_"))


def row_values(summary: Mapping[str, Any]) -> dict[str, Value]:
    """The columns that come from `summary.json`, in their order; all of them plain values."""
    slide, model = summary["slide"], summary["model"]
    return {
        **summary["counts"],
        **rate_values(summary),
        **_area_values(summary["analysed_area"]),
        **_hot_spot_values(summary["hot_spot"]),
        "expected_hard": summary["expected_hard"],
        **{f"expected_{k.replace(' ', '_')}": v for k, v in (summary["expected_subtypes"] or {}).items()},
        "width_px": slide["width_px"],
        "height_px": slide["height_px"],
        "mpp_x": slide["mpp_x"],
        "mpp_y": slide["mpp_y"],
        "upsampled": summary["reading"]["upsampled"],
        "model": f"{model['name']} {model['version']}",
        "model_sha256": model["sha256"],
    }


def rate_values(fields: Mapping[str, Any]) -> dict[str, Value]:
    """Fractions and their intervals, of one slide or of several, from fields as `summary.json` has them."""
    return {
        "fraction_amf_of_all": fields["fraction_amf_of_all"],
        **_ends("wilson_95", fields["fraction_amf_of_all_wilson_95"]),
        **_ends("jeffreys_95", fields["fraction_amf_of_all_jeffreys_95"]),
        "few_figures": fields["few_figures"],
        "ratio_amf_to_nmf": fields["ratio_amf_to_nmf"],
        "mean_p_atypical": fields["mean_p_atypical"],
        "corrected_fraction_amf_of_all": fields["corrected_fraction_amf_of_all"],
        **_ends("corrected_95", fields["corrected_fraction_amf_of_all_95"]),
    }


def _ends(name: str, interval: tuple[float, float] | None) -> dict[str, Value]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _area_values(area: Mapping[str, Any] | None) -> dict[str, Value]:
    return {
        "area_source": area["source"] if area else None,
        "area_mm2": area["mm2"] if area else None,
        "mitoses_in_area": area["mitoses"] if area else None,
        "atypical_in_area": area["atypical"] if area else None,
        "mitoses_per_mm2": area["mitoses_per_mm2"] if area else None,
        "atypical_per_mm2": area["atypical_per_mm2"] if area else None,
    }


def _hot_spot_values(spot: Mapping[str, Any] | None) -> dict[str, Value]:
    x, y = spot["centre_level0_px"] if spot else (None, None)
    used = (spot["mm2_on_slide"] if spot["mm2_analysed"] is None else spot["mm2_analysed"]) if spot else None
    return {
        "hot_spot_mitoses": spot["mitoses"] if spot else None,
        "hot_spot_atypical": spot["atypical"] if spot else None,
        "hot_spot_fraction_amf_of_all": spot["fraction_amf_of_all"] if spot else None,
        "hot_spot_mm2": used,
        "hot_spot_level0_x": x,
        "hot_spot_level0_y": y,
        "hot_spot_at_most": spot["no_spot_has_more_than"] if spot else None,
    }
