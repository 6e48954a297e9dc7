"""Tables of a cohort: slides (`cohort`), patients (`patients`), the same as Parquet, and a plot of the rates.

`columns` makes a slide's row. Uses outputs and rates.
"""
