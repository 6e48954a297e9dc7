"""The menu in QuPath: the startup script that adds it, and what becomes of one that was there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cli import main
from slidemitosis.errors import InvalidOption
from slidemitosis.qupath.scripts import (
    MENU,
    default_scripts_folder,
    has_menu,
    install_scripts,
    run_menu,
    uninstall_scripts,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.qupath.standin_qupath import QuPath

STARTUP = "startupScriptPath"
ENTRIES = [
    "Classify mitoses",
    "Review figures",
    "Show result",
    "Import results",
    "Export candidates",
    "Export corrections",
    "Settings",
]


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A script directory in a folder with a blank and an umlaut."""
    return tmp_path / "Anna Größe" / "QuPath" / "v0.7" / "scripts"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def start(qupath: QuPath, scripts: Path, **how: Any) -> dict[str, Any]:
    """Run the menu's script with the preferences that are there, and keep those that it leaves."""
    qupath.steps = []
    qupath.steps.append({"script": str(scripts / "slidemitosis" / MENU), "image": 0, **how})
    (report,) = qupath.reports()
    qupath.preferences = report["preferences"]
    assert report["error"] is None, report
    return report


def test_a_startup_script_that_is_there_still_runs_and_comes_back(
    qupath: QuPath, scripts: Path, slide: Path
) -> None:
    qupath.add_image(slide, (10, 10))
    theirs = scripts / "my start, 'ü'.groovy"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes("println 'grüß Gott'\r\n".encode("latin-1"))
    before = contents(scripts)
    qupath.preferences = {STARTUP: str(theirs), "other": "ü"}
    asked = dict(qupath.preferences)
    install_scripts(scripts, "/p", menu=True)
    assert not has_menu(scripts)
    own = str(scripts / "slidemitosis" / MENU)

    by_hand = start(qupath, scripts)
    added = [f"menu Extensions>slidemitosis>{name}" for name in ENTRIES]
    assert [e for e in by_hand["events"] if not e.startswith("menu")] == ["preferences saved"]
    assert [e for e in by_hand["events"] if e.startswith("menu")] == added
    assert qupath.preferences == asked | {STARTUP: own}
    assert has_menu(scripts)

    for _ in range(2):
        install_scripts(scripts, "/p")
        assert start(qupath, scripts, at_start=True)["events"] == [f"ran {theirs}", *added]
    assert qupath.preferences == asked | {STARTUP: own}

    outcomes = {s.path.name: s.outcome for s in uninstall_scripts(scripts)}
    assert set(outcomes.values()) == {"removed", "at next start"}
    assert outcomes[MENU] == "at next start"
    gone = start(qupath, scripts, at_start=True)
    assert gone["events"] == ["preferences saved", f"ran {theirs}"]
    assert qupath.preferences == asked
    assert not (scripts / "slidemitosis").exists()
    assert contents(scripts) == before


def test_without_a_startup_script_there_is_none_afterwards(
    qupath: QuPath, scripts: Path, slide: Path
) -> None:
    qupath.add_image(slide, (10, 10))
    install_scripts(scripts, "/p", menu=True)
    assert start(qupath, scripts, gui=False)["events"] == ["preferences saved"]
    assert list(qupath.preferences) == [STARTUP]
    # `install --qupath` once more takes this word for a run that went well.
    again = start(qupath, scripts, gui=False)
    assert (again["events"], again["log"][0][:24]) == ([], "slidemitosis: the menu E")
    uninstall_scripts(scripts)
    start(qupath, scripts, gui=False)
    assert qupath.preferences == {}
    assert contents(scripts) == {}


def test_a_startup_script_that_was_chosen_since_is_left_alone(
    qupath: QuPath, scripts: Path, slide: Path
) -> None:
    qupath.add_image(slide, (10, 10))
    install_scripts(scripts, "/p", menu=True)
    start(qupath, scripts)
    qupath.preferences = {STARTUP: "/mine.groovy"}
    uninstall_scripts(scripts)
    start(qupath, scripts)
    assert qupath.preferences == {STARTUP: "/mine.groovy"}


def test_a_startup_script_that_fails_takes_no_menu_away(qupath: QuPath, scripts: Path, slide: Path) -> None:
    qupath.add_image(slide, (10, 10))
    qupath.preferences = {STARTUP: "/gone.groovy"}
    install_scripts(scripts, "/p", menu=True)
    start(qupath, scripts)
    report = start(qupath, scripts, at_start=True)
    assert len(report["events"]) == 1 + len(ENTRIES)
    assert "slidemitosis: /gone.groovy: the startup script failed: " in report["log"][0]


def test_the_menu_is_installed_if_asked_for_and_what_a_person_has_changed_stays(scripts: Path) -> None:
    install_scripts(scripts, "/p")
    folder = scripts / "slidemitosis"
    assert MENU not in {p.name for p in folder.iterdir()}
    mine = folder / "classify_image.groovy"
    mine.write_bytes(mine.read_bytes() + b"// mine\n")
    install_scripts(scripts, "/p", menu=True)
    changed = folder / "import_results.groovy"
    changed.write_bytes(changed.read_bytes() + b"// mine\n")
    kept = {p.name: p.read_bytes() for p in (changed, mine.with_name(f"{mine.name}.bak"))}
    outcomes = {s.path.name: s.outcome for s in uninstall_scripts(scripts)}
    assert outcomes["import_results.groovy"] == "kept"
    assert outcomes[MENU] == "removed"  # QuPath has never run it
    assert contents(folder) == kept


def test_a_fresh_qupath_gets_a_user_directory_if_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, isolated_python: str
) -> None:
    monkeypatch.setattr(sys, "executable", isolated_python)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(
        InvalidOption, match=r"Edit > Preferences > Extensions > QuPath user directory.*--create"
    ):
        default_scripts_folder(tmp_path)
    assert main(["qupath", "install", "--create", "--menu"]) == 0
    said = capsys.readouterr().out
    user = tmp_path / "QuPath" / "v0.7"
    assert f"next        in QuPath, Edit > Preferences > Extensions > QuPath user directory: {user}\n" in said
    # No menu is claimed before QuPath has run its script.
    assert said.endswith("menu        in QuPath, open slidemitosis menu there and choose Run > Run, once\n")
    (user / "scripts" / "slidemitosis" / "startup_before.txt").write_text("")
    assert main(["qupath", "install", "--menu"]) == 0
    assert capsys.readouterr().out.endswith(
        "menu        Extensions > slidemitosis, from QuPath's next start\n"
    )
    assert main(["qupath", "uninstall"]) == 0
    gone = capsys.readouterr()
    assert f"at next start {user / 'scripts' / 'slidemitosis' / MENU}\n" in gone.out
    assert "your own startup script comes back, at QuPath's next start" in gone.err


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Make a program that says something and notes its arguments."""

    def make(says: str) -> str:
        path = tmp_path / "QuPath program"
        path.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f"open({str(tmp_path / 'words')!r}, 'w').write(json.dumps(sys.argv[1:]))\nprint({says!r})\n"
        )
        path.chmod(0o755)
        return str(path)

    return make


def test_qupath_itself_settles_the_menu_at_once(
    scripts: Path, program: Callable[[str], str], tmp_path: Path
) -> None:
    run_menu(program("slidemitosis: the menu Extensions > slidemitosis is there"), scripts)
    assert json.loads((tmp_path / "words").read_text()) == ["script", str(scripts / "slidemitosis" / MENU)]
    with pytest.raises(InvalidOption, match="did not run"):
        run_menu(program("no such script"), scripts)
    with pytest.raises(InvalidOption, match="cannot be started"):
        run_menu(str(tmp_path / "none"), scripts)
