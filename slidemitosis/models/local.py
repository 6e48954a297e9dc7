"""`LocalCalibration`: how a model is calibrated on somebody's own slides, as `calibration.toml` says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slidemitosis.errors import InvalidCard, InvalidOption, OutputError
from slidemitosis.files import regular, write_text
from slidemitosis.models.decision import CalibrationPart  # noqa: TC001 - read at run time by build
from slidemitosis.models.files import networks_digest
from slidemitosis.models.shipped import find_model
from slidemitosis.toml_tables import InvalidTable, NotToml, build, dump, parse_toml

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.options import ComputeOptions

FORMAT = 1
Reviewed = Literal["all", "random"]
"""Which figures were labelled: all of their slides, or a random sample. Others tell nothing of a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCalibration:
    """What takes the place of a card's own calibration on the slides of one laboratory."""

    format: int
    """Version of the file's format: 1."""
    model: str
    version: str
    networks: str
    """`files.networks_digest` of the model."""
    reviewed: Reviewed
    tumour: str | None = None
    """Of the slides; None where it was not said."""
    labels: dict[str, str]
    """SHA-256 of each table of labels by its name, and of all pixels."""
    slides: tuple[str, ...]
    """Names of the slides of the labelled figures; empty where they are not known."""
    calibration: CalibrationPart

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise InvalidCard(
                f"format {self.format} is not known to this version, which reads format {FORMAT}"
            )


def read_local(path: Path) -> LocalCalibration:
    """Read a `calibration.toml`. Raises InvalidOption, which says what is wrong with it."""
    remedy = "make it anew by slidemitosis calibrate"
    try:
        return build(
            LocalCalibration, parse_toml(regular(path).read_text(encoding="utf-8")), where="the top level"
        )
    except OSError as e:
        raise InvalidOption(f"{path}: cannot be read: {e.strerror}; {remedy}") from e
    except (UnicodeDecodeError, NotToml) as e:
        raise InvalidOption(f"{path}: not TOML: {e}; {remedy}") from e
    except (InvalidCard, InvalidTable) as e:
        raise InvalidOption(f"{path}: no calibration of this version: {e}; {remedy}") from e


def refuse_other_file(path: Path) -> None:
    """Raise OutputError if something is there that is no calibration, and so must not be replaced."""
    if path.exists():
        try:
            read_local(path)
        except InvalidOption:
            raise OutputError(f"{path}: is there and is no calibration; choose another --out") from None


def write_local(local: LocalCalibration, path: Path) -> None:
    """Write a `calibration.toml`, in place of an earlier one. Raises OutputError, also for another file."""
    refuse_other_file(path)
    write_text(path, dump(local))


def chosen_card(model: str | Path, compute: ComputeOptions) -> ModelCard:
    """Find a model; its calibration is the local one, if the options name its file.

    Then it no longer matters how the figures looked that it was trained on.

    Raises UnknownModel, InvalidCard; and InvalidOption if the file is damaged, or of another model or number
    of views.
    """
    card, path = find_model(model), compute.calibration
    if path is None:
        return card
    local = read_local(path)
    if local.networks != networks_digest(card):
        other = f"{local.model} {local.version}"
        raise InvalidOption(f"{path}: is of the model {other}, not of {card.name} {card.version}")
    if local.calibration.views != compute.views:
        views = local.calibration.views
        raise InvalidOption(
            f"{path}: is for --views {views}, not {compute.views}; calibrate for these views too"
        )
    validated_on = card.validated_on if local.tumour is None else (local.tumour,)
    return dataclasses.replace(card, calibrations=(local.calibration,), validated_on=validated_on, looks=None)
