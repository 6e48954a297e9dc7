"""Examples below the options of each command's help; every one can be parsed as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "classify": (
        "classify slide.svs --points slide.geojson",
        "classify slide.svs --points figures.csv --unit um --mpp 0.25 --out results",
        'classify slide.svs --points slide.geojson --tumour "human breast cancer" --cutoff-ratio 0.27',
    ),
    "cohort": (
        "cohort slides.csv --out results --dry-run",
        "cohort slides.csv --out results --join clinical.csv",
        "cohort folder-of-slides --out results --log results.log",
        "cohort slides.csv --out results --devices cuda:0,cuda:1",
    ),
    "report": ("report slide.slidemitosis", "report results --all-patches"),
    "review": ("review slide.slidemitosis --reader anna", "review results --order random --sample 50"),
    "count": ("count slide.slidemitosis", "count results --out counted.csv"),
    "rerun": ("rerun slide.slidemitosis", "rerun results/slides/a/summary.json --slide /elsewhere/a.svs"),
    "inspect": ("inspect slide.svs", "inspect slide.svs --points slide.geojson --sheet sheet.png"),
    "patches": ("patches stack.tif --out calls.csv", "patches folder-of-png --out calls.csv --model lite0"),
    "convert": (
        "convert detections.json figures.geojson --mpp 0.25",
        "convert figures.csv figures.geojson --unit um --slide slide.svs --to-origin bounds",
    ),
    "doctor": ("doctor", "doctor --json"),
    "models": ("models", "models export lite0 --out my-lite0", "models export lite0 --format wsinfer"),
    "bench": ("bench slide.svs --points slide.geojson", "bench slide.svs --figures 5000 --workers 4"),
    "demo": ("demo", "demo --out somewhere"),
    "qupath": ("qupath install", "qupath export-candidates project.qpproj"),
    "train": (
        "train lite0-multi-task --data ami-br=AMI_BR --out runs/mine --smoke",
        "train lite0-multi-task --data ami-br=AMI_BR --test atnorm-md=ATNORM_MD --out runs/mine --drop-leaks",
        "train mine.toml --data csv=figures.csv --out runs/mine --set schedule.epochs=5",
    ),
    "evaluate": ("evaluate runs/mine lite0 --data ami-br=AMI_BR --out report",),
    "calibrate": ("calibrate csv=figures.csv --reviewed random --model lite0 --out calibration.toml",),
    "compare": (
        "compare runs/mine runs/other --out comparison",
        "compare a b c --group small=a,b --group large=c",
    ),
    "tune": ("tune mine.toml --data ami-br=AMI_BR --out runs/tuned --trials 40",),
    "data": (
        "data check ami-br=AMI_BR atnorm-md=ATNORM_MD",
        "data check csv=figures.csv --recipe mine.toml --set split.folds=3",
    ),
    "completion": ("completion bash", "completion zsh"),
}
