"""The pool of readers: the same pixels whatever the workers do, nothing lost or left when they die."""

from __future__ import annotations

import functools
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import ReadingFailed, UnreadableSlide
from slidemitosis.geometry import Level, PixelSize
from slidemitosis.limits import READER_MEMORY
from slidemitosis.options.compute import MOST_WORKERS
from slidemitosis.reading import pool as pool_module
from slidemitosis.reading import processes
from slidemitosis.reading.batches import Batch, gathered
from slidemitosis.reading.pool import ReaderPool, workers_with_room
from slidemitosis.reading.windows import Window, place_window, plan_reading
from slidemitosis.reading.worker import read_patch
from slidemitosis.slides.open import open_slide
from slidemitosis.slides.slide import Slide
from tests.conftest import position_colours, write_aperio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

PATCH = 32
SIDE = 600


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "painted.svs"
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
    with ReaderPool(patch=PATCH, batch_size=batch, workers=workers) as pool:
        return list(pool.read(opener, windows))


def process_ids(pool: ReaderPool) -> tuple[int, ...]:
    return tuple(w.process.pid for w in pool._workers if w.process.pid is not None)


def pixels_of(batches: Sequence[Batch]) -> dict[int, NDArray[np.uint8]]:
    return {int(i): p for b in batches for i, p in zip(b.indices, b.pixels, strict=True)}


def direct(opener: Callable[[], Slide], windows: Sequence[Window]) -> dict[int, NDArray[np.uint8]]:
    with opener() as slide:
        return {i: read_patch(slide, w, PATCH) for i, w in enumerate(windows)}


def diagonal(places: Sequence[int]) -> list[Window]:
    """Windows whose x and y are these places, level-0 px."""
    return [Window(0, v, v, PATCH, PATCH, None) for v in places]


def assert_pixels(batches: Sequence[Batch], want: dict[int, NDArray[np.uint8]]) -> None:
    """Check that the batches hold these patches, by the numbers of their windows, and no others."""
    got = pixels_of(batches)
    assert sorted(got) == sorted(want)
    for i, pixels in want.items():
        np.testing.assert_array_equal(got[i], pixels)


def painted(places: Sequence[int], but: Sequence[int] = ()) -> dict[int, NDArray[np.uint8]]:
    """The patches of `diagonal`, without those of the numbers in `but`."""
    patches = {i: position_colours(PATCH, PATCH, x0=v, y0=v) for i, v in enumerate(places)}
    return {i: patch for i, patch in patches.items() if i not in but}


def test_batches_are_the_same_bit_for_bit_with_any_number_of_workers(opener: Callable[[], Slide]) -> None:
    windows = places(101)
    want = direct(opener, windows)
    for workers in (0, 1, 2, 4):
        batches = sorted(load(opener, windows, workers), key=lambda b: int(b.indices[0]))
        assert [b.indices.tolist() for b in batches] == [
            list(range(i, min(i + 8, 101))) for i in range(0, 101, 8)
        ]
        assert_pixels(batches, want)
        assert all(b.unreadable == () for b in batches)


def test_no_windows_give_no_batches_and_start_no_process(opener: Callable[[], Slide]) -> None:
    with ReaderPool(patch=PATCH, batch_size=8, workers=2) as pool:
        assert list(pool.read(opener, [])) == []
        assert process_ids(pool) == ()


posix = pytest.mark.skipif(os.name == "nt", reason="asks for processes by POSIX signals")


@posix
def test_a_killed_worker_is_replaced_and_nothing_is_lost(opener: Callable[[], Slide]) -> None:
    windows = places(200)
    want = direct(opener, windows)
    batches: list[Batch] = []
    with ReaderPool(patch=PATCH, batch_size=8, workers=2) as pool:
        reading = pool.read(opener, windows)
        first = set(process_ids(pool))
        for i, batch in enumerate(reading):
            batches.append(batch)
            if i in (3, 10):
                os.kill(process_ids(pool)[i % 2], signal.SIGKILL)
        assert not first.issuperset(process_ids(pool))
    assert_pixels(batches, want)
    assert all(b.unreadable == () for b in batches)


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


@pytest.fixture
def tricky(slide_path: Path, tmp_path: Path) -> Callable[[], Slide]:
    return functools.partial(TrickySlide, slide_path, tmp_path)


@pytest.mark.parametrize("workers", [1, 3])
def test_only_what_cannot_be_read_is_unreadable_and_its_reason_is_kept(
    tricky: Callable[[], Slide], workers: int
) -> None:
    at = range(0, 520, 20)
    batches = load(tricky, diagonal(at), workers)
    bad = dict(r for b in batches for r in b.unreadable)
    assert sorted(bad) == [15, 20]  # (300, 300) and (400, 400); (100, 100) and (200, 200) went well again
    assert "bad tile" in bad[15]
    assert "died" in bad[20]
    assert_pixels(batches, painted(at, but=[15, 20]))


def test_what_a_dead_worker_could_not_read_stays_unreadable(tricky: Callable[[], Slide]) -> None:
    """The bad tile comes before the deadly one, in one batch, after others have filled the slots."""
    at = [*[0] * 40, 300, 320, 200, 340, 400, 360, 300, 380]
    batches = load(tricky, diagonal(at), 1)
    assert sorted(dict(r for b in batches for r in b.unreadable)) == [40, 44, 46]
    assert_pixels(batches, painted(at, but=[40, 44, 46]))


def test_reading_here_marks_the_same_as_unreadable(tricky: Callable[[], Slide]) -> None:
    at = (100, 300, 320)
    (batch,) = load(tricky, diagonal(at), 0)
    assert batch.indices.tolist() == [0, 2]
    assert [i for i, _ in batch.unreadable] == [1]
    assert_pixels([batch], painted(at, but=[1]))


def deadly_everywhere(path: Path) -> Slide:
    slide = open_slide(path)
    slide._pixels = lambda *_: os._exit(7)  # type: ignore[method-assign]
    return slide


@pytest.mark.slow
def test_workers_that_keep_dying_end_the_run(slide_path: Path) -> None:
    with pytest.raises(ReadingFailed, match=r"died 21 times \(at last: exit code 7\)"):
        load(functools.partial(deadly_everywhere, slide_path), diagonal(range(40)), 2)


def test_workers_that_cannot_start_say_what_to_do(slide_path: Path, tmp_path: Path) -> None:
    """A script without the guard: each worker imports it anew, and would start workers of its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "import functools\n"
        "from slidemitosis.reading.pool import ReaderPool\n"
        "from slidemitosis.reading.windows import Window\n"
        "from slidemitosis.slides.open import open_slide\n"
        "with ReaderPool(patch=32, batch_size=8, workers=1) as pool:\n"
        f"    opener = functools.partial(open_slide, {str(slide_path)!r})\n"
        "    list(pool.read(opener, [Window(0, 0, 0, 32, 32, None)]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=600)
    assert re.search(r"ReadingFailed: a reader process ended at its start .*__main__", done.stderr)


class HangingSlide(TrickySlide):
    """As TrickySlide, but where it would die it waits for ever."""

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        if (x, y) == (400, 400) or ((x, y) == (200, 200) and self._first_time("wait")):
            time.sleep(1e6)
        return self._inner._pixels(level, x, y, width, height)


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_with_a_word_and_its_figure_is_unreadable_at_last(
    slide_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool_module, "STILLNESS", 12.0)
    at = range(0, 520, 20)
    with caplog.at_level("WARNING"):
        batches = load(functools.partial(HangingSlide, slide_path, tmp_path), diagonal(at), 2)
    assert dict(r for b in batches for r in b.unreadable) == {
        20: "two reader processes died while reading it (did nothing for 12 s)"
    }
    assert_pixels(batches, painted(at, but=[20]))
    assert (
        sum("a reader process did nothing for 12 s, and was ended" in text for text in caplog.messages) == 3
    )


class GreedySlide(TrickySlide):
    """As TrickySlide, but where it would die it takes more memory than a reader may have."""

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        if (x, y) == (400, 400):
            np.zeros(READER_MEMORY, np.uint8)
        return self._inner._pixels(level, x, y, width, height)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the memory of a process")
def test_a_worker_gets_no_more_memory_than_it_may_have(slide_path: Path, tmp_path: Path) -> None:
    at = range(0, 520, 20)
    batches = load(functools.partial(GreedySlide, slide_path, tmp_path), diagonal(at), 2)
    assert dict(r for b in batches for r in b.unreadable) == {
        20: "two reader processes died while reading it (exit code 1)"
    }
    assert_pixels(batches, painted(at, but=[20]))


def death_at_opening() -> Slide:
    os._exit(5)


@pytest.mark.slow
def test_a_slide_that_kills_whoever_opens_it_ends_the_run() -> None:
    with pytest.raises(ReadingFailed, match=r"died 21 times \(at last: exit code 5\)"):
        load(death_at_opening, diagonal([0]), 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_one_pool_reads_slide_after_slide_even_if_one_was_given_up(
    opener: Callable[[], Slide], slide_path: Path, tmp_path: Path, workers: int
) -> None:
    other = write_aperio(tmp_path / "other.svs", [position_colours(SIDE, SIDE, x0=7)])
    windows = places(120)
    with ReaderPool(patch=PATCH, batch_size=8, workers=workers) as pool:
        want = direct(opener, windows)
        for given_up_after in (0, 3, None):
            batches = list(itertools.islice(pool.read(opener, windows), given_up_after))
            assert_pixels(batches, {i: want[i] for i in pixels_of(batches)})
        processes = process_ids(pool)
        with pytest.raises(UnreadableSlide, match=r"gone\.svs: no such file"):
            list(pool.read(functools.partial(open_slide, tmp_path / "gone.svs"), windows))
        again = functools.partial(open_slide, other)
        assert_pixels(list(pool.read(again, windows)), direct(again, windows))
        assert process_ids(pool) == processes
        assert len(processes) == workers
        assert all(sorted([*w.free, *(j.slot for j in w.jobs)]) == [0, 1, 2] for w in pool._workers)


@posix
def test_a_worker_may_die_between_two_slides(opener: Callable[[], Slide]) -> None:
    windows = places(60)
    with ReaderPool(patch=PATCH, batch_size=8, workers=2) as pool:
        list(pool.read(opener, windows))
        os.kill(process_ids(pool)[0], signal.SIGKILL)
        assert sorted(pixels_of(list(pool.read(opener, windows)))) == list(range(60))


def test_each_worker_reads_a_stretch_of_its_own(slide_path: Path, tmp_path: Path) -> None:
    """Neighbours share tiles, which are decoded twice if two workers read them."""
    windows = [Window(0, i, 0, PATCH, PATCH, None) for i in range(400)]
    opener = functools.partial(_Signed, slide_path)
    with ReaderPool(patch=PATCH, batch_size=4, workers=2) as pool:
        got = pixels_of(list(pool.read(opener, windows)))
    by = [int.from_bytes(got[i][0, 0].tobytes(), "little") for i in range(400)]
    changes = sum(a != b for a, b in itertools.pairwise(by))
    assert len(set(by)) == 2
    assert changes <= 9  # of 99 batches; the one that is faster helps the other out, from its end


class _Signed(Slide):
    """A slide whose pixels tell which process read them."""

    def __init__(self, path: Path) -> None:
        with open_slide(path) as slide:
            self.info = slide.info

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        time.sleep(0.001)
        colour = np.frombuffer(os.getpid().to_bytes(3, "little"), np.uint8)
        return np.broadcast_to(colour, (height, width, 3))

    def close(self) -> None:
        pass


def test_a_slide_that_a_worker_cannot_open_is_the_slides_own_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSlide, match=r"gone\.svs: no such file"):
        load(functools.partial(open_slide, tmp_path / "gone.svs"), diagonal([0]), 1)


@posix
@pytest.mark.parametrize("after", [0, 2])
def test_leaving_early_ends_the_workers_and_frees_the_memory(opener: Callable[[], Slide], after: int) -> None:
    started = time.monotonic()
    with ReaderPool(patch=PATCH, batch_size=8, workers=2) as pool:
        reading = pool.read(opener, places(300))
        sentinels = process_ids(pool)
        names = [w.slots.name for w in pool._workers]
        for i, _ in enumerate(reading):
            if i == after:
                break
    assert time.monotonic() - started < 60
    assert len(sentinels) == len(names) == 2
    for pid in sentinels:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    for name in names:
        with pytest.raises(FileNotFoundError):
            shared_memory.SharedMemory(name)


def test_workers_import_neither_torch_nor_timm(slide_path: Path) -> None:
    code = (
        "import sys, slidemitosis.reading.pool, slidemitosis.slides.open as s\n"
        f"s.open_slide({str(slide_path)!r}).close()\n"
        "print([m for m in ('torch', 'timm', 'sklearn', 'tifffile') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@given(n=st.integers(0, 40), batch=st.integers(1, 9))
def test_every_window_comes_out_exactly_once(n: int, batch: int) -> None:
    batches = load(_Blank, diagonal(range(n)), 0, batch)
    assert [int(i) for b in batches for i in b.indices] == list(range(n))


class _Blank(Slide):
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        raise AssertionError("outside everything")

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), x, np.uint8)

    def close(self) -> None:
        pass


def test_more_shared_memory_than_any_machine_has_is_refused_and_the_pool_reads_on(
    opener: Callable[[], Slide],
) -> None:
    windows = places(5000)
    with pytest.raises(ReadingFailed, match=r"MB of shared memory.*--workers 0"):
        load(opener, windows, 256, 2_000_000_000)
    assert load(opener, windows[:5], 2, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="needs namespaces of Linux")
@pytest.mark.parametrize(
    ("mount", "reason"), [("size=300k", "No space left on device"), ("ro", "Read-only file system")]
)
def test_shared_memory_that_is_small_or_read_only_is_told_in_one_line(
    slide_path: Path, mount: str, reason: str
) -> None:
    """A file system grants each of several workers what it has for one: only pages set aside are there."""
    code = f"""
import functools
from slidemitosis.errors import ReadingFailed
from slidemitosis.reading.pool import ReaderPool, workers_with_room
from slidemitosis.reading.windows import Window
from slidemitosis.slides.open import open_slide
if __name__ == "__main__":
    with ReaderPool(patch=32, batch_size=20, workers=4) as pool:
        try:
            windows = [Window(0, 0, 0, 32, 32, None)] * 200
            list(pool.read(functools.partial(open_slide, {str(slide_path)!r}), windows))
        except ReadingFailed as e:
            print(e)
"""
    shell = f'mount -t tmpfs -o {mount} tmpfs /dev/shm && "$0" -c "$1" && ls /dev/shm'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", shell, sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespace can be made here: {done.stderr}")
    assert re.fullmatch(rf"0 MB of shared memory .*{reason}; use --workers 0.*\n", done.stdout), done
    assert (done.returncode, done.stderr) == (0, "")


def test_readers_are_as_many_as_find_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has 64 MB of it, and each reader takes nearly 10."""
    for free, most in ((64 * 1024**2, 3), (0, 1), (10 * 1024**3, 568), (None, MOST_WORKERS)):
        monkeypatch.setattr("slidemitosis.reading.memory.free", lambda free=free: free)
        assert workers_with_room(patch=128, batch_size=64) == most


def test_readers_of_joined_batches_are_at_one_of_them_together(opener: Callable[[], Slide]) -> None:
    """One alone would be long about it, and a GPU would wait for the first."""
    windows = places(160)
    with ReaderPool(patch=PATCH, batch_size=4, workers=4, joined=4) as pool:
        found = list(pool.read(opener, windows))
        assert_pixels(found, direct(opener, windows))
        pool.read(opener, windows)
        begun = sorted(job.number for worker in pool._workers for job in worker.jobs)
    assert begun == list(range(8))  # two each


@given(st.data())
def test_batches_are_joined_by_their_numbers_in_whatever_order_they_come(data: st.DataObject) -> None:
    n, size, each = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 7)), data.draw(st.integers(1, 5))
    batches = data.draw(st.permutations(load(_Blank, diagonal(range(n)), 0, size)))
    joined = list(gathered(batches, each, count=len(batches)))
    assert sorted(i for b in joined for i in b.indices.tolist()) == list(range(n))
    for b in joined:
        first = b.number * size
        assert b.number % each == 0
        assert b.indices.tolist() == list(range(first, min(first + each * size, n)))
        assert b.pixels[:, 0, 0, 0].tolist() == b.indices.tolist()


def test_what_could_not_be_read_stays_so_in_a_joined_batch(tricky: Callable[[], Slide]) -> None:
    (batch,) = gathered(load(tricky, diagonal([0, 300, 320, 300, 340]), 0, 2), 3, count=3)
    assert batch.indices.tolist() == [0, 2, 4]
    assert [i for i, _ in batch.unreadable] == [1, 3]


@posix
# One that comes inside a callback of the garbage collector, as libraries install them, is lost to Python.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_anywhere_leaves_a_pool_that_reads_the_next_slide(opener: Callable[[], Slide]) -> None:
    """Ctrl-C at random moments, in a session that goes on: nothing hangs, and no pixel is another's."""
    windows = places(100)
    want = direct(opener, windows)
    rng = np.random.default_rng(0)

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    broken_off = 0
    try:
        with ReaderPool(patch=PATCH, batch_size=4, workers=2) as pool:
            for _ in range(25):
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, 0.05))
                    try:
                        list(pool.read(opener, windows))
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    broken_off += 1
                assert_pixels(list(pool.read(opener, windows)), want)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert broken_off > 5


def deaf(connection: Connection) -> None:
    connection.close()
    time.sleep(600)


@posix
def test_a_process_that_closes_its_pipe_and_goes_on_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.2)
    one, other = (
        processes.Child(*processes.start_process(deaf, name=name, daemon=True)) for name in ("one", "other")
    )
    assert list(processes.listen([one])) == [(one, processes.GONE)]
    assert processes.bury(one) == -signal.SIGKILL
    pid = other.process.pid
    assert pid is not None
    processes.end([other], at_once=False)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_pool_that_has_ended_says_so(opener: Callable[[], Slide]) -> None:
    with ReaderPool(patch=PATCH, batch_size=4, workers=1) as pool:
        list(pool.read(opener, places(5)))
    with pytest.raises(ReadingFailed, match="have ended"):
        pool.read(opener, places(5))


def test_a_pool_reads_one_slide_at_a_time(opener: Callable[[], Slide]) -> None:
    with ReaderPool(patch=PATCH, batch_size=4, workers=1) as pool:
        first = pool.read(opener, places(50))
        next(first)
        second = pool.read(opener, places(50))
        with pytest.raises(ReadingFailed, match="one slide at a time"):
            next(first)
        assert len(list(second)) == 13


@posix
def test_after_workers_that_could_not_start_the_next_slide_is_read(opener: Callable[[], Slide]) -> None:
    with ReaderPool(patch=PATCH, batch_size=4, workers=2) as pool:
        reading = pool.read(opener, places(20))
        for pid in process_ids(pool):
            os.kill(pid, signal.SIGKILL)
        if not any(w.ready for w in pool._workers):
            with pytest.raises(ReadingFailed, match=r"its start \(exit code -9\); is there enough memory"):
                list(reading)
        assert sorted(pixels_of(list(pool.read(opener, places(20))))) == list(range(20))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at open files in /proc")
def test_a_slide_that_was_read_is_closed(opener: Callable[[], Slide], slide_path: Path) -> None:
    with ReaderPool(patch=PATCH, batch_size=4, workers=1) as pool:
        list(pool.read(opener, places(20)))
        (pid,) = process_ids(pool)
        for _ in range(1200):
            links = {str(p.readlink()) for p in Path(f"/proc/{pid}/fd").iterdir()}
            if str(slide_path) not in links:
                break
            time.sleep(0.05)
        assert str(slide_path) not in links
