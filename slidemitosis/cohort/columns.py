"""Pure: from a slide's summary to its row of the cohort table; docs/cohorts.md explains each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | int | float | bool | None


def row_values(summary: Mapping[str, Any]) -> dict[str, Value]:
    """The columns that come from `summary.json`, in their order; all of them plain values."""
    slide, counts, model = summary["slide"], summary["counts"], summary["model"]
    low, high = summary["fraction_amf_of_all_wilson_95"] or (None, None)
    values: dict[str, Value] = {
        "candidates": counts["candidates"],
        "classified": counts["classified"],
        "atypical": counts["atypical"],
        "normal": counts["normal"],
        "unreadable": counts["unreadable"],
        "outside": counts["outside"],
        "blank": counts["blank"],
        "duplicates": counts["duplicates"],
        "fraction_amf_of_all": summary["fraction_amf_of_all"],
        "wilson_95_low": low,
        "wilson_95_high": high,
        "ratio_amf_to_nmf": summary["ratio_amf_to_nmf"],
        "few_figures": summary["few_figures"],
    }
    values["expected_hard"] = summary["expected_hard"]
    for name, expected in (summary["expected_subtypes"] or {}).items():
        values[f"expected_{name.replace(' ', '_')}"] = expected
    return values | {
        "width_px": slide["width_px"],
        "height_px": slide["height_px"],
        "mpp_x": slide["mpp_x"],
        "mpp_y": slide["mpp_y"],
        "upsampled": summary["reading"]["upsampled"],
        "model": f"{model['name']} {model['version']}",
        "model_sha256": model["sha256"],
    }
