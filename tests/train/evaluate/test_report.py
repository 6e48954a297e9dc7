"""Reports and predictions: what is written is what was measured, and can be read back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import SUBTYPES
from slidemitosis.train.evaluate.metrics import metrics_of
from slidemitosis.train.evaluate.report import EvaluationReport, build_entry, validation_fold
from slidemitosis.train.evaluate.report_files import (
    COLUMNS,
    read_predictions,
    read_report,
    report_table,
    write_predictions,
    write_report,
)
from slidemitosis.train.evaluate.report_text import report_markdown
from tests.train.scores import random_scored, scored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.train.evaluate.metrics import Scored

DRAWS = 60


def check_refused(read: Callable[[Path], object], path: Path, message: str) -> None:
    """The file is refused in one line that begins with its path."""
    with pytest.raises(InvalidOption, match=message) as e:
        read(path)
    assert str(e.value).startswith(str(path))
    assert "\n" not in str(e.value)


@pytest.fixture(scope="module")
def whole() -> EvaluationReport:
    """Two data sets: a model alone, three folds and their ensemble; the third fold has collapsed."""
    entries = []
    for data in ("A test", "B"):
        entries.append(build_entry(random_scored(data=data, model="other"), draws=DRAWS))
        for k in range(3):
            s = random_scored(data=data, model=f"net-fold-{k}", seed=k)
            if k == 2:
                s = dataclasses.replace(s, logit=s.logit - 20, probability=s.probability / 1e9)
            entries.append(build_entry(s, role="fold", fold=k, run="net", draws=DRAWS))
        s = random_scored(data=data, model="net-ensemble", seed=9)
        entries.append(build_entry(s, role="ensemble", run="net", draws=DRAWS))
    return EvaluationReport(entries=tuple(entries), recipe="resnet", notes=("Made up.",))


def test_a_report_reads_back_as_it_was(whole: EvaluationReport, tmp_path: Path) -> None:
    text, data = write_report(whole, tmp_path)
    assert read_report(data) == whole
    assert text.read_text(encoding="utf-8") == report_markdown(whole)
    assert json.loads(data.read_text(encoding="utf-8")) == report_table(whole)


def test_nothing_known_stays_nothing_in_json(tmp_path: Path) -> None:
    one = EvaluationReport(entries=(build_entry(scored([1, 2], [1, 1]), draws=DRAWS),))
    told = report_table(one)["entries"][0]
    assert (told["metrics"]["auroc"], told["metrics"]["sensitivity"]) == (None, 1.0)
    assert read_report(write_report(one, tmp_path)[1]) == one
    assert "| none |" in report_markdown(one)


def test_json_holds_what_a_comparison_of_runs_reads(whole: EvaluationReport) -> None:
    told = report_table(whole)
    assert (told["format"], told["family"], told["backbone"]) == (1, None, None)
    assert told["models"] == ["other", "net-fold-0", "net-fold-1", "net-fold-2", "net-ensemble"]
    assert told["data"] == ["A test", "B"]
    fold = told["entries"][1]
    assert (fold["model"], fold["role"], fold["fold"], fold["data"]) == ("net-fold-0", "fold", 0, "A test")
    assert (
        fold["metrics"]["balanced_accuracy_at_half"] == metrics_of(random_scored()).balanced_accuracy_at_half
    )


def test_folds_have_mean_and_sd_and_the_ensemble_no_part_in_it(whole: EvaluationReport) -> None:
    entries = [e for e in whole.entries if e.role == "fold" and e.data == "B"]
    found = next(f for f in whole.folds if f.data == "B" and f.domain is None)
    values = [e.metrics.balanced_accuracy for e in entries]
    assert (found.run, found.folds, len(values)) == ("net", 3, 3)
    assert found.measures["balanced_accuracy"].mean == pytest.approx(np.mean(values))  # type: ignore[arg-type]
    assert found.measures["balanced_accuracy"].sd == pytest.approx(np.std(values))  # type: ignore[arg-type]
    assert {f.domain for f in whole.folds} == {None, "breast", "lung"}


def test_the_sd_of_folds_divides_by_their_number() -> None:
    """Two folds with a sensitivity of 1 and of 0: mean 0.5, SD 0.5, and not 0.71."""
    entries = tuple(
        build_entry(scored([z, -9], [1, 0], slides=("", "")), role="fold", fold=i, draws=DRAWS)
        for i, z in enumerate((1, -1))
    )
    found = EvaluationReport(entries=entries).folds[0].measures["sensitivity"]
    assert (found.mean, found.sd) == (0.5, 0.5)


def cross_validated(*collapsed: bool, run: str = "") -> EvaluationReport:
    """A report of a run, without test figures, that has a fold for each of `collapsed`."""
    folds = []
    for k, flat in enumerate(collapsed):
        s = random_scored(40, seed=k)
        s = dataclasses.replace(s, logit=s.logit - 20) if flat else s
        folds.append(validation_fold(s, run=run, model=f"net-fold-{k}", fold=k))
    return EvaluationReport(entries=(), validation=tuple(folds))


def test_validation_folds_have_mean_and_sd_over_all_and_over_converged_ones() -> None:
    report = cross_validated(False, True, False)
    (found,) = report.cross_validation
    assert (found.folds, found.converged_folds) == (3, 2)
    for name in ("balanced_accuracy_at_half", "auroc", "average_precision"):
        values = [getattr(metrics_of(random_scored(40, seed=k)), name) for k in range(3)]
        if name == "balanced_accuracy_at_half":
            values[1] = 0.5  # of one class only
        for spread, over in ((found.measures, values), (found.converged, [values[0], values[2]])):
            assert spread[name].mean == pytest.approx(np.mean(over))
            assert spread[name].sd == pytest.approx(np.std(over))


def test_where_every_fold_has_collapsed_there_is_no_score_of_converged_ones(tmp_path: Path) -> None:
    report = cross_validated(True, True)
    (found,) = report.cross_validation
    assert (found.converged_folds, found.converged) == (0, {})
    last = lines_after(report_markdown(report), "## Cross-validation")[-1]
    assert last == ["mean ± SD of 0 converged folds", "", "none", "none", "none"]
    assert read_report(write_report(report, tmp_path)[1]) == report


def test_validation_folds_are_told_one_by_one_in_text_and_json(tmp_path: Path) -> None:
    both = (
        *cross_validated(False, True, False, run="a").validation,
        *cross_validated(False, False).validation,
    )
    report = EvaluationReport(entries=(), validation=both)
    head, _, *rows = lines_after(report_markdown(report), "## Cross-validation")
    assert head == ["model", "figures (AMF)", "BA at 0.5", "AUROC", "average precision"]
    assert [r[0] for r in rows] == [
        "net-fold-0",
        "net-fold-1 (collapsed)",
        "net-fold-2",
        "a: mean ± SD of 3 folds",
        "a: mean ± SD of 2 converged folds",
        "net-fold-0",
        "net-fold-1",
        "mean ± SD of 2 folds",
    ]
    assert rows[0][1] == "40 (10)"
    auroc = report.cross_validation[0].converged["auroc"]
    assert rows[4][3] == f"{auroc.mean:.4f} ± {auroc.sd:.4f}"
    path = write_report(report, tmp_path)[1]
    assert read_report(path) == report
    told = json.loads(path.read_text(encoding="utf-8"))
    assert [v["collapsed"] for v in told["validation"]] == [False, True, False, False, False]
    assert told["cross_validation"][0]["converged"]["auroc"] == dataclasses.asdict(auroc)


def test_a_report_of_an_earlier_version_has_no_cross_validation(
    whole: EvaluationReport, tmp_path: Path
) -> None:
    told = {k: v for k, v in report_table(whole).items() if "validation" not in k}
    (tmp_path / "report.json").write_text(json.dumps(told))
    assert read_report(tmp_path / "report.json") == whole
    assert "Cross-validation" not in report_markdown(whole)


def test_domains_are_measured_by_themselves() -> None:
    s = random_scored()
    entry = build_entry(s, draws=DRAWS)
    assert [d.name for d in entry.domains] == ["breast", "lung"]
    breast = s.take([i for i, d in enumerate(s.domains) if d == "breast"])
    assert entry.domains[0].metrics == metrics_of(breast)
    assert build_entry(breast, draws=DRAWS).domains == ()


def lines_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading."""
    rest = text.split(f"{heading}\n", 1)[1].splitlines()
    start = next(i for i, line in enumerate(rest) if line.startswith("|"))
    rows = []
    for line in rest[start:]:
        if not line.startswith("|"):
            break
        rows.append([c.strip() for c in line.strip("|").split(" | ")])
    return rows


def test_the_table_has_models_then_folds_then_their_mean_then_the_ensemble(whole: EvaluationReport) -> None:
    head, _, *rows = lines_after(report_markdown(whole), "## A test")
    assert head[:5] == ["model", "BA at threshold", "BA at 0.5", "sensitivity", "specificity"]
    assert [r[0] for r in rows] == [
        "other",
        "net-fold-0",
        "net-fold-1",
        "net-fold-2",
        "net: mean ± SD of 3 folds",
        "ensemble: net-ensemble",
    ]
    m, bounds = whole.entries[0].metrics, whole.entries[0].intervals.bounds
    low, high = bounds["balanced_accuracy"]
    assert rows[0][1] == f"{m.balanced_accuracy:.4f} [{low:.4f}, {high:.4f}]"
    spread = whole.folds[0].measures["auroc"]
    assert rows[4][head.index("AUROC")] == f"{spread.mean:.4f} ± {spread.sd:.4f}"


def test_domains_have_sensitivity_and_specificity_in_the_text(whole: EvaluationReport) -> None:
    head, _, *rows = lines_after(report_markdown(whole), "### By domain")
    assert {"sensitivity", "specificity"} <= set(head)
    assert [r[0] for r in rows] == ["breast"] * 3 + ["lung"] * 3
    names = ["other", "net: mean ± SD of 3 folds", "ensemble: net-ensemble"]
    assert [r[2] for r in rows] == names * 2


def test_doubt_is_a_table_of_its_own(whole: EvaluationReport) -> None:
    assert "### Doubt" not in report_markdown(whole)
    s = random_scored(40, extra={"hard": np.linspace(0.1, 0.9, 40)}, model="a|b")
    report = EvaluationReport(entries=(build_entry(s, role="single", fold=None, run="", views=1),))
    (row,) = lines_after(report_markdown(report), "### Doubt")[2:]
    hard = np.array([h == "hard" for h in s.hardness])
    auroc = roc_auc_score(hard, s.extra["hard"])
    assert row == ["a\\|b", "40", str(hard.sum()), "20.0", f"{auroc:.4f}"]


def test_predictions_of_earlier_versions_tell_no_hardness(tmp_path: Path) -> None:
    s = random_scored(5)
    write_predictions(s, tmp_path / "p.csv")
    rows = [r.split(",") for r in (tmp_path / "p.csv").read_text().splitlines()]
    i = rows[0].index("hardness")
    (tmp_path / "p.csv").write_text("\n".join(",".join(r[:i] + r[i + 1 :]) for r in rows) + "\n")
    assert read_predictions(tmp_path / "p.csv").hardness == ("",) * 5


def test_subtypes_are_shown_of_the_ensemble_and_not_of_each_fold(whole: EvaluationReport) -> None:
    text = report_markdown(whole)
    assert text.count("### Subtypes: net-ensemble") == 2
    assert "### Subtypes: net-fold" not in text
    rows = lines_after(text, "### Subtypes: net-ensemble")
    assert [r[0] for r in rows[2:10]] == list(SUBTYPES)
    assert rows[10][0] == "mean AUROC"


def test_a_collapsed_fold_is_named(whole: EvaluationReport) -> None:
    assert report_markdown(whole).count("- net-fold-2 has collapsed") == 2
    assert [e.model for e in whole.entries if e.collapsed] == ["net-fold-2"] * 2


def test_a_name_cannot_break_a_table() -> None:
    entry = build_entry(scored([1, -1], [1, 0], model="a|b\nc"), draws=DRAWS)
    assert "\n| a\\|b c | 1.0000" in report_markdown(EvaluationReport(entries=(entry,)))


def test_a_fold_and_nothing_else_has_a_number() -> None:
    with pytest.raises(InvalidOption, match="a fold"):
        build_entry(scored([1], [1]), role="fold", draws=DRAWS)
    with pytest.raises(InvalidOption, match="a fold"):
        build_entry(scored([1], [1]), fold=1, draws=DRAWS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"entry": []}, "unknown key 'entry'"),
        ({"entries": [{"model": "m"}]}, "lacks role"),
        ({"notes": "text"}, "'notes'"),
    ],
)
def test_another_report_is_refused_in_one_line(
    whole: EvaluationReport, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report_table(whole) | change))
    check_refused(read_report, path, message)


@pytest.mark.parametrize("text", [None, "", "[1]", "{", '{"format": NaN}'])
def test_no_report_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    check_refused(read_report, path, r"report\.json: ")


def same(a: Scored, b: Scored) -> bool:
    texts = ("model", "data", "names", "slides", "domains", "threshold", "subtypes")
    numbers = [(a.atypical, b.atypical), (a.logit, b.logit), (a.probability, b.probability)]
    numbers += [(a.extra[k], b.extra[k]) for k in a.extra]
    return (
        all(getattr(a, k) == getattr(b, k) for k in texts)
        and list(a.extra) == list(b.extra)
        and all(np.array_equal(x, y) for x, y in numbers)
    )


finite = st.floats(allow_nan=False, allow_infinity=False)
unit = st.floats(0, 1)
rows_of_figures = st.lists(st.tuples(st.text(), st.text(), finite, unit, unit, st.integers(0, 1)), min_size=1)


@given(rows_of_figures, st.text(), st.text(), unit)
def test_predictions_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, float, float, float, int]],
    model: str,
    data: str,
    threshold: float,
) -> None:
    names, slides, logit, p, hard, labels = zip(*rows, strict=True)
    s = dataclasses.replace(
        scored([0.0] * len(rows), labels, names=names, slides=slides, domains=slides, subtypes=names),
        model=model,
        data=data,
        logit=np.array(logit),
        probability=np.array(p),
        threshold=threshold,
        extra={"hard": np.array(hard), "p_": np.array(p)},
    )
    path = tmp_path_factory.getbasetemp() / "predictions.csv"
    write_predictions(s, path)
    assert same(read_predictions(path), s)


def test_single_precision_loses_nothing(tmp_path: Path) -> None:
    z = np.array([0.1, -1 / 3], dtype=np.float32)
    s = dataclasses.replace(scored([1, 2], [1, 0]), logit=z)
    write_predictions(s, tmp_path / "p.csv")
    assert (read_predictions(tmp_path / "p.csv").logit.astype(np.float32) == z).all()


def test_measures_of_what_was_read_are_those_of_what_was_written(tmp_path: Path) -> None:
    s = random_scored()
    write_predictions(s, tmp_path / "p.csv")
    assert build_entry(read_predictions(tmp_path / "p.csv"), draws=DRAWS) == build_entry(s, draws=DRAWS)


def test_predictions_have_the_documented_columns(tmp_path: Path) -> None:
    write_predictions(random_scored(3), tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_bytes().decode()
    assert "\r" not in text
    first = next(csv.DictReader(io.StringIO(text)))
    assert tuple(first) == (*COLUMNS, *(f"p_{s}" for s in SUBTYPES))
    documented = ("figure", "data", "slide", "domain", "atypical", "logit", "p_atypical", "called")
    assert COLUMNS[: len(documented)] == documented


def changed(text: str, line: int, column: str, value: str) -> str:
    lines = text.splitlines()
    cells = lines[line].split(",")
    cells[lines[0].split(",").index(column)] = value
    lines[line] = ",".join(cells)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("line", "column", "value", "message"),
    [
        (0, "logit", "score", "no column logit"),
        (1, "logit", "high", "'high'"),
        (1, "logit", "inf", "no finite number"),
        (1, "atypical", "2", "0 or 1"),
        (1, "p_atypical", "1.5", "0 to 1"),
        (1, "called", "0", "called is not"),
        (1, "model", "another", "more than one model"),
        (2, "data", "another", "more than one data"),
        (2, "threshold", "0.9", "more than one threshold"),
        (2, "figure", "a,b", "another length"),
    ],
)
def test_wrong_predictions_are_refused_in_one_line(
    line: int, column: str, value: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    write_predictions(scored([1, -1], [1, 0]), path)
    path.write_text(changed(path.read_text(), line, column, value))
    check_refused(read_predictions, path, message)


def test_predictions_without_figures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with pytest.raises(InvalidOption, match="no figures"):
        write_predictions(scored([], []), path)
    check_refused(read_predictions, path, "cannot be read")
    path.write_text(",".join(COLUMNS) + "\n")
    check_refused(read_predictions, path, "no figures")
