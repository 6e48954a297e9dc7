"""The words of labels: type, hardness and subtype of mitotic figures."""

from __future__ import annotations

POSITIVE, NEGATIVE = "AMF", "NMF"
HARD = "hard"
HARDNESS = ("easy", HARD)
"""Figures on which the experts agree, and on which they disagree."""
# Names of AMi-Br, whose "assymetric" is spelled right here.
NMF_SUBTYPES = ("NMF prometaphase", "NMF metaphase", "NMF anaphase-telophase", "NMF ring shape")
AMF_SUBTYPES = ("AMF other", "AMF segregation", "AMF multipolar", "AMF bipolar asymmetric")
SUBTYPES = NMF_SUBTYPES + AMF_SUBTYPES
