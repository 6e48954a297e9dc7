"""Cohorts: a list of slides with columns, classified one by one, here or on many machines."""

from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.run import CohortResult, run_cohort
from slidemitosis.cohort.slides import Cohort, CohortSlide, Outcome

__all__ = ["Cohort", "CohortResult", "CohortSlide", "Outcome", "read_cohort", "run_cohort"]
