"""Pure: whether the name of a class says that its objects are mitoses, or denies it, in several languages.

The word for mitosis is the same or nearly so in English, German, French, Dutch, Spanish, Italian and
Portuguese, so the words that deny it are known in these, too.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

MITOSIS = frozenset(
    (
        *("mitosis", "mitoses", "mitotic", "mitoticfigure", "mitoticfigures", "mitose", "mitosen"),
        *("mf", "mfs", "amf", "amfs", "nmf", "nmfs"),
    )
)
"""Words for mitosis, lower case and without accents."""

# These deny or weaken only the mitosis named beside them: "non mitotic", "mitosis-like", "post-mitotic".
_BESIDE = frozenset(
    (
        *("non", "not", "like", "alike", "post", "pre", "pseudo", "without", "unlikely", "never"),
        *("nicht", "kein", "keine", "keinen", "keiner", "ohne", "ahnlich", "ahnliche"),  # German
        *("pas", "sans", "aucun", "aucune"),  # French
        *("niet", "geen", "zonder"),  # Dutch
        *("sin", "ninguna", "ninguno"),  # Spanish
        *("senza", "nessuna", "nessuno"),  # Italian
        *("nao", "sem", "nenhuma", "nenhum"),  # Portuguese
        *("apoptosis", "apoptotic", "apoptose", "pyknosis", "pyknotic", "pyknose"),
    )
)
# Words that deny as the whole of a part, "Mitosis: No"; in "Mitosis no. 3" the word stands for a number.
_ALONE = (_BESIDE | {"no", "none", "nein", "nee"}) - {"post", "pre", "like", "alike"}
# Words and pairs of words that say by themselves that the object was looked at and is no mitosis.
_DENIED = re.compile(
    r"impost[eo]rs?|look ?alikes?|hard ?negatives?|hns?|fps?|false positives?|mimics?|mimick?ers?"
    r"|false|fake|wrong|incorrect|invalid|denied|art[ei]facts?"
    r"|(reject|discard|exclud|dismiss|declin|refus|ignor|remov|delet)(e|ed|es|s)?"
    # False, negative, rejected, excluded, ignored in the other languages.
    r"|fals(ch|che|cher|ches|chen|o|a|os|as|i)|faux|fausses?|vals|fout"
    r"|negativ(e|es|en|er|o|a|os|as|i)?|negatief|negatifs?"
    r"|verworfen|abgelehnt|ausgeschlossen|ungultig|ignoriert|afgewezen|verworpen|uitgesloten|genegeerd"
    r"|(rejet|refus|ecart|ignor)ee?s?|exclue?s?"
    r"|(rechazad|descartad|excluid|rejeitad|ignorad|scartat|rifiutat|respint|esclus|ignorat)[oaie]s?"
    # Joined to the word: "nonmitotic", "pseudomitosis", "mitosislike", "Nichtmitose".
    r"|(non|not|no|nicht|keine?|niet|geen|pseudo|false|fake)mit(os|ot)\w*|pseudomit\w*"
    r"|mit(osis|oses|otic)likes?|mitosen?ahnlich\w*"
)
# Signs before or behind a part: "!Mitosis", "Mitosis (-)".
_SIGN = re.compile(r"^\s*[!~\N{NOT SIGN}]|(\(\s*[-\N{MINUS SIGN}]\s*\)|\w[-\N{MINUS SIGN}])\s*$")
# A "mitotic hotspot" is where mitoses are counted: its centre is no figure.
_REGION = re.compile(r"hot ?spots?|regions?|roi|rois|areas?")


def says_mitosis(name: str) -> bool:
    """Tell whether a name says that its objects are mitotic figures: one part does, and none denies it."""
    return any(_names_mitosis(_words(part)) for part in name.split(":")) and not denies(name)


def denies(name: str) -> bool:
    """Tell whether any part of a name says that its objects are no mitotic figures."""
    return any(_part_denies(part) for part in name.split(":"))


def _part_denies(part: str) -> bool:
    words = _words(part)
    names_it = not MITOSIS.isdisjoint(words)
    if any(_DENIED.fullmatch(phrase) for phrase in _phrases(words)):
        return True
    if words and _ALONE.issuperset(words):
        return True
    if not names_it:
        return False
    # "no" counts before the word, and behind it where no number follows.
    before = any(word in MITOSIS and "no" in words[:at] for at, word in enumerate(words))
    behind = words[-1] == "no" and not re.search(r"\d", part)
    return before or behind or not _BESIDE.isdisjoint(words) or bool(_SIGN.search(part))


def _names_mitosis(words: list[str]) -> bool:
    is_region = any(_REGION.fullmatch(phrase) for phrase in _phrases(words))
    return not is_region and not MITOSIS.isdisjoint(words)


def _words(part: str) -> list[str]:
    """Split a part into words, lower case and without accents: "NonMitotic" gives [non, mitotic]."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c))
    return re.findall(r"[^\W\d_]+", plain.casefold())


def _phrases(words: list[str]) -> list[str]:
    """Return single words and pairs of neighbours."""
    return words + [f"{first} {second}" for first, second in pairwise(words)]
