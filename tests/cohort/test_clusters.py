"""Clusters that are described by a table, and the scripts for Slurm, with stand-ins for its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cohort.executors.clusters import ClusterTable, read_cluster
from slidemitosis.errors import InvalidOption
from tests.cohort.cohort_slides import MODEL, paint_slides, result_bytes
from tests.cohort.dask_cluster import WITH_DASK
from tests.command import COMMAND, PATIENCE, refused, run
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = REPOSITORY / "examples"

# Runs the parts of an array, and what depends on it, before it returns; any other job in the background.
_SBATCH = """\
import os, subprocess, sys
from pathlib import Path

here = Path(__file__).parent
options = [w for w in sys.argv[1:] if w.startswith("--")]
script, *words = [w for w in sys.argv[1:] if not w.startswith("--")]
with (here / "submitted").open("a") as told:
    print(*options, *words[3:], file=told)
array = next((o.split("1-")[1] for o in options if o.startswith("--array=1-")), None)
waits = any(o.startswith("--dependency=") for o in options)
job = str(os.getpid())
copied = here / f"{job}.sh"
copied.write_text(Path(script).read_text())
if array or waits:
    for task in range(1, int(array or 1) + 1):
        given = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "1"} if array else {}
        subprocess.run(["bash", copied, *words], env=os.environ | given, stdout=subprocess.DEVNULL)
else:
    process = subprocess.Popen(
        ["bash", copied, *words], start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=(here / f"{job}.out").open("w"), stderr=subprocess.STDOUT,
    )
    (here / f"{job}.pid").write_text(str(process.pid))
print(job if "--parsable" in options else f"Submitted batch job {job}")
"""
_SCANCEL = """\
import os, signal, sys
from pathlib import Path

here = Path(__file__).parent
os.killpg(int((here / f"{sys.argv[1]}.pid").read_text()), signal.SIGTERM)
with (here / "cancelled").open("a") as told:
    print(sys.argv[1], file=told)
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, first on the PATH, with sbatch, scancel and slidemitosis; it keeps what was submitted."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, program in (("sbatch", _SBATCH), ("scancel", _SCANCEL)):
        (folder / f"{name}.py").write_text(program)
        _executable(folder / name, [sys.executable, str(folder / f"{name}.py")])
    _executable(folder / "slidemitosis", COMMAND)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def _executable(path: Path, command: list[str]) -> None:
    path.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    path.chmod(0o755)


def table(folder: Path, *lines: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "lacks kind, workers"),
        (['kind = "local"', "wokers = 2"], "unknown key 'wokers' in cluster.toml; did you mean 'workers'"),
        (
            ['kind = "pbs"', "workers = 1"],
            "'kind' in cluster.toml must be one of 'local', 'slurm', not 'pbs'",
        ),
        (['kind = "local"', "workers = 0"], "'workers' must be 1 or more, not 0"),
        (['kind = "local"', "workers = 1", "threads = -1"], "'threads' must be 1 or more"),
        (['kind = "local"', 'workers = "2"'], "'workers' in cluster.toml must be of type int"),
        (
            ['kind = "slurm"', "workers = 1", "[options]", "cores = 2"],
            "'cores' in .options. is set by 'threads'",
        ),
        (['kind = "local"', "workers = 1", "[resources]", 'GPU = "yes"'], "'resources.GPU'"),
        (['kind = "local'], "not TOML"),
    ],
)
def test_a_wrong_table_is_one_line_that_names_the_key(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(InvalidOption, match=told) as caught:
        read_cluster(table(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_a_cluster_without_gpus_is_not_started_for_cuda(pair: Path, tmp_path: Path) -> None:
    path = table(tmp_path, 'kind = "local"', "workers = 1")
    words = ("--cluster", path, "--device", "cuda:0")
    said = refused("cohort", pair, "--out", tmp_path / "r", *words)
    assert "--device cuda needs GPU = 1 in [resources]" in said


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"--cluster .*no.toml: cannot be read: No such file"):
        read_cluster(tmp_path / "no.toml")


def test_the_example_can_be_read_also_with_all_that_it_comments_out(tmp_path: Path) -> None:
    example = read_cluster(EXAMPLES / "05_dask_slurm.toml")
    assert (example.kind, example.workers, example.threads) == ("slurm", 8, 4)
    assert (set(example.options), example.resources) == ({"memory", "walltime"}, {})
    first, *lines = (EXAMPLES / "05_dask_slurm.toml").read_text(encoding="utf-8").splitlines()
    full = read_cluster(table(tmp_path, first, *(line.removeprefix("# ") for line in lines)))
    assert full.resources == {"GPU": 1}
    assert full.options["job_extra_directives"] == ("--gres=gpu:1",)
    assert len(full.options) == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scheduler", "here"], "--scheduler 'here': not an address such as tcp://host:8786"),
        pytest.param(["--scheduler", "tls://127.0.0.1:9"], "names no distributed.comm.tls", marks=WITH_DASK),
        (
            ["--scheduler", "tcp://x:1", "--executor", "local"],
            "--scheduler is for --executor dask, not local",
        ),
        (["--scheduler", "tcp://x:1", "--cluster", "x.toml"], "give one of them"),
        (["--cluster", "x.toml", "--jobs", "2"], "--jobs is for this machine"),
        (["--executor", "dask", "--jobs", "0"], "--jobs must be 1 to 256"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(
    pair: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    assert told in refused("cohort", pair, "--out", tmp_path / "r", *words)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["[options]", 'nonsense = "x"'], "Nanny failed to start"),
        (
            ["[options]", 'memory_limit = "x"'],
            "[options]: Could not interpret 'x' as a byte unit",
        ),
        (["[options]", 'interface = "no"'], "'no' is not a valid network interface"),
    ],
)
@pytest.mark.slow
def test_a_cluster_that_does_not_start_is_one_line(
    pair: Path, tmp_path: Path, lines: list[str], told: str
) -> None:
    path = table(tmp_path, 'kind = "local"', "workers = 1", *lines)
    assert told in refused("cohort", pair, "--out", tmp_path / "r", "--cluster", path)


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="this machine has a Slurm")
@WITH_DASK
def test_no_sbatch_is_one_line(pair: Path, tmp_path: Path) -> None:
    path = table(tmp_path, 'kind = "slurm"', "workers = 1", "[options]", 'memory = "1GB"', 'interface = "lo"')
    said = refused("cohort", pair, "--out", tmp_path / "r", "--cluster", path)
    assert "sbatch is not on the PATH" in said


def test_resources_and_options_reach_the_job_script(slurm: Path, tmp_path: Path) -> None:
    from slidemitosis.cohort.executors.clusters import _slurm

    described = ClusterTable(
        kind="slurm",
        workers=1,
        threads=3,
        resources={"GPU": 1},
        options={
            "memory": "2GB",
            "queue": "short",
            "interface": "lo",
            "job_extra_directives": ("--gres=gpu:1",),
            "worker_extra_args": ("--lifetime", "1h"),
            "log_directory": str(tmp_path / "logs"),
        },
    )
    with _slurm(described) as cluster:
        script = cluster.job_script()
    for line in ("#SBATCH -p short", "#SBATCH --cpus-per-task=3", "#SBATCH --gres=gpu:1"):
        assert line in script
    assert "--nthreads 3" in script
    assert "--lifetime 1h --resources GPU=1 --interface lo" in script


@pytest.mark.slow
def test_workers_that_sbatch_starts_do_the_slides_and_are_cancelled(slurm: Path, tmp_path: Path) -> None:
    paint_slides(tmp_path / "pairs", [f"s{i}" for i in range(4)])
    path = table(tmp_path, 'kind = "slurm"', "workers = 2", "[options]", 'memory = "2GB"', 'interface = "lo"')
    done = run("cohort", tmp_path / "pairs", "--out", tmp_path / "r", *MODEL, "--cluster", path)
    assert done.returncode == 0, done.stderr
    assert run("cohort", tmp_path / "pairs", "--out", tmp_path / "local", *MODEL).returncode == 0
    assert result_bytes(tmp_path / "r") == result_bytes(tmp_path / "local")
    jobs = sorted(p.stem for p in slurm.glob("*.pid"))
    assert sorted((slurm / "cancelled").read_text().split()) == jobs
    assert len(jobs) == 2


def test_the_array_script_does_all_parts_and_then_the_tables(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "lite0")
    paint_slides(tmp_path / "my pairs", ["a", "b", "c"])
    (tmp_path / "my pairs/b.svs").write_bytes(b"no slide")
    words = [EXAMPLES / "04_slurm_array.sh", tmp_path / "my pairs", tmp_path / "my results", "2"]
    subprocess.run(["bash", *map(str, words)], check=True, timeout=PATIENCE, capture_output=True)
    first, second = (slurm / "submitted").read_text().splitlines()
    assert first == "--parsable --array=1-2 part"
    assert second.startswith("--dependency=afterany:")
    assert second.endswith("collect")
    assert run("cohort", tmp_path / "my pairs", "--out", tmp_path / "local", *MODEL).returncode == 3
    assert result_bytes(tmp_path / "my results") == result_bytes(tmp_path / "local")


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.sh")), ids=lambda p: p.name)
def test_shell_scripts_are_clean(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not here")
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
