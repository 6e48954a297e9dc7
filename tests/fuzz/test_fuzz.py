"""Whatever a file holds, its reader ends soon, in little memory, with a result or a documented error.

`SLIDEMITOSIS_FUZZ` says how many files are made for each reader, at random; by default there are few, and the
same ones every time. A file that fails is printed by hypothesis, as small as it can be made.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from slidemitosis.candidates import read_candidates, select_candidates
from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.errors import SlideMitosisError
from slidemitosis.models.card import read_card
from slidemitosis.models.local import read_local
from slidemitosis.options import ReadOptions
from slidemitosis.qupath.project import read_project
from slidemitosis.review.answers import REVIEW, read_answers
from slidemitosis.slides.open import open_slide
from tests.fuzz import seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ASKED = int(os.environ.get("SLIDEMITOSIS_FUZZ", "0"))
EXAMPLES = ASKED or 400
PATIENCE = 20  # seconds for one file, however busy the machine is
MEMORY = 200 * 1024**2  # bytes of Python's objects for one file
TOKENS = [
    *(
        b"",
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"true",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b",",
        b"\n",
        b"\x00",
    ),
    *(
        b"\xff\xfe",
        b"\xff" * 8,
        b"\x00" * 8,
        b"9" * 400,
        b"[" * 2000,
        b"<a>" * 500,
        b"&#0;",
        b"\\ud800",
        b"\xed\xa0\x80",
    ),
    *(b"inf", b"=1+1", b"../../x", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"\xe2\x80\xae"),
]


@st.composite
def nearly_right(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """A right file with some places changed."""
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 40, 400]))
        kind = draw(st.sampled_from(["token", "bytes", "repeat", "number", "cut", "other"]))
        new = b""
        if kind == "token":
            new = draw(st.sampled_from(TOKENS))
        elif kind == "bytes":
            new = draw(st.binary(min_size=1, max_size=max(1, length)))
        elif kind == "repeat":
            new = data[start : start + length] * draw(st.sampled_from([2, 3, 50]))
        elif kind == "other":
            other = draw(st.sampled_from(files))
            new = other[draw(st.integers(0, len(other))) :][:400]
        elif kind == "number":  # in place of one of the file's
            found = re.search(rb"-?\d+(\.\d+)?", data[start:])
            if found:
                start, length = start + found.start(), len(found[0])
                new = draw(
                    st.sampled_from(
                        [b"0", b"-1", b"1e308", b"1e999", b"4294967295", b"99999999999999999999", b"0.1"]
                    )
                )
        else:
            length = len(data)
        data = data[:start] + new + data[start + length :]
    return data


class Endless(BaseException):
    """A reader has not ended; no `except Exception` of its own may catch this."""


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise Endless in a block that takes longer, in seconds of the process: a file without end fails."""

    def end(number: int, frame: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzz(files: Sequence[bytes], read: Callable[[bytes], object]) -> None:
    """Read nearly right files; fails for an error that is none of ours, and for much time or memory."""
    for right in files:
        read(right)  # or nothing is tested

    @settings(
        max_examples=EXAMPLES,
        derandomize=not ASKED,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(nearly_right(files))
    def check(data: bytes) -> None:
        tracemalloc.start()
        began = time.process_time()
        try:
            with interrupted_after(PATIENCE):
                read(data)
        except SlideMitosisError:
            pass
        except Endless:
            raise AssertionError("does not end") from None
        finally:
            took, most = time.process_time() - began, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert took < PATIENCE, f"{took:.0f} s"
        assert most < MEMORY, f"{most / 1024**2:.0f} MiB"

    check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["geojson", "other_json_files", "delimited", "xml_files", "packed", "sqlite_files"]
)
def test_candidates(kind: str, tmp_path: Path) -> None:
    make = getattr(seeds, kind)
    path = tmp_path / "points"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        select_candidates(read_candidates(path, slide_name="a.svs"))

    fuzz(make(tmp_path) if kind == "sqlite_files" else make(), read)


@pytest.mark.slow
def test_cards(tmp_path: Path) -> None:
    def read(data: bytes) -> None:
        (tmp_path / "model.toml").write_bytes(data)
        read_card(tmp_path)

    fuzz(seeds.cards(), read)


@pytest.mark.slow
def test_calibrations(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_local(path)

    fuzz(seeds.calibrations(), read)


@pytest.mark.slow
def test_cohort_lists(tmp_path: Path) -> None:
    for name in ("a.svs", "a.geojson", "b.svs", "b.geojson"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "list.csv"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_cohort(path, read=ReadOptions())

    fuzz(seeds.cohort_lists(), read)


@pytest.mark.slow
def test_reviews(tmp_path: Path) -> None:
    def read(data: bytes) -> None:
        (tmp_path / REVIEW).write_bytes(data)
        read_answers(tmp_path)

    fuzz(seeds.reviews(), read)


@pytest.mark.slow
def test_projects(tmp_path: Path) -> None:
    path = tmp_path / "project.qpproj"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_project(path)

    fuzz(seeds.projects(), read)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["auto", "tiffslide"])
def test_slides(reader: str, tmp_path: Path) -> None:
    """The directories of a TIFF, and what stands at their tiles."""
    path = tmp_path / "a.svs"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with open_slide(path, reader=reader) as slide:  # type: ignore[arg-type]
            slide.read(0, 0, 0, 64, 64)

    fuzz(seeds.slides(tmp_path), read)
    shutil.rmtree(tmp_path, ignore_errors=True)
