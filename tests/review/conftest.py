"""What the tests of the page begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.review.review_server import copied, make_results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of 30 figures, not to be changed."""
    return make_results(tmp_path_factory.mktemp("classified"))


@pytest.fixture
def results(classified: Path, tmp_path: Path) -> Path:
    """Results of 30 figures, of this test alone."""
    return copied(classified, tmp_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    with chromium() as browser:
        yield browser
