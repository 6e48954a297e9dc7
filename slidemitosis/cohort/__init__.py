"""Cohorts: a list of slides with columns, classified one by one, here or on many machines."""

from slidemitosis.cohort.model import Cohort, CohortSlide, Outcome
from slidemitosis.cohort.run import CohortResult, run_cohort
from slidemitosis.cohort.source import read_cohort

__all__ = ["Cohort", "CohortResult", "CohortSlide", "Outcome", "read_cohort", "run_cohort"]
