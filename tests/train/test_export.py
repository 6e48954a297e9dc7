"""What is written of a trained network: rounded weights, and the scores of the rounded ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch

from slidemitosis.models.classifier import empty_network
from slidemitosis.models.files import file_sha256
from slidemitosis.train.export import network_part, write_network
from slidemitosis.train.recipe.recipe import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = load_recipe("lite0", overrides=["backbone=smoke-cnn", "input.crops=[64]", "input.resize=32"])


def test_kernels_are_halved_and_everything_else_is_kept(tmp_path: Path) -> None:
    part = network_part(RECIPE, "type")
    torch.manual_seed(0)
    network = empty_network(part).eval()
    written = write_network(network, part, tmp_path)
    stored = safetensors.torch.load_file(tmp_path / part.weights)
    for name, tensor in network.state_dict().items():
        kernel = tensor.ndim >= 2
        assert stored[name].dtype == (torch.float16 if kernel else tensor.dtype), name
        assert torch.equal(stored[name], tensor.half() if kernel else tensor), name
    assert written == dataclasses.replace(
        part,
        sha256=file_sha256(tmp_path / part.weights),
        parameters=sum(p.numel() for p in network.parameters()),
    )
    x = torch.rand(4, 3, 32, 32)
    again = empty_network(part).eval()
    again.load_state_dict(stored)
    np.testing.assert_allclose(again(x).detach(), network(x).detach(), rtol=0, atol=2e-3)


def test_a_weight_too_large_for_float16_is_not_made_infinite(tmp_path: Path) -> None:
    part = network_part(RECIPE, "type")
    network = empty_network(part)
    with torch.no_grad():
        network.head.weight[0, 0] = 1e5
    write_network(network, part, tmp_path)
    stored = safetensors.torch.load_file(tmp_path / part.weights)
    assert torch.equal(stored["head.weight"], network.head.weight)
