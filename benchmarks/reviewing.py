"""What does a person's review of a part of the figures do for the rate?

python benchmarks/reviewing.py PREDICTIONS.csv

PREDICTIONS are of `slidemitosis evaluate`: figures that the model was not trained on. Again and again figures
are drawn from them to stand for a slide, and a part of these is reviewed, at random or otherwise; the labels
are what a reader would say. With `none`, a share of the candidates is made no mitoses, which the model does
not know.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slidemitosis.rates.reviewed import ReviewedFigure, review_rate
from slidemitosis.train.evaluate.report_files import read_predictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from slidemitosis.labels import Reason, Word
    from slidemitosis.rates.reviewed import Fraction, ReviewRate


class Slide(NamedTuple):
    """Figures that stand for a slide."""

    p: NDArray[np.float64]
    words: list[Word]
    """What a reader says of each."""

    @property
    def fraction(self) -> float:
        mitoses = [w for w in self.words if w != "none"]
        return mitoses.count("AMF") / len(mitoses)


def draw(
    p: NDArray[np.float64], atypical: NDArray[np.int64], n: int, none: float, rng: np.random.Generator
) -> Slide:
    at = rng.choice(len(p), n, replace=n > len(p))
    out = rng.random(n) < none
    return Slide(
        p[at], ["none" if o else "AMF" if a else "NMF" for o, a in zip(out, atypical[at], strict=True)]
    )


def reviewed(slide: Slide, chosen: Iterable[int], reason: Reason) -> ReviewRate:
    marked = set(chosen)
    found = review_rate(
        [
            ReviewedFigure(float(p), word, reason) if i in marked else ReviewedFigure(float(p), None)
            for i, (p, word) in enumerate(zip(slide.p, slide.words, strict=True))
        ]
    )
    assert found is not None
    return found


def by_doubt(slide: Slide, n: int, threshold: float) -> list[int]:
    return np.argsort(np.abs(slide.p - threshold), kind="stable")[:n].tolist()


def found_wrong(slide: Slide, n: int, threshold: float) -> list[int]:
    """Return the errors that a person meets first who looks at what was called atypical, by P."""
    called = [i for i in np.argsort(-slide.p, kind="stable") if slide.p[i] >= threshold]
    return [int(i) for i in called if slide.words[i] != "AMF"][:n]


def line(name: str, errors: Sequence[float]) -> str:
    e = np.array(errors)
    error = e.std(ddof=1) / np.sqrt(len(e))
    return f"| {name} | {e.mean():+.4f} ± {error:.4f} | {np.sqrt((e**2).mean()):.4f} |"


def errors_table(
    p: NDArray[np.float64], y: NDArray[np.int64], threshold: float, *, none: float, draws: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = {}
    for _ in range(draws):
        slide = draw(p, y, 500, none, rng)
        sample = rng.choice(500, 50, replace=False).tolist()
        random = reviewed(slide, sample, "random")
        # The same answers in the place of P, as if nothing were known of how they were chosen.
        numbers = {
            "review alone, 50 at random": random.reviewed.value,
            "model alone": float(slide.p.mean()),
            "both, 50 at random": random.combined.value,
            "50 at random in the place of P": reviewed(slide, sample, "found").combined.value,
            "50 chosen by doubt, in the place of P": reviewed(
                slide, by_doubt(slide, 50, threshold), "doubt"
            ).combined.value,
            "review alone, 50 by doubt": reviewed(
                slide, by_doubt(slide, 50, threshold), "doubt"
            ).reviewed.value,
        }
        if wrong := found_wrong(slide, 50, threshold):
            numbers["up to 50 found wrong among the called, in the place of P"] = reviewed(
                slide, wrong, "found"
            ).combined.value
        for name, value in numbers.items():
            if value is not None:
                errors.setdefault(name, []).append(value - slide.fraction)
    print(f"\n500 figures, {none:.0%} no mitoses, {draws} draws\n\n| | bias | RMSE |\n|---|---|---|")
    for name, of_it in errors.items():
        print(line(name, of_it))


def holds(fraction: Fraction, value: float, *, of: str = "figures") -> bool:
    low, high = getattr(fraction, of) or (1.0, 0.0)
    return bool(low - 1e-12 <= value <= high + 1e-12)


def coverage_table(p: NDArray[np.float64], y: NDArray[np.int64], *, draws: int, seed: int) -> None:
    print(f"\nShare of 95 % intervals that hold the truth, and their mean width, {draws} draws\n")
    print("| figures | sample | no mitoses | both | width | review | width | share of no mitoses | tumour |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n, sampled in ((60, 20), (100, 30), (500, 20), (500, 50), (500, 100)):
        for none in (0.0, 0.2):
            rng = np.random.default_rng(seed)
            held: list[tuple[bool, ...]] = []
            widths: list[tuple[float, float]] = []
            for _ in range(draws):
                slide = draw(p, y, n, none, rng)
                found = reviewed(slide, rng.choice(n, sampled, replace=False).tolist(), "random")
                tumour = reviewed(draw_again(p, y, n, none, rng), range(sampled), "random")
                held.append(
                    (
                        holds(found.combined, slide.fraction),
                        holds(found.reviewed, slide.fraction),
                        holds(found.no_mitosis, slide.words.count("none") / n),
                        holds(tumour.combined, float(y.mean()), of="tumour"),
                    )
                )
                ends = [f.figures or (0.0, 0.0) for f in (found.combined, found.reviewed)]
                widths.append((ends[0][1] - ends[0][0], ends[1][1] - ends[1][0]))
            h, w = np.mean(held, axis=0), np.mean(widths, axis=0)
            cells = f"{h[0]:.3f} | {w[0]:.3f} | {h[1]:.3f} | {w[1]:.3f} | {h[2]:.3f} | {h[3]:.3f}"
            print(f"| {n} | {sampled} | {none:.0%} | {cells} |")


def draw_again(
    p: NDArray[np.float64], y: NDArray[np.int64], n: int, none: float, rng: np.random.Generator
) -> Slide:
    """Draw with replacement: all figures of the file are then the tumour."""
    at = rng.integers(0, len(p), n)
    return draw(p[at], y[at], n, none, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--coverage-draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    scored = read_predictions(args.predictions)
    p, y = scored.probability, scored.atypical
    print(
        f"{scored.model} on {scored.data}: {len(p)} figures, {y.mean():.3f} atypical, mean P {p.mean():.3f}"
    )
    for none in (0.0, 0.2):
        errors_table(p, y, scored.threshold, none=none, draws=args.draws, seed=args.seed)
    coverage_table(p, y, draws=args.coverage_draws, seed=args.seed)


if __name__ == "__main__":
    main()
