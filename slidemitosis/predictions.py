"""Prediction: what became of one candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from slidemitosis.cards import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slidemitosis.candidates import Candidate

Status = Literal["pending", "classified", "uncertain", "unreadable", "outside", "blank", "duplicate"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One candidate of the points file, classified or not, and why not."""

    candidate: Candidate
    object_id: str
    """UUID of its object in `objects.geojson`: the candidate's own id where that is a UUID."""
    frame_x: float  # px from the origin of the points file
    frame_y: float  # px from the origin of the points file
    x: float  # level-0 px
    y: float  # level-0 px
    status: Status
    reason: str | None
    """Why it was not classified; None where it was."""
    padding: float | None = None
    """Share of the patch, 0..1, beyond the slide's edge; None where no patch was read."""
    probability: float | None = None
    """P(atypical), calibrated, six decimals; None where no model looked at it."""
    atypical: bool | None = None
    """Whether P(atypical) reaches the model's threshold; None where it was not classified."""
    p_hard: float | None = None
    """Probability that experts disagree, six decimals; None where the model tells none, or it is not
    calibrated."""
    subtypes: dict[str, float] = field(default_factory=dict)
    """Probability of each subtype, six decimals; empty where the model tells none."""

    @property
    def subtype(self) -> str | None:
        """The likeliest subtype of the type that was called; None where there is none."""
        return None if self.atypical is None else likeliest_subtype(self.subtypes, atypical=self.atypical)


def likeliest_subtype(subtypes: Mapping[str, float], *, atypical: bool) -> str | None:
    """The likeliest subtype of the type that was called, None where the model knows none of that type.

    Of `subtypes`, probabilities by name. An AMF is never called by the name of an NMF subtype, even if
    that alone is likelier than each subtype of AMF.
    """
    kind = POSITIVE if atypical else NEGATIVE
    of_kind = {name: p for name, p in subtypes.items() if name.startswith(kind)}
    return max(of_kind, key=lambda name: of_kind[name]) if of_kind else None
