"""Weights: checked unparsed, and refused if they are not the card's."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from slidemitosis.errors import WeightsMismatch
from slidemitosis.models.files import check_weights, file_sha256
from tests.models.tiny import NETWORK, WEIGHTS, Payload

if TYPE_CHECKING:
    from pathlib import Path


def test_weights_of_the_right_hash_come_back_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(WEIGHTS)
    assert check_weights(tmp_path, NETWORK) == WEIGHTS
    assert file_sha256(tmp_path / "weights.safetensors") == NETWORK.sha256


def test_one_changed_bit_of_the_weights_is_seen(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])
    with pytest.raises(WeightsMismatch, match="damaged or not the model's own"):
        check_weights(tmp_path, NETWORK)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"weights\.safetensors: cannot be read: No such file"):
        check_weights(tmp_path, NETWORK)


def test_a_pickle_with_another_hash_is_refused_unparsed(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        check_weights(tmp_path, NETWORK)
    assert not (tmp_path / "ran").exists()
