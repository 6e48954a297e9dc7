"""UUIDs of the objects that a run writes, for candidates and for the hot spot; the same at every run."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from slidemitosis.candidates.formats.json_text import kind, members
from slidemitosis.candidates.formats.qupath_keys import SOURCE_ID, UUID_TEXT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from slidemitosis.candidates.candidate import Candidate

_OF_CANDIDATES = UUID("6f1b0c0e-7d0f-5a57-9a0c-6d1f6b1f3a52")
_OF_HOT_SPOTS = UUID("b3f4c1de-2a54-5c0b-8d6e-90a7c5a4f1e2")
_MADE = SOURCE_ID.encode()


def object_ids(candidates: Sequence[Candidate], slide_name: str, *, taken: Collection[str] = ()) -> list[str]:
    """Return a UUID for each candidate, no two alike: that of its object or its own id, else a UUIDv5.

    The UUIDv5 is made of the slide's name and of the candidate's id, or of its centre where it has no id, so
    that every run makes the same one. Of candidates with the same id, upper and lower case alike, the first
    keeps it, and the others get a UUIDv5. `taken`: ids in lower case that other objects have.
    """
    again: Counter[str] = Counter()
    used = set(taken)
    ids = []
    for c in candidates:
        own = next((i for i in (_object_id(c), c.id) if i is not None and UUID_TEXT.fullmatch(i)), None)
        first = own or _uuid(f"{slide_name}\n{c.id or f'{c.x!r},{c.y!r}'}")
        text = first
        # A file merged with an earlier result of ours may hold the next one already, hence no `if`.
        while text.lower() in used:
            again[first] += 1
            text = _uuid(f"{first}#{again[first] + 1}")
        used.add(text.lower())
        ids.append(text)
    return ids


def _object_id(candidate: Candidate) -> str | None:
    """Return the id of an object of an earlier run, whose candidate goes by the id of its source."""
    if candidate.text is None or _MADE not in bytes(candidate.text):
        return None
    stated = members(candidate.text).get("id", b"")
    return str(json.loads(bytes(stated))) if kind(stated) == '"' else None


def _uuid(name: str) -> str:
    # Half a surrogate pair, which JSON may hold, has no bytes in UTF-8.
    return str(uuid5(_OF_CANDIDATES, name.encode("utf-8", "backslashreplace").decode()))


def hot_spot_id(slide_name: str, taken: Collection[str] = ()) -> str:
    """Return a UUIDv5 made of the slide's name, the same at every run, that is not among `taken`."""
    text = str(uuid5(_OF_HOT_SPOTS, slide_name))
    while text in taken:  # an earlier hot spot that was asked for as a candidate
        text = str(uuid5(_OF_HOT_SPOTS, text))
    return text
