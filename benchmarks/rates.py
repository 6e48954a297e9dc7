"""How far is a slide's rate from what experts counted, and how often do its intervals hold it?

python benchmarks/rates.py fit OUT_OF_FOLD.csv                 calibrations, compared on slides kept out of
the fit python benchmarks/rates.py score OUT_OF_FOLD.csv SCORED.csv... [--blocks 20]
python benchmarks/rates.py simulate OUT_OF_FOLD.csv

Files are predictions of `slidemitosis evaluate` or validation files of `slidemitosis train`. OUT_OF_FOLD is
what is calibrated on: figures that the model had not seen. SCORED are labelled figures of slides, or, with
`--blocks`, figures in their order, so many at a time, where the slide is not told.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from scipy.stats import beta

from slidemitosis.calibration.probability import fit_calibration
from slidemitosis.calibration.spread import loss
from slidemitosis.models.decision import SHRINKING
from slidemitosis.rates.expected import expected_fraction
from slidemitosis.train.evaluate.metrics import Scored, calibration_error
from slidemitosis.train.evaluate.report_files import read_predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from slidemitosis.models.decision import CalibrationPart, SpreadPart

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]
    Probability = Callable[[Floats], Floats]

LEAST = 5
"""Slides with fewer figures are left out of errors and coverage."""


@dataclass(frozen=True)
class Unit:
    """The figures of one slide, or of one block."""

    logit: Floats
    atypical: Labels

    @property
    def share(self) -> float:
        """What experts counted."""
        return float(self.atypical.mean())


def units_of(scored: Scored, *, block: int | None = None, least: int = LEAST) -> list[Unit]:
    """Cut figures into slides, or into blocks of so many figures."""
    keys = [i // block for i in range(len(scored))] if block else scored.slides
    rows: dict[object, list[int]] = {}
    for i, key in enumerate(keys):
        rows.setdefault(key, []).append(i)
    z = np.asarray(scored.logit, np.float64)
    return [Unit(z[r], scored.atypical[r]) for r in rows.values() if len(r) >= least]


def calibrated(part: CalibrationPart, z: Floats) -> Floats:
    return np.asarray(np.round(expit(part.slope * z + part.intercept), 6))


def estimators(scored: Scored, part: CalibrationPart) -> dict[str, Callable[[Unit], float]]:
    """Return each way to a slide's fraction, by name; all of them are fitted on `scored` alone."""
    z, y = np.asarray(scored.logit, np.float64), scored.atypical
    p, prior = calibrated(part, z), float(y.mean())
    spread = {}
    for name, point in (("counting", part.counting), ("balanced", part.balanced)):
        called = p >= point.threshold
        spread[name] = (called[y == 1].mean(), 1 - called[y == 0].mean(), point.threshold)
    soft = (p[y == 1].mean(), p[y == 0].mean())

    def calls(u: Unit, name: str) -> float:
        return float((calibrated(part, u.logit) >= spread[name][2]).mean())

    def corrected(u: Unit) -> float:
        se, sp, _ = spread["balanced"]
        return float(np.clip((calls(u, "balanced") + sp - 1) / (se + sp - 1), 0, 1))

    def pacc(u: Unit) -> float:
        return float(np.clip((calibrated(part, u.logit).mean() - soft[1]) / (soft[0] - soft[1]), 0, 1))

    def em(u: Unit) -> float:
        q, share = calibrated(part, u.logit), prior
        for _ in range(200):
            odds = q / (1 - q) * share / (1 - share) * (1 - prior) / prior
            share = float(np.clip((odds / (1 + odds)).mean(), 1e-6, 1 - 1e-6))
        return share

    return {
        "calls, balanced": lambda u: calls(u, "balanced"),
        "calls, counting": lambda u: calls(u, "counting"),
        "corrected (Rogan-Gladen)": corrected,
        "mean of P, calibrated": lambda u: float(calibrated(part, u.logit).mean()),
        "EM prior shift (Saerens)": em,
        "PACC": pacc,
        f"the constant {prior:.3f}": lambda _: prior,
    }


def report_errors(units: Sequence[Unit], ways: dict[str, Callable[[Unit], float]]) -> None:
    truth = np.array([u.share for u in units])
    n = np.array([len(u.atypical) for u in units])
    print("| estimator | mean absolute error | SE | pooled minus labelled |\n|---|---|---|---|")
    for name, way in ways.items():
        found = np.array([way(u) for u in units])
        error = np.abs(found - truth)
        pooled = (found @ n - truth @ n) / n.sum()
        print(f"| {name} | {error.mean():.3f} | {error.std() / np.sqrt(len(error)):.3f} | {pooled:+.3f} |")


def report_deciles(units: Sequence[Unit], part: CalibrationPart) -> None:
    """Say how far the mean of P is off by the true fraction: it shrinks towards the mean of all slides."""
    truth = np.array([u.share for u in units])
    found = np.array([calibrated(part, u.logit).mean() for u in units])
    order = np.argsort(truth, kind="stable")
    cells = [
        f"{truth[r].mean():.2f}: {(found - truth)[r].mean():+.3f}"
        for r in np.array_split(order, 10)
        if len(r)
    ]
    print(f"residual bias by decile of the true fraction: {', '.join(cells)}")


def exact(k: int, n: int) -> str:
    """Return k of n with the exact binomial interval (Clopper and Pearson 1934)."""
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k} of {n} ({low:.3f} to {high:.3f})"


def report_intervals(units: Sequence[Unit], part: CalibrationPart) -> None:
    found = [expected_fraction([calibrated(part, u.logit)], part.spread) for u in units]
    held = [
        f.figures[0] - 1e-9 <= u.share <= f.figures[1] + 1e-9
        for u, f in zip(units, found, strict=True)
        if f.figures
    ]
    print(f"interval of these figures holds the labelled fraction of {exact(sum(held), len(held))}")
    if part.spread is None:
        return
    alone = dataclasses.replace(part.spread, domain_sd=0.0, intercept_se=0.0, slope_se=0.0, correlation=0.0)
    plain = [expected_fraction([calibrated(part, u.logit)], alone) for u in units]
    for low, high in ((5, 10), (10, 50), (50, 10**9)):
        chosen = [i for i, u in enumerate(units) if low <= len(u.atypical) < high]
        if chosen:
            figures, tumour = (
                np.array([width(getattr(found[i], which)) for i in chosen]) for which in ("figures", "tumour")
            )
            ratio = figures / [width(plain[i].figures) for i in chosen]
            end = "and more" if high == 10**9 else f"to {high - 1}"
            print(
                f"  n {low} {end}: width {figures.mean():.3f} of these figures, {tumour.mean():.3f} of the "
                f"tumour; {ratio.mean():.3f} ({ratio.min():.3f} to {ratio.max():.3f}) of a Poisson-binomial "
                "one with the spread between slides alone"
            )


def width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def report_points(scored: Scored, part: CalibrationPart) -> None:
    p, amf = calibrated(part, np.asarray(scored.logit, np.float64)), scored.atypical == 1
    print(
        "| operating point | called | expected | labelled | sensitivity | specificity | PPV | BA |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, point in (("counting", part.counting), ("balanced", part.balanced)):
        called = p >= point.threshold
        se, sp = called[amf].mean(), 1 - called[~amf].mean()
        row = (called.mean(), p.mean(), amf.mean(), se, sp, amf[called].mean(), (se + sp) / 2)
        print(f"| {name} {point.threshold:g} | {' | '.join(f'{v:.3f}' for v in row)} |")
    print(f"Brier score {np.mean((p - amf) ** 2):.4f}, ECE {calibration_error(p, scored.atypical):.4f}")


def part_of(scored: Scored) -> CalibrationPart:
    return fit_calibration(
        np.asarray(scored.logit), scored.atypical, views=1, protocol="benchmark", slides=scored.slides
    )


def score(fitted_on: Scored, path: Path, block: int | None) -> None:
    part, scored = part_of(fitted_on), read_predictions(path)
    units = units_of(scored, block=block)
    print(f"\n## {path.name}: {len(scored):,} figures, {len(units)} units of {LEAST} figures or more\n")
    report_errors(units, estimators(fitted_on, part))
    report_deciles(units, part)
    report_intervals(units, part)
    report_points(scored, part)


# How to calibrate, chosen on slides of the training data that are kept out of each fit


def intercept_alone(z: Floats, y: Labels) -> Probability:
    a = minimize_scalar(lambda a: loss(a + z, y)).x
    return lambda x: expit(a + x)


def slope_and_intercept(z: Floats, y: Labels) -> Probability:
    a, b = minimize(lambda t: loss(t[0] + t[1] * z, y), (0, 1)).x
    return lambda x: expit(a + b * x)


def beta_calibration(z: Floats, y: Labels) -> Probability:
    """Kull, Silva Filho and Flach 2017: a log p - b log (1 - p) + c."""

    def odds(t: Sequence[float], x: Floats) -> Floats:
        return -t[0] * np.logaddexp(0, -x) + t[1] * np.logaddexp(0, x) + t[2]

    t = minimize(lambda t: loss(odds(t, z), y), (1, 1, 0)).x
    return lambda x: expit(odds(t, x))


WAYS: dict[str, Callable[[Floats, Labels], Probability]] = {
    "intercept alone": intercept_alone,
    "slope and intercept": slope_and_intercept,
    "beta calibration": beta_calibration,
}


def fit(scored: Scored, folds: int = 10) -> None:
    z, y = np.asarray(scored.logit, np.float64), scored.atypical
    names = np.unique(scored.slides, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(names.max() + 1)[names] % folds
    print(
        "| calibration | MAE of slides | SE | mean P minus share | Brier | ECE | log loss |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, way in WAYS.items():
        p = np.empty_like(z)
        for k in range(folds):
            p[fold == k] = way(z[fold != k], y[fold != k])(z[fold == k])
        errors = np.array([abs(p[r].mean() - y[r].mean()) for r in slide_rows(names)])
        row = (errors.mean(), errors.std() / np.sqrt(len(errors)), p.mean() - y.mean())
        print(
            f"| {name} | {row[0]:.4f} | {row[1]:.4f} | {row[2]:+.4f} | {np.mean((p - y) ** 2):.4f} | "
            f"{calibration_error(p, y):.4f} | {loss(logit(p), y):.4f} |"
        )
    part = part_of(scored)
    print(f"\n{part}")
    report_deciles(units_of(scored), part)


def slide_rows(names: Labels) -> Iterator[Labels]:
    for k in range(names.max() + 1):
        rows = np.flatnonzero(names == k)
        if len(rows) >= LEAST:
            yield rows


# Simulation at the fitted spread


def simulated_coverage(
    part: CalibrationPart,
    p: Floats,
    *,
    n: int,
    mean: float,
    draws: int,
    told: SpreadPart | None = None,
) -> float:
    """Return how often the interval holds what experts would count, where the mean of P is about `mean`.

    `p`: calibrated probabilities of real figures, tilted to that mean. Each draw is a slide of n of them; its
    labels follow from them with the slide's shift, and with errors of the calibration, drawn anew. The
    interval is made with the spread of `part`, or `told` in its place.
    """
    assert part.spread is not None
    s, rng, held = part.spread, np.random.default_rng(0), 0
    weights = tilted(p, mean)
    covariance = s.correlation * s.intercept_se * s.slope_se
    errors = np.array(
        [[s.intercept_se**2 + s.slide_sd**2 + s.domain_sd**2, covariance], [covariance, s.slope_se**2]]
    )
    growth = np.sqrt(1 + SHRINKING * (s.slide_sd**2 + s.domain_sd**2))
    for a, b in rng.multivariate_normal([0, 0], errors, size=draws):
        drawn = rng.choice(p, n, p=weights)
        odds = logit(np.clip(drawn, 1e-6, 1 - 1e-6)) * growth
        share = float((rng.random(n) < expit(a + (1 + b) * odds)).mean())
        found = expected_fraction([drawn.tolist()], told or s).figures
        assert found is not None
        held += found[0] - 1e-9 <= share <= found[1] + 1e-9
    return held / draws


def tilted(p: Floats, mean: float) -> Floats:
    """Return weights of figures, (N,), under which the mean of P is `mean`: as of another share of AMF."""

    def gap(shift: float) -> float:
        w = np.exp(shift * p)
        return float((w @ p / w.sum() - mean) ** 2)

    w = np.exp(minimize_scalar(gap, bounds=(-200, 50), method="bounded").x * p)
    found: Floats = w / w.sum()
    return found


def simulate(scored: Scored, draws: int) -> None:
    part = part_of(scored)
    p = calibrated(part, np.asarray(scored.logit, np.float64))
    means, sizes = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4), (5, 10, 20, 50, 100, 200, 500)
    print("| mean of P | " + " | ".join(f"n {n}" for n in sizes) + " |\n|---|" + "---|" * len(sizes))
    for mean in means:
        cells = [f"{simulated_coverage(part, p, n=n, mean=mean, draws=draws):.3f}" for n in sizes]
        print(f"| {mean:g} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=("fit", "score", "simulate"))
    parser.add_argument("out_of_fold", type=Path)
    parser.add_argument("scored", type=Path, nargs="*")
    parser.add_argument("--blocks", type=int, default=None)
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    fitted_on = read_predictions(args.out_of_fold)
    if args.action == "fit":
        fit(fitted_on)
    elif args.action == "simulate":
        simulate(fitted_on, args.draws)
    for path in args.scored if args.action == "score" else ():
        score(fitted_on, path, args.blocks)


if __name__ == "__main__":
    main()
