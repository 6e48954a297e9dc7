"""What the documents point to is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted(
    p
    for p in REPOSITORY.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in p.relative_to(REPOSITORY).parts)
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {"#" + re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_relative_links_lead_somewhere(document: Path) -> None:
    for target, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        place = document.parent / target if target else document
        assert place.exists(), f"{document.name}: {target}"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{document.name}: {target}{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_files_of_the_package_that_are_named_are_there(document: Path) -> None:
    for named in re.findall(
        r"`(slidemitosis/[\w/]+(?:\.(?:py|toml)|/))`", document.read_text(encoding="utf-8")
    ):
        assert (REPOSITORY / named).exists(), named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_no_number_is_still_to_be_filled_in(document: Path) -> None:
    assert not re.search(r"@[A-Z]{2}|\bTODO\b", document.read_text(encoding="utf-8"))


def test_the_tests_that_security_names_are_there() -> None:
    named = re.findall(r"`(test_\w+|tests/[\w/]+\.py)`", (REPOSITORY / "SECURITY.md").read_text())
    assert len(named) > 20
    written = "".join(p.read_text() for p in (REPOSITORY / "tests").rglob("test_*.py"))
    for name in named:
        there = (REPOSITORY / name).is_file() if name.endswith(".py") else f"def {name}(" in written
        assert there, name
