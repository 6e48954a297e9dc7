"""Cohorts: a list of slides with columns, classified one by one, here or on many machines.

- `slides`: the list; `lists`: where it comes from; `run`: from a list to its tables; `tables`: these tables.
- `job`: one slide; `executors`: what runs the slides, here or on a cluster.
- `store`, `identity`: the folder of results, and which slides are done.

Uses classify, qupath, outputs, rates, reading, engines, models, candidates and slides.
"""

from slidemitosis.cohort.lists.read import read_cohort
from slidemitosis.cohort.run import CohortResult, run_cohort
from slidemitosis.cohort.slides import Cohort, CohortSlide, Outcome

__all__ = ["Cohort", "CohortResult", "CohortSlide", "Outcome", "read_cohort", "run_cohort"]
