"""Plot a cohort's rates: every slide with its interval, sorted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from slidemitosis.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.cohort.tables.columns import Value

FIGURE = "cohort.png"
_NAMED = 150
"""Number of slides up to which the axis names each."""
# Blue of Okabe and Ito. Slides with few figures differ in shape and shade, not in colour alone.
_COLOUR, _FAINT = "#0072B2", "0.6"
_STYLE = {
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may hold a dollar sign
    "legend.frameon": False,
}


def write_figure(rows: Sequence[Mapping[str, Value]], out: Path) -> Path | None:
    """Draw the fraction AMF / (AMF + NMF) of each slide that is done, as expected, with the 95 % interval of
    its tumour.

    Slides are sorted by fraction, then by name; those with few figures are hollow and grey. The same rows
    give the same bytes. Return the file, or None if no slide has a rate: nothing is written then. Raises
    OutputError.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rated = [r for r in rows if r["status"] == "done" and r.get("expected_fraction_amf_of_all") is not None]
    if not rated:
        return None
    rated.sort(key=lambda r: (_number(r, "expected_fraction_amf_of_all"), str(r["name"])))
    with matplotlib.style.context(["default", _STYLE]):
        named = len(rated) <= _NAMED
        figure = Figure(
            figsize=(max(5.0, min(24.0 if named else 10.0, 0.16 * len(rated) + 1.5)), 4.2),
            layout="constrained",
        )
        axes = figure.add_subplot()
        for few, colour, face, label in (
            (False, _COLOUR, _COLOUR, None),
            (True, _FAINT, "white", "too few figures for a rate"),
        ):
            places = [i for i, r in enumerate(rated) if bool(r.get("few_figures")) == few]
            if not places:
                continue
            middle = [100 * _number(rated[i], "expected_fraction_amf_of_all") for i in places]
            sure = [i for i in places if rated[i].get("expected_tumour_95_low") is not None]
            low = [100 * _number(rated[i], "expected_tumour_95_low") for i in sure]
            high = [100 * _number(rated[i], "expected_tumour_95_high") for i in sure]
            axes.vlines(sure, low, high, colors=colour, linewidths=1.0 if named else 0.5)
            axes.plot(
                places,
                middle,
                "o",
                color=colour,
                markerfacecolor=face,
                markersize=4 if named else 1.5,
                clip_on=False,
                label=label,
            )
            if label:
                axes.legend(loc="upper left")
        axes.set(ylim=(0, 100), xlim=(-0.7, len(rated) - 0.3), ylabel="expected atypical, % of figures")
        axes.set_title("Expected atypical fraction, 95 % interval of the tumour", loc="left")
        if named:
            axes.set_xticks(range(len(rated)), [str(r["name"])[:30] for r in rated], rotation=90)
        else:
            axes.set_xlabel(f"{len(rated):,} slides, sorted")
        FigureCanvasAgg(figure)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
    write_whole(out / FIGURE, data.getvalue())
    return out / FIGURE


def _number(row: Mapping[str, Value], name: str) -> float:
    return float(cast("float", row[name]))
