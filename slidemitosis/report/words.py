"""What a report says of a rate, in words; every number is from the summary, and none is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slidemitosis.outputs.rate_fields import per_cent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.outputs.read import Row

    Summary = Mapping[str, Any]

CALLS = {"AMF": "atypical", "NMF": "normal"}
ANSWERS = {**CALLS, "none": "no mitosis", "unsure": "unsure"}
_LEFT_OUT = {
    "unreadable": ("could not be read", "could not be read"),
    "outside": ("lies off the slide", "lie off the slide"),
    "blank": ("shows nothing (bare glass, or no pixels)", "show nothing (bare glass, or no pixels)"),
    "duplicates": ("is a duplicate of another one", "are duplicates of others"),
    "uncertain": ("is set apart as uncertain", "are set apart as uncertain"),
}
"""What became of one figure, and of several, that have no call."""


def figures(n: int) -> str:
    """Say a number of figures: "1 figure", "1,200 figures"."""
    return f"{n:,} figure{'' if n == 1 else 's'}"


def span(interval: tuple[float, float]) -> str:
    """Say an interval of fractions: "13 to 30 %"."""
    return f"{per_cent(interval[0])} to {per_cent(interval[1])} %"


def said(row: Row) -> str:
    """Say what the model says of a figure: "atypical 0.83", or why it says nothing."""
    if row.probability is None:
        return row.status
    return f"{CALLS.get(row.call, row.status)} {row.probability:.3f}"


def rate_sentence(summary: Summary) -> str:
    """Say the rate and its intervals in one sentence."""
    counts = summary["counts"]
    n = counts["classified"] + counts["uncertain"]
    fraction = summary["expected_fraction_amf_of_all"]
    if fraction is None:
        return "There is no rate, since nothing was classified."
    told = f"Of {figures(n)}, {per_cent(fraction)} % are expected to be atypical"
    among, tumour = (summary[f"expected_fraction_amf_of_all_{kind}_95"] for kind in ("figures", "tumour"))
    if among is None:
        return f"{told}, without an interval: {summary['no_interval_because']}."
    return (
        f"{told}: experts would count {span(among)} of them, and {span(tumour)} in the whole tumour "
        "(95 % intervals)."
    )


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Say what the slide and the model are, a name and a text each."""
    slide, model, counts = summary["slide"], summary["model"], summary["counts"]
    hot, area = summary["hot_spot"], summary["analysed_area"]
    told = [
        ("Slide", f"{slide['width_px']:,} x {slide['height_px']:,} px, {resolution(slide)}"),
        ("Model", f"{model['name']} {model['version']}, {_views(summary)}"),
        ("Candidates", f"{counts['candidates']:,}, of which {counts['classified']:,} classified"),
    ]
    if hot:
        told.append(("Hot spot", _hot_spot(hot)))
    if area and area["mitoses_per_mm2"] is not None:
        told.append(("Density", f"{area['mitoses_per_mm2']:.2f} mitoses per mm², in {area['mm2']:.2f} mm²"))
    return told


def _hot_spot(hot: Summary) -> str:
    told = f"{hot['mitoses']:,} mitoses in {hot['mm2']:g} mm² ({hot['shape']})"
    if hot["expected_fraction_amf_of_all"] is not None:
        told += f", {per_cent(hot['expected_fraction_amf_of_all'])} % expected atypical"
    return told + ("; not drawn, the slide is smaller" if hot["slide_smaller_than_spot"] else "")


def resolution(slide: Summary) -> str:
    """Say the pixel size: "0.25 µm/px"."""
    x, y = slide["mpp_x"], slide["mpp_y"]
    return f"{x:.4g} µm/px" if x == y else f"{x:.4g} x {y:.4g} µm/px"


def _views(summary: Summary) -> str:
    views = summary["options"]["views"]
    return "1 view" if views == 1 else f"{views} views"


def warnings(summary: Summary) -> list[str]:
    """Say why the rate may not be what it seems, a sentence each."""
    counts, reading = summary["counts"], summary["reading"]
    told = []
    if counts["classified"] and summary["few_figures"]:
        told.append(
            f"Only {figures(counts['classified'])}: too few for a rate. Read the interval, not the number."
        )
    if reading["upsampled"]:
        told.append(
            f"The slide is coarser ({resolution(summary['slide'])}) than the model's pixels "
            f"({reading['model_mpp']:g} µm/px): patches were upsampled; the model was not trained on such."
        )
    name = summary["model"]["name"]  # which is written as it is, at the beginning of a sentence too
    told += [f"{t if t.startswith(name) else t[:1].upper() + t[1:]}." for t in summary["warnings"]]
    review = summary.get("review")
    if review and not review["unbiased"]:
        told.append(f"Rates with reviewed figures are {review['because']}.")
    for kind, (of_one, of_several) in _LEFT_OUT.items():
        if n := counts[kind]:
            told.append(f"{figures(n)} {of_one if n == 1 else of_several}, and so without a call.")
    return told


def methods(summary: Summary) -> str:
    """Say how it was done, for the methods of a paper."""
    slide, model, reading, counts = (summary[k] for k in ("slide", "model", "reading", "counts"))
    n = counts["classified"] + counts["uncertain"]
    version = summary["versions"]["slidemitosis"]
    told = (
        f"Candidate mitotic figures of {slide['name']} were classified as atypical or normal by slidemitosis "
        f"{version} (model {model['name']} {model['version']}, SHA-256 {model['sha256'][:12]}; patches of "
        f"{reading['patch_px']} px at {reading['model_mpp']:g} µm/px, {_views(summary)}). "
    )
    fraction, among = (summary[f"expected_fraction_amf_of_all{k}"] for k in ("", "_figures_95"))
    if fraction is None:
        return told + "None could be classified."
    rate = f"{per_cent(fraction)} %"
    if among:
        tumour = summary["expected_fraction_amf_of_all_tumour_95"]
        rate += f" (95 % interval {span(among)} among these figures, {span(tumour)} in the tumour)"
    return (
        f"{told}The atypical fraction AMF / (AMF + NMF) of {figures(n)}, the mean of P(atypical), was "
        f"{rate}. At P ≥ {model['threshold']:.4g} ({model['operating_point']} operating point), "
        f"{counts['atypical']:,} of {counts['classified']:,} were called atypical."
    )
