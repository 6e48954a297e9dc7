"""Losses: numbers worked out by hand, the losses of torch where they coincide, and the laws they keep."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.ops import sigmoid_focal_loss

from slidemitosis.errors import InvalidOption
from slidemitosis.train.fit.losses import (
    check_loss,
    class_probabilities,
    class_weights_of,
    cross_entropy,
    focal_loss,
    focal_recall_loss,
    recall_loss,
    smooth,
    total_loss,
)
from slidemitosis.train.fit.targets import LAYOUTS
from slidemitosis.train.recipe.recipe import LossRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slidemitosis.models.card import HeadPart

NAN = float("nan")
CE, FL = LossRecipe(), LossRecipe(name="focal")
RL, FRL = LossRecipe(name="recall"), LossRecipe(name="focal-recall")
ALL = [CE, FL, RL, FRL]
TYPE, SOFTMAX, EXPERTS, SUBTYPES = (LAYOUTS[k] for k in ("type", "type-softmax", "experts", "subtypes"))

# Three figures by hand. NMF with P(NMF) = 0.8, NMF with P(NMF) = 0.4, AMF with P(AMF) = 0.5.
#   -log p_t                     0.223144        0.916291        0.693147
#   (1 - p_t)^2                  0.04            0.36            0.25
#   soft recall                  NMF (0.8 + 0.4) / 2 = 0.6       AMF 0.5 / 1 = 0.5
#   (1 - recall)^2               NMF 0.16                        AMF 0.25
P_AMF = torch.tensor([0.2, 0.6, 0.5], dtype=torch.float64)
TRUTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
BY_HAND = {
    "cross-entropy": (0.223144 + 0.916291 + 0.693147) / 3,
    "focal": (0.04 * 0.223144 + 0.36 * 0.916291 + 0.25 * 0.693147) / 3,
    "recall": 1 - (0.6 + 0.5) / 2,
    "focal-recall": (0.16 * (0.04 * 0.223144 + 0.36 * 0.916291) + 0.25 * 0.25 * 0.693147) / 3,
}


def loss_of(
    logits: torch.Tensor, targets: torch.Tensor, heads: Sequence[HeadPart], spec: LossRecipe, **changes: Any
) -> torch.Tensor:
    weights = changes.pop("class_weights", [None] * len(heads))
    return total_loss(logits, targets, heads=heads, spec=replace(spec, **changes), class_weights=weights)


def gradient(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    return logits.grad


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_targets(n: int, classes: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, (n,), generator=generator).double()


def random_log_p(n: int, classes: int, seed: int = 0) -> torch.Tensor:
    return (3 * normal(n, classes, seed=seed)).log_softmax(1)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_losses_are_those_worked_out_by_hand(spec: LossRecipe) -> None:
    logits = torch.logit(P_AMF)[:, None]
    assert loss_of(logits, TRUTH[:, None], TYPE, spec).item() == pytest.approx(BY_HAND[spec.name], abs=1e-6)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_one_logit_is_two_of_which_the_first_is_zero(spec: LossRecipe) -> None:
    logits = normal(20, 1)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    targets = random_targets(20, 2)[:, None]
    one = loss_of(logits, targets, TYPE, spec)
    torch.testing.assert_close(one, loss_of(two, targets, SOFTMAX, spec))


def test_the_gradient_of_the_recall_loss_is_that_worked_out_by_hand() -> None:
    # RL = 1 - ((q1 + q2) / 2 + p3) / 2, q = P(NMF) = 1 - p, dp/dz = p (1 - p):
    # 0.2 * 0.8 / 4 = 0.04, 0.6 * 0.4 / 4 = 0.06, -0.5 * 0.5 / 2 = -0.125
    logits = torch.logit(P_AMF)[:, None].requires_grad_()
    found = gradient(loss_of(logits, TRUTH[:, None], TYPE, RL), logits)
    assert found[:, 0].tolist() == pytest.approx([0.04, 0.06, -0.125])


def test_the_gradient_of_the_focal_recall_loss_flows_through_the_recall() -> None:
    # One figure, delta 1, gamma 0: L = (1 - p) (-log p), dL/dz = p (1 - p) (log p - (1 - p) / p), which at
    # p = 0.5 is 0.25 (log 0.5 - 1). A recall held constant would give -(1 - p)^2 = -0.25.
    logits = torch.zeros((1, 1), dtype=torch.float64, requires_grad=True)
    spec = replace(FRL, delta=1.0, gamma=0.0)
    found = gradient(loss_of(logits, torch.ones((1, 1)), TYPE, spec), logits)
    assert found.item() == pytest.approx(0.25 * (math.log(0.5) - 1))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(label_smoothing: float) -> None:
    logits, targets = normal(40, 8), random_targets(40, 8)
    want = F.cross_entropy(logits, targets.long(), label_smoothing=label_smoothing)
    got = loss_of(logits, targets[:, None], SUBTYPES, CE, label_smoothing=label_smoothing)
    torch.testing.assert_close(got, want)


def test_weighted_cross_entropy_is_torchs_averaged_over_figures() -> None:
    logits, targets, weights = normal(40, 8), random_targets(40, 8), torch.arange(1.0, 9).double()
    for smoothing in (0.0, 0.1):
        want = F.cross_entropy(
            logits, targets.long(), weight=weights, label_smoothing=smoothing, reduction="none"
        ).mean()
        got = loss_of(
            logits, targets[:, None], SUBTYPES, CE, label_smoothing=smoothing, class_weights=[weights]
        )
        torch.testing.assert_close(got, want)


def test_cross_entropy_of_one_logit_is_torchs_with_soft_targets_too() -> None:
    logits, targets = normal(30, 1), torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]
    want = F.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(loss_of(logits, targets, TYPE, CE), want)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_is_torchvisions_without_its_alpha(gamma: float) -> None:
    logits, targets = 3 * normal(30, 1), random_targets(30, 2)[:, None]
    want = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(loss_of(logits, targets, TYPE, FL, gamma=gamma), want)
    torch.testing.assert_close(loss_of(logits, targets, TYPE, FL, gamma=gamma, alpha=0.3), 0.3 * want)


def test_torchvisions_alpha_is_a_pair_of_class_weights() -> None:
    logits, targets = normal(30, 1), random_targets(30, 2)[:, None]
    want = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2, reduction="mean")
    got = loss_of(logits, targets, TYPE, FL, class_weights=[torch.tensor([0.75, 0.25])])
    torch.testing.assert_close(got, want)


def test_an_absent_class_is_left_out_of_the_recall_loss() -> None:
    # Recalls 0.5 and 0.7; the third class, which no figure has, would make the mean 1.2 / 3.
    log_p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]).log()
    targets = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    assert recall_loss(log_p, targets).item() == pytest.approx(1 - (0.5 + 0.7) / 2)


def test_a_class_in_doubt_is_present_by_its_share() -> None:
    # Shares 2/3 and 1/3 of one figure with p 0.6 and 0.4: recalls 0.6 and 0.4.
    got = recall_loss(torch.tensor([[0.6, 0.4]]).log(), torch.tensor([[2 / 3, 1 / 3]]))
    assert got.item() == pytest.approx(0.5)


def test_smoothing_leaves_the_recalls_of_the_focal_recall_loss_alone() -> None:
    # One figure of class 0, p = 0.5, 0.25, 0.25; gamma 0, delta 1: (1 - 0.5) * 0.9333 * log 2. Absent
    # classes have no recall, and what smoothing gives them adds nothing.
    log_p, targets = torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([[1.0, 0, 0]])
    got = focal_recall_loss(log_p, targets, alpha=1, gamma=0, delta=1, label_smoothing=0.1)
    assert got.item() == pytest.approx(0.5 * (0.9 + 0.1 / 3) * math.log(2))


@given(
    n=st.integers(1, 12),
    classes=st.integers(2, 8),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.1, 1, 30]),
)
@settings(max_examples=50)
def test_recall_loss_lies_between_0_and_1(n: int, classes: int, seed: int, scale: float) -> None:
    targets = class_probabilities(random_targets(n, classes, seed), classes)
    got = recall_loss((scale * normal(n, classes, seed=seed)).log_softmax(1), targets).item()
    assert -1e-12 <= got <= 1 + 1e-12


@given(n=st.integers(1, 12), classes=st.integers(2, 8), seed=st.integers(0, 10**6))
@settings(max_examples=50)
def test_focal_recall_loss_without_delta_is_focal_loss_and_that_without_gamma_cross_entropy(
    n: int, classes: int, seed: int
) -> None:
    log_p = random_log_p(n, classes, seed)
    targets = class_probabilities(random_targets(n, classes, seed), classes)
    focal = focal_loss(log_p, targets, alpha=0.7, gamma=2)
    torch.testing.assert_close(focal_recall_loss(log_p, targets, alpha=0.7, gamma=2, delta=0), focal)
    focal = focal_loss(log_p, smooth(targets, 0.1), alpha=0.7, gamma=2)
    smoothed = focal_recall_loss(log_p, targets, alpha=0.7, gamma=2, delta=0, label_smoothing=0.1)
    torch.testing.assert_close(smoothed, focal)
    torch.testing.assert_close(focal_loss(log_p, targets, alpha=1, gamma=0), cross_entropy(log_p, targets))


@given(seed=st.integers(0, 10**6), spec=st.sampled_from(ALL))
@settings(max_examples=50)
def test_the_order_of_the_figures_changes_nothing(seed: int, spec: LossRecipe) -> None:
    logits, targets = (
        normal(9, 4, seed=seed),
        torch.stack([random_targets(9, 2, seed + k) for k in range(4)], 1),
    )
    targets[::3, 1] = NAN
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    want = loss_of(logits, targets, EXPERTS, spec)
    torch.testing.assert_close(loss_of(logits[order], targets[order], EXPERTS, spec), want)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_gradients_are_those_of_the_numbers_reported(spec: LossRecipe) -> None:
    targets = torch.tensor([[0, 1, NAN, 0], [1, 1, 0, 1], [1, NAN, 0, 0]])
    logits = normal(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss_of(z, targets, EXPERTS, spec), (logits,))
    eight = normal(5, 8).requires_grad_()
    labels = torch.tensor([[0.0], [3], [3], [NAN], [7]])
    for exponent in (0.5, 1.0, 2.0):
        changed = replace(spec, gamma=exponent, delta=exponent)
        gradcheck: Callable[..., bool] = torch.autograd.gradcheck
        assert gradcheck(lambda z, s=changed: loss_of(z, labels, SUBTYPES, s), (eight,))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_large_logits_give_finite_losses_and_gradients(spec: LossRecipe, exponent: float) -> None:
    smoothing = 0.0 if spec is RL else 0.1
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for heads, row in ((TYPE, [80.0]), (SUBTYPES, [80.0, -80, 0, 0, 0, 0, 0, 0])):
            for sign, label in ((1, 0.0), (1, 1.0), (-1, 0.0), (-1, 1.0)):
                logits = torch.tensor([row, row], dtype=dtype).mul_(sign).requires_grad_()
                spec_now = replace(spec, gamma=exponent, delta=exponent, label_smoothing=smoothing)
                loss = loss_of(logits, torch.full((2, 1), label), heads, spec_now)
                assert loss.dtype == torch.float32
                assert loss.isfinite()
                assert gradient(loss, logits).isfinite().all()


def test_half_precision_logits_lose_no_more_than_their_own_digits() -> None:
    logits, targets = normal(30, 8), random_targets(30, 8)[:, None]
    for spec in ALL:
        for dtype in (torch.float16, torch.bfloat16):
            short = logits.to(dtype)
            want = loss_of(short.double(), targets, SUBTYPES, spec)
            torch.testing.assert_close(
                loss_of(short, targets, SUBTYPES, spec).double(), want, rtol=1e-5, atol=1e-7
            )


def test_a_nearly_certain_figure_keeps_its_loss_where_rounding_would_lose_it() -> None:
    # 1 - sigmoid(20) = 1 / (1 + e^20) = 2.06e-9: taken as 1 - p in float32 it would be 0.
    missed = 1 / (1 + math.exp(20))
    logits = torch.full((1, 1), 20.0, requires_grad=True)
    loss = loss_of(logits, torch.ones((1, 1)), TYPE, RL)
    assert loss.item() == pytest.approx(missed, rel=1e-5)
    assert gradient(loss, logits).item() == pytest.approx(-missed, rel=1e-5)


def test_theta_weighs_hardness_against_the_mean_of_the_experts() -> None:
    # P(AMF) 0.5 by experts 1 and 3: log 2 each; 0.8 by expert 2, who says AMF: 0.223144.
    # P(hard) 0.8 of an easy one.
    logits = torch.zeros((1, 4))
    logits[0, 1] = math.log(4)
    logits[0, 3] = math.log(4)
    targets = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    experts, hardness = (0.693147 + 0.223144 + 0.693147) / 3, -math.log(0.2)
    for theta in (0.0, 0.3, 1.0):
        got = loss_of(logits, targets, EXPERTS, CE, theta=theta).item()
        assert got == pytest.approx(theta * experts + (1 - theta) * hardness, abs=1e-6)


def test_theta_weighs_the_type_against_the_mean_of_all_other_heads() -> None:
    # P(AMF) 0.8 of an AMF; P(hard) 0.5; four subtypes of AMF alike; none of NMF is known.
    logits = torch.zeros((1, 10))
    logits[0, 0] = math.log(4)
    targets = torch.tensor([[1.0, 1.0, NAN, 2.0]])
    others = (math.log(2) + math.log(4)) / 2
    for theta in (0.0, 0.7, 1.0):
        got = loss_of(logits, targets, LAYOUTS["multi-task"], CE, theta=theta).item()
        assert got == pytest.approx(theta * 0.223144 + (1 - theta) * others, abs=1e-6)


def test_without_a_hardness_head_theta_has_no_say() -> None:
    logits, targets = normal(6, 1), random_targets(6, 2)[:, None]
    assert loss_of(logits, targets, TYPE, CE, theta=0.1) == loss_of(logits, targets, TYPE, CE, theta=0.9)


def test_a_head_without_a_label_is_left_out_and_gets_no_gradient() -> None:
    logits = torch.zeros((2, 4), requires_grad=True)
    targets = torch.tensor([[NAN, 1.0, 0.0, NAN], [NAN, 0.0, 0.0, NAN]])
    loss = loss_of(logits, targets, EXPERTS, CE, theta=0.25)
    # Experts 2 and 3: log 2 each, and so their mean. Hardness: 0 of its 0.75, not made up for.
    assert loss.item() == pytest.approx(0.25 * math.log(2))
    assert (gradient(loss, logits) != 0).any(dim=0).tolist() == [False, True, True, False]


def test_a_missing_label_leaves_the_other_figures_as_if_it_were_not_there() -> None:
    logits, targets = normal(6, 1), random_targets(6, 2)[:, None]
    targets[[1, 4]] = NAN
    rows = [0, 2, 3, 5]
    for spec in ALL:
        want = loss_of(logits[rows], targets[rows], TYPE, spec)
        torch.testing.assert_close(loss_of(logits, targets, TYPE, spec), want)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_a_batch_without_any_label_costs_nothing_and_keeps_its_graph(spec: LossRecipe) -> None:
    logits = normal(3, 4).float().requires_grad_()
    loss = loss_of(logits, torch.full((3, 4), NAN), EXPERTS, spec)
    assert loss.item() == 0
    assert not gradient(loss, logits).any()


def test_smoothed_targets_keep_their_sum() -> None:
    # Four classes, e = 0.2: 1 * 0.8 + 0.05 and 0 * 0.8 + 0.05.
    got = smooth(torch.tensor([[0.0, 1, 0, 0]]), 0.2)
    torch.testing.assert_close(got, torch.tensor([[0.05, 0.85, 0.05, 0.05]]))


def test_class_weights_are_inverse_frequencies_of_mean_one() -> None:
    # Five labelled figures, 4 NMF and 1 AMF: 5 / (2 * 4) = 0.625 and 5 / (2 * 1) = 2.5.
    targets = np.array([[0], [0], [1], [0], [0], [NAN]], np.float32)
    spec = replace(CE, class_weights="inverse-frequency")
    (weights,) = class_weights_of(targets, TYPE, spec)
    assert weights is not None
    assert weights.tolist() == [0.625, 2.5]
    assert weights[targets[:5, 0].astype(int)].mean() == pytest.approx(1)
    assert class_weights_of(targets, TYPE, CE) == [None]


def test_class_weights_are_scikit_learns_and_0_for_an_absent_class() -> None:
    labels = np.repeat([0, 2, 5, 7], [9, 1, 4, 2])
    spec = replace(CE, class_weights="inverse-frequency")
    (weights,) = class_weights_of(labels[:, None].astype(np.float32), SUBTYPES, spec)
    assert weights is not None
    present = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    np.testing.assert_allclose(weights[[0, 2, 5, 7]], present, rtol=1e-6)
    assert weights[[1, 3, 4, 6]].tolist() == [0] * 4


def test_soft_targets_count_by_their_share_and_an_unlabelled_head_has_no_weights() -> None:
    # Expert 1: NMF 1 + 1/3, AMF 2/3 of two figures: 2 / (2 * 4/3) = 0.75, 2 / (2 * 2/3) = 1.5.
    targets = np.array([[0, NAN, 0, 0], [2 / 3, NAN, 0, 1]], np.float32)
    first, second, third, hardness = class_weights_of(
        targets, EXPERTS, replace(CE, class_weights="inverse-frequency")
    )
    assert first is not None
    assert first.tolist() == pytest.approx([0.75, 1.5])
    assert second is None
    assert third is not None
    assert third.tolist() == [1, 0]
    assert hardness is not None
    assert hardness.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gamma": -1.0}, "0 or more"),
        ({"theta": 1.5}, "theta in 0..1"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie"),
        ({"name": "recall", "label_smoothing": 0.1}, "set it to 0"),
        ({"name": "recall", "class_weights": "inverse-frequency"}, "set it to none"),
    ],
)
def test_values_that_a_loss_would_ignore_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        check_loss(replace(CE, **changes))
    for spec in ALL:
        check_loss(spec)
