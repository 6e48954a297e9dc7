"""A selection that is left over, or that is meant, and the run on the whole class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.qupath.figures import by_id, given, run_id, succeeded, uuid
from tests.qupath.standin_qupath import class_of, classes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qupath.standin_qupath import QuPath


def test_a_run_on_a_selection_changes_these_objects_and_nothing_of_the_slide(project: QuPath) -> None:
    project.run("classify_image", save_after=True).run("classify_image", select=[uuid(1), uuid(9)])
    whole, alone = map(succeeded, project.reports())
    (told,) = alone["dialogs"]
    assert alone["asked"][0]["objects"]["choices"][:2] == ["2 selected", "all 6 of class Mitosis"]
    assert told["message"].startswith("2 selected: ")
    assert told["message"].endswith("; 2 objects updated")
    changed = {o["id"] for o in alone["objects"] if o not in whole["objects"]}
    assert changed == {uuid(9)}  # the other one is said to be what it was
    assert classes(alone)[uuid(9)].startswith("Stroma: ")
    assert (alone["metadata"], alone["run"]) == (whole["metadata"], whole["run"])
    for summary in ("results/1/summary.json", "summaries/1.json"):
        assert run_id(project.written / summary) == whole["run"]
    assert run_id(project.written / "selections" / "1" / "summary.json") != whole["run"]


def test_of_one_selected_figure_its_call_its_probability_and_its_subtype_are_told(project: QuPath) -> None:
    (report,) = project.run("classify_image", select=[uuid(1)]).reports()
    properties = by_id(succeeded(report))[uuid(1)]["properties"]
    p, subtype = properties["measurements"]["P(atypical)"], properties["metadata"]["slidemitosis.subtype"]
    call = class_of(by_id(report)[uuid(1)]).split(": ")[1].lower()
    said = report["dialogs"][-1]["message"].replace(",", ".")
    assert said.startswith(f"{call}. P(atypical) {p:.3f} (atypical from 0.")
    assert said.endswith(f"). {subtype}; 1 object updated")


def test_with_a_selection_all_can_be_chosen_and_cancel_does_nothing(project: QuPath) -> None:
    project.run("classify_image", select=[uuid(1)], answer=None)
    project.run("classify_image", select=[uuid(1)], answer={"objects": 1})
    cancelled, everything = map(succeeded, project.reports())
    assert {i: class_of(o) for i, o in by_id(cancelled).items()} == {
        i: class_of(f) for i, f in given(project).items()
    }
    assert (cancelled["events"], cancelled["metadata"]) == ([], {})
    assert everything["metadata"]["AMF candidates"] == "6"


def test_in_a_batch_a_selection_does_not_count(project: QuPath) -> None:
    project.run("classify_image", select=[uuid(1)], batch=2)
    project.run("classify_image", select=[uuid(1)], gui=False)
    batch, headless = map(succeeded, project.reports())
    assert headless["selected"] == [uuid(1)]
    assert batch["selected"] == []  # a points object that was replaced would stay selected for ever
    for report in (batch, headless):
        assert report["metadata"]["AMF objects"] == "class Mitosis"
        assert report["metadata"]["AMF candidates"] == "6"
        assert report["dialogs"] == []


def test_a_setting_is_what_the_script_shows_and_is_not_remembered(project: QuPath) -> None:
    """A class that was set in one copy of the script was taken by every other, unseen."""
    project.settings["CANDIDATE_CLASS"] = '"Stroma"'
    (other,) = project.run("classify_image").reports()
    del project.settings["CANDIDATE_CLASS"]
    project.steps.clear()
    (report,) = project.run("classify_image").reports()
    said: list[dict[str, Any]] = [other, report]
    assert [r["metadata"]["AMF objects"] for r in said] == ["class Stroma", "class Mitosis"]
    assert report["log"][0].startswith("slidemitosis: 6 figures (class Mitosis), model default")


@pytest.mark.slow
def test_what_was_chosen_in_the_dialog_is_shown_by_the_next_one_and_used_where_one_is_shown(
    project: QuPath,
) -> None:
    first, second = {"objects": 1, "python": "  /no/such python "}, {"objects": 0}
    project.run("classify_image", answer=first).run("classify_image", answer=second)
    project.run("classify_image", gui=False)
    refused, again, headless = project.reports()
    assert [c.split(" of ")[1] for c in refused["asked"][0]["objects"]["choices"]] == [
        "class Mitosis",
        "class Stroma",
    ]
    assert "/no/such python cannot be started" in refused["dialogs"][0]["message"]
    assert again["asked"][0]["objects"]["value"] == "all 1 of class Stroma"
    assert again["asked"][0]["python"]["value"] == "/no/such python"
    assert again["asked"][0]["model"]["choices"] == ["default"]  # nobody can be asked for others
    # What nobody is shown is not used.
    assert succeeded(headless)["metadata"]["AMF objects"] == "class Mitosis"


@pytest.mark.slow
def test_the_models_that_slidemitosis_lists_can_be_chosen(project: QuPath) -> None:
    (report,) = map(succeeded, project.run("classify_image", answer={"model": 1}).reports())
    assert report["asked"][0]["model"]["choices"] == ["default", "lite0", "lite0-ensemble"]
    assert report["metadata"]["AMF model"].startswith("lite0 ")


def test_a_run_that_is_cancelled_by_its_button_ends_quietly_and_changes_nothing(
    project: QuPath, tmp_path: Path
) -> None:
    assert project.project is not None
    began = project.written / "work" / "1" / "points.geojson"
    (report,) = project.run("classify_image", interrupt_when=str(began), press="Cancel").reports()
    assert (report["error"], report["left_interrupted"]) == (None, False)
    assert [(d["kind"], d["message"]) for d in report["dialogs"]] == [
        ("info", "cancelled; nothing was changed")
    ]
    assert (report["windows"], report["metadata"], report["events"]) == ([], {}, [])
    assert classes(report) == {i: class_of(f) for i, f in given(project).items()}
