"""Names in the outputs are those that were given, and what is in a folder beside the list is said."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cohort.cohort_slides import MODEL, rows
from tests.command import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
def test_a_pseudonym_is_not_undone(pair: Path, tmp_path: Path) -> None:
    """Whoever links case-1.svs to the file with the patient's name gives the outputs away, not the name."""
    real = tmp_path / "Jane-Doe"
    real.mkdir()
    for path in pair.iterdir():
        path.rename(real / path.name.replace("a.", "Jane-Doe."))
    given = tmp_path / "given"
    given.mkdir()
    for suffix in ("svs", "geojson"):
        (given / f"case-1.{suffix}").symlink_to(real / f"Jane-Doe.{suffix}")
    words = ("classify", given / "case-1.svs", "--points", given / "case-1.geojson", *MODEL)
    for _ in range(2):  # the second time it replaces its own results
        assert run(*words, "--out", tmp_path / "one").returncode == 0
    (given / "list.csv").write_text("slide,points\ncase-1.svs,case-1.geojson\n")
    assert run("cohort", given / "list.csv", "--out", tmp_path / "r", *MODEL).returncode == 0
    written = [p for folder in ("one", "r") for p in (tmp_path / folder).rglob("*") if p.is_file()]
    assert not [p for p in written if b"Jane-Doe" in p.read_bytes() or "Jane" in p.name]
    summary = json.loads((tmp_path / "one/summary.json").read_text())
    assert summary["slide"]["path"] == str(given / "case-1.svs")
    assert summary["points"]["path"] == str(given / "case-1.geojson")


def test_results_of_slides_that_the_list_no_longer_has_are_named(pairs: Path, tmp_path: Path) -> None:
    words = ("cohort", pairs, "--out", tmp_path / "r", *MODEL, "--progress", "none")
    assert run(*words).stderr == ""
    (pairs / "a.svs").unlink()
    (pairs / "c.svs").unlink()
    for more in ((), ("--collect",)):
        told = run(*words, *more).stderr
        assert "holds results of 2 slides that are not in pairs, and in no table: a, c; remove" in told
    assert list(rows(tmp_path / "r")) == ["b"]
