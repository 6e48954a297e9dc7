"""Draw the plots of an evaluation, as PNG and SVG: the same bytes from the same scores.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; line styles
and markers differ as colours do.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from slidemitosis.errors import InvalidOption
from slidemitosis.files import writing
from slidemitosis.train.evaluate.metrics import ECE_BINS, bins_of, confusion, metrics_of, subtype_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from slidemitosis.train.evaluate.metrics import Scored

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^v<>"
_STYLE = {
    "svg.hashsalt": "slidemitosis",  # else ids are random
    "svg.fonttype": "none",  # text stays text: it can be read out, searched and edited
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}
_SIDE = 4.6  # inches, of a square plot
_LIMITS = (-0.01, 1.01)


def roc_plot(curves: Sequence[Scored], path_stem: Path) -> tuple[Path, Path]:
    """Draw sensitivity over 1 - specificity, a curve for each model, with a marker at its threshold.

    A model whose figures are of one class has no curve, and the legend says so. Writes and returns
    `path_stem`.png and .svg. Raises InvalidOption without curves, OutputError if they cannot be written.
    """
    with _drawing(curves) as plot:
        axes = plot.add_subplot()
        axes.plot((0, 1), (0, 1), color="0.75", lw=0.8, zorder=0)
        for i, scored in enumerate(curves):
            colour, dashes, marker = _look(i)
            measured = metrics_of(scored)
            label = _label(scored, curves)
            if measured.sensitivity is None or measured.specificity is None:
                axes.plot([], [], color=colour, ls=dashes, label=f"{label}, one class only")
                continue
            x, y, _ = roc_curve(scored.atypical, scored.logit)
            label += f", AUROC {measured.auroc:.3f}"
            axes.plot(x, y, color=colour, ls=dashes, lw=1.4, marker=marker, markevery=[], label=label)
            at = (1 - measured.specificity, measured.sensitivity)
            axes.plot(*at, marker, color=colour, ms=7, mec="white", mew=1.0, zorder=3)
        axes.set(xlim=_LIMITS, ylim=_LIMITS, aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=_title("ROC", curves))
        _legend(plot, axes, inside=len(curves) <= 3, note="markers: the models' thresholds")
        return _write(plot, path_stem)


def reliability_plot(curves: Sequence[Scored], path_stem: Path) -> tuple[Path, Path]:
    """Draw the share of AMF over the mean P(AMF) in each bin of the ECE; below, the figures in each.

    For one model alone each share has its 95 % Wilson interval. Writes and returns as `roc_plot`.
    """
    # No equal aspect: it would narrow the upper plot alone.
    with _drawing(curves, height=_SIDE * 1.25) as plot:
        axes, counts = plot.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot((0, 1), (0, 1), color="0.75", lw=0.8, zorder=0)
        for i, scored in enumerate(curves):
            colour, dashes, marker = _look(i)
            n, k, mean = _bins(scored)
            seen, measured = n > 0, metrics_of(scored)
            told = [_label(scored, curves)]
            told += [f"AUROC {measured.auroc:.3f}"] if measured.auroc is not None else []
            told += [f"ECE {measured.ece:.3f}"] if measured.ece is not None else []
            x, y = mean[seen], k[seen] / n[seen]
            line = {"color": colour, "ls": dashes, "lw": 1.2}
            dots = {"marker": marker, "ms": 5, "mec": "white", "mew": 0.6}
            axes.plot(x, y, label=", ".join(told), **line, **dots)
            if len(curves) == 1:
                wilson = [
                    binomtest(int(a), int(b)).proportion_ci(0.95, method="wilson")
                    for a, b in zip(k[seen], n[seen], strict=True)
                ]
                ends = np.array([(float(i.low), float(i.high)) for i in wilson]).reshape(-1, 2)
                axes.vlines(x, ends[:, 0], ends[:, 1], color=colour, lw=1.0, alpha=0.6, zorder=1)
            edges = np.linspace(0, 1, ECE_BINS + 1)
            counts.stairs(n, edges, **line)
        axes.set(xlim=_LIMITS, ylim=_LIMITS)
        axes.set(ylabel="share that is AMF", title=_title("Reliability", curves))
        counts.set(xlabel="calibrated P(AMF)", ylabel="figures", yscale="log", ylim=(0.7, None))
        counts.yaxis.set_major_formatter("{x:g}")
        counts.yaxis.set_minor_formatter("")
        plot.align_ylabels()
        note = "bars: 95 % Wilson intervals" if len(curves) == 1 else None
        _legend(plot, axes, inside=len(curves) == 1, note=note)
        return _write(plot, path_stem)


def confusion_plot(scored: Scored, path_stem: Path) -> tuple[Path, Path]:
    """Draw the first expert's subtypes against the model's: counts, shaded by their share of the row.

    Writes and returns as `roc_plot`. Raises InvalidOption if the model or the figures tell no subtypes.
    """
    classes, matrix = confusion(scored)
    if not matrix.sum():
        raise InvalidOption(f"{scored.model} on {scored.data}: no subtypes to draw a confusion matrix of")
    known = [r.auroc for r in subtype_table(scored) if r.auroc is not None]
    mean = f", mean AUROC {np.mean(known):.3f}" if known else ""
    n = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, n, out=np.zeros(matrix.shape), where=n > 0)
    side = 2.6 + 0.62 * len(classes)
    with _drawing([scored], width=side + 0.9, height=side) as plot:
        axes = plot.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(matrix):
            dark = shares[row, column] > 0.55
            text = f"{count}\n{shares[row, column]:.0%}" if n[row] and count else f"{count}"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "0.15"
            )
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, [f"{c} ({int(r)})" for c, r in zip(classes, n[:, 0], strict=True)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="the model's likeliest subtype", ylabel="subtype by the first expert (figures)")
        axes.set_title(f"{scored.model} on {scored.data}\nn = {matrix.sum():,}{mean}")
        plot.colorbar(image, ax=axes, shrink=0.8, label="share of the row")
        return _write(plot, path_stem)


@contextmanager
def _drawing(curves: Sequence[Scored], *, width: float = _SIDE, height: float = _SIDE) -> Iterator[Figure]:
    """Make an empty plot in our style, whatever the user's matplotlibrc says; it must be written within."""
    if not curves:
        raise InvalidOption("a plot needs the scores of one model or more")
    with matplotlib.style.context(["default", _STYLE]):
        plot = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(plot)
        yield plot


def _look(i: int) -> tuple[str, str, str]:
    """Return colour, line style and marker of the i-th model; 28 differ."""
    return COLOURS[i % len(COLOURS)], _DASHES[i % len(_DASHES)], _MARKERS[i % len(_MARKERS)]


def _title(what: str, curves: Sequence[Scored]) -> str:
    names = list(dict.fromkeys(s.data for s in curves))
    return f"{what}, {names[0]}" if len(names) == 1 else what


def _label(scored: Scored, curves: Sequence[Scored]) -> str:
    several = len({s.data for s in curves}) > 1
    name = f"{scored.model} on {scored.data}" if several else scored.model
    name = f" {name}" if name.startswith("_") else name  # else the legend leaves it out
    return f"{name}\nn = {len(scored):,} ({int(scored.atypical.sum()):,} AMF)"


def _legend(plot: Figure, axes: Axes, *, inside: bool, note: str | None) -> None:
    """Put the legend inside the axes, or beside them, for which the plot is widened."""
    if inside:
        axes.legend(loc="lower right", title=note, title_fontsize=8, alignment="left")
        return
    legend = plot.legend(loc="outside right upper", title=note, title_fontsize=8, alignment="left")
    box = legend.get_window_extent(FigureCanvasAgg(plot).get_renderer())  # type: ignore[no-untyped-call]
    width, height = plot.get_size_inches()
    plot.set_size_inches(width + box.width / plot.dpi + 0.3, max(height, box.height / plot.dpi + 0.2))


def _bins(scored: Scored) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return figures, AMF and mean probability (0 of none) of each bin, (ECE_BINS,) each."""
    place = bins_of(scored.probability)
    n = np.bincount(place, minlength=ECE_BINS)
    k = np.bincount(place[scored.atypical == 1], minlength=ECE_BINS)
    total = np.bincount(place, weights=scored.probability, minlength=ECE_BINS)
    return n, k, total / np.maximum(n, 1)


def _write(plot: Figure, path_stem: Path) -> tuple[Path, Path]:
    # Not with_suffix: a model's name may hold a dot.
    png, svg = (path_stem.with_name(f"{path_stem.name}.{kind}") for kind in ("png", "svg"))
    with writing(path_stem):
        plot.savefig(png, dpi=200)
        plot.savefig(svg, metadata={"Date": None})
    return png, svg
