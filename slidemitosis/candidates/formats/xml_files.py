"""XML, parsed so that no file from elsewhere can swell in memory or read other files."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING

from slidemitosis.candidates.formats.decimals import finite_number
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from xml.etree.ElementTree import Element


def parse_xml(data: bytes, path: Path) -> Element:
    """Return the root; a document type, which declares entities, is refused. Raises UnreadableCandidates."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except ParseError as error:
        raise refusal(path, f"not valid XML ({error}); the file may be cut off: export it again") from error
    except DefusedXmlException as error:
        what = "this XML declares a document type, by which other files could be read; remove it"
        raise refusal(path, what) from error
    except (LookupError, ValueError) as error:  # an encoding that is unknown, or that does not fit
        raise refusal(path, f"not readable as XML ({' '.join(str(error).split())})") from error
    places = {element.get(axis, "") for element in root.iter() for axis in "XY"}
    point, comma = (next((text for text in places if mark in text), None) for mark in ".,")
    if point and comma:
        raise refusal(path, f"has coordinates with two decimal marks, {point!r} and {comma!r}; use one")
    return root


def vertices(elements: Iterable[Element], where: str) -> list[list[float]]:
    """Return [[x, y], ...] of elements with the attributes X and Y."""
    found = []
    for element in elements:
        texts = [element.get(axis, "") for axis in "XY"]
        # Programs may write the decimal mark of the system; neither ASAP nor ImageScope parts thousands.
        x, y = (finite_number(text.strip()) for text in texts)
        if x is None or y is None:
            raise refusal(
                where, f"a vertex has X {reprlib.repr(texts[0])}, Y {reprlib.repr(texts[1])}: no numbers"
            )
        found.append([x, y])
    return found
