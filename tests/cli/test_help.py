"""What the command line says to somebody who does not know it yet, or mistypes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from slidemitosis.cli import _parser, main
from slidemitosis.cli.examples import EXAMPLES
from tests.command import refused, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("clasify", "'clasify' is not known; did you mean 'classify'?"),
        ("classify s.svs --point p.csv", "no option --point; did you mean '--points'?"),
        ("classify s.svs --points p.csv --mode lite0", "no option --mode; did you mean '--model'?"),
        ("classify s.svs --points p.csv --hot-sport=2", "no option --hot-sport; did you mean '--hot-spot'?"),
        ("models exprot lite0", "'exprot' is not known; did you mean 'export'?"),
        ("cohort l.csv --out r --engine onx", "'onx' is not known; did you mean 'onnx'?"),
        ("cohort l.csv --out r --engine gpu", "'gpu' is not known; use auto, onnx, torch"),
        ("inspect s.svs another.svs", "unexpected word 'another.svs'"),
    ],
)
def test_a_mistyped_word_is_one_line_with_the_nearest_name(words: str, told: str) -> None:
    line = refused(*words.split())
    assert told in line
    assert line.rstrip().endswith("--help)")


def test_no_option_can_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    """A part of a word would be taken for one option today, and for another in the next version."""
    with pytest.raises(SystemExit):
        main(["cohort", "list.csv", "--out", "r", "--dry"])
    assert "no option --dry; did you mean '--dry-run'?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("qupath",), ("data",)])
def test_a_command_that_needs_a_further_word_prints_its_help(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(*words, "--help").stdout
    assert "examples:" in done.stdout


@pytest.mark.parametrize("command", EXAMPLES)
def test_each_help_ends_in_examples_that_are_understood(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = capsys.readouterr().out
    for example in EXAMPLES[command]:
        assert f"\n  slidemitosis {example}\n" in told
        assert example.split()[0] == command
        _parser().parse_args(shlex.split(example))


def test_options_stand_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["classify", "--help"])
    told = capsys.readouterr().out
    parts = ["options:", "reading the slide and its candidates:", "rates:", "computing:", "progress:"]
    places = [told.index(f"\n{part}\n") for part in parts]
    assert places == sorted(places)
    assert places[0] < told.index("\n  --out ") < places[1] < told.index("\n  --mpp ") < places[2]


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    code = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=(slidemitosis {shlex.join(words)}); "
        f"COMP_CWORD={len(words)}; _shtab_slidemitosis; echo ${{COMPREPLY[@]}}"
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    done = run("completion", "bash")
    assert done.returncode == 0, done.stderr
    script = tmp_path / "slidemitosis"
    script.write_text(done.stdout)
    assert completed(script, "cla") == ["classify"]
    assert completed(script, "classify", "--hot") == ["--hot-spot", "--hot-spot-shape"]
    assert completed(script, "cohort", "--engine", "") == ["auto", "onnx", "torch"]
