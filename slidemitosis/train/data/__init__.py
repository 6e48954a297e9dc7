"""Labelled figures: the layouts in which their authors publish them, folds, and leaks between data sets.

`read` takes any layout; docs/data.md explains each. Uses recipe, and reading for figures that are on slides.
"""
