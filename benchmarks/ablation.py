"""What each choice of a recipe is worth, measured without any test figure.

python benchmarks/ablation.py AMI_BR OUT [--variant NAME ...] [--jobs 2]

Each variant of ablation.toml is trained twice on AMi-Br's training rows: on the figures from one of its
two sources, to be scored on the other's (TUPAC16 and MIDOG21: other laboratories, other scanners). That
asks more of a model than folds by slide, and what pays there may pay on slides of strangers. Test rows are
neither trained on nor scored. Finished trainings in OUT are kept; without --variant, what is there is
only summarised, as a Markdown table:

AUROC of each source, scored by the network that saw only the other, and the mean of the two; its difference
from `base`, with the 95 % interval over slides drawn with replacement, within each source, the same for
both (1,000 draws). The interval is of these very networks: another seed moves the mean as well, by the SD
between seeds (ddof 1), which stands where a variant has several. Many variants are compared, uncorrected.

Set OMP_NUM_THREADS=1 where --jobs is above 1: the threads of two trainings hinder each other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from slidemitosis.engines.torch_engine import TorchEngine
from slidemitosis.models.classifier import load_model
from slidemitosis.train.data.read import read_data
from slidemitosis.train.evaluate.report_files import read_predictions, write_predictions
from slidemitosis.train.paths import VALIDATION
from slidemitosis.train.recipe.recipe import load_recipe
from slidemitosis.train.run import Run, train_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slidemitosis.train.data.figures import Figures
    from slidemitosis.train.evaluate.metrics import Scored

BY_SOURCE = ("split.group=domain", "split.folds=2", "split.algorithm=stratified")
DRAWS = 1000
VARIANTS = Path(__file__).with_suffix(".toml")


def train(root: Path, out: Path, name: str, seed: int) -> None:
    told = tomllib.loads(VARIANTS.read_text(encoding="utf-8"))
    recipe = load_recipe(told["recipe"], overrides=[*BY_SOURCE, *told["all"], *told["variants"][name]])
    data = read_data("ami-br", root)
    if scored := told["eight_views_of"].get(name):
        score_with_eight_views(data.training, out / scored / str(seed), out / name / str(seed))
        return
    if teacher := told["teachers"].get(name):
        data = replace(data, training=taught(data.training, sorted(out.glob(f"{teacher}/*/fold-*"))))
    run = Run(
        recipe=recipe,
        name=name,
        data=[data],
        training=data.training,
        tests={},
        out=out / name / str(seed),
        seed=seed,
        device="cpu",
    )
    train_folds(run)


def score_with_eight_views(figures: Figures, trained: Path, out: Path) -> None:
    row_of = {name: i for i, name in enumerate(figures.names)}
    for path in sorted(trained.glob(f"fold-*/{VALIDATION}")):
        scored = read_predictions(path)
        engine = TorchEngine(load_model(path.parent), piece=8, views=8, precision="fp32")
        logit = engine(figures.pixels[[row_of[name] for name in scored.names]]).logit
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        write_predictions(replace(scored, logit=logit), out / path.parent.name / VALIDATION)


def taught(figures: Figures, teachers: list[Path]) -> Figures:
    """The figures with one vote each: the mean P(AMF), with eight views, of networks that learnt from them.

    Each network learnt from one source, and speaks for that one alone, so that what is distilled has not seen
    the source that it is scored on either.
    """
    told: list[list[NDArray[np.float32]]] = [[] for _ in range(len(figures))]
    for folder in teachers:
        if not (folder / VALIDATION).is_file():
            continue
        held_out = set(read_predictions(folder / VALIDATION).domains)
        rows = [i for i, domain in enumerate(figures.domains) if domain not in held_out]
        engine = TorchEngine(load_model(folder), piece=8, views=8, precision="fp32")
        p = 1 / (1 + np.exp(-engine(figures.pixels[rows]).logit))
        for i, value in zip(rows, p, strict=True):
            told[i].append(value)
    votes = np.array([np.mean(t) for t in told], np.float32)[:, None]
    return replace(figures, votes=votes)


def by_source(run: Path) -> dict[str, Scored]:
    scored = [read_predictions(path) for path in sorted(run.glob(f"fold-*/{VALIDATION}"))]
    return {s.domains[0]: s for s in scored}


def aurocs(run: dict[str, Scored], drawn: dict[str, np.ndarray] | None = None) -> np.ndarray:
    return np.array(
        [
            roc_auc_score(s.atypical[rows], s.logit[rows])
            for source, s in sorted(run.items())
            for rows in [np.arange(len(s)) if drawn is None else drawn[source]]
        ]
    )


def draw_slides(run: dict[str, Scored], rng: np.random.Generator) -> dict[str, np.ndarray]:
    rows = {}
    for source, s in sorted(run.items()):
        slides = np.array(s.slides)
        names = np.unique(slides)
        of = {n: np.flatnonzero(slides == n) for n in names}
        rows[source] = np.concatenate([of[n] for n in rng.choice(names, len(names))])
    return rows


def table(out: Path, names: list[str]) -> str:
    read = {n: [by_source(p) for p in sorted(out.glob(f"{n}/*"))] for n in names}
    runs = {n: whole for n, seeds in read.items() if (whole := [r for r in seeds if len(r) == 2])}
    if "base" not in runs:
        return f"{out}: no finished training of the variant `base` to compare with: run --variant base"
    base = runs["base"]
    figures = {source: s.names for source, s in base[0].items()}
    assert all({k: s.names for k, s in r.items()} == figures for seeds in runs.values() for r in seeds)
    rng = np.random.default_rng(0)
    draws = [draw_slides(base[0], rng) for _ in range(DRAWS)]
    of_base = np.mean([[aurocs(r, d).mean() for d in draws] for r in base], axis=0)
    lines = [
        f"| Variant | Seeds | {' | '.join(sorted(figures))} | Mean | SD of seeds | Difference (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, seeds in runs.items():
        scores = np.array([aurocs(r) for r in seeds])
        spread = f"{scores.mean(axis=1).std(ddof=1):.4f}" if len(seeds) > 1 else ""
        cells = [name, str(len(seeds)), *(f"{a:.3f}" for a in scores.mean(axis=0)), f"{scores.mean():.4f}"]
        difference = ""
        if name != "base":
            drawn = np.mean([[aurocs(r, d).mean() for d in draws] for r in seeds], axis=0) - of_base
            low, high = np.percentile(drawn, (2.5, 97.5))
            whole = scores.mean() - np.mean([aurocs(r) for r in base])
            difference = f"{whole:+.4f} ({low:+.3f} to {high:+.3f})"
        lines.append(f"| {' | '.join([*cells, spread, difference])} |")
    return "\n".join(lines)


def main() -> None:
    names = list(tomllib.loads(VARIANTS.read_text(encoding="utf-8"))["variants"])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ami_br", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant", action="append", choices=names, default=[])
    parser.add_argument("--seed", action="append", type=int, default=[])
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    with ProcessPoolExecutor(args.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [
            pool.submit(train, args.ami_br, args.out, v, s) for s in args.seed or [0] for v in args.variant
        ]
        for task in tasks:
            task.result()
    print(table(args.out, names))


if __name__ == "__main__":
    main()
