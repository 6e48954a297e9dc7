"""What do 50 to 200 labelled figures of one's own slides do for the rates of others?

python benchmarks/local_calibration.py MODEL PREDICTIONS.csv      figures in their order, one half for the
other python benchmarks/local_calibration.py MODEL PREDICTIONS.csv --simulate

PREDICTIONS are of `slidemitosis evaluate`, with one view: figures that MODEL was not trained on. Figures in
their order stand for slides, 20 at a time. A random sample of one half is labelled, P(atypical) is calibrated
on it, and each block of the other half is rated; then the halves change places. A simulation draws
laboratories, whose log-odds are shifted by N(0, SD^2), and slides of 20 figures of each.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta

from slidemitosis.calibration.local import fit_local
from slidemitosis.errors import InvalidOption
from slidemitosis.models.decision import SHRINKING
from slidemitosis.models.shipped import find_model
from slidemitosis.rates.expected import expected_fraction
from slidemitosis.train.evaluate.report_files import read_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.models.decision import Decision

BLOCK = 20
LABELLED = (0, 50, 100, 200)
LAB_SDS = (0.0, 0.3, 0.6, 1.0)


class Rated(NamedTuple):
    """Of one block: how far its rate is off, whether the interval holds its share, and how wide it is."""

    error: float
    held: float
    width: float


def calibrated(
    decision: Decision, z: NDArray[np.float64], y: NDArray[np.int64], slides: NDArray[np.int64]
) -> Decision:
    """Return the decision after a local calibration; the card's own without figures."""
    if not len(z):
        return decision
    names = [f"slide {s}" for s in slides]
    part = fit_local(decision, z, y, slides=names, views=1, protocol="benchmark")
    return dataclasses.replace(decision, calibration=part)


def rated(decision: Decision, z: NDArray[np.float64], y: NDArray[np.int64]) -> Rated:
    found = expected_fraction([decision.probability(z)], decision.spread)
    assert found.fraction is not None
    low, high = found.figures or (np.nan, np.nan)
    share = float(y.mean())
    return Rated(found.fraction - share, float(low - 1e-9 <= share <= high + 1e-9), high - low)


def line(name: str, rows: list[Rated], *, units: int, spread: list[float]) -> str:
    """Make a row of the table; `spread`: the mean absolute error of each draw."""
    error, held, width = np.array(rows, np.float64).T
    k = round(float(np.mean(held)) * units)
    exact = beta.ppf(0.025, k, units - k + 1), beta.ppf(0.975, k + 1, units - k) if k < units else 1.0
    return (
        f"| {name} | {np.abs(error).mean():.3f} | {np.min(spread):.3f} to {np.max(spread):.3f} "
        f"| {error.mean():+.3f} | {np.mean(held):.3f} ({exact[0]:.2f} to {exact[1]:.2f}) "
        f"| {np.mean(width):.3f} |"
    )


HEAD = (
    "| labelled | mean absolute error | of single draws | mean error | interval holds the share | width |\n"
    "|---|---|---|---|---|---|"
)


def halves(decision: Decision, z: NDArray[np.float64], y: NDArray[np.int64], draws: int) -> None:
    print(HEAD)
    slides, rng = np.arange(len(z)) // BLOCK, np.random.default_rng(0)
    middle = int(slides.max() + 1) // 2
    parts = (np.flatnonzero(slides < middle), np.flatnonzero(slides >= middle))
    for n in LABELLED:
        rows: list[Rated] = []
        spread, left_out = [], 0
        for draw in range(draws if n else 1):
            of_draw = []
            for own, others in (parts, parts[::-1]):
                chosen = rng.choice(own, n, replace=False)
                try:
                    now = calibrated(decision, z[chosen], y[chosen], slides[chosen])
                except InvalidOption:  # no atypical figure among them
                    left_out += 1
                    continue
                blocks = [others[slides[others] == s] for s in np.unique(slides[others])]
                of_draw += [rated(now, z[b], y[b]) for b in blocks if len(b) == BLOCK]
            if of_draw:
                rows += of_draw
                spread.append(float(np.mean([abs(r.error) for r in of_draw])))
            if draw == 0:
                units = len(of_draw)
        print(line(str(n), rows, units=units, spread=spread) + (f" {left_out} left out" if left_out else ""))


def draw_slides(
    decision: Decision, z: NDArray[np.float64], rng: np.random.Generator, *, slides: int, shift: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw logits and labels, (slides, BLOCK) each, of a laboratory with this shift of log-odds."""
    assert decision.spread is not None
    slide_sd = decision.spread.slide_sd
    drawn = rng.choice(z, (slides, BLOCK))
    odds = logit(np.clip(decision.probability(drawn), 1e-6, 1 - 1e-6)) * np.sqrt(1 + SHRINKING * slide_sd**2)
    own = rng.normal(0, slide_sd, (slides, 1))
    return drawn, (rng.random(drawn.shape) < expit(odds + shift + own)).astype(np.int64)


def simulate(decision: Decision, z: NDArray[np.float64], draws: int) -> None:
    """Draw laboratories; labels follow from the model's own P(atypical), shifted by laboratory and slide."""
    rng = np.random.default_rng(0)
    for lab_sd in LAB_SDS:
        print(f"\nShift between laboratories of SD {lab_sd}\n\n{HEAD}")
        for n in LABELLED:
            rows: list[Rated] = []
            spread = []
            for _ in range(draws):
                shift = rng.normal(0, lab_sd)
                own_z, own_y = draw_slides(decision, z, rng, slides=20, shift=shift)
                chosen = rng.choice(own_z.size, n, replace=False)
                try:
                    now = calibrated(decision, own_z.ravel()[chosen], own_y.ravel()[chosen], chosen // BLOCK)
                except InvalidOption:
                    continue
                others = zip(*draw_slides(decision, z, rng, slides=10, shift=shift), strict=True)
                of_draw = [rated(now, a, b) for a, b in others]
                rows += of_draw
                spread.append(float(np.mean([abs(r.error) for r in of_draw])))
            print(line(str(n), rows, units=len(rows), spread=spread))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--draws", type=int, default=50)
    args = parser.parse_args()
    decision = find_model(args.model).decision_for(views=1, point="counting")
    scored = read_predictions(args.predictions)
    z = np.asarray(scored.logit, np.float64)
    if args.simulate:
        simulate(decision, z, args.draws)
    else:
        halves(decision, z, scored.atypical, args.draws)


if __name__ == "__main__":
    main()
