"""The regions that a user named: their rows in `summary.json` and `regions.csv`, and their objects."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import REGION
from slidemitosis.candidates.formats.json_text import elements, joined, kind, members
from slidemitosis.files import csv_lines
from slidemitosis.outputs.hot_spot_object import FRACTION_MEASUREMENTS, rate_measurements
from slidemitosis.outputs.objects import plain_feature
from slidemitosis.outputs.rate_fields import density_fields, fraction_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from slidemitosis.candidates import Candidate
    from slidemitosis.rates.regions import RegionRate

PER_MM2 = "Mitoses per mm2"
MEASUREMENTS = frozenset(
    ("Mitoses", "Atypical", "Normal", "Uncertain", PER_MM2, REGION, *FRACTION_MEASUREMENTS)
)
"""Every measurement that a run may give a region; qupath/groovy/parts/results.groovy names them too."""


def region_fields(found: RegionRate) -> dict[str, Any]:
    """What `summary.json` says of a region; docs/outputs.md explains each key."""
    return {
        "id": found.region.id,
        "object_id": found.object_id,
        "source": found.region.source,
        "name": found.name,
        "class": found.region.class_name,
        "object_type": "TMA core" if found.core else "annotation",
        "mm2": found.mm2,
        **density_fields(found.rate, found.mm2),
        **fraction_fields(found.rate, found.expected),
    }


def regions_csv(regions: Iterable[RegionRate]) -> Iterator[str]:
    """Make the lines of `regions.csv`: the names of its columns, then each region."""
    rows = [dict(_cells(region_fields(region))) for region in regions]
    return csv_lines(itertools.chain([list(rows[0])] if rows else [], (row.values() for row in rows)))


def _cells(fields: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Give the column and cell of each field; of an interval those of its ends, as in a cohort's table."""
    for name, value in fields.items():
        if name.endswith("_95"):
            ends, short = value or (None, None), name.replace("fraction_amf_of_all_", "")
            yield from ((f"{short}_low", ends[0]), (f"{short}_high", ends[1]))
        else:
            yield name, str(value).lower() if isinstance(value, bool) else value


def region_features(regions: Sequence[RegionRate], *, shift: tuple[int, int]) -> Iterator[bytes]:
    """Make the GeoJSON Feature of each region, as it was read but for measurements of ours, without children.

    `shift`, px, is added to all coordinates. Objects inside a region are no part of its Feature: candidates
    and regions among them stand for themselves, and QuPath keeps the others where they are.
    """
    for found in regions:
        region = found.region
        yield plain_feature(
            _without_children(region),
            object_id=found.object_id,
            centre=(region.x, region.y),
            taken=(),
            shift=shift,
            told=_measurements(found),
            replaced=MEASUREMENTS,
        )


def _measurements(found: RegionRate) -> dict[str, float]:
    rate = found.rate
    told: dict[str, float] = {"Mitoses": rate.mitoses, "Atypical": rate.atypical, "Normal": rate.normal}
    told |= {"Uncertain": rate.uncertain} if rate.uncertain else {}
    told |= rate_measurements(found.expected)
    told |= {PER_MM2: round(rate.mitoses / found.mm2, 6)} if found.mm2 else {}
    return told | {REGION: round(found.mm2, 6)}


def _without_children(region: Candidate) -> Candidate:
    assert region.text is not None  # regions are polygons
    feature = members(region.text)
    properties = feature.get("properties", b"")
    if kind(properties) != "{":
        return region
    kept = {
        name: value
        for name, value in members(properties).items()
        if name not in ("childObjects", "children") or kind(value) != "[" or not elements(value)
    }
    return dataclasses.replace(region, text=joined({**feature, "properties": joined(kept)}))
