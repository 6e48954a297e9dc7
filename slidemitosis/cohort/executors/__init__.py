"""Executors run the slides of a cohort and say what happens.

- `events`: what an executor says, and what it is; `local`: processes of this machine.
- `dask`: the workers of a Dask cluster; `dask_worker`: what runs on each; `clusters`: connect to one, or
  start one.

Uses reading's processes, models, and the cohort's job, slides and store.
"""
