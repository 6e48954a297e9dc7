from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import (
    Candidate,
    Candidates,
    area_classes_named,
    base_class,
    counts_text,
    normal_name,
    reads_as_mitosis,
    select_candidates,
)
from slidemitosis.errors import UnsettledClasses


def of(*names: str | None) -> Candidates:
    items = tuple(Candidate(None, k, k, name, f"feature {k}") for k, name in enumerate(names, start=1))
    return Candidates(path=Path("a.geojson"), format="geojson", unit="px", items=items)


def unsettled(candidates: Candidates, *classes: str) -> str:
    with pytest.raises(UnsettledClasses) as caught:
        select_candidates(candidates, classes)
    message = str(caught.value)
    assert message.startswith("a.geojson: ")
    assert "--candidate-class" in message
    assert "\n" not in message
    return message


def test_of_very_many_classes_a_message_names_the_first() -> None:
    """A tool may have given each of a hundred thousand nuclei a label of its own."""
    many = of(*(f"nucleus {i}" for i in range(5000)))
    message = unsettled(many)
    assert "nucleus 29 (1) and 4970 more" in message
    assert len(message) < 1000
    assert counts_text({"a": 2, None: 1}) == "a (2), Unclassified (1)"
    assert counts_text({}) == "none"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("Mitosis: Atypical", "Mitosis"),
        ("Mitosis: Normal", "Mitosis"),
        ("Tumor: Mitosis:normal", "Tumor: Mitosis"),
        ("Mitosis: Atypical: Normal", "Mitosis"),
        ("Mitosis", "Mitosis"),
        ("Atypical", "Atypical"),
        ("Normal: Atypical", "Normal"),
        ("Normal: Mitosis", "Normal: Mitosis"),
        ("Mitosis: Atypical figure", "Mitosis: Atypical figure"),
        (None, None),
    ],
)
def test_base_class_is_without_our_own_addition(name: str | None, base: str | None) -> None:
    assert base_class(name) == base


names = st.lists(st.sampled_from(["Mitosis", "Tumor", "Atypical", "Normal", "MF"]), min_size=1, max_size=4)


@given(names, st.sampled_from(["Atypical", "Normal"]))
def test_a_second_run_gives_the_class_that_a_first_run_gives(parts: list[str], kind: str) -> None:
    first = base_class(": ".join(parts))
    assert base_class(f"{first}: {kind}") == first


@given(st.text(max_size=20))
def test_a_normal_name_is_its_own_normal_name(text: str) -> None:
    assert normal_name(normal_name(text)) == normal_name(text)


@pytest.mark.parametrize(
    "name",
    [
        *("Mitosis", "mitoses", "MITOSIS", "Mitotic figure", "mitotic_figure", "Mitotic-Figures"),
        *("MitoticFigure", "MF", "mf_1", "AMF", "NMF", "Atypical mitosis", "atypical_mitotic_figure"),
        *("normal mitotic figure", "Tumor: Mitosis", "Mitosis: Atypical", "Mitosis: Normal"),
        *("Tumor: MF", "Mitosis no. 3", "Mitosis no 12", "Mitosis?", "Mitosis: Accepted", "mitosis_tp"),
        *(
            "Mitosis: confirmed",
            "Mitose",
            "Mitosen",
            "Mitosis: Prometaphase",
            "Mitosis-1",
            "Mitosis: Ring shape",
        ),
    ],
)
def test_names_of_mitoses_read_as_mitosis(name: str) -> None:
    assert reads_as_mitosis(name)
    assert reads_as_mitosis(name.upper())


NEGATIVE = [
    *("Non-mitotic figure", "non mitosis", "non_mitotic", "nonmitotic", "NonMitosis", "non-MF"),
    *("not mitosis", "not a mitotic figure", "no mitosis", "Imposter", "mitosis impostor"),
    *("hard negative", "hard_negative_mitosis", "Mitosis-like", "mitotic like figure"),
    *("mitosis look-alike", "Mitotic lookalike", "pseudo-mitosis", "pseudomitosis"),
    *("false positive mitosis", "mitotic mimic", "Tumor: Non-mitotic", "Mitosis: Imposter"),
    *(
        "Mitosis: Negative",
        "Mitosis: Rejected",
        "mitosis_fp",
        "FP mitosis",
        "mitosisFP",
        "Mitosis: FP",
        "MF_FP",
    ),
    *("Mitosis: False", "Mitosis: false positive", "rejected mitosis", "Mitosis (rejected)", "Mitosis: No"),
    *("Mitosis: Not", "Mitosis: None", "mitosis no", "Mitosis (no)", "Mitosis: Non mitosis", "MF: excluded"),
    *(
        "Mitosis: Ignore*",
        "discarded_mf",
        "Mitosis: wrong",
        "mitosis artefact",
        "Mitosis: Artifact",
        "hn_mitosis",
    ),
    *(
        "Mitosis: Hard negative",
        "mitosis_hard_negative",
        "HardNegativeMitosis",
        "Mitosis: hardnegative (mimic)",
    ),
    *("!Mitosis", "~mitosis", "Mitosis-", "Mitosis (-)", "apoptotic mitosis", "invalid MF", "pseudo mitosis"),
    *(
        "keine Mitose",
        "Mitose: abgelehnt",
        "Nicht-Mitose",
        "Nichtmitose",
        "falsch positive Mitose",
        "Pseudomitose",
    ),
    *("pas de mitose", "Mitose: rejetée", "fausse mitose", "Mitose: faux positif", "non mitose"),
    *("geen mitose", "Mitose: afgewezen", "vals positieve mitose", "niet-mitose"),
    *("no mitosis", "Mitosis: rechazada", "falsa mitosis", "Mitosis: falso positivo", "sin mitosis"),
    *("Mitosi: scartata", "não mitose", "Mitose: rejeitada", "Mitose: falso positivo"),
]


@pytest.mark.parametrize(
    "name",
    [
        *NEGATIVE,
        *(None, "", "Tumor", "Atypical", "Normal", "mitochondria", "amfibole", "Damf", "MFH"),
        *("post-mitotic", "amitosis", "Mitotic hotspot", "mitosis hot spot", "Mitosis ROI", "Region*"),
    ],
)
def test_other_names_do_not_read_as_mitosis(name: str | None) -> None:
    assert not reads_as_mitosis(name)


@pytest.mark.parametrize("name", NEGATIVE)
def test_a_single_class_that_denies_mitosis_is_not_taken(name: str) -> None:
    assert f"{name} (2)" in unsettled(of(name, name))


@pytest.mark.parametrize("name", [None, "Cell", "Mitosis", "Cell: Atypical"])
def test_a_hot_spot_of_ours_changes_nothing_of_what_is_taken(name: str | None) -> None:
    alone, beside = select_candidates(of(name, name)), select_candidates(of(name, "Hot spot", name))
    assert (beside.taken, beside.rule) == (alone.taken, alone.rule)
    assert beside.left == {"Hot spot": 1}


def test_a_hot_spot_alone_is_no_candidate_unless_it_is_asked_for() -> None:
    assert len(select_candidates(of("Hot spot")).candidates) == 0
    assert len(select_candidates(of("Hot spot"), ["hot spot"]).candidates) == 1


def test_areas_are_no_candidates_and_settle_what_the_others_are() -> None:
    selection = select_candidates(of(None, "Tumor", None), regions=["tumor"])
    assert (selection.taken, selection.left, selection.rule) == ({None: 2}, {"Tumor": 1}, "all")
    selection = select_candidates(of("Cell", "Tumor", "ROI"), regions=["Tumor", "ROI"])
    assert (selection.taken, selection.rule) == ({"Cell": 1}, "one class")
    selection = select_candidates(of("Mitosis", "Mitosis: Area"), regions=["Mitosis: Area"])
    assert selection.taken == {"Mitosis": 1}


def test_an_area_is_its_class_and_none_derived_from_it() -> None:
    selection = select_candidates(of("Mitosis", "Tissue", "Tissue: Normal"), regions=["Tissue"])
    assert selection.left == {"Tissue": 1, "Tissue: Normal": 1}
    assert area_classes_named(of("Tissue", "Tissue: Normal"), ["tissue"]) == {"Tissue"}


def test_figures_that_are_all_area_are_refused() -> None:
    with pytest.raises(UnsettledClasses, match="all objects are of the area's class"):
        select_candidates(of("Mitosis", "Mitosis"), regions=["Mitosis"])


def test_an_area_that_is_not_there_or_is_a_candidate_too_is_refused() -> None:
    with pytest.raises(UnsettledClasses, match=r"no object has the class 'Tumor'.*--area-class"):
        select_candidates(of("Mitosis"), regions=["Tumor"])
    with pytest.raises(UnsettledClasses, match=r"Mitosis \(1\) cannot be candidates and an area"):
        select_candidates(of("Mitosis", "Tumor"), ["Mitosis"], regions=["Mitosis", "Tumor"])


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ((None, None), "all"),
        (("Cell", "Cell"), "one class"),
        (("Cell: Atypical", "Cell", "Cell: Normal"), "one class"),  # after a run of ours
    ],
)
def test_all_are_taken_of_no_class_or_of_one_whatever_it_is_called(
    names: tuple[str | None, ...], rule: str
) -> None:
    selection = select_candidates(of(*names))
    assert (len(selection.candidates), selection.rule) == (len(names), rule)
    assert (selection.taken, selection.left) == (of(*names).class_counts(), {})


def test_mitoses_are_taken_in_file_order_and_the_others_counted() -> None:
    candidates = of("Tumor", "Mitosis", None, "Tumor: Mitosis", "Non-mitotic figure", "Tumor", "Mitosis")
    selection = select_candidates(candidates)
    assert [c.source for c in selection.candidates] == ["feature 2", "feature 4", "feature 7"]
    assert selection.taken == {"Mitosis": 2, "Tumor: Mitosis": 1}
    assert list(selection.left.items()) == [("Tumor", 2), (None, 1), ("Non-mitotic figure", 1)]
    assert selection.rule == "reads as mitosis"
    assert (selection.candidates.path, selection.candidates.unit) == (candidates.path, candidates.unit)


@pytest.mark.parametrize(
    ("present", "listed"),
    [
        (["Tumor", "Stroma", "Tumor", None], "Tumor (2), Stroma (1), Unclassified (1)"),
        (["Cell", None], "Cell (1), Unclassified (1)"),
        (["Atypical", "Normal"], "Atypical (1), Normal (1)"),
    ],
)
def test_classes_that_do_not_tell_are_listed_with_the_remedy(present: list[str | None], listed: str) -> None:
    assert f"the classes are {listed}; pass --candidate-class NAME" in unsettled(of(*present))


PRESENT = of("Tumor: Mitosis", "Mitosis: Atypical", "Mitosis", None, "Stroma")


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        (["Mitosis"], [2, 3]),
        ([" mitosis "], [2, 3]),
        (["Mitosis:Atypical"], [2]),
        (["tumor :mitosis"], [1]),
        (["Unclassified"], [4]),
        (["unclassified", "Stroma", "Stroma"], [4, 5]),
    ],
)
def test_the_classes_asked_for_are_taken(asked: list[str], places: list[int]) -> None:
    selection = select_candidates(PRESENT, asked)
    assert [c.source for c in selection.candidates] == [f"feature {k}" for k in places]
    assert selection.rule == "asked"
    assert sum(selection.taken.values()) + sum(selection.left.values()) == len(PRESENT)


@pytest.mark.parametrize("asked", [["Tumor"], ["Mitosis", "Mitoses"], ["Mitosis: Normal"]])
def test_a_class_asked_for_that_is_not_there_is_refused(asked: list[str]) -> None:
    message = unsettled(PRESENT, *asked)
    assert f"no object has the class {asked[-1]!r}" in message
    assert "Tumor: Mitosis (1), Mitosis: Atypical (1), Mitosis (1), Unclassified (1), Stroma (1)" in message


def test_unclassified_asked_for_where_all_have_a_class_is_refused() -> None:
    assert "'Unclassified'" in unsettled(of("Mitosis"), "Unclassified")


@pytest.mark.parametrize("asked", [[], ["Mitosis"]])
def test_no_candidates_are_an_empty_selection(asked: list[str]) -> None:
    selection = select_candidates(of(), asked)
    assert (len(selection.candidates), selection.taken, selection.left) == (0, {}, {})
    assert selection.rule == "all"


@given(st.lists(st.sampled_from(["Mitosis", "Tumor", None, "Hard negative", "MF: Normal"]), max_size=8))
def test_every_object_is_taken_or_left(present: list[str | None]) -> None:
    candidates = of(*present)
    try:
        selection = select_candidates(candidates)
    except UnsettledClasses:
        return
    counts = {**selection.taken, **selection.left}
    assert counts == candidates.class_counts()
    assert sum(selection.taken.values()) == len(selection.candidates)
