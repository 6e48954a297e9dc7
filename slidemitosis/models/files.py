"""Compare a model's files with the SHA-256 in its card, before anything parses them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidCard, WeightsMismatch
from slidemitosis.files import regular
from slidemitosis.models.card import CARD_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slidemitosis.models.card import ModelCard, NetworkPart


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with regular(path).open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def networks_digest(card: ModelCard) -> str:
    """Return the SHA-256 of all that decides what a card's networks compute: weights, inputs, heads, order.

    Keys that have their default are left out, so that a later version may add keys.
    """
    networks = [
        {f.name: value for f in fields(n) if (value := getattr(n, f.name)) != f.default}
        for n in card.networks
    ]
    text = json.dumps([card.patch.side, networks], sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SeenModel:
    """The files of a model as they were when its card was read."""

    card: ModelCard
    files: Mapping[Path, tuple[int, int, int]]
    """Card, weights and graph -> size, time of the content, and number of the file."""
    card_sha256: str

    @classmethod
    def of(cls, card: ModelCard) -> SeenModel:
        """Look at the files of a card that was just read. Whoever loads one that is missing says so."""
        names = [CARD_NAME, *(n.weights for n in card.networks), *([card.graph.file] if card.graph else [])]
        paths = [path for path in (card.folder / name for name in names) if path.is_file()]
        return cls(card, {path: _stamp(path) for path in paths}, file_sha256(card.folder / CARD_NAME))

    def check_unchanged(self, *, graph: bool) -> None:
        """Refuse a model whose files are others by now. Raises WeightsMismatch.

        Files that were replaced by the same bytes are the same. graph: whether the graph was computed.
        """
        known = {self.card.folder / CARD_NAME: self.card_sha256}
        known |= {self.card.folder / n.weights: n.sha256 for n in self.card.networks}
        if graph and self.card.graph is not None:
            known[self.card.folder / self.card.graph.file] = self.card.graph.sha256
        for path, sha256 in known.items():
            try:
                same = _stamp(path) == self.files.get(path) or file_sha256(path) == sha256
            except OSError:
                same = False
            if not same:
                raise WeightsMismatch(f"{path}: was changed or removed during the run; start it again")


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def check_weights(folder: Path, network: NetworkPart) -> bytes:
    """Read the weights file and compare its SHA-256 with the card's; return its bytes.

    The caller parses these bytes, not the file, which may change meanwhile. Raises WeightsMismatch.
    """
    return _checked(folder / network.weights, network.sha256)


def check_graph(card: ModelCard) -> bytes:
    """Read the graph and compare its SHA-256 with the card's; return its bytes.

    Raises InvalidCard if there is no graph, or it was made of other networks than the card's;
    WeightsMismatch.
    """
    make = f"make it with `slidemitosis models export {card.folder}`, or use --engine torch"
    if card.graph is None:
        raise InvalidCard(f"{card.folder}: this model has no ONNX graph; {make}")
    if card.graph.made_of != networks_digest(card):
        raise InvalidCard(f"{card.folder}: its ONNX graph was made of other networks than the card's; {make}")
    return _checked(card.folder / card.graph.file, card.graph.sha256)


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = regular(path).read_bytes()
    except OSError as e:
        raise WeightsMismatch(f"{path}: cannot be read: {e.strerror}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsMismatch(
            f"{path}: SHA-256 is {found[:16]}..., the card says {sha256[:16]}...; "
            "the file is damaged or not the model's own: get it again"
        )
    return data
