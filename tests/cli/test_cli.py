"""The command line as a person and as a program meet it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from slidemitosis.cli import main
from slidemitosis.models.shipped import find_model
from slidemitosis.options.compute import DEFAULT_MODEL
from tests.command import COMMAND, PATIENCE, await_line, run, running
from tests.conftest import position_colours, write_aperio, write_points, write_scn, write_tiff
from tests.models.tiny import damaged_model

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])


@pytest.fixture
def points(tmp_path: Path) -> Path:
    return write_points(tmp_path / "p.geojson", [(100, 100), (300, 200), (690, 490)])


def write_figures(path: Path, n: int) -> Path:
    return write_points(path, [(10 + i % 60 * 10, 10 + i // 60 * 10) for i in range(n)])


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages this code imports."""
    slides = ["openslide", "tiffslide", "tifffile", "PIL"]
    heavy = [*slides, "torch", "timm", "shapely", "sklearn", "dask", "paquo"]
    done = python(f"import sys\n{code}\nprint(*[m for m in {heavy} if m in sys.modules])")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import slidemitosis") == set()


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    code = "from slidemitosis.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert imported_by(code) == set()
    times = []
    for _ in range(3):
        started = time.monotonic()
        assert "classify" in run("--help").stdout
        times.append(time.monotonic() - started)
    assert min(times) < 3  # a third of a second or so where the machine is quiet


def test_inspecting_does_not_import_torch(slide: Path, points: Path) -> None:
    code = (
        f"from slidemitosis.cli import main\nmain(['inspect', {str(slide)!r}, '--points', {str(points)!r}])"
    )
    assert not {"torch", "timm"} & imported_by(code)


def test_public_names_are_there_and_no_others() -> None:
    import slidemitosis

    assert set(slidemitosis.__all__) == {
        "Candidates",
        "ComputeOptions",
        "ErrorCounts",
        "PixelSize",
        "RateOptions",
        "ReadOptions",
        "SlideClassifier",
        "SlideMitosisError",
        "SlideResult",
        "Spot",
        "Viewer",
        "__version__",
        "classify_candidates",
        "classify_slide",
        "load_model",
        "open_slide",
        "read_candidates",
    }
    assert all(hasattr(slidemitosis, name) for name in slidemitosis.__all__)
    with pytest.raises(AttributeError):
        slidemitosis.nothing  # noqa: B018


def test_classify_ends_in_a_table_and_writes_where_it_says(slide: Path, points: Path) -> None:
    done = run("classify", slide, "--points", points)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^candidates  3, of which 3 classified$", done.stdout, re.M)
    # The default model's card says which lines there are: an interval, or a warning that there is none.
    calibrated = bool(find_model(DEFAULT_MODEL).calibrations)
    interval = r"\(95 % interval [\d.]+ to [\d.]+ %\) " if calibrated else ""
    few = rf"^atypical    fraction [\d.]+ % {interval}of 3 figures, too few figures for a rate$"
    assert re.search(few, done.stdout, re.M)
    assert ("\nwarning     the fraction has no interval" in done.stdout) is not calibrated
    assert re.search(
        r"^called      \d of 3 atypical, from P 0\.\d+ \(\w+\); \d are expected$", done.stdout, re.M
    )
    written = re.findall(r"^written     (.*)$", done.stdout, re.M)
    expected = ["objects.geojson", "candidates.csv", "summary.json", "report.html"]
    assert [Path(w).name for w in written] == expected
    assert all(Path(w).is_file() for w in written)


def test_progress_as_json_is_one_object_a_line_and_nothing_else(slide: Path, points: Path) -> None:
    done = run("classify", slide, "--points", points, "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    progress = [(e["done"], e["total"]) for e in events if e["event"] == "progress"]
    assert progress == [(0, 3), (3, 3)]
    assert events[-1]["event"] == "done"
    assert Path(events[-1]["objects"]).is_file()
    failed = run("classify", slide, "--points", slide.parent / "none.geojson", "--progress", "json")
    (event,) = [json.loads(line) for line in failed.stderr.splitlines()]
    assert (failed.returncode, event["event"], event["level"]) == (2, "message", "error")


def test_what_was_selected_is_said_aloud(slide: Path, points: Path) -> None:
    data = json.loads(points.read_text())
    data["features"][1]["properties"]["classification"] = {"name": "Stroma", "color": [0, 0, 0]}
    points.write_text(json.dumps(data))
    done = run("classify", slide, "--points", points, "--progress", "none")
    assert done.stderr == "slidemitosis: candidates: Mitosis (2); left out: Stroma (1)\n"


def damaged(path: Path, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def edited(points: Path, old: str, new: str) -> Path:
    text = points.read_text()
    assert old in text
    points.write_text(text.replace(old, new))
    return points


BAD: dict[str, tuple[Callable[[Path, Path, Path], list[str | Path]], str]] = {
    "not a slide": (lambda s, p, _: [p, "--points", p], r"p\.geojson: not a slide"),
    "cut-off slide": (lambda s, p, _: [damaged(s, 0.5), "--points", p], r"a\.svs: .*cut off"),
    "missing slide": (lambda s, p, _: [s.parent / "b.svs", "--points", p], r"b\.svs: no such file"),
    "no points": (lambda s, p, _: [s, "--points", p.parent / "q.json"], r"q\.json"),
    "not JSON": (lambda s, p, _: [s, "--points", edited(p, '"type"', "type")], r"p\.geojson.*not valid JSON"),
    "not GeoJSON": (
        lambda s, p, _: [s, "--points", edited(p, "Feature", "Thing")],
        r"p\.geojson.*no GeoJSON",
    ),
    "cut-off points": (lambda s, p, _: [s, "--points", damaged(p, 0.6)], r"p\.geojson.*cut off"),
    "NaN": (lambda s, p, _: [s, "--points", edited(p, "[300,", "[NaN,")], r"feature 2.*(NaN|nan)"),
    "infinite": (lambda s, p, _: [s, "--points", edited(p, "[300,", "[Infinity,")], r"feature 2.*inf"),
    "strings": (lambda s, p, _: [s, "--points", edited(p, "[300,", '["300",')], r"feature 2.*'300'"),
    "all off": (
        lambda s, p, t: [s, "--points", write_points(t / "o.geojson", [(9e4, 1e4), (8e4, 2e4)])],
        r"all 2 candidates lie off the slide.*80000 to 90000.*700 x 500 px",
    ),
    "other hash": (lambda s, p, t: [s, "--points", p, "--model", damaged_model(t / "model")], r"SHA-256"),
    "unknown model": (
        lambda s, p, _: [s, "--points", p, "--model", "best"],
        r"'best'; known models: .*lite0",
    ),
    "unwritable": (lambda s, p, _: [s, "--points", p, "--out", s / "x"], r"--out"),
    "no mpp": (
        lambda s, p, t: [write_tiff(t / "t.tif", position_colours(700, 500)), "--points", p],
        r"t\.tif: no pixel size.*--mpp",
    ),
    "bounds": (
        lambda s, p, t: [
            write_scn(t / "b.scn", position_colours(400, 300), at=(64, 64), collection=(900, 800)),
            "--points",
            p,
        ],
        r"b\.scn: this slide has bounds.*--origin",
    ),
    "views": (lambda s, p, _: [s, "--points", p, "--views", "3"], r"--views"),
    "device": (lambda s, p, _: [s, "--points", p, "--device", "cuda:99"], r"cuda:99"),
    "half on cpu": (lambda s, p, _: [s, "--points", p, "--device", "cpu", "--precision", "fp16"], r"fp16"),
    "batch": (lambda s, p, _: [s, "--points", p, "--batch-size", "0"], r"batch size"),
    "workers": (lambda s, p, _: [s, "--points", p, "--workers", "-1"], r"workers"),
    "mpp text": (lambda s, p, _: [s, "--points", p, "--mpp", "fine"], r"'fine'"),
    "mpp zero": (lambda s, p, _: [s, "--points", p, "--mpp", "0"], r"0 um/px"),
    "unknown option": (lambda s, p, _: [s, "--points", p, "--nonsense"], r"--nonsense"),
    "class": (lambda s, p, _: [s, "--points", p, "--candidate-class", "Foo"], r"'Foo'.*Mitosis \(3\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_code_2_and_no_files(
    name: str, slide: Path, points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD[name]
    words = arguments(slide, points, tmp_path)
    before = sorted(tmp_path.iterdir())
    try:
        code = main(["classify", *map(str, words)])
    except SystemExit as e:  # argparse
        code = e.code  # type: ignore[assignment]
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert re.fullmatch(r"slidemitosis: error: .+\n", said.err), said.err
    assert re.search(message, said.err), said.err
    assert sorted(tmp_path.iterdir()) == before


WITH_WORKERS = ["--progress", "json", "--workers", "2", "--batch-size", "16"]


def children_of(pid: int) -> set[int]:
    """Process ids of all that descend from a process, from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
@pytest.mark.parametrize("when", ["loading", "classifying"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_all_soon(tmp_path: Path, when: str, how: signal.Signals, slide: Path) -> None:
    many = write_figures(tmp_path / "many.geojson", 2400)
    before = sorted(tmp_path.iterdir())
    with running("classify", slide, "--points", many, *WITH_WORKERS) as process:
        if when == "classifying":
            await_line(process, '"progress"')
        else:
            while len(children_of(process.pid)) < 2:
                assert process.poll() is None, "it ended by itself"
                time.sleep(0.02)
        children = children_of(process.pid)
        assert len(children) >= 2
        sent = time.monotonic()
        if how == signal.SIGINT:  # Ctrl-C reaches the whole foreground group
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        out, err = process.communicate(timeout=120)
        took = time.monotonic() - sent
        deadline = time.monotonic() + 20
        while alive := {c for c in children if Path(f"/proc/{c}").exists()}:
            assert time.monotonic() < deadline, alive
            time.sleep(0.05)
    assert process.returncode == 130, err
    assert took < 20  # two seconds where the machine is quiet: benchmarks/interrupt.py
    assert out == ""
    assert json.loads(err.splitlines()[-1])["text"] == "interrupted; nothing was written"
    assert sorted(tmp_path.iterdir()) == before


def test_inspect_shows_what_would_be_read(slide: Path, points: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    done = run("inspect", slide, "--points", points, "--sheet", sheet)
    assert done.returncode == 0, done.stderr
    for line in (
        r"^reader      openslide [\d.]+, vendor aperio; tiles not decoded directly: its compression is LZW",
        r"^levels      700 x 500 px \(1:1\)$",
        r"^um/px       0\.25 in the metadata$",
        r"^um/px used  0\.25$",
        r"^bounds      none$",
        r"^objects     Mitosis \(3\), read as geojson$",
        r"^to classify 3; outside 0, duplicate 0$",
        r"^patches     128 px at 0\.25 um/px from level 0: as they are$",
    ):
        assert re.search(line, done.stdout, re.M), line
    with Image.open(sheet) as image:
        pixels = image.convert("RGB")
        assert pixels.getpixel((8, 8)) == (36, 36, 0)  # the corner of the first patch: 100 - 64
        assert pixels.getpixel((8 + 136, 8)) == ((300 - 64) & 255, 200 - 64, 0)
    assert not (tmp_path / "a.slidemitosis").exists()


def test_inspect_shows_the_slide_even_where_classify_would_refuse(tmp_path: Path, points: Path) -> None:
    plain = write_tiff(tmp_path / "t.tif", position_colours(700, 500))
    assert "not in the metadata: pass --mpp" in run("inspect", plain).stdout
    done = run("inspect", plain, "--points", points)
    assert done.returncode == 2
    assert "700 x 500 px" in done.stdout
    assert "--mpp" in done.stderr


def test_models_lists_the_shipped_ones_with_their_scores() -> None:
    done = run("models")
    assert re.search(r"^lite0-ensemble \S+ \(default\)", done.stdout, re.M)
    assert re.search(
        r"AMi-Br test, 1 view: BA 0\.\d+, AUROC 0\.\d+ \(826 figures, 184 atypical\)", done.stdout
    )


def test_the_demo_runs_and_says_that_its_tissue_is_drawn(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "drawn" in done.stdout.splitlines()[0]
    assert re.search(r"^atypical    fraction \d+ % .*of 40 figures$", done.stdout, re.M)
    folder = tmp_path / "slidemitosis-demo"
    assert (folder / "demo.slidemitosis" / "objects.geojson").is_file()
    command = done.stdout.splitlines()[-1].split()
    assert command[:2] == ["slidemitosis", "classify"]
    assert run(*command[1:], cwd=tmp_path).returncode == 0


def test_a_script_without_a_main_guard_is_told_what_to_do(slide: Path, points: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"from slidemitosis import ComputeOptions, classify_slide\n"
        f"classify_slide({str(slide)!r}, {str(points)!r}, compute=ComputeOptions(workers=1))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "__main__" in done.stderr.splitlines()[-1]
    assert "workers=0" in done.stderr.splitlines()[-1]


def test_a_contact_sheet_replaces_a_picture_and_nothing_else(
    slide: Path, points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = slide.read_bytes()
    assert main(["inspect", str(slide), "--points", str(points), "--sheet", str(slide)]) == 2
    assert "is not replaced" in capsys.readouterr().err
    assert slide.read_bytes() == before
    sheet = tmp_path / "s.png"
    for _ in range(2):
        assert main(["inspect", str(slide), "--points", str(points), "--sheet", str(sheet)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svs", "p.geojson", "s.png"]


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_of_the_output_may_leave_early(slide: Path, points: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [*COMMAND, "classify", str(slide), "--points", str(points)]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.slidemitosis" / "summary.json").is_file()


def test_a_path_that_the_terminal_cannot_show_is_no_error(slide: Path, points: Path, tmp_path: Path) -> None:
    words = [*COMMAND, "classify", str(slide), "--points", str(points), "--out", f"{tmp_path}/h\u00e9 \u00b5"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(words, capture_output=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"h\\xe9 \\xb5" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process there")
def test_an_interrupt_while_the_command_line_is_loaded_is_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "slidemitosis", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not re.search(r"\| +argparse$", line := process.stderr.readline()):
            assert line, "the command line is loaded without argparse"
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert said == ["slidemitosis: error: interrupted\n"]
    assert process.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for one process there")
@pytest.mark.parametrize(
    ("interrupt", "returncode"),
    [("_thread.interrupt_main()", 0), ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT)],
)
def test_an_interrupt_after_the_last_line_prints_nothing(interrupt: str, returncode: int) -> None:
    """Python waits for threads before it ends, and would print where in that it was."""
    code = f"""
import _thread, os, signal, sys, threading
from slidemitosis import __main__, cli

def main():
    threading.Timer(0.2, lambda: {interrupt}).start()
    return 0

cli.main = main
sys.exit(__main__.run())
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (returncode, "")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_an_interrupt_at_any_moment_leaves_all_or_nothing(tmp_path: Path, slide: Path) -> None:
    """From the first import to the last line; what is left is a whole result or none."""
    points = write_figures(tmp_path / "many.geojson", 400)
    before = sorted(tmp_path.iterdir())
    shared_before = set(Path("/dev/shm").iterdir())
    for i in range(24):
        out = tmp_path / f"out{i}"
        words = ("classify", slide, "--points", points, *WITH_WORKERS, "--out", out)
        command = [*COMMAND, *map(str, words)]
        # Not by `running`: the process that frees shared memory outlives the command by a moment.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        time.sleep(0.3 + 0.25 * i)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT if i % 2 else signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        finished = '"event": "done"' in err or "are written" in err
        # Python ends itself by SIGINT where one came inside an exec() of an import; shells call that 130.
        # Before the command line is loaded, and after its last line, a signal is the system's to answer.
        expected = {0, 130, -signal.SIGINT} | ({-signal.SIGTERM} if finished or not err else set())
        assert process.returncode in expected, err
        assert "Traceback" not in err
        names = sorted(p.name for p in out.iterdir()) if out.exists() else []
        assert names == (
            ["candidates.csv", "objects.geojson", "report.html", "summary.json"] if finished else []
        )
        shutil.rmtree(out, ignore_errors=True)
    assert sorted(tmp_path.iterdir()) == before
    assert not left_in_shared_memory(shared_before)


def left_in_shared_memory(before: set[Path]) -> set[Path]:
    """What is new there and not in use; other programs may use it at the same time as a test."""
    left = set(Path("/dev/shm").iterdir()) - before
    for _ in range(2):  # what another program has just made is mapped a moment later
        time.sleep(0.5)
        in_use = ""
        for maps in Path("/proc").glob("[0-9]*/maps"):
            with contextlib.suppress(OSError):  # ended meanwhile
                in_use += maps.read_text()
        left = {p for p in left if p.exists() and str(p) not in in_use}
    return left
