"""What is told of a patch before any model is asked."""

from __future__ import annotations

import numpy as np
import pytest

from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.prediction import blank_patches


def test_the_quick_look_at_a_patch_never_changes_whether_it_is_blank() -> None:
    """A sixteenth of the pixels settles most patches; the rule is that of percentiles of all pixels."""
    rng = np.random.default_rng(0)
    tissue = draw_phantom(width=512, height=512, figures=4).pixels
    drawn = [tissue[y : y + 128, x : x + 128] for y, x in rng.integers(0, 384, (40, 2))]
    noise = 200 + rng.normal(0, rng.uniform(2, 5, (80, 1, 1, 1)), (80, 128, 128, 3))
    # Two tones, one of them in about 1 % of the pixels: on one side of the rule or the other.
    specks = 200 - 60 * (rng.random((80, 128, 128, 1)) < rng.uniform(0.005, 0.015, (80, 1, 1, 1))) + noise * 0
    patches = np.concatenate([drawn, noise, specks]).clip(0, 255).astype(np.uint8)
    for crop in (16, 64, 101, 128):
        start = (128 - crop) // 2
        grey = patches[:, start : start + crop, start : start + crop].astype(np.float32).mean(axis=3)
        low, high = np.percentile(grey.reshape(len(patches), -1), (1, 99), axis=1)
        found = blank_patches(patches, crop=crop)
        assert found.tolist() == (high - low < 16).tolist()
        assert 0 < found.sum() < len(found)


@pytest.mark.parametrize("crop", [1, 2, 5])
def test_a_crop_of_a_few_pixels_is_looked_at_whole(crop: int) -> None:
    patches = np.full((2, 8, 8, 3), 240, np.uint8)
    patches[1, 3, 3] = 10
    assert blank_patches(patches, crop=crop)[0]
    assert bool(blank_patches(patches, crop=crop)[1]) == (crop == 1)
