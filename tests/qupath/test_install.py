"""Install the scripts for QuPath where QuPath lists them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidemitosis.cli import main
from slidemitosis.errors import InvalidOption
from slidemitosis.qupath.scripts import (
    MENU,
    InstalledScript,
    _groovy_text,
    check_python,
    default_scripts_folder,
    install_scripts,
    list_scripts,
    shipped_scripts,
)

if TYPE_CHECKING:
    from tests.qupath.standin_qupath import QuPath

NAMES = [
    "classify_image.groovy",
    "export_candidates.groovy",
    "export_corrections.groovy",
    "import_results.groovy",
    "review_figures.groovy",
    "settings.groovy",
    "show_result.groovy",
]
"""Those that are installed where no menu is asked for."""


def test_every_script_comes_with_the_package() -> None:
    assert [p.name for p in list_scripts()] == sorted([*NAMES, MENU])
    assert shipped_scripts().is_dir()


def test_the_wheel_holds_them_where_they_are_looked_for() -> None:
    import tomllib

    from tests.conftest import REPOSITORY

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["qupath_scripts"] == "slidemitosis/shipped_qupath_scripts"


def outcomes(found: list[InstalledScript]) -> set[str]:
    return {script.outcome for script in found}


def test_only_the_path_of_python_differs_from_what_is_shipped(tmp_path: Path) -> None:
    found = install_scripts(tmp_path, "/a b/python")
    assert [s.path for s in found] == [tmp_path / "slidemitosis" / name for name in NAMES]
    for shipped, script in zip([p for p in list_scripts() if p.name != MENU], found, strict=True):
        stamp, _, rest = script.path.read_text().partition("\n")
        assert stamp.startswith("// Installed by slidemitosis ")
        filled_in = shipped.read_text().replace(
            "@Field String PYTHON = null", "@Field String PYTHON = '/a b/python'"
        )
        assert rest == filled_in
    assert "PYTHON = '/a b/python'" in found[0].path.read_text()


def test_a_script_that_a_user_has_changed_is_never_lost(tmp_path: Path) -> None:
    assert outcomes(install_scripts(tmp_path, "/old/python")) == {"installed"}
    assert outcomes(install_scripts(tmp_path, "/old/python")) == {"unchanged"}
    classify = tmp_path / "slidemitosis" / NAMES[0]
    for n, name in enumerate((f"{NAMES[0]}.bak", f"{NAMES[0]}.bak2")):
        edited = classify.read_bytes() + b"// mine %d \xff\n" % n
        classify.write_bytes(edited)
        script = install_scripts(tmp_path, "/new/python")[0]
        assert (script.outcome, script.backup) == ("replaced", classify.with_name(name))
        assert classify.with_name(name).read_bytes() == edited
        assert "'/new/python'" in classify.read_text()
    # One that is as it was installed, by another version or for another Python, is only brought up to date.
    script = install_scripts(tmp_path, "/newer/python")[0]
    assert (script.outcome, script.backup) == ("updated", None)


def test_a_file_of_someone_else_with_that_name_is_kept(tmp_path: Path) -> None:
    (tmp_path / "slidemitosis").mkdir()
    theirs = tmp_path / "slidemitosis" / NAMES[1]
    theirs.write_text("print 'hello'\n")
    script = install_scripts(tmp_path, "/p")[1]
    assert script.backup is not None
    assert script.backup.read_text() == "print 'hello'\n"


def test_the_newest_qupath_of_a_home_is_meant(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidOption, match=r"holds no user directory of QuPath 0.4 or later; .* --scripts-dir"
    ):
        default_scripts_folder(tmp_path)
    for name in ("v0.3", "v0.6", "v0.10", "vx", "cache"):
        (tmp_path / "QuPath" / name).mkdir(parents=True)
    assert default_scripts_folder(tmp_path) == tmp_path / "QuPath" / "v0.10" / "scripts"


def test_a_python_that_cannot_start_slidemitosis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="cannot be started"):
        check_python(str(tmp_path / "python"))
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
    python = next(p for p in (empty / "bin" / "python", empty / "Scripts" / "python.exe") if p.exists())
    with pytest.raises(
        InvalidOption, match=r"does not find slidemitosis .* install the package in it with pip"
    ):
        check_python(str(python))


def test_the_command_says_what_it_did_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, isolated_python: str
) -> None:
    monkeypatch.setattr(sys, "executable", isolated_python)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert main(["qupath", "install"]) == 2
    assert re.fullmatch(r"slidemitosis: error: .*--scripts-dir.*\n", capsys.readouterr().err)
    (tmp_path / "QuPath" / "v0.6").mkdir(parents=True)
    assert main(["qupath", "install"]) == 0
    folder = tmp_path / "QuPath" / "v0.6" / "scripts" / "slidemitosis"
    assert capsys.readouterr().out.splitlines() == [
        *(f"installed   {folder / name}" for name in NAMES),
        f"python      {isolated_python}",
        "in QuPath   Automate > User scripts > slidemitosis",
    ]
    (folder / NAMES[0]).write_text("// mine\n")
    assert main(["qupath", "install", "--scripts-dir", str(folder.parent)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"replaced    {folder / NAMES[0]}"
    assert said.err == (
        f"slidemitosis: warning: {NAMES[0]} had been changed; it is kept as {folder / NAMES[0]}.bak\n"
    )
    (tmp_path / "file").write_text("")
    assert main(["qupath", "install", "--scripts-dir", str(tmp_path / "file"), "--create"]) == 2
    assert "cannot be made: Not a directory; choose another --scripts-dir" in capsys.readouterr().err


def test_a_folder_that_is_not_qupaths_gets_no_script_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, isolated_python: str
) -> None:
    monkeypatch.setattr(sys, "executable", isolated_python)
    other, new = tmp_path / "Documents", tmp_path / "QuPath" / "v0.6" / "scripts"
    other.mkdir()
    for folder in (other, tmp_path / "not there"):
        assert main(["qupath", "install", "--scripts-dir", str(folder)]) == 2
        told = capsys.readouterr().err
        assert f"{folder}: does not look like QuPath's script directory" in told
        assert "--create" in told
    assert not list(tmp_path.rglob("*.groovy"))
    assert main(["qupath", "install", "--scripts-dir", str(new)]) == 0
    assert main(["qupath", "install", "--scripts-dir", str(other), "--create"]) == 0
    # From now on it holds scripts, and needs no consent.
    assert main(["qupath", "install", "--scripts-dir", str(other)]) == 0


def test_the_command_shows_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qupath", "scripts"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(p) for p in list_scripts()]


PATHS = [
    r"C:\Users\Anna Größe\new\u0041\venv\Scripts\python.exe",
    "C:\\\u00f6\\t",
    "/home/o'neill/$HOME/${x}/\u75c5\u7406/\U0001f52c/python",
    '/quo"ted/\ttab/python',
]


def test_groovy_reads_the_path_that_was_filled_in(qupath: QuPath, tmp_path: Path) -> None:
    script = tmp_path / "paths.groovy"
    texts = [_groovy_text(path) for path in PATHS]
    script.write_text(f"List<String> paths() {{\n    return [{', '.join(texts)}]\n}}\n", encoding="ascii")
    qupath.steps.append({"script": str(script), "call": "paths", "args": []})
    (report,) = qupath.reports()
    assert report["result"] == PATHS


@settings(max_examples=50)
@given(st.text())
def test_the_path_is_filled_in_as_ascii_without_a_bare_quote(path: str) -> None:
    text = _groovy_text(path.encode("utf-8", "replace").decode())
    assert text.isascii()
    assert text.isprintable()
    assert re.fullmatch(r"'([^'\\]|\\\\|\\'|\\u[0-9a-f]{4})*'", text)
