"""Candidates for mitotic figures, read from files of any format, and which of their objects are meant.

- `candidate`: one candidate, and those of one file; `read`: opens a file of them; `formats`: its readers
- `select`: which classes are candidates; `regions`: which objects are regions that a user names
- `ids`: UUIDs of objects; `duplicates`: figures that are listed twice
- `parts`: figures that are parts of one object; `planes`: objects on another plane than is read
- `marks`, `images`, `refusal`: what the readers of the formats share

Uses the ground floor alone.
"""

from slidemitosis.candidates.candidate import Candidate, Candidates
from slidemitosis.candidates.duplicates import Duplicate, find_duplicates
from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.qupath_keys import SOURCE_ID
from slidemitosis.candidates.read import read_candidates
from slidemitosis.candidates.regions import regions_named
from slidemitosis.candidates.select import (
    HOT_SPOT,
    REGION,
    Selection,
    area_classes_named,
    base_class,
    counts_text,
    denies_mitosis,
    normal_name,
    reads_as_mitosis,
    select_candidates,
)
from slidemitosis.options.read import FORMATS, Format, Unit

__all__ = [
    "FORMATS",
    "HOT_SPOT",
    "REGION",
    "SOURCE_ID",
    "Candidate",
    "Candidates",
    "Duplicate",
    "Format",
    "Selection",
    "Unit",
    "area_classes_named",
    "base_class",
    "counts_text",
    "denies_mitosis",
    "find_duplicates",
    "normal_name",
    "parse_geojson",
    "read_candidates",
    "reads_as_mitosis",
    "regions_named",
    "select_candidates",
]
