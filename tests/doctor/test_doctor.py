"""The doctor finds what is broken, says what to do, and names no path."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.classify.classifier import classify_slide
from slidemitosis.cli import main
from slidemitosis.doctor import libraries, machine, selftest
from slidemitosis.doctor.check import Check
from slidemitosis.doctor.scripts import check_scripts
from slidemitosis.errors import UnreadableSlide
from slidemitosis.models.shipped import shipped_models
from slidemitosis.qupath.scripts import install_scripts
from tests.command import run
from tests.conftest import REPOSITORY
from tests.models.tiny import flip_last_bit

if TYPE_CHECKING:
    from collections.abc import Iterable


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.slow
def test_a_whole_installation_passes_and_its_report_names_no_path() -> None:
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stderr
    checks = {c["name"]: c for c in json.loads(done.stdout)}
    assert {"slidemitosis", "OpenSlide", "processors", "temporary", "model lite0", "QuPath"} <= set(checks)
    assert checks["test onnx, reader auto"]["status"] == "ok"
    assert "failed" not in {c["status"] for c in checks.values()}
    for folder in (Path.home(), REPOSITORY, Path(shipped_models())):
        assert str(folder) not in done.stdout


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped models, of which the graph of `lite0` is damaged."""
    models = shutil.copytree(shipped_models(), tmp_path / "models")
    flip_last_bit(next((models / "lite0").glob("*.onnx")))
    monkeypatch.setattr("slidemitosis.models.shipped.shipped_models", lambda: models)
    return models


def test_a_damaged_model_fails_with_the_remedy_and_code_2(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("slidemitosis.doctor.examine.check_libraries", lambda: ())
    monkeypatch.setattr("slidemitosis.doctor.examine.check_machine", lambda: ())
    monkeypatch.setattr("slidemitosis.doctor.selftest._kinds", lambda: [("onnx", 0, "openslide")])
    assert main(["doctor"]) == 2
    told = capsys.readouterr()
    assert "FAILED   model lite0 " in told.out
    assert "ok       model lite0-ensemble" in told.out
    assert "FAILED   test onnx, reader openslide" in told.out
    errors = told.err.splitlines()
    assert len(errors) == 2
    assert "SHA-256" in errors[0]
    assert "pip install --force-reinstall" in errors[0]


def test_a_reader_that_fails_is_told_and_the_others_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_tiffslide(slide: Path, points: Path, **options: Any) -> Any:
        if options["read"].reader == "tiffslide":
            raise UnreadableSlide(f"{slide}: cannot be opened")
        return classify_slide(slide, points, **options)

    monkeypatch.setattr("slidemitosis.doctor.selftest.classify_slide", without_tiffslide)
    kinds = [("onnx", 0, reader) for reader in ("auto", "tiffslide", "openslide")]
    monkeypatch.setattr(selftest, "_kinds", lambda: kinds)
    found = by_name(selftest.check_classifying())
    assert [c.status for c in found.values()] == ["ok", "failed", "ok"]
    assert found["test onnx, reader tiffslide"].told == "UnreadableSlide: drawn.svs: cannot be opened"


def test_probabilities_that_differ_are_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def other_model(slide: Path, points: Path, **options: Any) -> Any:
        if options["read"].reader == "tiffslide":
            options["model"] = "lite0-ensemble"
        return classify_slide(slide, points, **options)

    monkeypatch.setattr("slidemitosis.doctor.selftest.classify_slide", other_model)
    monkeypatch.setattr(selftest, "_kinds", lambda: [("onnx", 0, "auto"), ("onnx", 0, "tiffslide")])
    _, differs = selftest.check_classifying()
    assert differs.status == "failed"
    assert "P differs from the first" in differs.told


@pytest.mark.parametrize(("version", "status"), [("4.0.0", "warning"), ("3.4.1", "warning"), ("4.0.1", "ok")])
def test_an_openslide_with_a_known_hole_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, version: str, status: str
) -> None:
    monkeypatch.setattr("openslide.__library_version__", version)
    check = by_name(libraries.check_libraries())["OpenSlide"]
    assert (check.status, version in check.told) == (status, True)
    assert bool(check.remedy) == (status == "warning")


def test_an_extra_that_is_missing_says_what_it_would_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "torch" else find_spec(n))
    check = by_name(libraries.check_libraries())["gpu"]
    assert check.status == "note"
    assert check.told.startswith("not there: torch")
    assert check.remedy == "pip install 'slidemitosis[gpu]'"


@pytest.mark.parametrize(("seen", "status"), [(True, "note"), (False, "ok")])
def test_a_gpu_without_torch_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, seen: bool, status: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(machine, "gpu_is_there", lambda: seen)
    check = by_name(machine.check_machine())["GPU"]
    assert (check.status, "[gpu]" in check.remedy) == (status, seen)


def test_a_torch_that_cannot_use_the_gpu_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(machine, "gpu_is_there", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    check = by_name(machine.check_machine())["GPU"]
    assert check.status == "warning"
    assert torch.__version__ in check.told


def test_no_or_little_shared_memory_says_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine._shared_memory(tmp_path / "none").status == "warning"
    monkeypatch.setattr(machine, "_LEAST_SHARED", 2**62)
    assert "--workers 0" in machine._shared_memory(tmp_path).remedy


def test_nowhere_to_write_temporary_files_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    check = by_name(machine.check_machine())["temporary"]
    assert (check.status, "No space left on device" in check.told) == ("failed", True)


def test_scripts_of_another_version_are_told(tmp_path: Path) -> None:
    assert check_scripts(tmp_path).status == "note"
    folder = tmp_path / "QuPath" / "v0.6" / "scripts"
    folder.mkdir(parents=True)
    assert "not there" in check_scripts(tmp_path).told
    (script, *_) = install_scripts(folder, "python")
    assert check_scripts(tmp_path) == Check("QuPath", "ok", "v0.6: the scripts are there")
    script.path.write_text("// Installed by slidemitosis 0.0.1; SHA-256 of the rest: 0\n")
    assert check_scripts(tmp_path).status == "warning"
