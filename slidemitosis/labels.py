"""Names of the labels of mitotic figures: type, hardness, subtype, and the words of a person's answer."""

from __future__ import annotations

from typing import Final, Literal

POSITIVE: Final = "AMF"
NEGATIVE: Final = "NMF"
HARD = "hard"
HARDNESS = ("easy", HARD)
"""Hardness of figures: the experts agree (easy) or disagree (hard)."""
# Subtypes have AMi-Br's names, with its "assymetric" corrected.
NMF_SUBTYPES = ("NMF prometaphase", "NMF metaphase", "NMF anaphase-telophase", "NMF ring shape")
AMF_SUBTYPES = ("AMF other", "AMF segregation", "AMF multipolar", "AMF bipolar asymmetric")
SUBTYPES = NMF_SUBTYPES + AMF_SUBTYPES

NO_MITOSIS: Final = "none"
UNSURE: Final = "unsure"
Word = Literal["AMF", "NMF", "none", "unsure"]
"""A person's answer about a figure."""
Reason = Literal["all", "random", "doubt", "found"]
"""Why a person answered about a figure: all were looked at; it is one of a random sample; the model was in
doubt; or it was found, most often to be wrong."""
