"""What most tests of cohorts begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cohort.cohort_slides import paint_slides

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with the slide a and its candidates."""
    return paint_slides(tmp_path / "pair", ["a"])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with the slides a, b and c, and their candidates."""
    return paint_slides(tmp_path / "pairs", ["a", "b", "c"])
