"""Names of the labels of mitotic figures: type, hardness and subtype."""

from __future__ import annotations

POSITIVE, NEGATIVE = "AMF", "NMF"
HARD = "hard"
HARDNESS = ("easy", HARD)
"""Hardness of figures: the experts agree (easy) or disagree (hard)."""
# Subtypes have AMi-Br's names, with its "assymetric" corrected.
NMF_SUBTYPES = ("NMF prometaphase", "NMF metaphase", "NMF anaphase-telophase", "NMF ring shape")
AMF_SUBTYPES = ("AMF other", "AMF segregation", "AMF multipolar", "AMF bipolar asymmetric")
SUBTYPES = NMF_SUBTYPES + AMF_SUBTYPES
