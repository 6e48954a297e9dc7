"""Candidates for mitotic figures: reading their files, choosing among classes, finding duplicates."""

from slidemitosis.candidates.candidate import FORMATS, Candidate, Candidates, Format, Unit
from slidemitosis.candidates.duplicates import Duplicate, find_duplicates
from slidemitosis.candidates.formats.geojson import parse_geojson
from slidemitosis.candidates.formats.qupath_keys import SOURCE_ID
from slidemitosis.candidates.read import read_candidates
from slidemitosis.candidates.select import (
    HOT_SPOT,
    Selection,
    area_classes_named,
    base_class,
    counts_text,
    normal_name,
    reads_as_mitosis,
    select_candidates,
)

__all__ = [
    "FORMATS",
    "HOT_SPOT",
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
    "find_duplicates",
    "normal_name",
    "parse_geojson",
    "read_candidates",
    "reads_as_mitosis",
    "select_candidates",
]
