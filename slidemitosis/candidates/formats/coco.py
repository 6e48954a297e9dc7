"""JSON of MIDOG 2021, 2022 and MIDOG++, and of COCO, which looks the same: boxes on several images.

A `bbox` of MIDOG is two corners, [x1, y1, x2, y2]; one of COCO is a corner and a size, [x, y, width, height].
A box of MIDOG of 50 px at (4000, 3000) that is read as COCO's has its centre at (6025, 4525). So the numbers
decide which it is, and where they fit both, the file is refused.
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from slidemitosis.candidates.formats.polygons import box
from slidemitosis.candidates.images import choose_image
from slidemitosis.candidates.marks import Mark, candidates_of, is_finite
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates

LOOKED_FOR = "lists of images and annotations"

Boxes = Literal["midog", "coco"]

_KNOWN = {"id", "image_id", "category_id", "bbox", "segmentation"}
# MIDOG's boxes are 50 px wide around each centre, also at the edge of an image.
_OVER_THE_EDGE = 64.0  # px


def fits(document: object) -> bool:
    """Tell whether a JSON document has the lists of MIDOG and COCO."""
    return isinstance(document, Mapping) and all(
        isinstance(document.get(key), list) for key in ("images", "annotations")
    )


def parse_coco(
    document: object, *, path: Path, slide_name: str | None, boxes: Boxes | None = None
) -> Candidates:
    """Read the boxes on one image, in the file's order; px of that image's full size.

    `boxes` says how `bbox` is to be read; None lets the numbers decide. Raises UnreadableCandidates.
    """
    if not isinstance(document, Mapping) or not fits(document):
        raise refusal(path, f"no {LOOKED_FOR}, as MIDOG and COCO have them")
    images = _by_id(document["images"], "image", path)
    categories = _by_id(document.get("categories") or [], "category", path)
    annotations = [
        (f"annotation {number}", _annotation(one, images, f"{path}: annotation {number}"))
        for number, one in enumerate(document["annotations"], start=1)
    ]
    form = boxes or _form([a for _, a in annotations], images, path)
    names = {key: str(image.get("file_name", key)) for key, image in images.items()}
    counts = Counter(dict.fromkeys(names.values(), 0))
    counts.update(names[a["image_id"]] for _, a in annotations)
    chosen = choose_image(counts, path=path, slide_name=slide_name)
    marks = [
        _mark(a, source, form, categories, path)
        for source, a in annotations
        if names[a["image_id"]] == chosen
    ]
    return candidates_of(marks, path=path, format=form, frame="level0")


def _by_id(listed: object, what: str, path: Path) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    for number, one in enumerate(listed if isinstance(listed, list) else [listed], start=1):
        where = f"{path}: {what} {number}"
        key = one.get("id") if isinstance(one, Mapping) else None
        if not isinstance(one, Mapping) or not isinstance(key, int | str):
            raise refusal(where, f"expected an object with an id, found {reprlib.repr(one)}")
        if key in found:
            raise refusal(where, f"has the id {key!r} of an earlier one")
        found[key] = one
    return found


def _annotation(one: object, images: Mapping[Any, Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    if not isinstance(one, Mapping):
        raise refusal(where, f"expected an object, found {reprlib.repr(one)}")
    bbox, image = one.get("bbox"), one.get("image_id")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_finite, bbox)):
        raise refusal(where, f"its bbox is {reprlib.repr(bbox)}, not four finite numbers")
    if not isinstance(image, int | str) or image not in images:
        raise refusal(where, f"its image_id {reprlib.repr(image)} is none of the images")
    return one


def _form(
    annotations: Sequence[Mapping[str, Any]], images: Mapping[Any, Mapping[str, Any]], path: Path
) -> Boxes:
    """Return what all boxes of the file, on every image, can be: corners, or a corner and a size."""
    forms: tuple[Boxes, ...] = get_args(Boxes)
    allowed = [form for form in forms if all(_fits_image(a, images, form) for a in annotations)]
    if not annotations or len(allowed) == 1:
        return allowed[0]
    which = "either of" if allowed else "neither of"
    raise refusal(
        path,
        f"its boxes fit {which} corners (x1, y1, x2, y2), or corner and size (x, y, width, height); say by "
        "--format midog that they are corners, or by --format coco that they are not",
    )


def _fits_image(annotation: Mapping[str, Any], images: Mapping[Any, Mapping[str, Any]], form: Boxes) -> bool:
    x1, y1, x2, y2 = _corners(annotation["bbox"], form)
    image = images[annotation["image_id"]]
    width, height = (image[k] if is_finite(image.get(k)) else math.inf for k in ("width", "height"))
    inside = min(x1, y1) >= -_OVER_THE_EDGE and x2 <= width + _OVER_THE_EDGE and y2 <= height + _OVER_THE_EDGE
    return x1 < x2 and y1 < y2 and inside


def _corners(bbox: list[float], form: Boxes) -> tuple[float, float, float, float]:
    x1, y1, third, fourth = bbox
    return (x1, y1, third, fourth) if form == "midog" else (x1, y1, x1 + third, y1 + fourth)


def _mark(
    annotation: Mapping[str, Any],
    source: str,
    form: Boxes,
    categories: Mapping[Any, Mapping[str, Any]],
    path: Path,
) -> Mark:
    where, category = f"{path}: {source}", annotation.get("category_id")
    if category is not None and (not isinstance(category, int | str) or category not in categories):
        raise refusal(where, f"its category_id {reprlib.repr(category)} is none of the categories")
    x1, y1, x2, y2 = _corners(annotation["bbox"], form)
    if not (x1 < x2 and y1 < y2):
        raise refusal(where, f"its bbox {annotation['bbox']} is no box of {form.upper()}")
    return Mark(
        source=source,
        outline=box(x1, y1, x2, y2),
        id=None if annotation.get("id") is None else str(annotation["id"]),
        class_name=None if category is None else str(categories[category].get("name", category)),
        stated={key: value for key, value in annotation.items() if key not in _KNOWN},
    )
