"""`slidemitosis calibrate`, and the runs that use what it writes."""

from __future__ import annotations

import csv
import json
import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit, logit

from slidemitosis.errors import InvalidOption
from slidemitosis.models.local import read_local, write_local
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions
from slidemitosis.train.calibrate import calibrate_model, settle_reviewed
from slidemitosis.train.data.on_slides import read_on_slides
from slidemitosis.train.data.seen import seen_of, write_short
from tests.cohort.cohort_slides import MODEL, fresh, paint_slides
from tests.command import refused, run, run_python
from tests.conftest import needs_shared
from tests.models.tiny import make_card, make_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CPU = ComputeOptions(device="cpu")


def write_labels(path: Path, slides: Sequence[str], *, figures: int = 20, **more: str) -> Path:
    """Label the figures that `paint_slides` paints: every third is atypical."""
    with path.open("w", encoding="utf-8", newline="") as f:
        table = csv.writer(f)
        table.writerow(["slide", "x", "y", "label", *more])
        for number, slide in enumerate(slides):
            for i in range(figures):
                place = (60 + 30 * (i % 10), 80 + 20 * (i % 9) + number % 5)
                table.writerow([f"{slide}.svs", *place, "AMF" if i % 3 == 0 else "NMF", *more.values()])
    return path


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_slides(tmp_path_factory.mktemp("lab"), ["a", "b", "c"])


@pytest.fixture(scope="module")
def labels(slides: Path) -> Path:
    return write_labels(slides / "labels.csv", ["a", "b"])


@pytest.fixture(scope="module")
def calibration(labels: Path) -> Path:
    out = labels.parent / "lab.toml"
    done = run("calibrate", f"slides={labels}", *MODEL, "--reviewed", "all", "--out", out, "--tumour", "mole")
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 of 2 slides, all of their slides" in done.stdout
    assert "35.0% atypical" in done.stdout
    return out


def probabilities(folder: Path) -> dict[str, float]:
    with (folder / "candidates.csv").open(encoding="utf-8", newline="") as f:
        return {row["id"]: float(row["p_atypical"]) for row in csv.DictReader(f)}


def test_the_file_says_what_it_was_made_of(calibration: Path, labels: Path) -> None:
    told = tomllib.loads(calibration.read_text(encoding="utf-8"))
    assert (told["model"], told["reviewed"], told["tumour"]) == ("lite0", "all", "mole")
    assert told["slides"] == ["a.svs", "b.svs"]
    assert set(told["labels"]) == {labels.name, "pixels"}
    assert (told["calibration"]["figures"], told["calibration"]["slides"]) == (40, 2)
    assert read_local(calibration).calibration.spread is not None


def test_a_run_uses_it_and_says_so(calibration: Path, slides: Path, tmp_path: Path) -> None:
    words = ("classify", slides / "c.svs", "--points", slides / "c.geojson", *MODEL)
    assert run(*words, "--out", tmp_path / "plain").returncode == 0
    done = run(*words, "--out", tmp_path / "own", "--calibration", calibration)
    assert (done.returncode, done.stderr) == (0, "")
    own, card = read_local(calibration).calibration, find_model("lite0").calibrations[0]
    plain, local = probabilities(tmp_path / "plain"), probabilities(tmp_path / "own")
    for name, p in plain.items():
        z = (logit(p) - card.intercept) / card.slope
        assert local[name] == pytest.approx(expit(own.slope * z + own.intercept), abs=1e-4)
    assert plain != local
    summary = json.loads((tmp_path / "own/summary.json").read_text(encoding="utf-8"))
    assert summary["model"]["calibration"]["protocol"].startswith("all figures of own slides")
    assert summary["model"]["threshold"] == own.counting.threshold
    assert summary["options"]["calibration"] == str(calibration)
    assert summary["expected_fraction_amf_of_all_figures_95"] is not None


def test_the_tumour_of_the_labels_is_what_the_rate_was_validated_on(
    calibration: Path, slides: Path, tmp_path: Path
) -> None:
    words = ("classify", slides / "c.svs", "--points", slides / "c.geojson", *MODEL, "--tumour", "mole")
    assert "validated on" in run(*words, "--out", tmp_path / "plain").stdout
    own = run(*words, "--out", tmp_path / "own", "--calibration", calibration)
    assert "validated on" not in own.stdout + own.stderr


def test_a_cohort_does_its_slides_again_when_the_calibration_is_another(
    calibration: Path, slides: Path, tmp_path: Path
) -> None:
    words = ("cohort", slides, "--out", tmp_path / "r", *MODEL, "--progress", "json")
    assert fresh(run(*words).stderr) == ["a", "b", "c"]
    assert fresh(run(*words, "--calibration", calibration).stderr) == ["a", "b", "c"]
    assert fresh(run(*words, "--calibration", calibration).stderr) == []


def test_another_model_or_number_of_views_is_refused(calibration: Path, slides: Path, tmp_path: Path) -> None:
    words = ("classify", slides / "c.svs", "--points", slides / "c.geojson", "--out", tmp_path / "r")
    given = (*words, "--calibration", calibration)
    assert "is of the model lite0 2, not of lite0-ensemble" in refused(*given, "--model", "lite0-ensemble")
    assert "is for --views 1, not 8; calibrate for these views too" in refused(*given, *MODEL, "--views", "8")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"= 3", "not TOML"),
        (b"\xff", "not TOML"),
        (b"format = 1", "lacks model"),
        (b"format = 2", "lacks model"),
    ],
)
def test_a_file_that_is_no_calibration_is_one_line(
    slides: Path, tmp_path: Path, text: bytes | None, said: str
) -> None:
    path = tmp_path / "x.toml"
    if text is not None:
        path.write_bytes(text)
    words = ("classify", slides / "c.svs", "--points", slides / "c.geojson", *MODEL)
    told = refused(*words, "--out", tmp_path / "r", "--calibration", path)
    assert said in told
    assert "make it anew by slidemitosis calibrate" in told


def test_a_later_format_is_refused(calibration: Path, tmp_path: Path) -> None:
    path = tmp_path / "later.toml"
    path.write_text(calibration.read_text(encoding="utf-8").replace("format = 1", "format = 2", 1))
    with pytest.raises(InvalidOption, match="format 2 is not known"):
        read_local(path)


def test_only_a_calibration_is_written_over(calibration: Path, tmp_path: Path) -> None:
    local, other = read_local(calibration), tmp_path / "results.csv"
    write_local(local, tmp_path / "again.toml")
    write_local(local, tmp_path / "again.toml")
    other.write_text("precious")
    with pytest.raises(Exception, match="is there and is no calibration; choose another --out"):
        write_local(local, other)
    assert other.read_text() == "precious"


def test_which_figures_were_labelled_must_be_said(labels: Path, tmp_path: Path) -> None:
    words = ("calibrate", f"slides={labels}", *MODEL, "--out", tmp_path / "x.toml")
    assert "say which figures were labelled by --reviewed all or random" in refused(*words)
    assert not (tmp_path / "x.toml").exists()


def test_the_column_reason_says_which_figures_were_labelled(tmp_path: Path) -> None:
    random = write_labels(tmp_path / "random.csv", ["a"], reason="random")
    whole = write_labels(tmp_path / "all.csv", ["a"], reason="all")
    assert settle_reviewed([random], None) == "random"
    assert settle_reviewed([whole], None) == "all"
    assert settle_reviewed([whole, random], None) == "random"
    with pytest.raises(InvalidOption, match="the column reason says otherwise"):
        settle_reviewed([random], "all")
    typo = write_labels(tmp_path / "typo.csv", ["a"], reason="rnadom")
    with pytest.raises(InvalidOption, match=r"row 2, column reason: 'rnadom' is not known"):
        settle_reviewed([typo], None)


@pytest.mark.parametrize("reason", ["doubt", "found"])
def test_figures_that_were_chosen_by_what_the_model_said_are_refused(tmp_path: Path, reason: str) -> None:
    path = write_labels(tmp_path / "labels.csv", ["a"], reason=reason)
    with pytest.raises(
        InvalidOption, match=f"row 2, column reason: {reason}: figures that were labelled for"
    ):
        settle_reviewed([path], "all")


def test_a_list_of_corrections_alone_is_refused(tmp_path: Path) -> None:
    """As the script export_corrections writes it; tests/calibration/test_local.py shows why."""
    path = tmp_path / "corrections.csv"
    rows = [("NMF", "AMF"), ("AMF", "NMF"), ("AMF", "")]
    path.write_text("label,model_call\n" + "".join(f"{a},{b}\n" for a, b in rows))
    with pytest.raises(InvalidOption, match="every label differs from the model's call"):
        settle_reviewed([path], "all")
    path.write_text(path.read_text() + "AMF,AMF\n")
    assert settle_reviewed([path], "all") == "all"


def test_figures_that_the_model_saw_are_refused(slides: Path, labels: Path, tmp_path: Path) -> None:
    card = make_model(tmp_path / "tiny")
    seen = seen_of(read_on_slides(labels).training)
    write_short(seen, card.folder / "training-figures.csv")
    with pytest.raises(
        InvalidOption, match=r"saw 40 of the 40 figures of labels in training.*of other slides"
    ):
        calibrate_model(card, [("slides", labels)], compute=CPU, reviewed="all")


def test_a_model_without_calibration_gets_one(labels: Path, tmp_path: Path) -> None:
    made = calibrate_model(
        make_model(tmp_path / "tiny"), [("slides", labels)], compute=CPU, reviewed="random"
    )
    assert made.labelled == pytest.approx(14 / 40)
    assert abs(made.expected - made.labelled) < abs(made.expected_before - made.labelled)
    assert made.local.calibration.protocol.startswith("a random sample of the figures of own slides")


def test_too_few_figures_are_refused(slides: Path, tmp_path: Path) -> None:
    few = write_labels(slides / "few.csv", ["a"])
    with pytest.raises(
        InvalidOption, match="20 labelled figures are too few to calibrate on; label 50 or more"
    ):
        calibrate_model(make_card(tmp_path), [("slides", few)], compute=CPU, reviewed="all")


_WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("sklearn", "scipy", "matplotlib", "torch", "timm"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from slidemitosis.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_it_needs_neither_torch_nor_scipy_nor_scikit_learn(labels: Path, tmp_path: Path) -> None:
    words = ("calibrate", f"slides={labels}", *MODEL, "--reviewed", "all", "--device", "cpu")
    done = run_python(_WITHOUT, *words, "--out", tmp_path / "x.toml")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_on_real_figures_of_another_tumour_the_mean_comes_nearer(tmp_path: Path) -> None:
    data = needs_shared("data", "atnorm-md-dev")
    made = calibrate_model(
        find_model("lite0"), [("atnorm-md", data)], compute=CPU, reviewed="all", tumour="several"
    )
    assert made.expected_before - made.labelled > 0.02
    assert abs(made.expected - made.labelled) < 0.005
    assert made.local.calibration.spread is None
    assert np.isclose(made.labelled, 0.0902, atol=1e-4)
