"""The loader: the same pixels whatever the workers do, and nothing lost or left when they die."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import position_colours, write_aperio
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis import slots as slots_module
from slidemitosis.errors import ReadingFailed, UnreadableSlide
from slidemitosis.geometry import Level, PixelSize, Window, place_window, plan_reading
from slidemitosis.loader import Batch, PatchLoader
from slidemitosis.slides import Slide, open_slide
from slidemitosis.worker import read_patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PATCH = 32
SIDE = 600


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loader") / "painted.svs"
    return write_aperio(path, [position_colours(SIDE, SIDE)])


@pytest.fixture(scope="module")
def opener(slide_path: Path) -> Callable[[], Slide]:
    return functools.partial(open_slide, slide_path, reader="openslide")


def places(n: int) -> list[Window]:
    """Windows all over the slide and over its edges, some of them resampled."""
    rng = np.random.default_rng(1)
    centres = rng.uniform(-20, SIDE + 20, (n, 2))
    level = plan_reading(_LEVELS, PixelSize(0.25, 0.25), model_mpp=0.25, patch=PATCH)
    finer = plan_reading(_LEVELS, PixelSize(0.17, 0.17), model_mpp=0.25, patch=PATCH)
    return [place_window(x, y, finer if i % 3 == 0 else level) for i, (x, y) in enumerate(centres)]


_LEVELS = [Level(SIDE, SIDE, 1.0)]


def load(opener: Callable[[], Slide], windows: Sequence[Window], workers: int, batch: int = 8) -> list[Batch]:
    with PatchLoader(opener, windows, patch=PATCH, batch_size=batch, workers=workers) as loader:
        return list(loader)


def process_ids(loader: PatchLoader) -> tuple[int, ...]:
    return tuple(w.process.pid for w in loader._workers if w.process.pid is not None)


def pixels_of(batches: Sequence[Batch]) -> dict[int, NDArray[np.uint8]]:
    return {int(i): p for b in batches for i, p in zip(b.indices, b.pixels, strict=True)}


def direct(opener: Callable[[], Slide], windows: Sequence[Window]) -> list[NDArray[np.uint8]]:
    with opener() as slide:
        return [read_patch(slide, w, PATCH) for w in windows]


def test_batches_are_the_same_bit_for_bit_with_any_number_of_workers(opener: Callable[[], Slide]) -> None:
    windows = places(101)
    want = direct(opener, windows)
    for workers in (0, 1, 2, 4):
        batches = load(opener, windows, workers)
        assert [b.indices.tolist() for b in batches] == [
            list(range(i, min(i + 8, 101))) for i in range(0, 101, 8)
        ]
        got = np.concatenate([b.pixels for b in batches])
        np.testing.assert_array_equal(got, np.stack(want))
        assert all(b.unreadable == () for b in batches)


def test_no_windows_give_no_batches_and_start_no_process(opener: Callable[[], Slide]) -> None:
    with PatchLoader(opener, [], patch=PATCH, batch_size=8, workers=2) as loader:
        assert process_ids(loader) == ()
        assert list(loader) == []


posix = pytest.mark.skipif(os.name == "nt", reason="asks for processes by POSIX signals")


@posix
def test_a_killed_worker_is_replaced_and_nothing_is_lost(opener: Callable[[], Slide]) -> None:
    windows = places(200)
    want = direct(opener, windows)
    batches: list[Batch] = []
    with PatchLoader(opener, windows, patch=PATCH, batch_size=8, workers=2) as loader:
        first = set(process_ids(loader))
        for i, batch in enumerate(loader):
            batches.append(batch)
            if i in (3, 10):
                os.kill(process_ids(loader)[i % 2], signal.SIGKILL)
        assert not first.issuperset(process_ids(loader))
    got = pixels_of(batches)
    assert sorted(got) == list(range(200))
    assert all(b.unreadable == () for b in batches)
    for i, pixels in enumerate(want):
        np.testing.assert_array_equal(got[i], pixels)


class TrickySlide(Slide):
    """A real slide, except that some places are deadly, broken, or broken once."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self._inner = open_slide(path, reader="openslide")
        self.info = self._inner.info
        self._scratch = scratch
        self._broken = False

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        if self._broken:  # as OpenSlide does: one error and the handle is gone
            raise UnreadableSlide("handle is dead")
        if (x, y) == (400, 400):
            os._exit(9)
        if (x, y) == (200, 200) and self._first_time("death"):
            os._exit(9)
        if (x, y) == (300, 300) or ((x, y) == (100, 100) and self._first_time("error")):
            self._broken = True
            raise UnreadableSlide("bad tile")
        return self._inner._pixels(level, x, y, width, height)

    def _first_time(self, what: str) -> bool:
        try:
            (self._scratch / what).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_only_what_cannot_be_read_is_unreadable_and_its_reason_is_kept(
    slide_path: Path, tmp_path: Path, workers: int
) -> None:
    opener = functools.partial(TrickySlide, slide_path, tmp_path)
    windows = [Window(0, 20 * i, 20 * i, PATCH, PATCH, None) for i in range(26)]
    batches = load(opener, windows, workers)
    bad = dict(r for b in batches for r in b.unreadable)
    assert sorted(bad) == [15, 20]  # (300, 300) and (400, 400); (100, 100) and (200, 200) went well again
    assert "bad tile" in bad[15]
    assert "died" in bad[20]
    got = pixels_of(batches)
    assert sorted(got) == [i for i in range(26) if i not in bad]
    for i, pixels in got.items():
        np.testing.assert_array_equal(pixels, position_colours(PATCH, PATCH, x0=20 * i, y0=20 * i))


def test_what_a_dead_worker_could_not_read_stays_unreadable(slide_path: Path, tmp_path: Path) -> None:
    """The bad tile comes before the deadly one, in one batch, after others have filled the slots."""
    opener = functools.partial(TrickySlide, slide_path, tmp_path)
    at = [*[0] * 40, 300, 320, 200, 340, 400, 360, 300, 380]
    windows = [Window(0, v, v, PATCH, PATCH, None) for v in at]
    batches = load(opener, windows, 1)
    assert sorted(dict(r for b in batches for r in b.unreadable)) == [40, 44, 46]
    got = pixels_of(batches)
    assert sorted(got) == [i for i in range(48) if i not in (40, 44, 46)]
    for i, pixels in got.items():
        np.testing.assert_array_equal(pixels, position_colours(PATCH, PATCH, x0=at[i], y0=at[i]))


def test_reading_here_marks_the_same_as_unreadable(slide_path: Path, tmp_path: Path) -> None:
    opener = functools.partial(TrickySlide, slide_path, tmp_path)
    windows = [Window(0, v, v, PATCH, PATCH, None) for v in (100, 300, 320)]
    (batch,) = load(opener, windows, 0)
    assert batch.indices.tolist() == [0, 2]
    assert [i for i, _ in batch.unreadable] == [1]
    np.testing.assert_array_equal(batch.pixels[1], position_colours(PATCH, PATCH, x0=320, y0=320))


def deadly_everywhere(path: Path) -> Slide:
    slide = open_slide(path)
    slide._pixels = lambda *_: os._exit(7)  # type: ignore[method-assign]
    return slide


def test_workers_that_keep_dying_end_the_run(slide_path: Path) -> None:
    windows = [Window(0, i, i, PATCH, PATCH, None) for i in range(40)]
    with pytest.raises(ReadingFailed, match=r"died 21 times \(last exit code 7\)"):
        load(functools.partial(deadly_everywhere, slide_path), windows, 2)


def death_at_start() -> Slide:
    os._exit(5)


def test_workers_that_cannot_start_say_what_to_do() -> None:
    windows = [Window(0, 0, 0, PATCH, PATCH, None)]
    with pytest.raises(ReadingFailed, match=r"exit code 5.*__main__"):
        load(death_at_start, windows, 1)


def test_a_slide_that_a_worker_cannot_open_is_the_slides_own_error(tmp_path: Path) -> None:
    windows = [Window(0, 0, 0, PATCH, PATCH, None)]
    with pytest.raises(UnreadableSlide, match=r"gone\.svs: no such file"):
        load(functools.partial(open_slide, tmp_path / "gone.svs"), windows, 1)


@posix
@pytest.mark.parametrize("after", [0, 2])
def test_leaving_early_ends_the_workers_and_frees_the_memory(opener: Callable[[], Slide], after: int) -> None:
    started = time.monotonic()
    with PatchLoader(opener, places(300), patch=PATCH, batch_size=8, workers=2) as loader:
        processes = [w.process for w in loader._workers]
        assert loader._slots is not None
        name = loader._slots.name
        for i, _ in enumerate(loader):
            if i == after:
                break
        sentinels = [p.pid for p in processes]
    assert time.monotonic() - started < 20
    for pid in sentinels:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name)


def test_workers_import_neither_torch_nor_timm(slide_path: Path) -> None:
    code = (
        "import sys, slidemitosis.loader, slidemitosis.slides as s\n"
        f"s.open_slide({str(slide_path)!r}).close()\n"
        "print([m for m in ('torch', 'timm', 'sklearn', 'tifffile') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@given(n=st.integers(0, 40), batch=st.integers(1, 9))
def test_every_window_comes_out_exactly_once(n: int, batch: int) -> None:
    windows = [Window(0, i, i, PATCH, PATCH, None) for i in range(n)]
    batches = load(_blank_slide, windows, 0, batch)
    assert [int(i) for b in batches for i in b.indices] == list(range(n))


class _Blank(Slide):
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        raise AssertionError("outside everything")

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), x, np.uint8)

    def close(self) -> None:
        pass


def _blank_slide() -> Slide:
    return _Blank()


def test_too_little_shared_memory_is_said_before_anything_is_killed(
    opener: Callable[[], Slide], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(slots_module, "_LINUX_SHARED", tmp_path)  # a file system without shared memory's size
    windows = places(5000)
    with pytest.raises(ReadingFailed, match=r"MB of shared memory.*--workers"):
        load(opener, windows, 256, 2_000_000_000)
    assert load(opener, windows[:5], 2, 2)
