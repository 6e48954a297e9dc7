"""How long the search for the hot spot takes, where it ends, and where it is stopped.

python benchmarks/hot_spot.py

Prints a Markdown table: seconds of processor time, figures in the spot, and what no spot exceeds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.options import Spot
from slidemitosis.rates.hotspot import find_hot_spot

if TYPE_CHECKING:
    from numpy.typing import NDArray


def places() -> dict[str, NDArray[np.float64]]:
    """Figures in um: as on slides, and as they make most work."""
    rng = np.random.default_rng(0)
    radius = Spot().half_um[0]
    row, column = np.meshgrid(np.arange(250) * 40.0, np.arange(400) * 40.0)
    angle, reach = rng.uniform(0, 2 * np.pi, 100_000), radius * 1.01 * np.sqrt(rng.random(100_000))
    return {
        "1,000 over 15 x 10 mm": rng.uniform(0, (15_000, 10_000), (1_000, 2)),
        "20,000 over 15 x 10 mm": rng.uniform(0, (15_000, 10_000), (20_000, 2)),
        "100,000 over 20 x 15 mm": rng.uniform(0, (20_000, 15_000), (100_000, 2)),
        "100,000, normal, SD 3 mm": rng.normal(0, 3_000, (100_000, 2)),
        "100,000 within one spot": rng.normal(0, 100, (100_000, 2)),
        "100,000 within hardly more than a spot": np.stack([np.cos(angle), np.sin(angle)], 1)
        * reach[:, None],
        "100,000 over 2.6 x 2.6 mm": rng.uniform(0, 3 * radius, (100_000, 2)),
        "20,000, lattice of 32 um": np.stack([row[:127, :158], column[:127, :158]], -1).reshape(-1, 2) * 0.8,
        "100,000, lattice of 40 um": np.stack([row, column], -1).reshape(-1, 2),
        "1,000,000 over 20 x 15 mm": rng.uniform(0, (20_000, 15_000), (1_000_000, 2)),
    }


def main() -> None:
    print("| figures | shape | seconds | in the spot | no spot exceeds |\n|---|---|---|---|---|")
    for name, xy in places().items():
        for shape in ("circle", "4:3"):
            started = time.process_time()
            found = find_hot_spot(xy, Spot(shape=shape))
            seconds = time.process_time() - started
            assert found is not None
            print(f"| {name} | {shape} | {seconds:.2f} | {found.figures:,} | {found.at_most:,} |")


if __name__ == "__main__":
    main()
