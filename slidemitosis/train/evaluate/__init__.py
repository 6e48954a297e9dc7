"""Evaluate models on labelled figures, and compare evaluations.

- `metrics`, `statistics`, `bootstrap`, `calibration`: pure measures, tests, intervals and fits.
- `report`: a report's data; `report_text`: its Markdown; `report_files`: the files of an evaluation, written
  and read; `plots`: its plots; `run`: scores models on data sets and makes such a report.
- `comparison`: a comparison's data; `evaluated`: evaluation folders as runs; `compare`: compares them;
  `comparison_text`: its Markdown and its files.

Uses engines, models and prediction, and of train `data`, `recipe`, `paths`, `readme` and `markdown`.
"""
