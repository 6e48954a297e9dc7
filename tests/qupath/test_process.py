"""Run commands as the scripts for QuPath do, with real processes."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.qupath.standin_qupath import Groovy, QuPath

if TYPE_CHECKING:
    from pathlib import Path

# A command that starts a process of its own; both note their ids. Run as: python -c CHILD FOLDER how
CHILD = """
import os, signal, subprocess, sys, time
from pathlib import Path
folder, how = Path(sys.argv[1]), sys.argv[2]
if how == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"
started = subprocess.Popen([sys.executable, "-c", deaf])
(folder / "pids.partial").write_text(f"{os.getpid()} {started.pid}")
(folder / "pids.partial").rename(folder / "pids")
if how == "leaves":
    print('{"event": "done"}', file=sys.stderr, flush=True)
    os._exit(0)
for i in range(10_000):
    print('{"event": "progress", "done": %d, "total": 10000}' % i, file=sys.stderr, flush=True)
    time.sleep(0.02)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:  # noqa: PTH123
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pids: list[int], *, seconds: float = 60) -> bool:
    ends = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < ends:
        time.sleep(0.05)
    return not any(map(alive, pids))


def ran(qupath: QuPath, *words: str, **how: Any) -> dict[str, Any]:
    """The report of a command that is started as the scripts start it."""
    (report,) = qupath.call("classify_image", "runCommand", words, **how).reports()
    return report


def ran_python(qupath: QuPath, *code: str, **how: Any) -> dict[str, Any]:
    return ran(qupath, sys.executable, "-c", *code, **how)


@pytest.mark.parametrize("how", ["polite", "deaf"])
def test_cancelling_ends_the_command_and_all_that_it_has_started(
    how: str, qupath: QuPath, tmp_path: Path
) -> None:
    began = time.monotonic()
    when: dict[str, Any] = {"fields": {"GRACE_SECONDS": 1}, "interrupt_when": str(tmp_path / "pids")}
    report = ran_python(qupath, CHILD, str(tmp_path), how, **when)
    assert report["error_class"] == "InterruptedException"
    assert gone([int(p) for p in (tmp_path / "pids").read_text().split()])
    assert time.monotonic() - began < 60


def test_a_command_that_ends_is_not_waited_for_because_of_one_that_it_has_left_behind(
    qupath: QuPath, tmp_path: Path
) -> None:
    began = time.monotonic()
    report = ran_python(qupath, CHILD, str(tmp_path), "leaves")
    assert report["error_class"] is None
    assert time.monotonic() - began < 60
    _, grandchild = map(int, (tmp_path / "pids").read_text().split())
    os.kill(grandchild, 9)


def test_more_output_than_a_pipe_holds_does_not_stop_the_command(qupath: QuPath) -> None:
    code = "import sys\nfor s in (sys.stdout, sys.stderr): s.write(('y' * 99 + '\\n') * 20001)"
    report = ran_python(qupath, code)
    assert report["error_class"] is None
    assert len(report["log"]) == 20001


def test_progress_is_told_in_tenths_and_messages_as_they_come(qupath: QuPath) -> None:
    code = """if True:
        import json, sys
        def say(**event): print(json.dumps(event), file=sys.stderr)
        say(event="message", level="info", text="left out: Stroma (1)")
        for i in range(0, 501): say(event="progress", done=i, total=500, what="classifying")
        say(event="message", level="warning", text="coarse")
    """
    report = ran_python(qupath, code)
    assert report["log"] == [
        "slidemitosis: left out: Stroma (1)",
        *(f"slidemitosis: classifying {n} of 500" for n in range(0, 501, 50)),
        "slidemitosis: warning: coarse",
    ]


FAILING = {
    "its own message": (
        """import json, sys
print(json.dumps({"event": "message", "level": "error", "text": "a.svs: cut off"}), file=sys.stderr)
sys.exit(2)""",
        "a.svs: cut off",
    ),
    "the last line of a traceback": (
        "import no_such_module",
        "ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "its code, if it said nothing": (
        "import sys; sys.exit(3)",
        f"{sys.executable} ended with code 3 and said nothing",
    ),
    "the remedy, where slidemitosis is not installed": (
        "import sys; sys.exit('/usr/bin/python3: No module named slidemitosis')",
        '/usr/bin/python3: No module named slidemitosis; run "slidemitosis qupath install" where',
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_command_that_fails_is_told_by(what: str, qupath: QuPath) -> None:
    code, reason = FAILING[what]
    report = ran_python(qupath, code)
    assert report["error_class"] == "IllegalStateException"
    assert report["error"].startswith(reason)
    assert "\n" not in report["error"]


def test_a_python_that_is_not_there_is_told_with_the_remedy(qupath: QuPath) -> None:
    report = ran(qupath, "/no such/python", "-I")
    assert report["error"].startswith("/no such/python cannot be started (")
    assert 'run "slidemitosis qupath install"' in report["error"]


@pytest.mark.slow
def test_the_variables_of_another_python_do_not_reach_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/no such home")
    monkeypatch.setenv("PYTHONPATH", "/no such path")
    (tmp_path / "classes").mkdir()
    groovy = Groovy(tmp_path / "classes")
    code = (
        "import os, sys; print([k for k in os.environ if k in ('PYTHONHOME', 'PYTHONPATH')], file=sys.stderr)"
    )
    try:
        report = ran_python(QuPath(groovy, tmp_path), code)
    finally:
        groovy.close()
    assert report["log"] == ["slidemitosis: []"]
