"""Targets: what each head is taught of a figure, and what it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import AMF_SUBTYPES, NMF_SUBTYPES, SUBTYPES
from slidemitosis.models.card import HeadPart
from slidemitosis.train.fit.targets import LAYOUTS, first_head_classes, heads_of, targets_of, usable
from tests.train.drawn import plain_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.train.data.figures import Figures

NAN = float("nan")


def figures(
    atypical: Sequence[int],
    votes: Sequence[Sequence[float]] | None = None,
    subtypes: tuple[tuple[str, ...], ...] | None = None,
) -> Figures:
    n = len(atypical)
    known = np.array(votes, np.float32) if votes else np.empty((n, 0), np.float32)
    return plain_figures(atypical, votes=known, subtypes=subtypes or ((),) * n)


VOTED = figures(
    [0, 1, 1, 0, 1],
    [[0, 0, 0], [1, 1, 1], [0, 1, 1], [NAN, 0, NAN], [NAN, NAN, NAN]],
    (
        ("NMF metaphase", "AMF other"),
        ("AMF multipolar",),
        ("NMF ring shape", "AMF segregation"),
        (),
        ("AMF other",),
    ),
)


def test_the_type_is_the_majority_label_for_one_logit_and_for_two() -> None:
    for layout in ("type", "type-softmax"):
        np.testing.assert_array_equal(targets_of(VOTED, LAYOUTS[layout])[:, 0], [0, 1, 1, 0, 1])


def test_soft_votes_are_the_share_of_the_experts_asked_and_the_majority_where_none_was() -> None:
    got = targets_of(VOTED, LAYOUTS["type"], soft_votes=True)
    np.testing.assert_allclose(got[:, 0], [0, 1, 2 / 3, 0, 1])
    got = targets_of(figures([0, 1]), LAYOUTS["type"], soft_votes=True)
    np.testing.assert_array_equal(got[:, 0], [0, 1])


def test_a_head_whose_second_class_is_nmf_is_taught_its_probability() -> None:
    head = HeadPart(name="type", kind="sigmoid", classes=("AMF", "NMF"))
    np.testing.assert_allclose(targets_of(VOTED, (head,), soft_votes=True)[:, 0], [1, 0, 1 / 3, 1, 0])


def test_experts_are_taught_their_own_votes_and_hardness_their_disagreement() -> None:
    want = [[0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [NAN, 0, NAN, NAN], [NAN] * 4]
    np.testing.assert_array_equal(targets_of(VOTED, LAYOUTS["experts"]), want)


def test_experts_whom_the_data_set_does_not_have_are_not_taught() -> None:
    two = figures([0, 1], [[0, 1], [1, 1]])
    np.testing.assert_array_equal(targets_of(two, LAYOUTS["experts"]), [[0, 1, NAN, 1], [1, 1, NAN, 0]])
    assert not usable(figures([0, 1]), LAYOUTS["experts"]).any()


def test_type_and_hardness_together_need_two_votes() -> None:
    got = targets_of(VOTED, LAYOUTS["type-hardness"])[:, 0]
    assert [LAYOUTS["type-hardness"][0].classes[int(k)] for k in got[:3]] == [
        "NMF easy",
        "AMF easy",
        "AMF hard",
    ]
    assert np.isnan(got[3:]).all()


def test_the_subtype_is_the_first_experts_even_where_the_majority_says_another_type() -> None:
    got = targets_of(VOTED, LAYOUTS["subtypes"])[:, 0]
    assert [SUBTYPES[int(k)] for k in got[[0, 1, 2, 4]]] == [
        "NMF metaphase",
        "AMF multipolar",
        "NMF ring shape",
        "AMF other",
    ]
    assert np.isnan(got[3])


def test_subtypes_of_one_type_are_taught_only_from_its_figures() -> None:
    amf, nmf = LAYOUTS["amf-subtypes"], LAYOUTS["nmf-subtypes"]
    np.testing.assert_array_equal(usable(VOTED, amf), [False, True, False, False, True])
    np.testing.assert_array_equal(usable(VOTED, nmf), [True, False, True, False, False])
    assert AMF_SUBTYPES[int(targets_of(VOTED, amf)[1, 0])] == "AMF multipolar"
    assert NMF_SUBTYPES[int(targets_of(VOTED, nmf)[2, 0])] == "NMF ring shape"


def test_a_network_of_many_tasks_is_taught_each_where_it_is_known() -> None:
    type_, hard, nmf, amf = targets_of(VOTED, LAYOUTS["multi-task"], soft_votes=True).T
    np.testing.assert_allclose(type_, [0, 1, 2 / 3, 0, 1])
    np.testing.assert_array_equal(hard, [0, 0, 1, NAN, NAN])
    # By the first expert's subtype, also where the majority calls the figure an AMF.
    np.testing.assert_array_equal(nmf, [1, NAN, 3, NAN, NAN])
    np.testing.assert_array_equal(amf, [NAN, 2, NAN, NAN, 0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_target_is_a_class_of_its_head(layout: str) -> None:
    heads = LAYOUTS[layout]
    got = targets_of(VOTED, heads)
    assert got.shape == (5, len(heads))
    assert got.dtype == np.float32
    for column, head in zip(got.T, heads, strict=True):
        known = column[~np.isnan(column)]
        assert set(known) <= set(range(len(head.classes)))
    assert targets_of(VOTED.take([]), heads).shape == (0, len(heads))


def test_classes_to_balance_by_are_the_first_heads() -> None:
    np.testing.assert_array_equal(first_head_classes(VOTED, LAYOUTS["type"]), [0, 1, 1, 0, 1])
    np.testing.assert_array_equal(first_head_classes(VOTED, LAYOUTS["subtypes"])[[0, 3]], [1, -1])


def test_a_figure_that_only_the_second_expert_saw_is_balanced_by_the_majority() -> None:
    # Expert 1 called figure 2 normal, against the majority; 3 was seen by expert 2 alone; 4 by no one.
    np.testing.assert_array_equal(first_head_classes(VOTED, LAYOUTS["experts"]), [0, 1, 0, 0, -1])
    heads = LAYOUTS["experts"]
    np.testing.assert_array_equal(first_head_classes(VOTED, heads) >= 0, usable(VOTED, heads))


def test_an_unknown_layout_or_class_is_named() -> None:
    with pytest.raises(InvalidOption, match="'subtype'; did you mean 'subtypes'"):
        heads_of("subtype")
    assert heads_of("type") == LAYOUTS["type"]
    head = HeadPart(name="odd", kind="softmax", classes=("NMF small", "AMF large"))
    with pytest.raises(InvalidOption, match="'odd': no label tells NMF small, AMF large"):
        targets_of(VOTED, (head,))
